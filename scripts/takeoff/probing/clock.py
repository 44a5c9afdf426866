"""Timing in interleaved blocks, on a clock that waits for the device; it does not know what it times."""

import gc
import time
from collections.abc import Sequence
from typing import Protocol

import torch

BLOCKS = 6
"""Blocks of each action; between two blocks of one, every other action has a block."""


class Action(Protocol):
    """Something to time."""

    device: torch.device
    """Where it runs."""

    def ready(self) -> None:
        """Before each block, untimed: set the machine's threads, build what was released."""

    def __call__(self) -> None:
        """What is timed; work that it leaves on the device is waited for at the end of a block."""

    def release(self) -> None:
        """After each block, untimed: give memory back."""


def interleaved(actions: Sequence[Action], seconds: float, blocks: int = BLOCKS) -> list[list[float]]:
    """Seconds per call of each action, actions × blocks.

    Whatever slows the machine down for a while slows every action, since a block of one follows a block of the
    other. Each block starts with another action, so that none has a fixed place.

    Args:
        actions: what to time, each beside the others.
        seconds: of all blocks of one action together, about; a block has one call at least.
        blocks: of each action.

    """
    calls = []
    for action in actions:
        action.ready()
        # The first calls choose kernels and ask for memory.
        action()
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
    """The mean seconds of so many calls one after the other, without pauses for collecting garbage."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        _wait(action.device)
        began = time.perf_counter()
        for _ in range(calls):
            action()
        _wait(action.device)
        return (time.perf_counter() - began) / calls
    finally:
        if collecting:
            gc.enable()


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
