"""One arm's job: choose its learning rate, train the runs that are missing, and rebuild its tables."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from takeoff.common.digests import ENGINE, code_digest
from takeoff.common.files import digest_of, write_json
from takeoff.engine.hardware import Hardware
from takeoff.engine.resident import Resident
from takeoff.engine.state import Epoch
from takeoff.engine.tuning import RateChoice, choose, only_rate
from takeoff.jobs.checkpoints import Checkpoints
from takeoff.jobs.choosing import choose_way
from takeoff.jobs.running import train
from takeoff.jobs.runs import Row, choice_of, line, load_record, now, remark, save_record
from takeoff.study.arms import Run
from takeoff.study.planned import PlannedArm
from takeoff.study.records import CURVES, PROBE, RUNS, write_table

FILE = "learning_rate.json"
RECORD = ("run", "curve", "probe")
"""Of a finished run: its row, a row per epoch, and of a probed arm a row per moment and layer."""


@dataclass
class ArmJob:
    """An arm, its images, and the folder of its results."""

    arm: PlannedArm
    data: Resident
    hardware: Hardware
    folder: Path
    checkpoint_seconds: float = math.inf
    report: Callable[[str], None] = print

    def tune(self) -> RateChoice:
        """Choose the arm's learning rate, and write it down.

        Every rate of the grid is trained on every tuning seed, with the whole recipe; no test image is read. An
        arm with a fixed rate, or one that takes another arm's, trains nothing for it: `TakeoffError` where the other
        has not chosen one.
        """
        choice = self._choice()
        write_json(self.folder / FILE, asdict(choice))
        self.report(f"{self.arm.name}: learning rate {choice.learning_rate:g}{remark(choice)}")
        return choice

    def _choice(self) -> RateChoice:
        arm = self.arm
        if arm.learning_rate is not None:
            return only_rate(arm.learning_rate)
        if arm.choice_from is not None:
            return choice_of(self.folder.parent / arm.choice_from, FILE, RateChoice)
        if len(arm.learning_rates) == 1:
            return only_rate(arm.learning_rates[0])
        grid = [Run(seed, rate, final=False) for rate in arm.learning_rates for seed in arm.tuning_seeds]
        tuned = [(record["run"], record["curve"]) for record in self._finished(grid)]
        return choose(arm, tuned, *map(len, self.data.split(arm.train_samples, arm.tuning_seeds[0])))

    def train(self, choice: RateChoice) -> None:
        """Train every seed with the chosen learning rate, and write `runs.parquet`, `curves.parquet` and, of a probed
        arm, `probe.parquet`.
        """
        finished = self._finished([Run(seed, choice.learning_rate) for seed in self.arm.seeds])
        runs = [{"arm": self.arm.name} | record["run"] for record in finished]

        def rows(part: str) -> list[Row]:
            labels = [{key: run[key] for key in ("arm", "seed", "run_key")} for run in runs]
            both = zip(labels, finished, strict=True)
            return [label | row for label, record in both for row in record[part]]

        write_table(self.folder / "curves.parquet", rows("curve"), CURVES)
        if self.arm.probed:
            write_table(self.folder / "probe.parquet", rows("probe"), PROBE)
        write_table(self.folder / "runs.parquet", runs, RUNS)

    def _finished(self, runs: Sequence[Run]) -> list[Row]:
        """The runs' records, in order; only those that no file has, here or with the arm whose choice is taken, are
        trained.
        """
        self._train([run for run in runs if load_record(self._path(run), *RECORD) is None])
        finished = [load_record(self._path(run), *RECORD) for run in runs]
        if None in finished:
            raise OSError(f"{self.folder / 'runs'}: a run was written, but cannot be read back")
        return [record for record in finished if record is not None]

    def _path(self, run: Run) -> Path:
        file = Path("runs") / f"{self.key(run)}.json"
        shared = self.folder.parent / self.arm.choice_from / file if self.arm.choice_from else None
        return shared if shared and shared.exists() else self.folder / file

    def _train(self, runs: list[Run]) -> None:
        checkpoints = Checkpoints(self.folder / "runs", self.checkpoint_seconds, self.key)
        curves: dict[Run, list[Row]] = defaultdict(list)
        started: dict[Run, str] = {}
        last = now()
        # Beside all studies: a device is as fast for the next one.
        ways = self.folder.absolute().parents[2] / "benchmark" / "ways"
        way = choose_way(self.data, self.arm, runs, self.hardware, ways, self.report)
        for record in train(self.data, self.arm, runs, self.hardware, checkpoints, way, self.report):
            run = record.run
            started.setdefault(run, last)
            if isinstance(record, Epoch):
                curves[run].append(record.values)
            else:
                row = self._row(run, record.values) | {"started_at": started.pop(run)}
                save_record(self._path(run), {"run": row, "curve": curves.pop(run), "probe": record.probe})
                self._say(row)
                last = now()

    def key(self, run: Run) -> str:
        """Sixteen hexadecimal digits of all that a run's numbers depend on, but for which runs it is fused with.

        The engine's code and torch's version, the arm (not its name, which is a label, nor how its rate is chosen),
        the data, the run, and the kind of device with its precision and threads. Fused runs differ from single ones
        by rounding alone.
        """
        return digest_of(
            {
                "engine": [code_digest(ENGINE), torch.__version__],
                "arm": self.arm.model_dump(include={"network", "recipe", "train_samples", "probed"}),
                "data": self.data.digest,
                "run": asdict(run),
                "hardware": [self.hardware.device.type, self.hardware.precision, self.hardware.threads],
            }
        )

    def _row(self, run: Run, values: Row) -> Row:
        return {
            "seed": run.seed,
            "method": "network",
            **self.arm.levels,
            "family": self.arm.network.family,
            "depth": self.arm.network.depth,
            "train_samples": self.arm.train_samples or len(self.data.labels),
            "epochs": self.arm.recipe.epochs,
            "learning_rate": run.learning_rate,
            **values,
            "device": self.hardware.name,
            "precision": self.hardware.precision,
            "run_key": self.key(run),
        }

    def _say(self, row: Row) -> None:
        score = "test" if "test_accuracy" in row else "validation"
        rate, accuracy = row["learning_rate"], row[f"{score}_accuracy"]
        words = f"learning rate {rate:g}", f"{score} accuracy {accuracy:.4f}", f"{row['seconds']:.1f} s"
        self.report(line(self.arm.name, row["seed"], *words, *["diverged"] * row["diverged"]))
