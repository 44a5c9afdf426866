"""Whole runs of a study's networks: what training takes with its start and its scores, and whether they learn.

The rows of arms.csv.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import mean

from takeoff.data.prepared import load_prepared
from takeoff.engine.hardware import Hardware
from takeoff.engine.state import Finished
from takeoff.jobs.checkpoints import Checkpoints
from takeoff.jobs.choosing import choose_way, images_of
from takeoff.jobs.loading import dataset_of
from takeoff.jobs.running import train
from takeoff.study.arms import Arm, Run, make_arm
from takeoff.study.model import Study


@dataclass(frozen=True)
class ArmSpeed:
    """The runs of one arm, trained from the first step to the last score: the columns of arms.csv."""

    arm: str
    learning_rate: float
    epochs: int
    runs: int
    way: str
    """Of those that training was measured in, the fastest."""
    choosing_seconds: float
    """What measuring these ways took."""
    seconds: float
    """From the first run's start to the last run's end."""
    images_per_second: float
    """That all runs together would be trained on by their last epoch; where some diverged, too many."""
    test_accuracy: float
    """The mean of the runs."""
    test_accuracy_low: float
    test_accuracy_high: float
    diverged: int
    """Runs whose weights are no numbers, or whose loss exploded."""

    def __str__(self) -> str:
        """A line for whoever waits."""
        accuracies = f"{self.test_accuracy:.1%} ({self.test_accuracy_low:.1%} to {self.test_accuracy_high:.1%})"
        speed = f"{self.seconds:.1f} s, {self.images_per_second:,.0f} images/s, {self.way}"
        return f"{self.arm}: {self.runs} runs of {self.epochs} epochs: {speed}; test accuracy {accuracies}"


def whole_runs(study: Study, folder: Path, hardware: Hardware, memory: Path) -> Iterator[ArmSpeed]:
    """A row per combination of the factors' levels, with all seeds of the study, at the middle one of its rates.

    Args:
        study: gives the network, the recipe, the factors and the seeds.
        folder: where its prepared images are.
        hardware: what trains.
        memory: the folder in which ways that were measured are kept.

    Raises:
        TakeoffError: for images that are missing or another study's.

    """
    own = study.dataset
    found = load_prepared(folder, own.resolution, own.test_samples, own.validation_fraction)
    data = dataset_of(found, hardware.device)
    rates = sorted(study.tuning.learning_rates)
    rate = rates[len(rates) // 2]
    runs = [Run(seed, rate) for seed in study.seed_list]
    pairs = [[(name, level) for _, level in factor] for name, factor in study.factors.items()]
    for levels in product(*pairs):
        arm = make_arm(study, dict(levels), learning_rate=rate)
        began = time.perf_counter()
        way = choose_way(data, arm, runs, hardware, memory)
        chosen = time.perf_counter()
        every = train(data, arm, runs, hardware, Checkpoints(), way)
        ended = [record.values for record in every if isinstance(record, Finished)]
        yield _row(arm, images_of(data, arm, runs), ended, chosen - began, time.perf_counter() - chosen)


def _row(arm: Arm, images: int, ended: list[dict], choosing: float, seconds: float) -> ArmSpeed:
    accuracies = [values["test_accuracy"] for values in ended]
    return ArmSpeed(
        arm.name,
        arm.learning_rate or 0.0,
        arm.recipe.epochs,
        len(ended),
        ended[0]["way"],
        choosing,
        seconds,
        images / seconds,
        mean(accuracies),
        min(accuracies),
        max(accuracies),
        sum(values["diverged"] for values in ended),
    )
