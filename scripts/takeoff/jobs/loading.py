"""Prepared images for training: on the device where they fit, else read from disk as they are needed."""

import numpy as np
import torch

from takeoff.common.files import digest_of
from takeoff.data.prepared import Prepared
from takeoff.engine.dataset import Dataset, on_device
from takeoff.engine.images import Images, Resident, Streamed
from takeoff.study.configuration import HOST_MB

SHARE = 0.6
"""Of a GPU's free memory, what images may take; the rest is for networks, their maps and a graph."""
PIECE = 256 * 2**20
"""Bytes that are copied to a device at a time, so that the host holds no second copy."""


def dataset_of(found: Prepared, device: torch.device, room: int | None = None) -> Dataset:
    """Prepared images as networks see them on `device`.

    They lie there if both splits take `room` bytes at most, by default a share of what is free on a GPU, else they are
    streamed from disk. No number depends on it.
    """
    if room is None:
        room = int(SHARE * torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else HOST_MB * 10**6
    card, resident = found.card, found.images.nbytes + found.test_images.nbytes <= room

    def there(pixels: np.ndarray) -> Images:
        return Resident(_copied(pixels, device)) if resident else Streamed(pixels, device)

    return on_device(
        there(found.images),
        found.labels,
        there(found.test_images),
        found.test_labels,
        mean=card.mean,
        std=card.std,
        colours=card.colours,
        classes=found.classes,
        validation_fraction=found.validation_fraction,
        digest=digest_of([found.digest, card.mean, card.std, card.colours]),
        device=device,
    )


def _copied(pixels: np.ndarray, device: torch.device) -> torch.Tensor:
    """All images on the device, copied in pieces."""
    there = torch.empty(pixels.shape, dtype=torch.uint8, device=device)
    each = max(1, PIECE // max(1, pixels[:1].nbytes))
    for start in range(0, len(pixels), each):
        there[start : start + each] = torch.from_numpy(np.array(pixels[start : start + each]))
    return there
