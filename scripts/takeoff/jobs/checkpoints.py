"""The state of long runs, kept on disk so that a killed job goes on where it was."""

import hashlib
import io
import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import torch

from takeoff.common.files import atomic_path
from takeoff.engine.state import Training
from takeoff.study.arms import Run


@dataclass
class Checkpoints:
    """Where runs keep their state, and how often; without an interval, never.

    A file begins with the SHA-256 of the rest: what is whole is loaded, and nothing else.
    """

    folder: Path = Path()
    every_seconds: float = math.inf
    key: Callable[[Run], str] = repr
    """Names a run's file; it changes with whatever the run depends on."""
    report: Callable[[str], None] = print
    _kept: float = field(default_factory=time.perf_counter)

    def _path(self, run: Run) -> Path:
        return self.folder / f"{self.key(run)}.checkpoint"

    def restore(self, training: Training) -> None:
        """Set `training` to where its run was last kept, if it was. A damaged file counts as none, and goes, of which
        `report` takes a line.
        """
        self._kept = time.perf_counter()
        path = self._path(training.run)
        if not path.exists():
            return
        content = memoryview(path.read_bytes())
        digest, state = content[: hashlib.sha256().digest_size], content[hashlib.sha256().digest_size :]
        if hashlib.sha256(state).digest() != digest:
            self.report(f"{path}: damaged, and removed; the run starts anew")
            path.unlink()
            return
        training.load_state(torch.load(io.BytesIO(state), map_location="cpu", weights_only=True))

    def keep(self, trainings: Sequence[Training]) -> None:
        """Write the state of every one of `trainings`, which train together, if it is time."""
        if time.perf_counter() - self._kept < self.every_seconds:
            return
        # All take their places at the end: runs that went on from different epochs would be fused with others than
        # before, and round differently.
        with ExitStack() as written:
            for training in trainings:
                state = io.BytesIO()
                torch.save(training.state(), state)
                temporary = written.enter_context(atomic_path(self._path(training.run)))
                with temporary.open("wb") as file:
                    file.write(hashlib.sha256(state.getbuffer()).digest())
                    file.write(state.getbuffer())
        self._kept = time.perf_counter()

    def discard(self, run: Run) -> None:
        """Remove what `run` kept, where anything is kept: it is done."""
        if math.isfinite(self.every_seconds):
            self._path(run).unlink(missing_ok=True)
