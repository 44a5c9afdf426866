"""The choice of an arm's learning rate and weight decay from its tuning runs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from takeoff.engine.schedule import steps_of
from takeoff.statistics.crossing import first_crossing
from takeoff.study.choices import Choice, Row, tied_within

if TYPE_CHECKING:
    from takeoff.study.planned import PlannedArm


class Setting(NamedTuple):
    """A point of the grid."""

    learning_rate: float
    weight_decay: float


@dataclass(frozen=True, kw_only=True)
class RateChoice(Choice):
    """What a block of an arm's final seeds takes. Its grid has the mean validation accuracy and loss of every learning
    rate with every weight decay and, with a target, the mean epochs to it.
    """

    learning_rate: float
    weight_decay: float


MEANS = ("validation_accuracy", "validation_loss", "epochs_to_target")
KEPT = (*Setting._fields, "seed", "train_accuracy", "train_loss", *MEANS, "diverged")
"""What is remembered of a tuning run."""


def choose_setting(
    arm: "PlannedArm", tuned: Sequence[tuple[Row, Sequence[Row]]], images: int, validation_images: int
) -> RateChoice:
    """The setting with the best validation accuracy or, where the arm has a target, the one that reaches it soonest.

    `tuned` has of each tuning run of a block, one per setting and seed, what it ended with, and its curve, a row per
    epoch. Each was trained on so many `images`, and validated on so many `validation_images`.
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
    """The setting with the best mean validation accuracy over the tuning seeds; where all tie, the least loss.

    A diverged run counts with what it ended at, chance. Each run was validated on so many images.
    """
    grid = _by_setting(rows)
    accuracy, loss = (
        {setting: _mean(own, key) for setting, own in grid.items()}
        for key in ("validation_accuracy", "validation_loss")
    )
    best = max(grid, key=lambda setting: (accuracy[setting], -loss[setting]))
    spread = accuracy[best] - min(accuracy.values())
    # The seeds share their validation images, where all images are in use: they do not multiply them.
    tie = tied_within(accuracy[best], validation_images)
    if spread <= tie:
        best = min(grid, key=lambda setting: (loss[setting], -accuracy[setting]))
    return _choice(grid, best, untuned=spread <= tie, spread=spread, tied_within=tie)


def choose_soonest(rows: Sequence[Row], horizon: float) -> RateChoice:
    """The setting whose runs reach their target soonest on average; of those that never do, the nearest to it. Of a run
    that did not reach it by the `horizon`, in passes over the images, `epochs_to_target` is None.
    """
    grid = _by_setting(rows)

    def waited(row: Row) -> float:
        reached: float | None = row["epochs_to_target"]
        return horizon + 1 - row["train_accuracy"] if reached is None else reached

    epochs = {setting: fmean(map(waited, own)) for setting, own in grid.items()}
    best = min(epochs, key=lambda setting: epochs[setting])
    never = all(row["epochs_to_target"] is None for row in rows)
    return _choice(grid, best, untuned=never, spread=max(epochs.values()) - epochs[best], tied_within=0.0)


def only_setting(setting: Setting) -> RateChoice:
    """The choice where the grid leaves none: nothing is trained for it."""
    return RateChoice(**setting._asdict(), at_edge=False, untuned=True, spread=0.0, tied_within=0.0, grid=[], seeds=[])


def _by_setting(rows: Sequence[Row]) -> dict[Setting, list[Row]]:
    found: dict[Setting, list[Row]] = {}
    for row in sorted(rows, key=itemgetter(*Setting._fields)):
        found.setdefault(Setting(row["learning_rate"], row["weight_decay"]), []).append(row)
    return found


def _mean(rows: Sequence[Row], key: str) -> float:
    """Infinite where a value is missing: that of a run that diverged, or of a target that was not reached."""
    return fmean(math.inf if row[key] is None else row[key] for row in rows)


def _choice(by_setting: dict[Setting, list[Row]], best: Setting, **reasons: Any) -> RateChoice:
    """At its edge lies a learning rate alone: weight decays are few, and bounded by nothing."""
    runs = [run for rows in by_setting.values() for run in rows]
    grid = []
    for setting, rows in by_setting.items():
        means = {key: _mean(rows, key) for key in MEANS if key in rows[0]}
        finite = {key: mean if math.isfinite(mean) else None for key, mean in means.items()}
        diverged = sum(row["diverged"] for row in rows)
        grid.append({**setting._asdict(), **finite, "diverged": diverged})
    rates = [rate for rate, _ in by_setting]
    return RateChoice(
        **best._asdict(),
        at_edge=best.learning_rate in {min(rates), max(rates)},
        grid=grid,
        seeds=sorted({run["seed"] for run in runs}),
        runs=[{key: run[key] for key in KEPT if key in run} for run in runs],
        **reasons,
    )
