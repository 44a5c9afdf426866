"""One arm's job: choose its rate, train the runs that are missing, and rebuild its tables."""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from takeoff.records import CURVES, PROBE, RUNS, write_table
from takeoff.statistics.crossing import first_crossing
from takeoff.study.arms import Arm, Run, seeds_of, tuning_seeds_of
from takeoff.study.model import Study
from takeoff.training.checkpoints import Checkpoints
from takeoff.training.choosing import choose_way
from takeoff.training.engine import Epoch, Finished, train
from takeoff.training.hardware import Hardware
from takeoff.training.resident import Resident
from takeoff.training.runs import Row, Trained, load_run, run_key, save_run
from takeoff.training.schedule import steps_of
from takeoff.training.tuning import Choice, borrowed, choose_rate, choose_soonest, only_rate, write_choice


@dataclass
class ArmJob:
    """An arm, its images, and the folder of its results."""

    study: Study
    arm: Arm
    data: Resident
    hardware: Hardware
    folder: Path
    checkpoint_seconds: float = math.inf
    ways: Path | None = None
    """The folder where the fastest way to train is remembered; None: one in the arm's own."""
    say: Callable[[str], None] = print

    def tune(self) -> Choice:
        """Choose the arm's rate, and write it down.

        Every rate of the grid is trained on every tuning seed, with the whole recipe; no test image is read. An
        arm with a fixed rate, or one that takes a lender's, trains nothing for it.

        Raises:
            TakeoffError: the lender's choice is not there.

        """
        choice = self._choice()
        write_choice(self.folder / "learning_rate.json", choice)
        self.say(f"{self.arm.name}: learning rate {choice.learning_rate:g}{choice.remark}")
        return choice

    def _choice(self) -> Choice:
        arm, grid = self.arm, self.arm.rates or self.study.tuning.learning_rates
        seeds = tuning_seeds_of(self.study, arm)
        if arm.learning_rate is not None:
            return only_rate(arm.learning_rate)
        if arm.lender is not None:
            return borrowed(self.folder.parent / arm.lender / "learning_rate.json", arm.lender)
        if len(grid) == 1:
            return only_rate(grid[0])
        trained = self._finished([Run(seed, rate, final=False) for rate in grid for seed in seeds])
        if arm.target is not None:
            rows = [run.run | {"epochs_to_target": self._epochs_to(arm.target, run)} for run in trained]
            return choose_soonest(rows, arm.recipe.epochs * self._passes_per_epoch())
        held_out = len(self.data.split(arm.train_samples, seeds[0])[1])
        return choose_rate([run.run for run in trained], validation_images=held_out)

    def _epochs_to(self, target: float, trained: Trained) -> float | None:
        """The passes over the training images, interpolated, after which a run's training accuracy reaches the target,
        if it does.
        """
        epochs, accuracies = zip(*((e["epoch"], e["train_accuracy"]) for e in trained.curve), strict=True)
        found = first_crossing(epochs, np.array(accuracies, dtype=float), target, self.arm.recipe.epochs)
        return None if found.censored else found.position * self._passes_per_epoch()

    def _passes_per_epoch(self) -> float:
        """One, but for a recipe whose epochs present a part of the training images, or all of them several times."""
        images = len(self.data.split(self.arm.train_samples, 0)[0])
        per_pass, per_epoch = steps_of(self.arm.recipe, images)
        return per_epoch / per_pass

    def train(self, choice: Choice) -> None:
        """Train every seed with the chosen rate, and write `runs.parquet`, `curves.parquet` and, of a probed
        arm, `probe.parquet`.
        """
        finished = self._finished(
            [Run(seed, choice.learning_rate) for seed in seeds_of(self.study, self.arm)]
        )
        label = {"arm": self.arm.name}
        curves, probes = (
            [
                label | {"seed": trained.run["seed"], "run_key": trained.run["run_key"]} | row
                for trained in finished
                for row in rows(trained)
            ]
            for rows in (lambda trained: trained.curve, lambda trained: trained.probe)
        )
        write_table(self.folder / "curves.parquet", curves, CURVES)
        if self.arm.probed:
            write_table(self.folder / "probe.parquet", probes, PROBE)
        write_table(self.folder / "runs.parquet", [label | trained.run for trained in finished], RUNS)

    def _finished(self, runs: Iterable[Run]) -> list[Trained]:
        """The runs, in order; only those that are not on disk, here or with the lender, are trained."""
        runs = list(runs)
        paths = {run: self._path(run) for run in runs}
        missing = [run for run in runs if load_run(paths[run]) is None]
        self._train(missing, paths)
        finished = []
        for run in runs:
            loaded = load_run(paths[run])
            if loaded is None:
                raise OSError(f"{paths[run]}: written, but cannot be read back")
            finished.append(loaded)
        return finished

    def _path(self, run: Run) -> Path:
        file = Path("runs") / f"{self._key(run)}.json"
        lent = self.folder.parent / self.arm.lender / file if self.arm.lender else None
        return lent if lent and lent.exists() else self.folder / file

    def _train(self, runs: list[Run], paths: dict[Run, Path]) -> None:
        checkpoints = Checkpoints(self.folder / "runs", self.checkpoint_seconds, self._key)
        curves: dict[Run, list[Row]] = defaultdict(list)
        started: dict[Run, str] = {}
        last = _now()
        way = choose_way(
            self.data, self.arm, runs, self.hardware, self.ways or self.folder / "ways", self.say
        )
        for record in train(self.data, self.arm, runs, self.hardware, checkpoints, way, self.say):
            run = record.run
            started.setdefault(run, last)
            match record:
                case Epoch(values=values):
                    curves[run].append(values)
                case Finished(values=values, probe=probe):
                    row = self._row(run, values) | {"started_at": started.pop(run)}
                    save_run(paths[run], Trained(row, curves.pop(run), probe))
                    self.say(_line(self.arm, row))
                    last = _now()

    def _key(self, run: Run) -> str:
        return run_key(self.arm, run, self.data, self.hardware)

    def _row(self, run: Run, values: Row) -> Row:
        allowed = self.arm.train_samples or len(self.data.labels)
        return {
            "seed": run.seed,
            "method": "network",
            **self.arm.levels,
            "family": self.arm.network.family,
            "depth": self.arm.network.depth,
            "train_samples": allowed,
            "epochs": self.arm.recipe.epochs,
            "learning_rate": run.learning_rate,
            **values,
            "device": self.hardware.name,
            "precision": self.hardware.precision,
            "run_key": self._key(run),
        }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _line(arm: Arm, row: Row) -> str:
    score = "test" if "test_accuracy" in row else "validation"
    words = [
        time.strftime("%H:%M:%S"),
        arm.name,
        f"seed {row['seed']}",
        f"rate {row['learning_rate']:g}",
        f"{score} accuracy {row[f'{score}_accuracy']:.4f}",
        f"{row['seconds']:.1f} s",
    ]
    return "  ".join(words + ["diverged"] * row["diverged"])
