"""The state of long runs, kept on disk so that a killed job goes on where it was."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
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
        return self.folder / self._name(run) if self.folder else None

    def _name(self, run: Run) -> str:
        return f"{self.key(run)}.checkpoint"

    def restore(self, training: Stateful) -> None:
        """Set `training` to where its run was last kept, if it was; a damaged file counts as none, and goes."""
        self._kept = time.perf_counter()
        path = self._path(training.run)
        if not path or not path.exists():
            return
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, UnpicklingError):
            path.unlink()
            return
        training.load_state(state)

    def keep(self, trainings: Sequence[Stateful]) -> None:
        """Write the state of every one of `trainings`, which train together, if it is time."""
        if self.folder is None or time.perf_counter() - self._kept < self.every_seconds:
            return
        for training in trainings:
            with atomic_path(self.folder / self._name(training.run)) as temporary:
                torch.save(training.state(), temporary)
        self._kept = time.perf_counter()

    def discard(self, run: Run) -> None:
        """Remove what `run` kept: it is done."""
        path = self._path(run)
        if path:
            path.unlink(missing_ok=True)
