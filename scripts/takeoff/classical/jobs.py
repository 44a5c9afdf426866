"""One older method's job: choose its setting, fit the runs that are missing, and rebuild its table."""

import json
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from takeoff.classical.features import RunFeatures, Workshop
from takeoff.classical.learners import GRIDS, Setting, fit, settings
from takeoff.classical.scores import hits
from takeoff.classical.tuning import Choice, borrowed, choose, write_choice
from takeoff.digests import code_digest
from takeoff.files import digest_of, write_json
from takeoff.randomness import entropy
from takeoff.records import RUNS, write_table
from takeoff.study.arms import ClassicalArm, seeds_of
from takeoff.study.model import Study

ENGINE = ("classical", "data/splits.py", "randomness.py")
"""The parts whose change fits anew."""
VERSIONS = tuple(version(package) for package in ("scikit-learn", "scikit-image", "numpy"))
BITS = ("test_correct", "test_top5_correct")
NEEDED = {"seed", "run_key", "test_accuracy", "seconds", *BITS}

Row = dict[str, Any]


@dataclass
class ClassicalJob:
    """An arm, its images, and the folder of its results."""

    study: Study
    arm: ClassicalArm
    workshop: Workshop
    folder: Path
    threads: int = 1
    say: Callable[[str], None] = print

    def tune(self) -> Choice:
        """Choose the arm's setting on the validation images of the tuning seeds, and write `tuning.json`.

        Every setting of the grid is fitted on every tuning seed; no test image is read. An arm with a lender
        fits nothing for it.

        Raises:
            TakeoffError: the lender's choice is not there.

        """
        arm, seeds = self.arm, self.study.tuning_seeds
        if arm.lender is not None:
            choice = borrowed(self.folder.parent / arm.lender, arm.lender)
        else:
            found = [self._kept(self._key("tuning", seed), partial(self._tuned, seed)) for seed in seeds]
            by_setting = zip(*(record["runs"] for record in found), strict=True)
            choice = choose(
                arm.learner,
                [run for runs in by_setting for run in runs],
                found[0]["validation_images"],
                list(dict.fromkeys(note for record in found for note in record["notes"])),
            )
        write_choice(self.folder, choice)
        words = ", ".join(f"{key} {value:g}" for key, value in choice.setting.items())
        self.say(f"{arm.name}: {words}{choice.remark}")
        return choice

    def fit(self, choice: Choice) -> None:
        """Fit every seed with the chosen setting, and write `runs.parquet`."""
        rows = []
        for seed in seeds_of(self.study, self.arm):
            key = self._key("final", seed, choice.setting)
            record = self._kept(key, partial(self._final, seed, choice.setting, key))
            rows.append(
                {"arm": self.arm.name} | record["run"] | {k: b64decode(record["run"][k]) for k in BITS}
            )
        write_table(self.folder / "runs.parquet", rows, RUNS)

    def _kept(self, key: str, make: Callable[[], Row]) -> Row:
        """What is on disk under `key`; where nothing is, or it is damaged, it is made and written."""
        path = self.folder / "runs" / f"{key}.json"
        record = _loaded(path)
        if record is None:
            record = make()
            write_json(path, record)
        return record

    def _key(self, kind: str, seed: int, setting: Setting | None = None) -> str:
        """Sixteen hexadecimal digits of all that a fit's numbers depend on, rounding included."""
        return digest_of(
            {
                "engine": [code_digest(*ENGINE), *VERSIONS],
                "method": [self.arm.features, self.arm.learner],
                "kind": [kind, GRIDS[self.arm.learner] if setting is None else setting],
                "samples": self.arm.train_samples,
                "seed": seed,
                "data": self.workshop.data.digest,
                "threads": self.threads,
            }
        )

    def _features(self, seed: int, final: bool) -> RunFeatures:
        return self.workshop.features(self.arm.features, self.arm.train_samples, seed, final)

    def _fitted(self, seed: int, setting: Setting, features: RunFeatures) -> Any:
        state = int(entropy(seed, "learner").generate_state(1)[0])
        classes = self.workshop.data.classes
        return fit(self.arm.learner, setting, features.train, features.train_labels, classes, state)

    def _tuned(self, seed: int) -> Row:
        """Every setting of the grid, fitted on one tuning seed."""
        features = self._features(seed, final=False)
        runs: list[Row] = []
        notes: list[str] = []
        for setting in settings(self.arm.learner):
            started = time.perf_counter()
            fitted = self._fitted(seed, setting, features)
            right, _ = hits(fitted.scores(features.validation), features.validation_labels)
            seconds = time.perf_counter() - started
            notes += fitted.notes
            runs.append(
                {
                    "setting": setting,
                    "seed": seed,
                    "validation_accuracy": float(right.mean()),
                    "seconds": seconds,
                }
            )
        notes = list(dict.fromkeys(features.notes + notes))
        self._tell(
            f"seed {seed}", f"{len(runs)} settings", f"{sum(r['seconds'] for r in runs):.1f} s", *notes
        )
        return {"runs": runs, "validation_images": len(features.validation_labels), "notes": notes}

    def _final(self, seed: int, setting: Setting, key: str) -> Row:
        """One final run, and what it scored; the test images are read here alone."""
        started_at = datetime.now(UTC).isoformat(timespec="seconds")
        features = self._features(seed, final=True)
        assert features.test is not None
        started = time.perf_counter()
        fitted = self._fitted(seed, setting, features)
        seconds = time.perf_counter() - started + features.seconds
        data = self.workshop.data
        train, _ = hits(fitted.scores(features.train), features.train_labels)
        validation, _ = hits(fitted.scores(features.validation), features.validation_labels)
        test, five = hits(fitted.scores(features.test), data.test_labels)
        notes = features.notes + fitted.notes
        words = f"test accuracy {test.mean():.4f}", f"{seconds:.1f} s", *notes
        self._tell(f"seed {seed}", *words)
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
            "precision": "float32" if self.arm.learner == "logistic" else "float64",
            "run_key": key,
            "started_at": started_at,
            "test_correct": b64encode(np.packbits(test).tobytes()).decode(),
            "test_top5_correct": b64encode(np.packbits(five).tobytes()).decode(),
        }
        return {"run": row, "setting": setting, "notes": notes}

    def _tell(self, *words: str) -> None:
        self.say("  ".join([time.strftime("%H:%M:%S"), self.arm.name, *words]))


def _loaded(path: Path) -> Row | None:
    """A record, or None where there is none or it is damaged: then it is made anew."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if "run" in record:
            for key in BITS:
                b64decode(record["run"][key], validate=True)
            whole = record["run"].keys() >= NEEDED
        else:
            whole = bool(record["runs"]) and record.keys() >= {"notes", "validation_images"}
        return record if whole else None
    except (FileNotFoundError, KeyError, TypeError, ValueError, AttributeError):
        return None
