"""Fisher vectors of dense descriptors: gradients and colours at several scales (Sánchez et al. 2013)."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from skimage.feature import learn_gmm
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from takeoff.classical.gradients import blocks, cell_histograms, votes

BLOCK = 4
"""Cells along a descriptor's side, as in SIFT."""
SCALES = (1 / 16, 3 / 32, 1 / 8)
"""A cell's side as a share of the image's: descriptors of a quarter, three eighths and half of the image."""
GRADIENT_COMPONENTS = 48
COLOUR_COMPONENTS = 16
MODES = 32
SMALL_MODES = 16
"""Of images below 16 px, which have 26 descriptors each."""
IMAGES, DESCRIPTORS = 1_000, 30_000
"""Training images, and their descriptors, that components and mixture are learned from, at most."""
PER_MODE = 10
"""Descriptors that a mode needs at least: fewer descriptors have fewer modes."""


def cells(side: int) -> list[int]:
    """The cells' sides, in pixels, for images of `side` pixels."""
    return sorted(
        {max(1, round(side * scale)) for scale in SCALES if max(1, round(side * scale)) * BLOCK <= side}
    )


def describe(images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Dense descriptors of images (N × H × W × C uint8) on a grid of cells, at each scale.

    Returns:
        Gradients (N × T × 144): a block of 4 × 4 cells with 9 orientations. Colours (N × T × 8C): the channels'
        mean and deviation in the block's quarters, in bytes. Positions (T × 2): the block's middle, −½ to ½.

    """
    bins, magnitudes = votes(images)
    gradients, colours, positions = [], [], []
    for cell in cells(images.shape[1]):
        found = blocks(cell_histograms(bins, magnitudes, cell), BLOCK)
        places = (np.arange(found.shape[1]) + BLOCK / 2) * cell / images.shape[1] - 0.5
        gradients.append(found.reshape(len(images), -1, found.shape[-1]))
        colours.append(_colours(images, cell))
        positions.append(np.stack(np.meshgrid(places, places, indexing="ij"), axis=-1).reshape(-1, 2))
    return (
        np.concatenate(gradients, axis=1),
        np.concatenate(colours, axis=1),
        np.concatenate(positions).astype(np.float32),
    )


def _colours(images: np.ndarray, cell: int) -> np.ndarray:
    """Mean and deviation of each channel in the quarters of each block: N × T × 8C float32."""
    count = images.shape[1] // cell
    kept = images[:, : count * cell, : count * cell].astype(np.float32)
    grid = kept.reshape(len(images), count, cell, count, cell, -1)
    moments = np.concatenate([grid.mean(axis=(2, 4)), np.square(grid).mean(axis=(2, 4))], axis=-1)
    half = BLOCK // 2
    # A quarter of a block is half a block's cells wide and high.
    quarters = np.lib.stride_tricks.sliding_window_view(moments, (half, half), axis=(1, 2)).mean(
        axis=(-2, -1)
    )
    channels = images.shape[-1]
    mean = quarters[..., :channels]
    deviation = np.sqrt(np.maximum(quarters[..., channels:] - np.square(mean), 0))
    both = np.concatenate([mean, deviation], axis=-1)
    reach = count - BLOCK + 1
    corners = [
        both[:, row : row + reach, column : column + reach] for row in (0, half) for column in (0, half)
    ]
    return np.concatenate(corners, axis=-1).reshape(len(images), reach * reach, -1)


@dataclass(frozen=True)
class Projection:
    """The descriptors' principal components."""

    gradients: PCA
    colours: PCA

    def __call__(self, described: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
        """From `describe` to N × T × D float32, positions last."""
        gradients, colours, positions = described
        shape = gradients.shape[:2]
        parts = [
            self.gradients.transform(gradients.reshape(-1, gradients.shape[-1])).reshape(*shape, -1),
            self.colours.transform(colours.reshape(-1, colours.shape[-1])).reshape(*shape, -1),
            np.broadcast_to(positions, (*shape, 2)),
        ]
        return np.concatenate(parts, axis=-1, dtype=np.float32)


def fit_fisher(
    images: np.ndarray, generator: np.random.Generator
) -> tuple[Callable[[np.ndarray], np.ndarray], list[str]]:
    """Learn components and mixture from `images` (N × H × W × C uint8).

    Returns:
        The function that turns images into Fisher vectors (N × (2D + 1)K float32), with power and L2
        normalisation, and what was made smaller.

    """
    chosen = np.sort(generator.choice(len(images), min(IMAGES, len(images)), replace=False))
    gradients, colours, positions = describe(images[chosen])
    total = gradients.shape[0] * gradients.shape[1]
    sample = np.sort(generator.choice(total, min(DESCRIPTORS, total), replace=False))
    some = gradients.reshape(total, -1)[sample][:, None], colours.reshape(total, -1)[sample][:, None]
    projection = Projection(
        _components(some[0][:, 0], GRADIENT_COMPONENTS), _components(some[1][:, 0], COLOUR_COMPONENTS)
    )
    descriptors = projection((*some, np.zeros((1, 2), np.float32)))[:, 0]
    descriptors[:, -2:] = positions[sample % len(positions)]
    wanted = SMALL_MODES if images.shape[1] < 16 else MODES
    modes = max(1, min(wanted, len(descriptors) // PER_MODE))
    notes = [] if modes == wanted else [f"{modes} modes: only {len(descriptors)} descriptors"]
    mixture = _mixture(descriptors, modes, int(generator.integers(2**31)))

    def encode(chunk: np.ndarray) -> np.ndarray:
        return improved(fisher_vectors(projection(describe(chunk)), mixture))

    return encode, notes


def _mixture(descriptors: np.ndarray, modes: int, state: int) -> GaussianMixture:
    with warnings.catch_warnings():
        # A vocabulary needs no converged likelihood: a few steps from k-means do.
        warnings.simplefilter("ignore", ConvergenceWarning)
        arguments = {"covariance_type": "diag", "max_iter": 20, "tol": 1e-2, "reg_covar": 1e-4}
        return learn_gmm(descriptors, n_modes=modes, gm_args=arguments | {"random_state": state})


def _components(values: np.ndarray, number: int) -> PCA:
    return PCA(min(number, *values.shape), svd_solver="covariance_eigh").fit(values)


def fisher_vectors(descriptors: np.ndarray, mixture: GaussianMixture) -> np.ndarray:
    """The Fisher vectors of N images: the numbers of `skimage.feature.fisher_vector`, for all at once.

    Args:
        descriptors: N × T × D.
        mixture: with diagonal covariances.

    Returns:
        N × (2D + 1)K: by weights, means and variances.

    """
    kind = descriptors.dtype
    weights, means, variances = (
        value.astype(kind) for value in (mixture.weights_, mixture.means_, mixture.covariances_)
    )
    number, count, size = descriptors.shape
    # The log densities as two matrix products: x² · −1/2v + x · m/v + constant.
    flat = descriptors.reshape(-1, size)
    log = np.square(flat) @ (-0.5 / variances).T
    log += flat @ (means / variances).T
    log += np.log(weights) - 0.5 * (np.square(means) / variances + np.log(variances)).sum(axis=1)
    log -= log.max(axis=1, keepdims=True)
    posterior = np.exp(log, out=log)
    posterior /= posterior.sum(axis=1, keepdims=True)
    posterior = posterior.reshape(number, count, -1).transpose(0, 2, 1)
    share = posterior.mean(axis=2)[..., None]
    first = posterior @ descriptors / kind.type(count)
    second = posterior @ np.square(descriptors) / kind.type(count)
    root = np.sqrt(weights)
    by_weight = (share[..., 0] - weights) / root
    by_mean = (first - share * means) / (root[:, None] * np.sqrt(variances))
    by_variance = -second - share * np.square(means) + share * variances + 2 * first * means
    by_variance /= np.sqrt(kind.type(2)) * root[:, None] * variances
    return np.concatenate([by_weight, by_mean.reshape(number, -1), by_variance.reshape(number, -1)], axis=1)


def improved(vectors: np.ndarray) -> np.ndarray:
    """Signed square roots, then length 1 (Perronnin, Sánchez & Mensink 2010)."""
    powered = np.sign(vectors) * np.sqrt(np.abs(vectors))
    return powered / np.maximum(np.linalg.norm(powered, axis=1, keepdims=True), np.finfo(vectors.dtype).tiny)
