"""Pixels as features, and images made smaller."""

import numpy as np
from skimage.transform import resize_local_mean

SIDE = 32
"""Pixels are features at this side at most: larger images are averaged down to it."""


def pixels(images: np.ndarray) -> np.ndarray:
    """The pixels in [0, 1], of images brought to 32 px where they are larger.

    Args:
        images: N × H × W × C uint8.

    Returns:
        N × (h · w · C) float32.

    """
    small = shrunk(images, SIDE)
    return small.reshape(len(images), -1).astype(np.float32) / 255


def shrunk(images: np.ndarray, side: int) -> np.ndarray:
    """Square images (N × H × H × C) averaged down to `side`; as they are where they are no larger."""
    if images.shape[1] <= side:
        return images
    shape = (len(images), side, side, images.shape[-1])
    return resize_local_mean(images.astype(np.float32), shape, preserve_range=True)
