"""The tables of `stability`: what trains by rate and depth, and how far that goes."""

from typing import Any

import pandas as pd

from takeoff.statistics.intervals import proportion_interval


def _grid(networks: pd.DataFrame, tuning: pd.DataFrame) -> pd.DataFrame:
    """The tuning runs of the networks, with norm and depth."""
    own = tuning[tuning["arm"].isin(networks.index)]
    return own.assign(norm=own["arm"].map(networks["norm"]), depth=own["arm"].map(networks["depth"]))


def map_table(networks: pd.DataFrame, tuning: pd.DataFrame, trains: float, line: float) -> pd.DataFrame:
    """A row per norm, depth and rate; `line` is the training accuracy up to which a run is at chance."""
    rows = []
    for (norm, depth, rate), group in _grid(networks, tuning).groupby(["norm", "depth", "learning_rate"]):
        diverged = group["diverged"].astype(bool)
        collapsed = int((diverged | ~(group["train_accuracy"] > line)).sum())
        low, high = proportion_interval(collapsed, len(group))
        rows.append(
            {
                "norm": norm,
                "depth": depth,
                "learning_rate": rate,
                "runs": len(group),
                "train_accuracy": group["train_accuracy"].mean(),
                "validation_accuracy": group["validation_accuracy"].mean(),
                "trained": int((~diverged & (group["train_accuracy"] >= trains)).sum()),
                "collapsed": collapsed,
                "rate": collapsed / len(group),
                "ci_low": low,
                "ci_high": high,
            }
        )
    return pd.DataFrame(rows)


def limits_table(networks: pd.DataFrame, tuning: pd.DataFrame, trains: float) -> pd.DataFrame:
    """A row per tuning seed, norm and limit."""
    grid = _grid(networks, tuning)
    deepest = _common_depth(grid, trains)
    rows = []
    for (seed, norm), group in grid.groupby(["seed", "norm"], sort=False):
        trained = ~group["diverged"].astype(bool) & (group["train_accuracy"] >= trains)
        at_depth = group["depth"] == deepest
        for limit, column, points, passed in (
            ("rate", "learning_rate", group[at_depth], group[at_depth & trained]),
            ("depth", "depth", group, group[trained]),
        ):
            steps = sorted(points[column].unique())
            found = {"seed": seed, "norm": norm, "limit": limit, "at_depth": deepest}
            rows.append(found | _limit(steps, sorted(passed[column].unique())))
    return pd.DataFrame(rows)


def _common_depth(grid: pd.DataFrame, trains: float) -> int:
    """The greatest depth where both norms train at some rate in most seeds; the least if there is none."""
    trained = grid[~grid["diverged"].astype(bool) & (grid["train_accuracy"] >= trains)]
    seeds = grid["seed"].nunique()
    of_norm = trained.groupby(["depth", "norm"])["seed"].nunique().gt(seeds / 2).groupby("depth").sum()
    both = of_norm.index[of_norm == grid["norm"].nunique()]
    return int(both.max() if len(both) else grid["depth"].min())


def _limit(steps: list[float], passed: list[float]) -> dict[str, Any]:
    """The greatest of `steps` that passed, the next, and on which side of the grid the limit may lie."""
    if not passed:
        return {"value": steps[0], "next": steps[0], "censored": "below"}
    place = steps.index(passed[-1])
    if place == len(steps) - 1:
        return {"value": passed[-1], "next": float("inf"), "censored": "above"}
    return {"value": passed[-1], "next": steps[place + 1], "censored": "no"}
