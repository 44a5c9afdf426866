"""A dataset as networks see it: its images, wherever they lie, its labels, and the batches made of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from takeoff.data.splits import split
from takeoff.engine.augmentation import Batches, cropped
from takeoff.engine.images import Images


@dataclass(frozen=True)
class Dataset:
    """Images and labels, and what normalises them; tensors are on the device."""

    images: Images
    """Of training."""
    labels: Tensor
    """Their classes, N, int64."""
    test_images: Images
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

    def batch(self, images: Tensor, chosen: Sequence[Batches]) -> tuple[Tensor, Tensor]:
        """A step's batch of several runs, augmented: what one call per run gives, side by side.

        `images` are those that the runs have chosen, (runs · B) × H × W × C. The batch is B × (runs · C) × H × W
        float32, channels last; its labels runs × B.
        """
        runs, of = len(chosen), Batches.stack(chosen)
        images = images.unflatten(0, (runs, -1))
        beside = images.permute(1, 2, 3, 0, 4) if of.windows is None else cropped(images, of.windows)
        pixels = self.normalised(beside.flatten(3).contiguous(), runs)
        if of.colours is not None:
            # Krizhevsky 2012, section 4.1
            shift = of.colours @ self.basis.T
            pixels += shift.transpose(0, 1).flatten(1)[:, :, None, None]
        return pixels, self.labels.index_select(0, of.positions.flatten()).view(runs, -1)


def on_device(
    images: Images,
    labels: np.ndarray,
    test_images: Images,
    test_labels: np.ndarray,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    colours: Sequence[Sequence[float]],
    classes: int,
    validation_fraction: float,
    digest: str,
    device: torch.device,
) -> Dataset:
    """The dataset of images, and of labels N int64, on `device`. Mean, standard deviation and the principal components
    of the colours, C × C with a column for each, are those of the training images, of pixels from 0 to 1.
    """
    own, other = (torch.from_numpy(np.array(each)) for each in (labels, test_labels))
    deviation = torch.tensor(std, dtype=torch.float32).clamp_min(1e-6)
    return Dataset(
        images=images,
        labels=own.to(device),
        test_images=test_images,
        test_labels=other.to(device),
        labels_on_host=own.numpy(),
        scale=(1 / (255 * deviation)).to(device),
        shift=(-torch.tensor(mean, dtype=torch.float32) / deviation).to(device),
        basis=(torch.tensor(colours, dtype=torch.float32) / deviation[:, None]).to(device),
        classes=classes,
        validation_fraction=validation_fraction,
        digest=digest,
    )
