"""Prepared images for training: on the device where they fit, else read from disk as they are needed."""

from collections.abc import Sequence

import numpy as np
import torch

from takeoff.common.files import digest_of
from takeoff.data.prepared import Prepared
from takeoff.engine.dataset import Dataset, on_device
from takeoff.engine.images import Images, Resident, Streamed
from takeoff.jobs.room import needed_by
from takeoff.study.arms import Arm
from takeoff.study.configuration import HOST_MB

SHARE = 0.6
"""Of a GPU's free memory, what images may take at most; the rest is for networks, their maps and a graph."""
PIECE = 256 * 2**20
"""Bytes that are copied to a device at a time, so that the host holds no second copy."""


def dataset_of(found: Prepared, device: torch.device, room: int | None = None, arms: Sequence[Arm] = ()) -> Dataset:
    """Prepared images as networks see them on `device`.

    They lie there if both splits take `room` bytes at most, else they are streamed from disk. By default that is a
    share of what is free on a GPU, and leaves what a run of any of these `arms` needs. No number depends on it.
    """
    if room is None:
        room = _room(found, device, arms) if device.type == "cuda" else HOST_MB * 10**6
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


def _room(found: Prepared, gpu: torch.device, arms: Sequence[Arm]) -> int:
    """Bytes of a GPU that images may take."""
    free = torch.cuda.mem_get_info(gpu)[0]
    count, side, _, channels = found.images.shape
    shape = (side, channels, found.classes)
    return min(int(SHARE * free), free - max((needed_by(arm, shape, count, gpu.type) for arm in arms), default=0))


def _copied(pixels: np.ndarray, device: torch.device) -> torch.Tensor:
    """All images on the device, copied in pieces."""
    there = torch.empty(pixels.shape, dtype=torch.uint8, device=device)
    each = max(1, PIECE // max(1, pixels[:1].nbytes))
    for start in range(0, len(pixels), each):
        there[start : start + each] = torch.from_numpy(np.array(pixels[start : start + each]))
    return there
