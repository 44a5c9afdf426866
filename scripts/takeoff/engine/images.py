"""Images of one split, N × H × W × C of uint8: on the device, or on disk, from where a thread reads batches ahead.

Both give the same bytes, so that no number depends on where images lie.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

AHEAD = 3
"""Batches in memory: that of the step being made, the next one, and one that is being read."""


class Feed(Protocol):
    """Hands out the batches of an epoch, one after the other."""

    def begin(self, batches: Sequence[Tensor]) -> None:
        """Take the positions of every batch to come; what is left of earlier ones is forgotten."""

    def advance(self) -> None:
        """Go on to the next batch, in the order of the device's current stream."""

    def take(self, chosen: Tensor) -> Tensor:
        """The images of this batch, at the positions `chosen`, on the device. Whatever a graph has captured of it
        gives the next batch in the next replay.
        """


class Images(Protocol):
    """The images of a split."""

    @property
    def shape(self) -> tuple[int, ...]:
        """N, H, W, C."""

    def take(self, chosen: Tensor) -> Tensor:
        """The images at the positions `chosen`, int64 on the device, where they are given, too."""

    def feed(self) -> Feed:
        """What hands a training, or a score, its batches."""


@dataclass(frozen=True)
class Resident:
    """Images that lie on the device for a whole job; their own feed, since nothing needs to be read ahead."""

    pixels: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """N, H, W, C."""
        return tuple(self.pixels.shape)

    def take(self, chosen: Tensor) -> Tensor:
        """The images at these positions."""
        return self.pixels.index_select(0, chosen)

    def feed(self) -> "Resident":
        """Itself."""
        return self

    def begin(self, batches: Sequence[Tensor]) -> None:
        """Nothing is to be read."""

    def advance(self) -> None:
        """Nothing is to be read."""


@dataclass(frozen=True)
class Streamed:
    """Images that stay on disk, memory-mapped."""

    pixels: np.ndarray
    device: torch.device

    @property
    def shape(self) -> tuple[int, ...]:
        """N, H, W, C."""
        return self.pixels.shape

    def take(self, chosen: Tensor) -> Tensor:
        """The images at these positions, read now."""
        return torch.from_numpy(np.asarray(self.pixels[chosen.cpu().numpy()])).to(self.device)

    def feed(self) -> Feed:
        """What reads ahead."""
        return _Ahead(self)


class _Slot:
    """Memory of a batch on the host."""

    def __init__(self, shape: tuple[int, ...], pinned: bool = False) -> None:
        self.host = torch.empty(shape, dtype=torch.uint8, pin_memory=pinned)
        self.positions = np.empty(0, np.int64)
        self.read: Future[None] | None = None

    @property
    def filled(self) -> bool:
        """Whether the thread, which is waited for, has read the batch."""
        return self.read is not None and self.read.exception() is None

    def fill(self, pixels: np.ndarray) -> None:
        """Read the batch."""
        # With `clip` numpy writes in place; no position is out of bounds.
        np.take(pixels, self.positions, axis=0, out=self.host[: len(self.positions)].numpy(), mode="clip")

    def bring(self, buffer: Tensor) -> Tensor:
        """Where the batch is to be found."""
        return self.host


class _GpuSlot(_Slot):
    """Memory of a batch that is pinned, and once more on a GPU: a stream of its own brings it there."""

    def __init__(self, shape: tuple[int, ...], stream: torch.cuda.Stream) -> None:
        super().__init__(shape, pinned=True)
        self.there = torch.empty(shape, dtype=torch.uint8, device=stream.device)
        self.stream, self.copied, self.used = stream, torch.cuda.Event(), torch.cuda.Event()

    def fill(self, pixels: np.ndarray) -> None:
        self.used.synchronize()  # the step before last has taken what was here
        super().fill(pixels)
        with torch.cuda.stream(self.stream):
            self.there.copy_(self.host, non_blocking=True)
            self.copied.record(self.stream)

    def bring(self, buffer: Tensor) -> Tensor:
        """In the buffer, whose place a graph may have captured."""
        current = torch.cuda.current_stream(self.stream.device)
        current.wait_event(self.copied)
        buffer.copy_(self.there, non_blocking=True)
        self.used.record(current)
        return buffer


class _Ahead:
    """Reads batches ahead in a thread. What that fails to read is read again by the step that needs it; an error there
    is the step's own.
    """

    def __init__(self, images: Streamed) -> None:
        self.images = images
        self.thread = ThreadPoolExecutor(1, "images")
        self.slots: list[_Slot] = []
        self.waiting: deque[_Slot] = deque()
        self.left: Iterator[np.ndarray] = iter(())
        self.now: _Slot | None = None
        self.buffer = self.batch = torch.empty(0, dtype=torch.uint8, device=images.device)

    def begin(self, batches: Sequence[Tensor]) -> None:
        """Ask for the first batches."""
        while self.waiting:
            _ = self.waiting.popleft().filled
        most = max(len(batch) for batch in batches)
        if not self.slots or len(self.slots[0].host) < most:
            shape, device = (most, *self.images.shape[1:]), self.images.device
            if device.type == "cuda":
                stream = torch.cuda.Stream(device)
                self.slots = [_GpuSlot(shape, stream) for _ in range(AHEAD)]
                self.buffer = torch.empty(shape, dtype=torch.uint8, device=device)
            else:
                self.slots = [_Slot(shape) for _ in range(AHEAD)]
        self.left, self.now = iter([batch.cpu().numpy() for batch in batches]), None
        for slot in self.slots:
            self._ask(slot)

    def advance(self) -> None:
        """Bring the next batch to where `take` finds it, and ask for another in place of the last one."""
        if self.now is not None:
            self._ask(self.now)
        self.now = slot = self.waiting.popleft()
        if not slot.filled:
            slot.fill(self.images.pixels)
        self.batch = slot.bring(self.buffer)

    def take(self, chosen: Tensor) -> Tensor:
        """The images of this batch, at the positions `chosen`."""
        return self.batch[: len(chosen)]

    def _ask(self, slot: _Slot) -> None:
        """Let the thread read the next batch into a slot; where it is gone, the step reads it."""
        positions = next(self.left, None)
        if positions is None:
            return
        slot.positions, slot.read = positions, None
        try:
            slot.read = self.thread.submit(slot.fill, self.images.pixels)
        except RuntimeError:  # it was ended
            self.thread = ThreadPoolExecutor(1, "images")
        self.waiting.append(slot)
