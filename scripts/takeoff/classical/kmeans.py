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


class Geometry(NamedTuple):
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


def fit_kmeans(images: np.ndarray, generator: np.random.Generator) -> Learned:
    """Learn whitening and centroids from patches of `images` (N × H × W × C uint8): 4 features for each centroid."""
    shape = geometry(images.shape[1])
    chosen = np.sort(generator.choice(len(images), min(len(images), PATCH_IMAGES), replace=False))
    windows = _windows(images[chosen], shape)
    total = math.prod(windows.shape[:3])
    number = min(PATCHES, total)
    places = np.unravel_index(generator.choice(total, number, replace=False), windows.shape[:3])
    patches = contrast_normalised(windows[places].reshape(number, -1))
    mean = patches.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(patches - mean, rowvar=False))
    zca = ((vectors / np.sqrt(np.maximum(values, 0) + WHITENING)) @ vectors.T).astype(np.float32)
    white = (patches - mean) @ zca
    centroids = min(shape.centroids, number)
    notes = [] if centroids == shape.centroids else [f"{centroids} centroids: no more patches"]
    state = int(generator.integers(2**31))
    model = MiniBatchKMeans(centroids, init="random", n_init=1, max_iter=20, batch_size=2048, random_state=state)
    centres = model.fit(white).cluster_centers_.astype(np.float32)

    def encode(chunk: np.ndarray) -> np.ndarray:
        grid = _windows(chunk, shape)[:, :: shape.stride, :: shape.stride]
        found = contrast_normalised(grid.reshape(*grid.shape[:3], -1))
        return pooled(triangle((found - mean) @ zca, centres))

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
