"""Images that live on the device as uint8 for a whole job, and the batches made from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from takeoff.data.card import CARD, load_card
from takeoff.data.splits import split, subset
from takeoff.data.store import load_split
from takeoff.errors import TakeoffError
from takeoff.files import digest_of
from takeoff.study.model import Dataset
from takeoff.study.settings import Augmentation
from takeoff.training import augmentation

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
    """C: what a byte is multiplied by …"""
    shift: Tensor
    """C: … and what is added, for zero mean and unit variance over the training images."""
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
    def resolution(self) -> int:
        """The images' side, in pixels."""
        return int(self.images.shape[1])

    @property
    def channels(self) -> int:
        """The images' channels."""
        return int(self.images.shape[3])

    def normalised(self, images: Tensor, runs: int = 1) -> Tensor:
        """From N × H × W × (runs · C) uint8 to N × (runs · C) × H × W float32 in channels-last order, zero mean, unit
        variance.
        """
        scale, shift, rows = self.scale, self.shift, images
        if self.channels > 1:
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

        Colours have streams of their own, so that crops are the same with and without them.

        Args:
            chosen: by run, B positions.
            how: the augmentation.
            crops: the runs' streams of crops and flips.
            colours: their streams of colour.

        Returns:
            B × (runs · C) × H × W float32, channels last, and the labels, runs × B.

        """
        runs = len(chosen)
        together = torch.cat([*chosen]) if runs > 1 else chosen[0]
        images = self.images.index_select(0, together).unflatten(0, (runs, -1))
        cropped = augmentation.crops(how)
        beside = augmentation.flip_and_crop(images, crops) if cropped else images.permute(1, 2, 3, 0, 4)
        pixels = self.normalised(beside.flatten(3).contiguous(), runs)
        if augmentation.recolours(how):
            shift = augmentation.colour_shift(len(pixels), self.basis, colours)
            pixels += shift.transpose(0, 1).flatten(1)[:, :, None, None]
        return pixels, self.labels.index_select(0, together).view(runs, -1)


def load(folder: Path, dataset: Dataset, device: torch.device) -> Resident:
    """The prepared images in `folder`, as many as `dataset` of the study allows, on `device`.

    Raises:
        TakeoffError: a file is missing or damaged, or there are fewer images than asked for, or more than the GPU has
            room for.

    """
    card = load_card(folder / CARD, "classes", "mean", "std", "digest")
    images, labels = load_split(folder / "train.safetensors")
    test_images, test_labels = load_split(folder / "test.safetensors")
    if device.type == "cuda":
        check_room(folder, images.nbytes + test_images.nbytes, torch.cuda.mem_get_info(device)[0])
    kept = subset(test_labels, None if dataset.test_samples == "all" else dataset.test_samples)
    return on_device(
        (images, labels), (test_images[kept], test_labels[kept]), card, dataset.validation_fraction, device
    )


def check_room(folder: Path, images: int, free: int) -> None:
    """Refuse images of so many bytes where a GPU has fewer free: all of them lie there for a whole job.

    Raises:
        TakeoffError: there is no room.

    """
    if images > free:
        raise TakeoffError(
            f"{folder}: the images take {images / 1e9:,.1f} GB, and the GPU has {free / 1e9:,.1f} GB left; valid: a "
            "lower dataset.resolution, fewer dataset.classes, or device: cpu"
        )


def on_device(
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    card: dict[str, Any],
    validation_fraction: float,
    device: torch.device,
) -> Resident:
    """Arrays on `device`: images N × H × W × C uint8 with labels N int64, and the card of their dataset."""
    images, labels = train
    mean = torch.tensor(card["mean"], dtype=torch.float32)
    deviation = torch.tensor(card["std"], dtype=torch.float32).clamp_min(1e-6)
    every = max(1, len(images) // BASIS_IMAGES)
    basis = augmentation.colour_basis(torch.from_numpy(np.array(images[::every])))
    return Resident(
        images=torch.from_numpy(np.array(images)).to(device),
        labels=torch.from_numpy(np.array(labels)).to(device),
        test_images=torch.from_numpy(np.array(test[0])).to(device),
        test_labels=torch.from_numpy(np.array(test[1])).to(device),
        labels_on_host=np.array(labels),
        scale=(1 / (255 * deviation)).to(device),
        shift=(-mean / deviation).to(device),
        basis=(basis / deviation[:, None]).to(device),
        classes=len(card["classes"]),
        validation_fraction=validation_fraction,
        digest=digest_of(
            [card[key] for key in ("digest", "mean", "std")] + [len(test[1]), validation_fraction]
        ),
    )
