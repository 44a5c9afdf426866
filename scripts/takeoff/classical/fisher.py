"""Fisher vectors of dense descriptors: gradients and colours at several scales (Sánchez et al. 2013)."""

import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from takeoff.classical.gradients import blocks, cell_histograms, votes
from takeoff.classical.kmeans import Learned

BLOCK = 4
"""Cells along a descriptor's side, as in SIFT."""
SCALES = (1 / 16, 3 / 32, 1 / 8)
"""A cell's side as a share of the image's: descriptors of a quarter, three eighths and half of the image."""
COMPONENTS = (48, 16)
"""Of gradients and of colours, at most: a descriptor's, not the whole vector's."""
MODES = 32
SMALL_MODES = 16
"""Of images below 16 px, which have 26 descriptors each."""
IMAGES, DESCRIPTORS = 1_000, 30_000
"""Training images, and their descriptors, that components and mixture are learned from, at most."""
PER_MODE = 10
"""Descriptors that a mode needs at least: fewer descriptors have fewer modes."""


def cells(side: int) -> list[int]:
    """The cells' sides, in pixels, for images of `side` pixels."""
    wanted = {max(1, round(side * scale)) for scale in SCALES}
    return sorted(cell for cell in wanted if cell * BLOCK <= side)


def describe(images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Dense descriptors of images (N × H × W × C uint8) on a grid of cells, at each scale.

    Gradients are N × T × 144: a block of 4 × 4 cells with 9 orientations. Colours are N × T × 8C: the channels' mean
    and deviation in the block's quarters, in bytes. Positions are T × 2: the block's middle, −½ to ½.
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
    quarters = np.lib.stride_tricks.sliding_window_view(moments, (half, half), axis=(1, 2)).mean(axis=(-2, -1))
    channels = images.shape[-1]
    mean = quarters[..., :channels]
    deviation = np.sqrt(np.maximum(quarters[..., channels:] - np.square(mean), 0))
    both = np.concatenate([mean, deviation], axis=-1)
    reach = count - BLOCK + 1
    corners = [both[:, row : row + reach, column : column + reach] for row in (0, half) for column in (0, half)]
    return np.concatenate(corners, axis=-1).reshape(len(images), reach * reach, -1)


def _projected(models: Sequence[PCA], *described: np.ndarray) -> np.ndarray:
    """The principal components of descriptors, as in `describe`: N × T × D float32, positions last."""
    *values, positions = described
    shape = values[0].shape[:2]
    parts = [
        model.transform(own.reshape(-1, own.shape[-1])).reshape(*shape, -1)
        for model, own in zip(models, values, strict=True)
    ]
    return np.concatenate([*parts, np.broadcast_to(positions, (*shape, 2))], axis=-1, dtype=np.float32)


def fit_fisher(images: np.ndarray, generator: np.random.Generator) -> Learned:
    """Learn components and mixture from `images` (N × H × W × C uint8): Fisher vectors with power and L2 normalisation,
    (2D + 1)K features.
    """
    chosen = np.sort(generator.choice(len(images), min(IMAGES, len(images)), replace=False))
    *values, positions = describe(images[chosen])
    total = values[0].shape[0] * values[0].shape[1]
    sample = np.sort(generator.choice(total, min(DESCRIPTORS, total), replace=False))
    some = [own.reshape(total, -1)[sample] for own in values]
    models = [
        PCA(min(number, *own.shape), svd_solver="covariance_eigh").fit(own)
        for own, number in zip(some, COMPONENTS, strict=True)
    ]
    places = positions[sample % len(positions)]
    descriptors = _projected(models, *(own[:, None] for own in (*some, places)))[:, 0]
    wanted = SMALL_MODES if images.shape[1] < 16 else MODES
    modes = max(1, min(wanted, len(descriptors) // PER_MODE))
    notes = [] if modes == wanted else [f"{modes} modes: only {len(descriptors)} descriptors"]
    state = int(generator.integers(2**31))
    mixture = GaussianMixture(modes, covariance_type="diag", max_iter=20, tol=1e-2, reg_covar=1e-4, random_state=state)
    with warnings.catch_warnings():
        # A vocabulary needs no converged likelihood: a few steps from k-means do.
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(descriptors)

    def encode(chunk: np.ndarray) -> np.ndarray:
        return improved(fisher_vectors(_projected(models, *describe(chunk)), mixture))

    return encode, notes


def fisher_vectors(descriptors: np.ndarray, mixture: GaussianMixture) -> np.ndarray:
    """The Fisher vectors of N images: the numbers of `skimage.feature.fisher_vector`, for all at once. From
    descriptors, N × T × D, and a mixture with diagonal covariances to N × (2D + 1)K: by weights, means, variances.
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
