"""Chance: what guessing the most frequent class scores, and which accuracies are no better."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import pandas as pd


def majority_rate(counts: Iterable[int]) -> float:
    """The accuracy of always answering the most frequent class, given the images of each class.

    No image in any is a ValueError.
    """
    images = [int(count) for count in counts]
    if sum(images) <= 0:
        raise ValueError("no image in any class")
    return max(images) / sum(images)


def chance_line(chance: float, images: int) -> float:
    """The accuracy up to which a result counts as chance: two binomial standard errors above it."""
    return chance + 2 * float(np.sqrt(chance * (1 - chance) / images))


def near_perfect(accuracy: float, images: int) -> bool:
    """Whether an accuracy on so many images lies within two binomial standard errors of 1."""
    return bool(accuracy + 2 * np.sqrt(accuracy * (1 - accuracy) / images) >= 1)


def collapsed(accuracy: ArrayLike, diverged: ArrayLike, chance: float, images: int) -> NDArray[np.bool_]:
    """Which runs collapsed: those that diverged, or whose accuracy on `images` is not above `chance_line`."""
    above = np.asarray(accuracy, dtype=float) > chance_line(chance, images)
    return np.asarray(diverged, dtype=bool) | ~above


def collapse_table(
    groups: ArrayLike, accuracy: ArrayLike, diverged: ArrayLike, chance: float, images: int
) -> "pd.DataFrame":
    """How often the runs of each group collapsed, and their accuracy with and without those that did.

    A row per group in the order met: `group`, `runs`, how many `collapsed`, their `rate` and its Clopper–Pearson
    interval `ci_low`, `ci_high`, the `mean` accuracy of all and the `mean_of_rest`, `chance`, and the `line` up to
    which an accuracy counts as chance. The arguments are of each run, (runs,): its arm, its accuracy as a fraction of
    `images`, whether it diverged; and `chance`, the accuracy of always answering the most frequent class.
    """
    import pandas as pd

    from takeoff.statistics.intervals import proportion_interval

    lost = collapsed(accuracy, diverged, chance, images)
    runs = pd.DataFrame({"group": groups, "accuracy": accuracy, "lost": lost})
    rows = []
    for group, own in runs.groupby("group", sort=False):
        n, share = int(own["lost"].sum()), float(own["lost"].mean())
        means = own["accuracy"].mean(), own.loc[~own["lost"], "accuracy"].mean()
        interval = proportion_interval(n, len(own))
        rows.append((group, len(own), n, share, *interval, *means, chance, chance_line(chance, images)))
    columns = "group runs collapsed rate ci_low ci_high mean mean_of_rest chance line"
    return pd.DataFrame(rows, columns=columns.split())
