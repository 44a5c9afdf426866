"""How far a study is: its plan, against what its jobs write down."""

import csv
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from takeoff.study.progress import FILE, TrainingRun, read_progress

FEW = 0.05
"""The share of what was left at the start that has to be done before its pace says how long the rest takes."""


class Now(NamedTuple):
    """How far a study is."""

    finished: int
    runs: int
    """Finished, and all: networks trained and older methods fitted."""
    share: float
    """Of the expected computation, what is done."""
    seconds_left: float | None
    """Of training; None where that is finished."""
    training: dict[str, list[TrainingRun]]
    """By arm, what trains."""


@dataclass
class Watch:
    """A study's folder, and what was done in it when this run of the workflow began."""

    folder: Path
    at_once: int
    """Runs that train beside each other, about."""
    began: float = field(default_factory=time.time)
    asked: frozenset[str] | None = None
    """The arms that this run of the workflow trains, where that is known: of others the finished runs count."""
    _plan: dict[str, list[float]] = field(default_factory=dict)
    _planned: float = 0.0
    _first: tuple[float, float] | None = None

    def now(self) -> Now | None:
        """How far the study is; None as long as it has no plan, and where no run was asked for."""
        path = self.folder / "plan.csv"
        try:
            changed = path.stat().st_mtime
            if changed != self._planned:
                self._plan, self._planned, self._first = _expected(path), changed, None
        except (OSError, KeyError, ValueError):
            return None
        finished, runs, done, total, training = 0, 0, 0.0, 0.0, {}
        for arm, planned in self._plan.items():
            count, running, written = _arm(self.folder / "arms" / arm, len(planned))
            seconds = planned if self.asked is None or arm in self.asked else planned[:count]
            runs += len(seconds)
            total += sum(seconds)
            running = running if written >= self.began else []
            finished += count
            fractions = [run.epoch / run.epochs for run in running]
            done += sum(seconds[:count]) + sum(map(float.__mul__, fractions, seconds[count:]))
            if running:
                training[arm] = running
        if not runs:
            return None
        left = self._left(done, total, bool(training)) if finished < runs else None
        return Now(finished, runs, done / total if total else 1.0, left, training)

    def _left(self, done: float, total: float, training: bool) -> float:
        """Seconds, by the pace since the first run was seen to train, not of what comes before it; until that says
        anything, by the plan.
        """
        now = time.time()
        if self._first is None and training:
            self._first = (now, done)
        since, before = self._first or (now, done)
        if done - before > FEW * (total - before):
            return (total - done) * (now - since) / (done - before)
        return (total - done) / self.at_once


def finished_runs(folder: Path, arms: Iterable[str]) -> int:
    """How many of the planned runs, named by their arms, are finished in a study's folder, by the files there."""
    return sum(_arm(folder / "arms" / arm, planned)[0] for arm, planned in Counter(arms).items())


def _arm(folder: Path, planned: int) -> tuple[int, list[TrainingRun], float]:
    """How many runs of an arm, of so many planned, are finished, those that train, and when that was written."""
    if (written := read_progress(folder / FILE)) is not None:
        return min(written[0], planned), written[1], _changed(folder / FILE)
    if (folder / "runs.parquet").exists():
        return planned, [], 0.0
    # Interrupted before it wrote how far it was, or planned anew: what is kept is about as much.
    kept = sum(1 for _ in (folder / "runs").glob("*.json")) if (folder / "runs").is_dir() else 0
    return min(kept, planned), [], 0.0


def _expected(path: Path) -> dict[str, list[float]]:
    """The seconds that each run of each arm is expected to take, in the order in which they train."""
    found: dict[str, list[float]] = defaultdict(list)
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found[row["arm"]].append(float(row["expected_seconds"] or 0))
    return dict(found)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def duration(seconds: float) -> str:
    """In words.

    >>> [duration(s) for s in (0.2, 95, 1500, 7300)]
    ['1 s', '95 s', '25 min', '2 h 2 min']
    """
    if seconds < 120:
        return f"{max(1, round(seconds))} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def described(training: dict[str, list[TrainingRun]], most: int, called: Mapping[str, str]) -> str:
    """What trains, in words, `most` arms of it: `relu+batch seed 3, epoch 7 of 32`; arms as they are `called`."""
    words = [_words(called.get(arm, arm), runs) for arm, runs in list(training.items())[:most]]
    more = len(training) - len(words)
    return "; ".join([*words, *[f"{more} arms more"] * (more > 0)])


def _words(arm: str, runs: Iterable[TrainingRun]) -> str:
    own = list(runs)
    first = own[0]
    who = f"seed {first.seed}" if len(own) == 1 else f"{len(own)} runs"
    tunes = "" if first.final else " tuning,"
    return f"{arm}{tunes} {who}, epoch {first.epoch} of {first.epochs}"
