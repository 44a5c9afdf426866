"""The choice of an arm's learning rate from its tuning runs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from takeoff.engine.schedule import steps_of
from takeoff.statistics.crossing import first_crossing
from takeoff.study.choices import Choice, tied_within

if TYPE_CHECKING:
    from takeoff.study.planned import PlannedArm

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class RateChoice(Choice):
    """An arm's learning rate. Its grid has the mean validation accuracy and loss of every rate and, with a target,
    the mean epochs to it.
    """

    learning_rate: float


MEANS = ("validation_accuracy", "validation_loss", "epochs_to_target")
KEPT = ("learning_rate", "seed", "train_accuracy", "train_loss", *MEANS, "diverged")
"""What is remembered of a tuning run."""


def choose(
    arm: "PlannedArm", tuned: Sequence[tuple[Row, Sequence[Row]]], images: int, validation_images: int
) -> RateChoice:
    """The learning rate with the best validation accuracy or, where the arm has a target, the one that reaches it
    soonest.

    `tuned` has of each tuning run, one per rate and seed, what it ended with, and its curve, a row per epoch. Each was
    trained on so many `images`, and validated on so many `validation_images`.
    """
    if arm.target is None:
        return choose_rate([row for row, _ in tuned], validation_images)
    per_pass, per_epoch = steps_of(arm.recipe, images)
    passes = per_epoch / per_pass  # not 1 where an epoch presents a part of the images, or all several times
    rows = []
    for row, curve in tuned:
        epochs, accuracies = zip(*((e["epoch"], e["train_accuracy"]) for e in curve), strict=True)
        found = first_crossing(epochs, accuracies, arm.target, arm.recipe.epochs)
        rows.append(row | {"epochs_to_target": None if found.censored else found.position * passes})
    return choose_soonest(rows, arm.recipe.epochs * passes)


def choose_rate(rows: Sequence[Row], validation_images: int) -> RateChoice:
    """The rate with the best mean validation accuracy over the tuning seeds; where all tie, the least loss.

    A diverged run counts with what it ended at, chance. Each run was validated on so many images.
    """
    by_rate = _by_rate(rows)
    accuracy, loss = (
        {rate: _mean(own, key) for rate, own in by_rate.items()} for key in ("validation_accuracy", "validation_loss")
    )
    best = max(by_rate, key=lambda rate: (accuracy[rate], -loss[rate]))
    spread = accuracy[best] - min(accuracy.values())
    # The seeds share their validation images, where all images are in use: they do not multiply them.
    tie = tied_within(accuracy[best], validation_images)
    if spread <= tie:
        best = min(by_rate, key=lambda rate: (loss[rate], -accuracy[rate]))
    return _choice(by_rate, best, untuned=spread <= tie, spread=spread, tied_within=tie)


def choose_soonest(rows: Sequence[Row], horizon: float) -> RateChoice:
    """The rate whose runs reach their target soonest on average; of those that never do, the nearest to it. Of a run
    that did not reach it by the `horizon`, in passes over the images, `epochs_to_target` is None.
    """
    by_rate = _by_rate(rows)

    def waited(row: Row) -> float:
        reached: float | None = row["epochs_to_target"]
        return horizon + 1 - row["train_accuracy"] if reached is None else reached

    epochs = {rate: fmean(map(waited, own)) for rate, own in by_rate.items()}
    best = min(epochs, key=lambda rate: epochs[rate])
    never = all(row["epochs_to_target"] is None for row in rows)
    return _choice(by_rate, best, untuned=never, spread=max(epochs.values()) - epochs[best], tied_within=0.0)


def only_rate(rate: float) -> RateChoice:
    """The choice where the grid leaves none: nothing is trained for it."""
    return RateChoice(learning_rate=rate, at_edge=False, untuned=True, spread=0.0, tied_within=0.0, grid=[], seeds=[])


def _by_rate(rows: Sequence[Row]) -> dict[float, list[Row]]:
    rates = sorted({row["learning_rate"] for row in rows})
    return {rate: [row for row in rows if row["learning_rate"] == rate] for rate in rates}


def _mean(rows: Sequence[Row], key: str) -> float:
    """Infinite where a value is missing: that of a run that diverged, or of a target that was not reached."""
    return fmean(math.inf if row[key] is None else row[key] for row in rows)


def _choice(by_rate: dict[float, list[Row]], best: float, **reasons: Any) -> RateChoice:
    runs = [run for rows in by_rate.values() for run in rows]
    grid = []
    for rate, rows in by_rate.items():
        means = {key: _mean(rows, key) for key in MEANS if key in rows[0]}
        finite = {key: mean if math.isfinite(mean) else None for key, mean in means.items()}
        diverged = sum(row["diverged"] for row in rows)
        grid.append({"learning_rate": rate, **finite, "diverged": diverged})
    return RateChoice(
        learning_rate=best,
        at_edge=best in {min(by_rate), max(by_rate)},
        grid=grid,
        seeds=sorted({run["seed"] for run in runs}),
        runs=[{key: run[key] for key in KEPT if key in run} for run in runs],
        **reasons,
    )
