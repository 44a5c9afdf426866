"""One arm's job: choose its learning rate and weight decay, train the runs that are missing, and rebuild its tables."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import torch
from safetensors import SafetensorError

from takeoff.common.digests import ENGINE, code_digest
from takeoff.common.files import digest_of
from takeoff.engine.hardware import Hardware
from takeoff.engine.resident import Resident
from takeoff.engine.state import Epoch, Finished, Training
from takeoff.engine.tuning import RateChoice, Setting, choose_setting, only_setting
from takeoff.jobs.checkpoints import Checkpoints
from takeoff.jobs.choosing import choose_way
from takeoff.jobs.running import train
from takeoff.jobs.runs import Row, choices_of, line, load_record, now, remark, save_choices, save_record
from takeoff.jobs.weights import forget_others, keep_if_best
from takeoff.study.arms import Run
from takeoff.study.manifest import write_manifest
from takeoff.study.planned import Block, PlannedArm
from takeoff.study.progress import FILE as PROGRESS
from takeoff.study.progress import Progress, TrainingRun
from takeoff.study.records import CURVES, PROBE, RUNS, write_table
from takeoff.study.settings import Recipe
from takeoff.study.weights import FILE as WEIGHTS

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
    keep_weights: int = 0
    """Parameters of a network, at most, whose weights are kept, where it is the arm's best."""
    report: Callable[[str], None] = print

    def tune(self) -> list[RateChoice]:
        """Choose the arm's learning rate and weight decay, for each block of its final seeds, and write that down.

        Every setting that is tried is trained on every tuning seed of a block, for the arm's `tuning_epochs`, or its
        `decay_epochs`; no test image is read. An arm with a fixed rate, or one that takes another arm's choice, trains
        nothing for it: `TakeoffError` where the other has made none.
        """
        choices = self._choices()
        save_choices(self.folder / FILE, choices)
        for choice in choices:
            words = f"learning rate {choice.learning_rate:g}, weight decay {choice.weight_decay:g}"
            block = f"block {choice.block}: " if len(choices) > 1 else ""
            self.report(f"{self.arm.name}: {block}{words}{remark(choice)}")
        return choices

    def _choices(self) -> list[RateChoice]:
        arm = self.arm
        fixed = arm.learning_rate is not None
        if arm.choice_from is not None and not fixed:
            made = {one.block: one for one in choices_of(self.folder.parent / arm.choice_from / FILE, RateChoice)}
            return [made[block.number] for block in arm.blocks]
        if fixed or len(arm.grid) == 1:
            only = only_setting(Setting(arm.learning_rate or arm.learning_rates[0], arm.weight_decays[0]))
            return [replace(only, block=block.number) for block in arm.blocks]
        # All blocks' side by side, and each block's taken from them again.
        points = [(block, Setting(*point)) for block in arm.blocks for point in arm.grid]
        choices = self._tried(points, arm.tuning_epochs)
        if not arm.later_decays:
            return choices
        best = [(block, choice.learning_rate) for block, choice in zip(arm.blocks, choices, strict=True)]
        later = [(block, Setting(rate, decay)) for block, rate in best for decay in arm.later_decays]
        if arm.decay_epochs == arm.tuning_epochs:
            return self._tried(points + later, arm.tuning_epochs)
        decays = self._tried(later, arm.decay_epochs)
        return [
            replace(one, weight_decay=its.weight_decay, grid=one.grid + its.grid, runs=one.runs + its.runs)
            for one, its in zip(choices, decays, strict=True)
        ]

    def _tried(self, points: Sequence[tuple[Block, Setting]], epochs: int) -> list[RateChoice]:
        """What each block chooses from its learning rates and weight decays, by runs of so many epochs."""
        tried = [(seed, block, point) for block, point in points for seed in block.tuning_seeds]
        recipes = [self._recipe(point.weight_decay, epochs) for _, _, point in tried]
        runs = [Run(seed, point.learning_rate, final=False) for seed, _, point in tried]
        records = self._finished([*zip(runs, recipes, strict=True)])
        sizes, found = [*map(len, self.data.split(self.arm.train_samples, tried[0][0]))], []
        for block in self.arm.blocks:
            own = [one for one, (_, its, _) in zip(records, tried, strict=True) if its == block]
            choice = choose_setting(self.arm, [(record["run"], record["curve"]) for record in own], *sizes)
            lengths = [run | {"epochs": epochs} for run in choice.runs]
            found.append(replace(choice, block=block.number, runs=lengths))
        return found

    def train(self, choices: Sequence[RateChoice]) -> None:
        """Train every seed with what its block chose, and write `runs.parquet`, `curves.parquet` and, of a probed arm,
        `probe.parquet`.
        """
        made, seeds = {choice.block: choice for choice in choices}, self.arm.seeds
        chosen = [made[block.number] for seed in seeds for block in self.arm.blocks if seed in block.seeds]
        recipes = [self._recipe(own.weight_decay, self.arm.recipe.epochs) for own in chosen]
        runs = [Run(seed, own.learning_rate) for seed, own in zip(seeds, chosen, strict=True)]
        wanted = [*zip(runs, recipes, strict=True)]
        forget_others(self.folder / WEIGHTS, {self.key(*one) for one in wanted})
        finished = self._finished(wanted)
        ended = [{"arm": self.arm.name} | record["run"] for record in finished]

        def rows(part: str) -> list[Row]:
            labels = [{key: run[key] for key in ("arm", "seed", "run_key")} for run in ended]
            both = zip(labels, finished, strict=True)
            return [label | row for label, record in both for row in record[part]]

        write_table(self.folder / "curves.parquet", rows("curve"), CURVES)
        if self.arm.probed:
            write_table(self.folder / "probe.parquet", rows("probe"), PROBE)
        write_table(self.folder / "runs.parquet", ended, RUNS)
        write_manifest(self.folder, [FILE, "runs.parquet", "curves.parquet", *["probe.parquet"] * self.arm.probed])
        self.progress.ends()

    @cached_property
    def progress(self) -> Progress:
        """What is written down of how far this job is."""
        return Progress(self.folder / PROGRESS)

    def _finished(self, wanted: Sequence[tuple[Run, Recipe]]) -> list[Row]:
        """The records of runs, each with its recipe, in order; only those that no file has, here or with the arm whose
        choice is taken, are trained.
        """
        for recipe in dict.fromkeys(recipe for _, recipe in wanted):
            runs = [run for run, own in wanted if own == recipe]
            paths = {run: self._path(run, recipe) for run in runs}
            missing = [run for run in runs if load_record(paths[run], *RECORD, report=self.report) is None]
            self.progress.finished(self.key(run, recipe) for run in runs if run not in missing)
            self._train(recipe, missing)
        finished = [load_record(self._path(*one), *RECORD) for one in wanted]
        if None in finished:
            raise OSError(f"{self.folder / 'runs'}: a run was written, but cannot be read back")
        return [record for record in finished if record is not None]

    def _path(self, run: Run, recipe: Recipe) -> Path:
        file = Path("runs") / f"{self.key(run, recipe)}.json"
        shared = self.folder.parent / self.arm.choice_from / file if self.arm.choice_from else None
        return shared if shared and shared.exists() else self.folder / file

    def _train(self, recipe: Recipe, runs: list[Run]) -> None:
        arm, key = self._with(recipe), partial(self.key, recipe=recipe)
        checkpoints = Checkpoints(self.folder / "runs", self.checkpoint_seconds, key, self.report)
        curves: dict[Run, list[Row]] = defaultdict(list)
        started: dict[Run, str] = {}
        last = now()
        # Beside all studies: a device is as fast for the next one.
        ways = self.folder.absolute().parents[2] / "benchmark" / "ways"
        way = choose_way(self.data, arm, runs, self.hardware, ways, self.report)
        ended = partial(self._ended, recipe=recipe)
        for record in train(self.data, arm, runs, self.hardware, checkpoints, way, self.report, self._watch, ended):
            run = record.run
            started.setdefault(run, last)
            if isinstance(record, Epoch):
                curves[run].append(record.values)
            else:
                row = self._row(run, recipe, record.values) | {"started_at": started.pop(run)}
                save_record(self._path(run, recipe), {"run": row, "curve": curves.pop(run), "probe": record.probe})
                self.progress.finished([key(run)])
                self._say(row)
                last = now()

    def _watch(self, trainings: Sequence[Training]) -> None:
        own = [(one.run, one.epoch, one.arm.recipe.epochs) for one in trainings]
        self.progress.trains(TrainingRun(run.seed, run.final, epoch, epochs) for run, epoch, epochs in own)

    def _ended(self, training: Training, record: Finished, recipe: Recipe) -> None:
        run, values = record.run, record.values
        if run.final and values["parameters"] <= self.keep_weights and not values["diverged"]:
            try:
                keep_if_best(self.folder / WEIGHTS, training, self.key(run, recipe), values["validation_accuracy"])
            except (OSError, SafetensorError) as error:  # a full disk: the run's numbers are what counts
                self.report(f"{self.arm.name}: weights are not kept: {error}")

    def _recipe(self, weight_decay: float, epochs: int) -> Recipe:
        """The arm's, with a weight decay of its grid, for so many epochs."""
        return self.arm.recipe.model_copy(update={"weight_decay": weight_decay, "epochs": epochs})

    def _with(self, recipe: Recipe) -> PlannedArm:
        return self.arm.model_copy(update={"recipe": recipe})

    def key(self, run: Run, recipe: Recipe) -> str:
        """Sixteen hexadecimal digits of all that a run's numbers depend on, but for which runs it is fused with.

        The engine's code and torch's version, the arm (not its name, which is a label, nor how its rate is chosen),
        the data, the run, and the kind of device with its precision and threads. Fused runs differ from single ones
        by rounding alone.
        """
        arm = self._with(recipe)
        return digest_of(
            {
                "engine": [code_digest(ENGINE), torch.__version__],
                "arm": arm.model_dump(include={"network", "recipe", "train_samples", "probed"}),
                "data": self.data.digest,
                "run": asdict(run),
                "hardware": [self.hardware.device.type, self.hardware.precision, self.hardware.threads],
            }
        )

    def _row(self, run: Run, recipe: Recipe, values: Row) -> Row:
        return {
            "seed": run.seed,
            "method": "network",
            **self.arm.levels,
            "family": self.arm.network.family,
            "depth": self.arm.network.depth,
            "train_samples": self.arm.train_samples or len(self.data.labels),
            "epochs": recipe.epochs,
            "learning_rate": run.learning_rate,
            "weight_decay": recipe.weight_decay,
            **values,
            "device": self.hardware.name,
            "precision": self.hardware.precision,
            "run_key": self.key(run, recipe),
        }

    def _say(self, row: Row) -> None:
        score = "test" if "test_accuracy" in row else "validation"
        rate, accuracy = row["learning_rate"], row[f"{score}_accuracy"]
        words = f"learning rate {rate:g}", f"{score} accuracy {accuracy:.4f}", f"{row['seconds']:.1f} s"
        self.report(line(self.arm.name, row["seed"], *words, *["diverged"] * row["diverged"]))
