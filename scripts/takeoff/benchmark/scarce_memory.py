"""Whether a job goes on where the device has no room for all its runs at a time. The rows of memory.csv."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from takeoff.benchmark.setting import Setting
from takeoff.engine.hardware import Hardware
from takeoff.engine.state import Finished
from takeoff.jobs.checkpoints import Checkpoints
from takeoff.jobs.hardware import free_gpu_memory
from takeoff.jobs.loading import dataset_of
from takeoff.jobs.room import needed_by
from takeoff.jobs.running import train
from takeoff.jobs.ways import Way
from takeoff.study.arms import Run

SETTING = Setting(32, 1.0, 256)
RUNS = 8
"""That are asked for at a time."""
ROOM = 2.5e9
"""Bytes for all that they take: so many that two or three find room."""
STEPS = 20
"""Of a run."""


@dataclass(frozen=True)
class Scarce:
    """A job whose runs do not fit together: the columns of memory.csv."""

    way: str
    """That was asked for."""
    room: float
    """In bytes."""
    estimated: int
    """Bytes that one run takes, by its layers (`takeoff.jobs.room`)."""
    used: int
    """Bytes that one run took at its fullest moment, one after another."""
    runs: int
    finished: int
    said: str
    """What the job reported, its lines one after the other."""

    def __str__(self) -> str:
        one = f"one takes {self.used:.2g}, estimated at {self.estimated:.2g}"
        return f"{self.finished} of {self.runs} runs finished in {self.room:.2g} bytes, of which {one}: {self.said}"


def scarce_memory(hardware: Hardware) -> Scarce:
    """Train one run, then more at a time than a small part of the GPU's memory holds.

    Raises:
        RuntimeError: where a run did not finish, or all found room.

    """
    lines: list[str] = []
    data, arm = dataset_of(SETTING.images, hardware.device), SETTING.arm(STEPS * SETTING.batch)
    runs, way = [Run(seed, 0.01) for seed in range(RUNS)], Way(RUNS, fused=True, graph=True)
    before = _held(hardware)
    deque(train(data, arm, runs[:1], hardware, Checkpoints(), report=lines.append), maxlen=0)
    used = torch.cuda.max_memory_allocated(hardware.device) - before
    with limited(hardware, ROOM):
        records = train(data, arm, runs, hardware, Checkpoints(), way, lines.append)
        finished = sum(isinstance(record, Finished) for record in records)
    if finished < RUNS or not lines:
        raise RuntimeError(f"{finished} of {RUNS} runs finished: {'; '.join(lines) or 'all found room'}")
    estimated = needed_by(arm, data.shape, len(data.labels), hardware.device.type)
    return Scarce(way.name, ROOM, estimated, used, RUNS, finished, "; ".join(lines))


def _held(hardware: Hardware) -> int:
    """Bytes of tensors on the GPU, from which the most are counted from now on."""
    torch.cuda.reset_peak_memory_stats(hardware.device)
    return torch.cuda.memory_allocated(hardware.device)


@contextmanager
def limited(hardware: Hardware, room: float) -> Iterator[None]:
    """While torch takes so many bytes of the GPU at most, beside what it holds."""
    free_gpu_memory(hardware)
    whole = torch.cuda.get_device_properties(hardware.device).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + room) / whole, hardware.device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, hardware.device)
