"""The state of long runs, kept on disk so that a killed job goes on where it was."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

from takeoff.files import atomic_path
from takeoff.study.arms import Run


class Stateful(Protocol):
    """A training whose whole state can be taken and set."""

    run: Run

    def state(self) -> dict[str, Any]:
        """Everything that the rest of the training depends on: tensors and plain values."""

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""


@dataclass
class Checkpoints:
    """Where runs keep their state, and how often; without a folder, nowhere."""

    folder: Path | None = None
    every_seconds: float = math.inf
    key: Callable[[Run], str] = repr
    """Names a run's file; it changes with whatever the run depends on."""
    _kept: float = field(default_factory=time.perf_counter)

    def _path(self, run: Run) -> Path | None:
        return self.folder / f"{self.key(run)}.checkpoint" if self.folder else None

    def restore(self, training: Stateful) -> None:
        """Set `training` to where its run was last kept, if it was."""
        self._kept = time.perf_counter()
        path = self._path(training.run)
        if path and path.exists():
            training.load_state(torch.load(path, map_location="cpu", weights_only=True))

    def keep(self, training: Stateful) -> None:
        """Write the state of `training` if it is time."""
        path = self._path(training.run)
        if path is None or time.perf_counter() - self._kept < self.every_seconds:
            return
        with atomic_path(path) as temporary:
            torch.save(training.state(), temporary)
        self._kept = time.perf_counter()

    def discard(self, run: Run) -> None:
        """Remove what `run` kept: it is done."""
        path = self._path(run)
        if path:
            path.unlink(missing_ok=True)
