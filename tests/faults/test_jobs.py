"""Training jobs killed at random, and checkpoints damaged: the next try ends with the same values to the bit."""

import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
import yaml
from conftest import small_study
from takeoff.experiments.registry import enabled, wanted
from takeoff.study.loading import load_study
from takeoff.study.planned import arm_path, planned_arms, write_arm

from faults.damage import damaged
from faults.finished import assert_same, temporary
from faults.processes import ended, started

if TYPE_CHECKING:
    from takeoff.engine.dataset import Dataset
    from takeoff.engine.hardware import Hardware
    from takeoff.study.arms import Arm

RECIPE = small_study()["recipe"] | {"epochs": 6, "batch_size": 64}
ARM = "relu+batch"
EVERY_EPOCH = ("--checkpoint-minutes", 1e-9)


@dataclass
class Job:
    """An arm to train, and how long that takes where nothing happens."""

    folder: Path
    digits: Path
    seconds: float = 0

    def copied(self, place: Path) -> "Job":
        """The same arm, of which nothing is trained."""
        shutil.copytree(self.folder, place / "arms" / ARM, ignore=shutil.ignore_patterns("[!a]*"))
        return Job(place / "arms" / ARM, self.digits, self.seconds)

    def run(self, kill: Callable | None = None, after: float = 0) -> int:
        """Train, to the end or until it is killed; how the process ended."""
        line = ("--data", self.digits, "--device", "cpu", *EVERY_EPOCH, self.folder)
        process = started("train", *line, log=self.folder.parent / "log.txt")
        if kill:
            process.join(after)
        return ended(process, kill)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Job:
    """An arm that was trained without a break."""
    place = tmp_path_factory.mktemp("whole")
    path = place / "small.yaml"
    path.write_text(yaml.safe_dump(small_study(recipe=RECIPE)))
    study = load_study(path)
    for arm in planned_arms(study, wanted(enabled(study, str(path)))):
        if arm.name == ARM:
            write_arm(arm_path(place, arm.name), arm)
    job = Job(place / "arms" / ARM, digits)
    assert job.copied(place / "first").run() == 0  # which starts the server, too
    began = time.monotonic()
    assert job.run() == 0
    job.seconds = time.monotonic() - began
    return job


@pytest.mark.tries(quick=3, whole=20)
def test_killed_at_any_moment(dice: Random, unbroken: Job, tmp_path: Path) -> None:
    job = unbroken.copied(tmp_path)
    numbers = dice.choices([signal.SIGKILL, signal.SIGTERM, signal.SIGINT], [2, 1, 1], k=dice.choice([1, 1, 2]))
    for number in numbers:
        job.run(lambda process, number=number: os.kill(process.pid, number), dice.uniform(0, unbroken.seconds))
    assert job.run() == 0
    assert_same(job.folder, unbroken.folder)
    assert not list(job.folder.rglob("[!.]*.checkpoint"))
    # What was being written when the job was killed goes with the next run of the workflow: runs that train together
    # take their places together, so that each of them may have left one.
    written = Counter(path.name.rpartition("-")[0] for path in temporary(job.folder))
    assert all(number <= numbers.count(signal.SIGKILL) for number in written.values())


@pytest.mark.tries(quick=5, whole=50)
def test_checkpoints_damaged_in_any_way(
    dice: Random, images: "Dataset", arm: "Callable[..., Arm]", hardware: "Hardware", tmp_path: Path
) -> None:
    from takeoff.engine.state import Finished
    from takeoff.jobs.checkpoints import Checkpoints
    from takeoff.jobs.running import train
    from takeoff.study.arms import Run

    def numbers(checkpoints: Checkpoints, until: int = 99) -> list[dict]:
        records = train(images, rich, [Run(0, 0.05)], hardware, checkpoints)
        found = []
        for record in records:
            found.append({key: value for key, value in record.values.items() if "second" not in key})
            if not isinstance(record, Finished) and record.values["epoch"] == until:
                break
        records.close()
        return found

    rich = arm({"epochs": 4, "augmentation": "flip-crop"}, norm="batch", dropout=0.5)
    lines: list[str] = []
    checkpoints = Checkpoints(tmp_path, 0, lambda run: "run", lines.append)
    expected = numbers(Checkpoints())
    numbers(checkpoints, until=dice.randrange(1, 4))
    path = tmp_path / "run.checkpoint"
    kept = path.read_bytes()
    path.write_bytes(damaged(kept, dice))
    changed = path.read_bytes() != kept
    assert repr(numbers(checkpoints)) == repr(expected)
    assert len(lines) == changed
    assert not path.exists()
