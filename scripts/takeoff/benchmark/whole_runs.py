"""Whole runs of a study's networks: what training takes with its start and its scores, and whether they learn.

The rows of arms.csv and runs.csv.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from itertools import product
from pathlib import Path
from statistics import mean

from takeoff.common.errors import TakeoffError
from takeoff.data.prepared import Prepared, load_prepared
from takeoff.engine.hardware import Hardware
from takeoff.engine.state import Finished, Record
from takeoff.jobs.checkpoints import Checkpoints
from takeoff.jobs.choosing import batch_of, choose_way
from takeoff.jobs.loading import dataset_of
from takeoff.jobs.running import train
from takeoff.study.arms import Run, make_arm
from takeoff.study.model import Study


@dataclass(frozen=True)
class ArmSpeed:
    """The runs of one arm, trained from the first step to the last score: the columns of arms.csv."""

    arm: str
    device: str
    """`cpu`, or the GPU's name."""
    precision: str
    resolution: int
    """Of the images, in pixels."""
    learning_rate: float
    epochs: int
    runs: int
    """That were to be trained."""
    finished: int
    """Runs that were trained to their end; fewer where the time was up before."""
    way: str
    """Of those that training was measured in, the fastest."""
    choosing_seconds: float
    """What measuring these ways took."""
    seconds: float
    """From the first run's start to the last run's end, or to the end of the time."""
    images_per_second: float
    """Images that all runs together were trained on, in that time with its scores."""
    test_accuracy: float | None = None
    """The mean of the runs that finished."""
    test_accuracy_low: float | None = None
    test_accuracy_high: float | None = None
    diverged: int = 0
    """Runs whose weights are no numbers, or whose loss exploded."""

    def __str__(self) -> str:
        """A line for whoever waits."""
        runs = f"{self.finished} of {self.runs} runs of {self.epochs} epochs"
        speed = f"{self.seconds:.1f} s, {self.images_per_second:,.0f} images/s, {self.way}"
        if self.test_accuracy is None:
            return f"{self.arm}: {runs}: {speed}"
        accuracies = f"{self.test_accuracy:.1%} ({self.test_accuracy_low:.1%} to {self.test_accuracy_high:.1%})"
        return f"{self.arm}: {runs}: {speed}; test accuracy {accuracies}"


@dataclass(frozen=True)
class Ended:
    """A run that was trained to its end: the columns of runs.csv, which those of `runs.parquet` are named like."""

    arm: str
    seed: int
    learning_rate: float
    way: str
    parameters: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    test_loss: float
    test_accuracy: float
    diverged: bool
    """Whether its weights are no numbers, or its loss exploded."""
    seconds: float
    """Of its own share of training, without scores."""


def images_for(study: Study, source: Path, folder: Path) -> Prepared:
    """The prepared images in `folder`, which have to be those of the study in the file `source`.

    Raises:
        TakeoffError: for images that are missing, damaged, of another side, or another dataset's.

    """
    own = study.dataset
    found = load_prepared(folder, own.resolution, own.test_samples, own.validation_fraction)
    if (name := found.card.get("dataset")) != own.name:
        raise TakeoffError(f"--data {folder}: images of {name}; valid for {source}: those of {own.name}")
    if own.classes is not None and set(own.classes) != set(found.card.classes):
        given, wanted = ", ".join(found.card.classes), ", ".join(own.classes)
        raise TakeoffError(f"--data {folder}: of the classes {given}; valid for {source}: {wanted}")
    return found


def whole_runs(
    study: Study, images: Prepared, hardware: Hardware, memory: Path, left: Callable[[], float]
) -> Iterator[tuple[ArmSpeed, list[Ended]]]:
    """A row per combination of the factors' levels, with those of its finished runs: all seeds of the study, at the
    middle one of its rates. The treatments come first, since time may end.

    Args:
        study: gives the network, the recipe, the factors and the seeds.
        images: the study's.
        hardware: what trains.
        memory: the folder in which ways that were measured are kept.
        left: the seconds that are left. Where they are finite, no way is compiled: each network's takes a minute or so.

    """
    rates = sorted(study.tuning.learning_rates)
    rate = rates[len(rates) // 2]
    runs = [Run(seed, rate) for seed in study.seed_list]
    pairs = [[(name, level) for _, level in factor] for name, factor in study.factors.items()]
    arms = [make_arm(study, dict(levels), learning_rate=rate) for levels in product(*pairs)]
    data = dataset_of(images, hardware.device, arms=arms)
    columns = [field.name for field in fields(Ended)]
    for arm in reversed(arms):
        began = time.perf_counter()
        way = choose_way(data, arm, runs, hardware, memory, compiling=math.isinf(left()))
        chosen = time.perf_counter()
        batch = batch_of(data, arm)
        trained, records = _trained(train(data, arm, runs, hardware, Checkpoints(), way), left)
        seconds = time.perf_counter() - chosen
        rows = [{"arm": arm.name, **asdict(one.run), **one.values} for one in records]
        ended = [Ended(**{column: row[column] for column in columns}) for row in rows]
        accuracies = [one.test_accuracy for one in ended]
        row = ArmSpeed(
            arm=arm.name,
            device=hardware.name,
            precision=hardware.precision,
            resolution=study.dataset.resolution,
            learning_rate=rate,
            epochs=arm.recipe.epochs,
            runs=len(runs),
            finished=len(ended),
            way=ended[0].way if ended else way.name,
            choosing_seconds=chosen - began,
            seconds=seconds,
            images_per_second=trained * batch / seconds,
            diverged=sum(one.diverged for one in ended),
        )
        if accuracies:
            low, high = min(accuracies), max(accuracies)
            row = replace(row, test_accuracy=mean(accuracies), test_accuracy_low=low, test_accuracy_high=high)
        yield row, ended


def _trained(records: Iterator[Record], left: Callable[[], float]) -> tuple[int, list[Finished]]:
    """The steps that all runs made while seconds were left, and the records of those that ended."""
    steps: dict[Run, int] = {}
    ended = []
    for record in records:
        if isinstance(record, Finished):
            ended.append(record)
        else:
            steps[record.run] = record.values["step"]
        if left() <= 0:
            break
    return sum(steps.values()), ended
