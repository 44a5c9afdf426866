"""Means of curves over seeds, with their intervals, from any table of points."""

import numpy as np
import pandas as pd

from takeoff.statistics.intervals import mean_band
from takeoff.statistics.tables import check_once, level_texts, numbers

COLUMNS = ("arm", "position", "mean", "ci_low", "ci_high", "n_seeds")


def bands_table(curves: pd.DataFrame, arm: str, position: str, value: str, source: str) -> pd.DataFrame:
    """A row per arm and position, with the columns `COLUMNS`: mean and Student t interval of the seeds with a value.

    Args:
        curves: a row per arm, seed and position, with a column `seed` (none: a single one).
        arm: the column that tells arms apart.
        position: a column of numbers, such as epochs.
        value: a column of numbers; empty where there is none.
        source: where the table was read from, for messages.

    Raises:
        TakeoffError: a column is absent or wrong, or a position stands twice in a curve.

    """
    seeds = level_texts(curves, "seed", source) if "seed" in curves else ["0"] * len(curves)
    points = pd.DataFrame(
        {
            "arm": level_texts(curves, arm, source),
            "seed": seeds,
            "position": numbers(curves, position, source),
        }
    )
    check_once(points, source)
    points["value"] = numbers(curves, value, source)
    parts = []
    for name, own in points.groupby("arm", sort=False):
        wide = own.pivot(index="position", columns="seed", values="value")
        band = mean_band(np.asarray(wide, dtype=float))
        columns = (name, wide.index, band.mean, band.low, band.high, band.n)
        parts.append(pd.DataFrame(dict(zip(COLUMNS, columns, strict=True))))
    return pd.concat(parts, ignore_index=True)
