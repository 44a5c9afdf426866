"""The state of long runs, kept on disk so that a killed job goes on where it was."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError

import torch

from takeoff.common.files import atomic_path
from takeoff.engine.state import Training
from takeoff.study.arms import Run


@dataclass
class Checkpoints:
    """Where runs keep their state, and how often; without an interval, never."""

    folder: Path = Path()
    every_seconds: float = math.inf
    key: Callable[[Run], str] = repr
    """Names a run's file; it changes with whatever the run depends on."""
    _kept: float = field(default_factory=time.perf_counter)

    def _path(self, run: Run) -> Path:
        return self.folder / f"{self.key(run)}.checkpoint"

    def restore(self, training: Training) -> None:
        """Set `training` to where its run was last kept, if it was; a damaged file counts as none, and goes."""
        self._kept = time.perf_counter()
        path = self._path(training.run)
        if not path.exists():
            return
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, UnpicklingError):
            path.unlink()
            return
        training.load_state(state)

    def keep(self, trainings: Sequence[Training]) -> None:
        """Write the state of every one of `trainings`, which train together, if it is time."""
        if time.perf_counter() - self._kept < self.every_seconds:
            return
        for training in trainings:
            with atomic_path(self._path(training.run)) as temporary:
                torch.save(training.state(), temporary)
        self._kept = time.perf_counter()

    def discard(self, run: Run) -> None:
        """Remove what `run` kept: it is done."""
        self._path(run).unlink(missing_ok=True)
