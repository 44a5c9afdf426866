"""What is timed and how: rows of `speed.csv`, and interleaved blocks on a clock that waits for the device."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch

from takeoff.engine.hardware import Hardware

BLOCKS = 6
"""Blocks of each action; between two blocks of one, every other action has a block."""
Kind = Literal["step", "training", "matrix"]


@dataclass(frozen=True)
class Timing:
    """One block of one measurement; without a block, what was not measured, and in `note` why."""

    kind: Kind
    """A whole training step; forward and backward pass alone, at the batch size that suits the device; a product
    of two square matrices."""
    name: str
    """The arm; of a product, the matrices' side."""
    device: str
    """`cpu`, or the GPU's name."""
    threads: int
    """Of the CPU; with a GPU 1, that which gives it work."""
    precision: str
    """`float32` or `bfloat16`."""
    batch: int | None = None
    """Images of a step."""
    block: int | None = None
    """From 0; blocks of one number were measured one after the other."""
    seconds: float | None = None
    """Of one step, or of one product: the mean over the block."""
    flops: int | None = None
    """Floating-point operations of one step, or of one product."""
    note: str = ""
    """What a reader must know."""
    way: str = ""
    """Of a step: how it trains runs, as `way` of a run says; `one after another`, or `8 fused, graph`, say."""

    @property
    def rate(self) -> float:
        """Floating-point operations per second; 0 where nothing was measured."""
        return self.flops / self.seconds if self.flops and self.seconds else 0.0


class Action(Protocol):
    """Something to time, on some hardware."""

    hardware: Hardware

    def ready(self) -> None:
        """Before each block, untimed: set the machine's threads, build what was released."""

    def __call__(self) -> object:
        """What is timed; work that it leaves on the device is waited for at the end of a block."""

    def release(self) -> None:
        """After each block, untimed: give memory back."""


@dataclass(eq=False)
class Timed:
    """An action whose operations are counted."""

    kind: Kind
    name: str
    hardware: Hardware
    call: Callable[[], object]
    flops: int
    """Floating-point operations of a step, a pass or a product."""
    batch: int | None = None
    """Images of a step, or of a pass."""
    steps: int = 1
    """Steps of a call, of all runs that it trains."""
    way: str = ""
    """Of a step: how it trains runs."""

    def ready(self) -> None:
        """Set the threads, and the precision of products and convolutions."""
        if self.hardware.threads is not None:
            torch.set_num_threads(self.hardware.threads)
        # A CPU's setting would be TensorFloat-32 on the GPU; jobs that train on one never set it.
        torch.set_float32_matmul_precision("highest")
        self.hardware.keep_to_precision()

    def __call__(self) -> object:
        """Do what is timed."""
        return self.call()

    def release(self) -> None:
        """Give nothing back."""


def measured(actions: Sequence[Timed], seconds: float) -> list[Timing]:
    """A row per action and block: the actions timed beside each other, the blocks of each for about so many seconds."""
    rows = []
    for action, blocks in zip(actions, interleaved(actions, seconds), strict=True):
        hardware = action.hardware
        what = (action.kind, action.name, hardware.name, hardware.threads or 1, hardware.precision)
        for block, spent in enumerate(blocks):
            rows.append(Timing(*what, action.batch, block, spent / action.steps, action.flops, way=action.way))
    return rows


def interleaved(actions: Sequence[Action], seconds: float, blocks: int = BLOCKS) -> list[list[float]]:
    """Seconds per call of each action, actions × blocks.

    Whatever slows the machine down for a while slows every action, since a block of one follows a block of the
    other. Each block starts with another action, so that none has a fixed place. All blocks of one action together take
    about so many seconds; a block has one call at least.
    """
    calls = []
    for action in actions:
        action.ready()
        action()  # the first calls choose kernels and take memory
        calls.append(max(1, round(seconds / blocks / time_calls(action, 1))))
        action.release()
    timed: list[list[float]] = [[] for _ in actions]
    for block in range(blocks):
        for turn in range(len(actions)):
            i = (turn + block) % len(actions)
            actions[i].ready()
            # The one before has left its data in the caches; a call as long as a block does not feel that.
            if calls[i] > 1:
                actions[i]()
            timed[i].append(time_calls(actions[i], calls[i]))
            actions[i].release()
    return timed


def time_calls(action: Action, calls: int) -> float:
    """The mean seconds of so many calls one after the other."""
    wait = torch.cuda.synchronize if action.hardware.device.type == "cuda" else lambda: None
    wait()
    began = time.perf_counter()
    for _ in range(calls):
        action()
    wait()
    return (time.perf_counter() - began) / calls
