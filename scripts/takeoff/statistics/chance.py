"""Chance: what guessing the most frequent class scores, and which accuracies are no better."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from takeoff.statistics.intervals import proportion_interval

if TYPE_CHECKING:
    import pandas as pd


def majority_rate(counts: Iterable[int]) -> float:
    """The accuracy of always answering the most frequent class, given the images of each class.

    Raises:
        ValueError: there is no image.

    """
    numbers = [int(count) for count in counts]
    if sum(numbers) <= 0:
        raise ValueError("no image in any class")
    return max(numbers) / sum(numbers)


def chance_line(chance: float, images: int) -> float:
    """The accuracy up to which a result counts as chance: two binomial standard errors above it."""
    return chance + 2 * float(np.sqrt(chance * (1 - chance) / images))


def collapsed(accuracy: ArrayLike, diverged: ArrayLike, chance: float, images: int) -> NDArray[np.bool_]:
    """Which runs collapsed: those that diverged, or whose accuracy on `images` is not above `chance_line`."""
    return np.asarray(diverged, dtype=bool) | ~(
        np.asarray(accuracy, dtype=float) > chance_line(chance, images)
    )


def collapse_table(
    groups: ArrayLike, accuracy: ArrayLike, diverged: ArrayLike, chance: float, images: int
) -> "pd.DataFrame":
    """How often the runs of each group collapsed, and their accuracy with and without those that did.

    A row per group in the order met: `group`, `runs`, how many `collapsed`, their `rate` and its Clopper–Pearson
    interval `ci_low`, `ci_high`, the `mean` accuracy of all and the `mean_of_rest`, `chance`, and the `line` up to
    which an accuracy counts as chance.

    Args:
        groups: (rows,), the arm of each run.
        accuracy: (rows,), fractions of `images`.
        diverged: (rows,) bool.
        chance: the accuracy of always answering the most frequent class.
        images: how many each accuracy is measured on.

    """
    import pandas as pd

    lost = collapsed(accuracy, diverged, chance, images)
    runs = pd.DataFrame({"group": groups, "accuracy": accuracy, "lost": lost})
    rows = []
    for group, part in runs.groupby("group", sort=False):
        n = int(part["lost"].sum())
        low, high = proportion_interval(n, len(part))
        row = {
            "group": group,
            "runs": len(part),
            "collapsed": n,
            "rate": n / len(part),
            "ci_low": low,
            "ci_high": high,
        }
        row |= {"mean": part["accuracy"].mean(), "mean_of_rest": part.loc[~part["lost"], "accuracy"].mean()}
        rows.append(row | {"chance": chance, "line": chance_line(chance, images)})
    return pd.DataFrame(rows)


def near_perfect(accuracy: float, images: int) -> bool:
    """Whether an accuracy on so many images lies within two binomial standard errors of 1."""
    return accuracy + 2 * math.sqrt(accuracy * (1 - accuracy) / images) >= 1
