"""Crops, flips and colour: drawn per image on the device, for all steps of an epoch, then made of several runs' images
at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from takeoff.study.settings import Augmentation

COLOUR_DEVIATION = 0.1


@dataclass(frozen=True)
class Batches:
    """A run's batches, of an epoch steps × B × what is said here, of a step without steps: which images, and what is
    done to them.
    """

    positions: Tensor
    """Among the dataset's training images, int64."""
    windows: Tensor | None = None
    """3, int32: the top and the left of a crop in its frame, and whether it is mirrored."""
    colours: Tensor | None = None
    """C, float32: what is added to the colours, along each of their principal components."""

    @property
    def tensors(self) -> list[Tensor]:
        """Those that there are."""
        return [own for own in (self.positions, self.windows, self.colours) if own is not None]

    def step(self, number: int) -> "Batches":
        """Of an epoch's the batch of one step."""
        return self.each(lambda steps: steps[number])

    def each(self, change: Callable[[Tensor], Tensor]) -> "Batches":
        """With every tensor changed."""
        windows, colours = (None if own is None else change(own) for own in (self.windows, self.colours))
        return Batches(change(self.positions), windows, colours)

    @classmethod
    def stack(cls, runs: Sequence["Batches"]) -> "Batches":
        """Those of several runs, all alike: runs × what each has."""
        positions = torch.stack([one.positions for one in runs])
        windows, colours = [one.windows for one in runs], [one.colours for one in runs]
        return cls(positions, _together(windows), _together(colours))


def _together(tensors: Sequence[Tensor | None]) -> Tensor | None:
    there = [own for own in tensors if own is not None]
    return torch.stack(there) if there else None


def drawn(
    positions: Tensor, how: Augmentation, shape: Sequence[int], crops: torch.Generator, colours: torch.Generator
) -> Batches:
    """The batches at these positions, steps × B, with their crops, flips and colours, of images H × W × C.

    Colours have a stream of their own, so that crops are the same with and without them.
    """
    if how == "none":
        return Batches(positions)
    side, _, channels = shape
    device, size = positions.device, (*positions.shape, 1)
    corners = torch.randint(0, 2 * frame_of(side) + 1, (*positions.shape, 2), generator=crops, device=device)
    coins = torch.rand(size, generator=crops, device=device) < 0.5
    windows = torch.cat([corners.int(), coins.int()], dim=-1)
    if how == "flip-crop":
        return Batches(positions, windows)
    shifts = torch.randn((*positions.shape, channels), generator=colours, device=device)
    return Batches(positions, windows, shifts * COLOUR_DEVIATION)


def frame_of(side: int) -> int:
    """How wide the black frame is that an image of so many pixels' side is cropped from, in pixels."""
    return side // 8


def cropped(images: Tensor, windows: Tensor) -> Tensor:
    """Images cropped from their frames and mirrored as the windows say, runs × B × 3.

    From runs × B × H × W × C, uint8, to B × H × W × runs × C: the runs' images side by side.
    """
    runs, count, side, _, channels = images.shape
    device, frame = images.device, frame_of(side)
    wide = side + 2 * frame
    padded = functional.pad(images, (0, 0, frame, frame, frame, frame))
    top, left, mirrored = windows.permute(2, 1, 0)  # B × runs each
    # In 32 bits, which count the pixels of any batch and are half of what they would be.
    steps = torch.arange(side, dtype=torch.int32, device=device)[:, None]
    columns = left[:, None] + torch.where(mirrored[:, None] > 0, steps.flip(0), steps)
    # Pixels by their number among all: on a CPU four times as fast as by image, row and column.
    image = wide * torch.arange(runs * count, dtype=torch.int32, device=device).view(runs, count).T
    rows = wide * (image[:, None] + top[:, None] + steps)
    pixels = rows[:, :, None] + columns[:, None]
    return padded.view(-1, channels).index_select(0, pixels.flatten()).view(*pixels.shape, channels)
