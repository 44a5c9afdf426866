"""Images that live on the device as uint8 for a whole job, and the batches made from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from takeoff.common.files import digest_of
from takeoff.data.splits import split
from takeoff.engine import augmentation
from takeoff.study.settings import Augmentation

BASIS_IMAGES = 10_000
"""Images that the colours' principal components are taken from, at most."""


@dataclass(frozen=True)
class Resident:
    """A dataset on a device."""

    images: Tensor
    """Training images, N × H × W × C, uint8."""
    labels: Tensor
    """Their classes, N, int64."""
    test_images: Tensor
    test_labels: Tensor
    labels_on_host: np.ndarray
    """The training labels once more, for splits."""
    scale: Tensor
    """C: what a byte is multiplied by, for unit variance over the training images."""
    shift: Tensor
    """C: what is then added, for zero mean."""
    basis: Tensor
    """C × C: the colours' principal components, in units of normalised pixels."""
    classes: int
    validation_fraction: float
    """The share of the images of a run that is held out."""
    digest: str
    """Identifies the images and labels of both splits, and which of them are used."""

    def split(self, samples: int | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """The positions of a run's training and validation images (see `takeoff.data.splits`)."""
        return split(self.labels_on_host, samples, self.validation_fraction, seed)

    @property
    def shape(self) -> tuple[int, int, int]:
        """What a network's layers depend on: the images' side, in pixels, their channels, and the classes."""
        return self.images.shape[1], self.images.shape[3], self.classes

    def normalised(self, images: Tensor, runs: int = 1) -> Tensor:
        """From N × H × W × (runs · C) uint8 to N × (runs · C) × H × W float32 in channels-last order, zero mean, unit
        variance.
        """
        scale, shift, rows = self.scale, self.shift, images
        if len(scale) > 1:
            # By rows, all of whose numbers are multiplied at once, not the few channels of a pixel.
            scale, shift = (value.repeat(images.shape[2] * runs) for value in (scale, shift))
            rows = images.flatten(2)
        return rows.float().mul_(scale).add_(shift).view(images.shape).permute(0, 3, 1, 2)

    def batch(
        self,
        chosen: Sequence[Tensor],
        how: Augmentation,
        crops: Sequence[torch.Generator],
        colours: Sequence[torch.Generator],
    ) -> tuple[Tensor, Tensor]:
        """A batch of training images of each of several runs, augmented: what one call per run gives, side by side.

        `chosen` has B positions of each run, `crops` the runs' streams of crops and flips. Colours have streams of
        their own, so that crops are the same with and without them. The images are B × (runs · C) × H × W float32,
        channels last; their labels runs × B.
        """
        runs = len(chosen)
        together = torch.cat([*chosen]) if runs > 1 else chosen[0]
        images = self.images.index_select(0, together).unflatten(0, (runs, -1))
        uncropped = how == "none"
        beside = images.permute(1, 2, 3, 0, 4) if uncropped else augmentation.flip_and_crop(images, crops)
        pixels = self.normalised(beside.flatten(3).contiguous(), runs)
        if how == "flip-crop-colour":
            shift = augmentation.colour_shift(len(pixels), self.basis, colours)
            pixels += shift.transpose(0, 1).flatten(1)[:, :, None, None]
        return pixels, self.labels.index_select(0, together).view(runs, -1)


def on_device(
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    card: dict[str, Any],
    validation_fraction: float,
    device: torch.device,
) -> Resident:
    """Arrays on `device`: images N × H × W × C uint8 with labels N int64, and the card of their dataset."""
    images, labels, *tests = (torch.from_numpy(np.array(each)) for each in (*train, *test))
    mean = torch.tensor(card["mean"], dtype=torch.float32)
    deviation = torch.tensor(card["std"], dtype=torch.float32).clamp_min(1e-6)
    every = max(1, len(images) // BASIS_IMAGES)
    basis = augmentation.colour_basis(images[::every])
    return Resident(
        images=images.to(device),
        labels=labels.to(device),
        test_images=tests[0].to(device),
        test_labels=tests[1].to(device),
        labels_on_host=labels.numpy(),
        scale=(1 / (255 * deviation)).to(device),
        shift=(-mean / deviation).to(device),
        basis=(basis / deviation[:, None]).to(device),
        classes=len(card["classes"]),
        validation_fraction=validation_fraction,
        digest=digest_of([card[key] for key in ("digest", "mean", "std")] + [len(test[1]), validation_fraction]),
    )
