"""Features learned by k-means from patches (Coates, Lee & Ng 2011)."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from skimage.transform import resize_local_mean
from sklearn.cluster import MiniBatchKMeans

Encoder = Callable[[np.ndarray], np.ndarray]
"""From N × H × W × C uint8 to N × D float32."""
Learned = tuple[Encoder, list[str]]
"""An encoder, and what was made smaller than usual for want of images."""

PATCHES = 100
"""Random patches for each centroid, from which whitening and centroids are learned."""
PATCH_IMAGES = 4_000
"""Training images that these come from, at most."""
FEW, MANY = 400, 1_600
"""Centroids of a small and of a large study; the paper's figures go from 100 to 4,000."""
ACTIVATIONS = 4 * 2**20
"""Patches times centroids that are computed together: few, which stay in a cache."""
CONTRAST = 10.0
"""Added to a patch's variance (of bytes) before division, as in the paper's own code."""
WHITENING = 0.1
"""Added to the eigenvalues of the patches' covariance, as there."""
SIDE = 64


class Geometry(NamedTuple):
    """Where patches lie in an image, in pixels."""

    side: int
    """Larger images are averaged down to it."""
    patch: int
    stride: int
    centroids: int


def geometry(side: int, large: bool = False) -> Geometry:
    """The patches for images of `side` pixels, in a `large` study or a small one.

    6 px with a stride of 1 at 32 px, as in the paper; a small study has a quarter of the centroids, and a stride of 2.
    Patches and strides grow with images up to 64 px.
    """
    side = min(side, SIDE)
    if side < 16:
        return Geometry(side, patch=min(3, side), stride=1, centroids=128)
    dense = max(1, side // 32)
    return Geometry(side, 6 if side < 48 else 8, dense if large else 2 * dense, MANY if large else FEW)


def fit_kmeans(images: np.ndarray, generator: np.random.Generator, large: bool = False) -> Learned:
    """Learn whitening and centroids from patches of `images` (N × H × W × C uint8): 4 features for each centroid."""
    shape = geometry(images.shape[1], large)
    chosen = np.sort(generator.choice(len(images), min(len(images), PATCH_IMAGES), replace=False))
    windows = _windows(images[chosen], shape)
    total = math.prod(windows.shape[:3])
    number = min(PATCHES * shape.centroids, total)
    places = np.unravel_index(generator.choice(total, number, replace=False), windows.shape[:3])
    patches = contrast_normalised(windows[places].reshape(number, -1))
    mean = patches.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(patches - mean, rowvar=False))
    zca = ((vectors / np.sqrt(np.maximum(values, 0) + WHITENING)) @ vectors.T).astype(np.float32)
    white = (patches - mean) @ zca
    centroids = min(shape.centroids, number)
    notes = [f"{centroids} of {shape.centroids} centroids, stride {shape.stride}"]
    state = int(generator.integers(2**31))
    model = MiniBatchKMeans(centroids, init="random", n_init=1, max_iter=20, batch_size=2048, random_state=state)
    centres = model.fit(white).cluster_centers_.astype(np.float32)

    def encode(chunk: np.ndarray) -> np.ndarray:
        grid = _windows(chunk, shape)[:, :: shape.stride, :: shape.stride]
        piece = max(1, ACTIVATIONS // (math.prod(grid.shape[1:3]) * centroids))
        found = []
        for start in range(0, len(grid), piece):
            own = grid[start : start + piece]
            patches = contrast_normalised(own.reshape(*own.shape[:3], -1))
            found.append(pooled(triangle((patches - mean) @ zca, centres)))
        return np.concatenate(found)

    return encode, notes


def contrast_normalised(patches: np.ndarray) -> np.ndarray:
    """Patches (N × D, in bytes, where N may be several axes) each with zero mean and near unit variance, float32."""
    centred = patches - patches.mean(axis=-1, keepdims=True)
    variance = np.einsum("...i,...i", centred, centred)[..., None] / max(1, patches.shape[-1] - 1)
    return (centred / np.sqrt(variance + np.float32(CONTRAST))).astype(np.float32)


def triangle(patches: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Each centre's activation: how much nearer than the average centre it is, or 0 (their section 3.2.2); of patches
    N × D and centres K × D, where N may be several axes, N × K.
    """
    # |x|² − 2xc + |c|² as one product.
    squares = np.einsum("...i,...i", patches, patches)[..., None]
    wide = np.concatenate([patches, squares, np.ones_like(squares)], axis=-1)
    lengths = np.einsum("ki,ki->k", centres, centres)[:, None]
    distance = wide @ np.concatenate([-2 * centres, np.ones_like(lengths), lengths], axis=1).T
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


def _windows(images: np.ndarray, shape: Geometry) -> np.ndarray:
    """Every patch that there is: N × rows × columns × C × patch × patch, a view."""
    small = shrunk(images, shape.side).astype(np.float32)
    return np.lib.stride_tricks.sliding_window_view(small, (shape.patch, shape.patch), axis=(1, 2))


def shrunk(images: np.ndarray, side: int) -> np.ndarray:
    """Square images (N × H × H × C) averaged down to `side`; as they are where they are no larger."""
    if images.shape[1] <= side:
        return images
    shape = (len(images), side, side, images.shape[-1])
    return resize_local_mean(images.astype(np.float32), shape, preserve_range=True)
