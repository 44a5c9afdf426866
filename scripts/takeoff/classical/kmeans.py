"""Features learned by k-means from patches (Coates, Lee & Ng 2011)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import MiniBatchKMeans

from takeoff.classical.pixels import shrunk

PATCHES = 40_000
"""Random patches that whitening and centroids are learned from."""
PATCH_IMAGES = 4_000
"""Training images that these come from, at most."""
CENTROIDS = 400
"""The paper's figures go from 100 to 4,000."""
CONTRAST = 10.0
"""Added to a patch's variance (of bytes) before division, as in the paper's own code."""
WHITENING = 0.1
"""Added to the eigenvalues of the patches' covariance, as there."""
SIDE = 64


@dataclass(frozen=True)
class Geometry:
    """Where patches lie in an image, in pixels."""

    side: int
    """Larger images are averaged down to it."""
    patch: int
    stride: int
    centroids: int


def geometry(side: int) -> Geometry:
    """The patches for images of `side` pixels.

    6 px with a stride of 2 at 32 px, as in the paper but for its stride of 1; both grow with images up to 64 px.
    """
    side = min(side, SIDE)
    if side < 16:
        return Geometry(side, patch=min(3, side), stride=1, centroids=128)
    return Geometry(side, patch=6 if side < 48 else 8, stride=max(1, side // 16), centroids=CENTROIDS)


def fit_kmeans(
    images: np.ndarray, generator: np.random.Generator
) -> tuple[Callable[[np.ndarray], np.ndarray], list[str]]:
    """Learn whitening and centroids from patches of `images` (N × H × W × C uint8).

    Returns:
        The function that turns images into features (N × 4 · centroids float32), and what was made smaller.

    """
    shape = geometry(images.shape[1])
    windows = (shape.side - shape.patch + 1) ** 2
    number = min(PATCHES, min(len(images), PATCH_IMAGES) * windows)
    patches = contrast_normalised(_random_patches(images, shape, number, generator))
    mean = patches.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(patches - mean, rowvar=False))
    zca = ((vectors / np.sqrt(np.maximum(values, 0) + WHITENING)) @ vectors.T).astype(np.float32)
    white = (patches - mean) @ zca
    centroids = min(shape.centroids, number)
    notes = [] if centroids == shape.centroids else [f"{centroids} centroids: no more patches"]
    model = MiniBatchKMeans(
        centroids,
        batch_size=2048,
        max_iter=20,
        n_init=1,
        init="random",
        random_state=int(generator.integers(2**31)),
        reassignment_ratio=0.01,
    ).fit(white)
    centres = model.cluster_centers_.astype(np.float32)

    def encode(chunk: np.ndarray) -> np.ndarray:
        found = contrast_normalised(_patches(chunk, shape))
        return pooled(triangle((found - mean) @ zca, centres))

    return encode, notes


def contrast_normalised(patches: np.ndarray) -> np.ndarray:
    """Patches (… × D, in bytes) each with zero mean and near unit variance, float32."""
    centred = patches - patches.mean(axis=-1, keepdims=True)
    variance = np.einsum("...i,...i", centred, centred)[..., None] / max(1, patches.shape[-1] - 1)
    return (centred / np.sqrt(variance + np.float32(CONTRAST))).astype(np.float32)


def triangle(patches: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Each centre's activation: how much nearer than the average centre it is, or 0 (their section 3.2.2).

    Args:
        patches: … × D.
        centres: K × D.

    Returns:
        … × K.

    """
    distance = patches @ centres.T
    distance *= -2
    distance += np.einsum("...i,...i", patches, patches)[..., None]
    distance += np.einsum("ki,ki->k", centres, centres)
    np.maximum(distance, 0, out=distance)
    np.sqrt(distance, out=distance)
    np.subtract(distance.mean(axis=-1, keepdims=True), distance, out=distance)
    return np.maximum(distance, 0, out=distance)


def pooled(activations: np.ndarray) -> np.ndarray:
    """Sums over the four quadrants: from N × rows × columns × K to N × 4K; an odd middle goes to the later half."""
    rows, columns = activations.shape[1] // 2, activations.shape[2] // 2
    quadrants = [
        activations[:, above, left].sum(axis=(1, 2))
        for above in (slice(None, rows), slice(rows, None))
        for left in (slice(None, columns), slice(columns, None))
    ]
    return np.concatenate(quadrants, axis=1)


def _patches(images: np.ndarray, shape: Geometry) -> np.ndarray:
    """Every patch on the grid: N × rows × columns × (patch · patch · C) float32."""
    small = shrunk(images, shape.side).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(small, (shape.patch, shape.patch), axis=(1, 2))
    windows = windows[:, :: shape.stride, :: shape.stride]
    return windows.reshape(*windows.shape[:3], -1)


def _random_patches(
    images: np.ndarray, shape: Geometry, number: int, generator: np.random.Generator
) -> np.ndarray:
    chosen = np.sort(generator.choice(len(images), min(len(images), PATCH_IMAGES), replace=False))
    small = shrunk(images[chosen], shape.side).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(small, (shape.patch, shape.patch), axis=(1, 2))
    which = generator.choice(len(small) * windows.shape[1] * windows.shape[2], number, replace=False)
    image, row, column = np.unravel_index(which, (len(small), *windows.shape[1:3]))
    return windows[image, row, column].reshape(number, -1)
