"""One arm's job: choose its rate, train the runs that are missing, and rebuild its tables."""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from takeoff.study.arms import Arm, Run
from takeoff.study.model import Study
from takeoff.training.checkpoints import Checkpoints
from takeoff.training.engine import Epoch, Finished, one_after_another
from takeoff.training.hardware import Hardware
from takeoff.training.resident import Resident
from takeoff.training.runs import load_run, run_key, save_run
from takeoff.training.tables import CURVES, RUNS, write_table
from takeoff.training.tuning import Choice, choose_rate, only_rate, write_choice

Row = dict[str, Any]


@dataclass
class ArmJob:
    """An arm, its images, and the folder of its results."""

    study: Study
    arm: Arm
    data: Resident
    hardware: Hardware
    folder: Path
    checkpoint_seconds: float = math.inf
    say: Callable[[str], None] = print

    def tune(self) -> Choice:
        """Choose the arm's rate on the validation images of the tuning seeds, and write it down.

        Every rate of the grid is trained on every tuning seed, with the whole recipe; no test image is read.
        """
        grid = self.study.tuning.learning_rates
        if len(grid) == 1:
            choice = only_rate(grid[0])
        else:
            runs = [Run(seed, rate, final=False) for rate in grid for seed in self.study.tuning_seeds]
            rows = [row for row, _ in self._finished(runs)]
            held_out = len(self.data.split(self.arm.train_samples, self.study.tuning_seeds[0])[1])
            choice = choose_rate(rows, validation_images=held_out)
        write_choice(self.folder / "learning_rate.json", choice)
        self.say(f"{self.arm.name}: learning rate {choice.learning_rate:g}{choice.remark}")
        return choice

    def train(self, choice: Choice) -> None:
        """Train every seed with the chosen rate, and write `runs.parquet` and `curves.parquet`."""
        runs = [Run(seed, choice.learning_rate) for seed in self.study.seed_list]
        finished = self._finished(runs)
        label = {"arm": self.arm.name}
        rows = [label | row for row, _ in finished]
        curves = [
            label | {"seed": row["seed"], "run_key": row["run_key"]} | epoch
            for row, curve in finished
            for epoch in curve
        ]
        write_table(self.folder / "curves.parquet", curves, CURVES)
        write_table(self.folder / "runs.parquet", rows, RUNS)

    def _finished(self, runs: Iterable[Run]) -> list[tuple[Row, list[Row]]]:
        """The runs' rows and curves, in order; only those that are not on disk are trained."""
        runs = list(runs)
        paths = {run: self.folder / "runs" / f"{self._key(run)}.json" for run in runs}
        missing = [run for run in runs if load_run(paths[run]) is None]
        self._train(missing, paths)
        finished = []
        for run in runs:
            loaded = load_run(paths[run])
            if loaded is None:
                raise OSError(f"{paths[run]}: written, but cannot be read back")
            finished.append(loaded)
        return finished

    def _train(self, runs: list[Run], paths: dict[Run, Path]) -> None:
        checkpoints = Checkpoints(self.folder / "runs", self.checkpoint_seconds, self._key)
        curve: list[Row] = []
        started = datetime.now(UTC)
        for record in one_after_another(self.data, self.arm, runs, self.hardware, checkpoints):
            match record:
                case Epoch(values=values):
                    curve.append(values)
                case Finished(run=run, values=values):
                    row = self._row(run, values) | {"started_at": started.isoformat(timespec="seconds")}
                    save_run(paths[run], row, curve)
                    self.say(_line(self.arm, row))
                    curve, started = [], datetime.now(UTC)

    def _key(self, run: Run) -> str:
        return run_key(self.arm, run, self.data, self.hardware)

    def _row(self, run: Run, values: Row) -> Row:
        allowed = self.arm.train_samples or len(self.data.labels)
        return {
            "seed": run.seed,
            **self.arm.levels,
            "train_samples": allowed,
            "epochs": self.arm.recipe.epochs,
            "learning_rate": run.learning_rate,
            **values,
            "device": self.hardware.name,
            "precision": self.hardware.precision,
            "run_key": self._key(run),
        }


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
