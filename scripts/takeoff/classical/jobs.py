"""One older method's job: choose its setting, fit the runs that are missing, and rebuild its table."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.metadata import version
from itertools import chain
from pathlib import Path

import numpy as np

from takeoff.classical.features import RunFeatures, Workshop
from takeoff.classical.learners import GRIDS, Fitted, Setting, SettingChoice, fit, hits, select, settings
from takeoff.common.digests import classical_digest
from takeoff.common.files import digest_of
from takeoff.common.randomness import entropy
from takeoff.jobs.runs import Row, choices_of, line, load_record, now, remark, save_choices, save_record
from takeoff.study.manifest import write_manifest
from takeoff.study.planned import PlannedClassicalArm
from takeoff.study.progress import FILE as PROGRESS
from takeoff.study.progress import Progress
from takeoff.study.records import RUNS, write_table

VERSIONS = tuple(version(package) for package in ("scikit-learn", "scikit-image", "scipy", "numpy"))
FILE = "tuning.json"


@dataclass
class ClassicalJob:
    """An arm, its images, and the folder of its results."""

    arm: PlannedClassicalArm
    workshop: Workshop
    folder: Path
    threads: int = 1
    report: Callable[[str], None] = print

    def tune(self) -> SettingChoice:
        """Choose the arm's setting on the validation images of the tuning seeds, and write `tuning.json`.

        Every setting of the grid is fitted on every tuning seed; no test image is read. An arm that takes another
        arm's choice fits nothing for it: a `TakeoffError` says where the other has not chosen one.
        """
        choice = self._choice()
        save_choices(self.folder / FILE, [choice])
        words = ", ".join(f"{key} {value:g}" for key, value in choice.setting.items())
        self.report(f"{self.arm.name}: {words}{remark(choice)}")
        return choice

    def _choice(self) -> SettingChoice:
        arm = self.arm
        if arm.choice_from is not None:
            return choices_of(self.folder.parent / arm.choice_from / FILE, SettingChoice)[0]
        keys = ("runs", "validation_images", "notes")
        found = [self._kept(self._key("tuning", seed), partial(self._tuned, seed), *keys) for seed in arm.tuning_seeds]
        by_setting = zip(*(record["runs"] for record in found), strict=True)
        notes = dict.fromkeys(note for record in found for note in record["notes"])
        return select(arm.learner, [*chain(*by_setting)], found[0]["validation_images"], [*notes])

    def fit(self, choice: SettingChoice) -> None:
        """Fit every seed with the chosen setting, and write `runs.parquet`."""
        rows = []
        for seed in self.arm.seeds:
            key = self._key("final", seed, choice.setting)
            record = self._kept(key, partial(self._final, seed, choice.setting, key), "run")
            rows.append({"arm": self.arm.name} | record["run"])
            self.progress.finished([key])
        write_table(self.folder / "runs.parquet", rows, RUNS)
        write_manifest(self.folder, [FILE, "runs.parquet"])
        self.progress.ends()

    @cached_property
    def progress(self) -> Progress:
        """What is written down of how far this job is."""
        return Progress(self.folder / PROGRESS)

    def _kept(self, key: str, make: Callable[[], Row], *keys: str) -> Row:
        """What is on disk under `key`; where nothing is, or it is damaged, it is made and written."""
        path = self.folder / "runs" / f"{key}.json"
        record = load_record(path, *keys, report=self.report)
        if record is None:
            record = make()
            save_record(path, record)
        return record

    def _key(self, kind: str, seed: int, setting: Setting | None = None) -> str:
        """Sixteen hexadecimal digits of all that a fit's numbers depend on, rounding included."""
        return digest_of(
            {
                "engine": [classical_digest(), *VERSIONS],
                "method": [self.arm.features, self.arm.learner],
                "kind": [kind, GRIDS[self.arm.learner] if setting is None else setting],
                "samples": self.arm.train_samples,
                "seed": seed,
                "data": self.workshop.data.digest,
                "study": [self.workshop.mirrored, self.workshop.large],
                "threads": self.threads,
            }
        )

    def _fitted(self, seed: int, setting: Setting, features: RunFeatures) -> Fitted:
        state = int(entropy(seed, "learner").generate_state(1)[0])
        classes = self.workshop.data.classes
        return fit(self.arm.learner, setting, features.train, features.train_labels, classes, state)

    def _tuned(self, seed: int) -> Row:
        """Every setting of the grid, fitted on one tuning seed."""
        features = self.workshop.features(self.arm.features, self.arm.train_samples, seed, final=False)
        runs: list[Row] = []
        notes = dict.fromkeys(features.notes)
        for setting in settings(self.arm.learner):
            started = time.perf_counter()
            fitted = self._fitted(seed, setting, features)
            right, _ = hits(fitted.scores(features.validation), features.validation_labels)
            run = {"setting": setting, "seed": seed, "validation_accuracy": float(right.mean())}
            runs.append(run | {"seconds": time.perf_counter() - started})
            notes |= dict.fromkeys(fitted.notes)
        seconds = sum(run["seconds"] for run in runs)
        self.report(line(self.arm.name, seed, f"{len(runs)} settings", f"{seconds:.1f} s", *notes))
        return {"runs": runs, "validation_images": len(features.validation_labels), "notes": [*notes]}

    def _final(self, seed: int, setting: Setting, key: str) -> Row:
        """One final run, and what it scored; the test images are read here alone."""
        started_at = now()
        features = self.workshop.features(self.arm.features, self.arm.train_samples, seed, final=True)
        assert features.test is not None
        started = time.perf_counter()
        fitted = self._fitted(seed, setting, features)
        seconds = time.perf_counter() - started + features.seconds
        data = self.workshop.data
        shown = len(features.train) // (1 + self.workshop.mirrored)  # without mirrored copies
        train, _ = hits(fitted.scores(features.train[:shown]), features.train_labels[:shown])
        validation, _ = hits(fitted.scores(features.validation), features.validation_labels)
        test, five = hits(fitted.scores(features.test), data.test_labels)
        notes = features.notes + fitted.notes
        words = f"test accuracy {test.mean():.4f}", f"{seconds:.1f} s"
        self.report(line(self.arm.name, seed, *words, *notes))
        row = {
            "seed": seed,
            "method": self.arm.method,
            "train_samples": self.arm.train_samples or len(data.labels),
            "parameters": fitted.parameters,
            "train_accuracy": float(train.mean()),
            "validation_accuracy": float(validation.mean()),
            "test_accuracy": float(test.mean()),
            "test_top5_accuracy": float(five.mean()),
            "diverged": False,
            "seconds": seconds,
            "images_per_second": len(train) / seconds,
            "device": "cpu",
            "precision": "float32",
            "notes": "; ".join(notes),
            "run_key": key,
            "started_at": started_at,
            "test_correct": np.packbits(test).tobytes(),
            "test_top5_correct": np.packbits(five).tobytes(),
        }
        return {"run": row, "setting": setting, "notes": notes}
