"""How long fits of older methods take, as plans count: as long as those of the reference studies, by images and pixels.

`config/fit_times.csv` holds their times; `scripts/analyse.py fit_times` makes such a file of any results folders.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from math import exp, log
from pathlib import Path
from statistics import median

from takeoff.common.errors import TakeoffError
from takeoff.common.files import load_json
from takeoff.common.places import configured
from takeoff.study.planned import ARM, PlannedClassicalArm, read_arm


@dataclass(frozen=True)
class FitTime:
    """Of one method, on one thread: the median over the seeds of an arm."""

    features: str
    learner: str
    side: int
    """Of the images, in pixels."""
    mirrored: bool
    large: bool
    train_samples: int
    seconds: float
    """Of a final fit."""
    tuning_seconds: float
    """Of all settings of the grid on one tuning seed; 0 of an arm that takes another's choice."""


def fit_times(results: Path) -> Iterator[FitTime]:
    """Those in a study's results folder; a TakeoffError where there is none."""
    if not (results / "arms").is_dir():
        raise TakeoffError(f"{results}: there is no folder arms in it; valid: a study's results")
    for path in sorted(results.glob(f"arms/*/{ARM}")):
        arm = read_arm(path)
        if not isinstance(arm, PlannedClassicalArm):
            continue
        records = [load_json(file) for file in sorted((path.parent / "runs").glob("[!.]*.json"))]
        finals = [record["run"] for record in records if "run" in record]
        tuned = [sum(run["seconds"] for run in record["runs"]) for record in records if "runs" in record]
        if finals:
            of = (arm.features, arm.learner, arm.images.resolution, arm.mirrored, arm.large)
            seconds = median(run["seconds"] for run in finals)
            whole = seconds + median(tuned) if tuned else 0.0
            yield FitTime(*of, finals[0]["train_samples"], round(seconds, 3), round(whole, 3))


def merged(times: Iterable[FitTime]) -> list[FitTime]:
    """One row of each method and size: the first."""
    found: dict[tuple[object, ...], FitTime] = {}
    for time in times:
        found.setdefault((time.features, time.learner, time.side, time.mirrored, time.large, time.train_samples), time)
    return [found[key] for key in sorted(found)]


def fit_seconds(arm: PlannedClassicalArm, images: int) -> float:
    """About what all fits of an arm take, tuning included, with so many `images` for training; 0 where no time of its
    method is known.

    Between two sizes of the training set the time is a power of the size, and so it is beyond; it grows with the
    pixels of an image.
    """
    own = [time for time in _times() if (time.features, time.learner) == (arm.features, arm.learner)]
    if not own:
        return 0.0

    def distance(time: FitTime) -> tuple[float, bool, bool]:
        return abs(log(time.side / arm.images.resolution)), time.large != arm.large, time.mirrored != arm.mirrored

    nearest = min(own, key=distance)
    like = [time for time in own if distance(time) == distance(nearest)]
    samples = arm.train_samples or images
    seconds = len(arm.seeds) * _power({time.train_samples: time.seconds for time in like}, samples)
    tuned = {time.train_samples: time.tuning_seconds for time in like if time.tuning_seconds}
    if arm.choice_from is None and tuned:
        seconds += len(arm.tuning_seeds) * _power(tuned, samples)
    return seconds * (arm.images.resolution / nearest.side) ** 2 * 2.0 ** (arm.mirrored - nearest.mirrored)


def _power(seconds: dict[int, float], samples: int) -> float:
    """At so many samples, by the two sizes around it or nearest to it; in proportion to the size where there is one."""
    sizes = sorted(seconds, key=lambda size: abs(log(size / samples)))
    first = sizes[0]
    below, above = [size for size in sizes if size < samples], [size for size in sizes if size > samples]
    if first == samples or len(sizes) == 1:
        return seconds[first] * samples / first
    low, high = sorted((below[0], above[0]) if below and above else sizes[:2])
    slope = log(seconds[high] / seconds[low]) / log(high / low)
    return seconds[first] * exp(slope * log(samples / first))


@cache
def _times() -> tuple[FitTime, ...]:
    path = configured("fit_times.csv")
    with path.open(newline="", encoding="utf-8") as file:
        return tuple(_time(row) for row in csv.DictReader(file))


def _time(row: dict[str, str]) -> FitTime:
    of = (row["features"], row["learner"], int(row["side"]), row["mirrored"] == "True", row["large"] == "True")
    return FitTime(*of, int(row["train_samples"]), float(row["seconds"]), float(row["tuning_seconds"]))
