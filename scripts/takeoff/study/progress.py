"""How far the job of an arm is: a small file in the arm's folder, written by the job, read by what watches a study."""

import json
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from takeoff.common.files import write_text

FILE = "progress.json"
EVERY = 1.0
"""Seconds between two writings, at least."""


class TrainingRun(NamedTuple):
    """A run that trains now, and how many of its epochs are behind it."""

    seed: int
    final: bool
    epoch: int
    epochs: int


@dataclass
class Progress:
    """What a job writes down: which runs are finished, those of earlier tries among them, and what trains now.

    Nothing depends on the file: where it cannot be written, the job goes on.
    """

    path: Path
    _finished: set[str] = field(default_factory=set)
    _written: float = 0.0

    def finished(self, keys: Iterable[str]) -> None:
        """These runs have their files."""
        before = len(self._finished)
        self._finished.update(keys)
        if len(self._finished) > before:
            self._write([])

    def trains(self, runs: Iterable[TrainingRun]) -> None:
        """These runs have ended an epoch."""
        if time.monotonic() - self._written >= EVERY:
            self._write(runs)

    def _write(self, runs: Iterable[TrainingRun]) -> None:
        shown = {"finished": len(self._finished), "training": [run._asdict() for run in runs]}
        with suppress(OSError):
            write_text(self.path, json.dumps(shown) + "\n")
        self._written = time.monotonic()

    def ends(self) -> None:
        """Every run of the arm is finished: its tables say so from now on."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def read_progress(path: Path) -> tuple[int, list[TrainingRun]] | None:
    """How many runs are finished, and those that train; None where no job has written it, or not whole."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return int(content["finished"]), [TrainingRun(**run) for run in content["training"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None
