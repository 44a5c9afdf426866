"""The tables of `stability`: what trains by learning rate and depth, and how far that goes."""

import numpy as np
import pandas as pd

from takeoff.common.errors import TakeoffError
from takeoff.experiments.base import Results
from takeoff.experiments.chance import training_chance_of
from takeoff.experiments.stability.design import Design
from takeoff.statistics.chance import chance_line, collapsed
from takeoff.statistics.intervals import proportion_interval


def analyse(stability: Design, results: Results) -> dict[str, pd.DataFrame]:
    """The tables of the experiment; accuracies are fractions.

    - `map`: a row per norm, depth and learning rate: over the tuning seeds mean training and validation accuracy, how
      many runs `trained` and how many `collapsed` (diverged, or at chance on the training images), the collapse rate's
      Clopper–Pearson interval.
    - `limits`: a row per tuning seed, norm and `limit`: the largest `rate` that trains `at_depth`, the greatest depth
      where both norms train at some rate in most seeds, and the greatest `depth` that trains at any rate; where none
      does, the grid's least, flagged `below`; where the grid's greatest does, flagged `above`; `next`, the next point
      of the grid.

    A TakeoffError says that the line of `trains` is no better than chance, or that the card counts no training images.
    """
    trains, (chance, images) = stability.options.trains, training_chance_of(results.card, stability.study)
    if trains <= chance_line(chance, images):
        raise TakeoffError(
            f"stability.trains {trains:g} is no better than guessing; valid: above {chance_line(chance, images):.3f}"
        )
    runs = results.tuning.copy()
    for key in ("norm", "depth"):
        runs[key] = runs["arm"].map({arm.name: getattr(arm.network, key) for arm in stability.networks})
    runs["trained"] = (runs["train_accuracy"] >= trains) & ~runs["diverged"].astype(bool)
    runs["collapsed"] = collapsed(runs["train_accuracy"], runs["diverged"], chance, images)
    return {"map": _map(runs), "limits": _limits(runs)}


def _map(runs: pd.DataFrame) -> pd.DataFrame:
    """A row per norm, depth and learning rate."""
    place, rows = ["norm", "depth", "learning_rate"], []
    means, sums = ["train_accuracy", "validation_accuracy"], ["trained", "collapsed"]
    for key, group in runs.groupby(place):
        n, lost = len(group), group["collapsed"].sum()
        found = [*(group[name].mean() for name in means), *(group[name].sum() for name in sums)]
        rows.append((*key, n, *found, lost / n, *proportion_interval(lost, n)))
    return pd.DataFrame(rows, columns=[*place, "runs", *means, *sums, "rate", "ci_low", "ci_high"])


def _limits(runs: pd.DataFrame) -> pd.DataFrame:
    """A row per tuning seed, norm and limit."""
    deepest, rows = _common_depth(runs), []
    for (seed, norm), group in runs.groupby(["seed", "norm"], sort=False):
        at_depth = group[group["depth"] == deepest]
        for limit, column, own in (("rate", "learning_rate", at_depth), ("depth", "depth", group)):
            points, passed = sorted(own[column].unique()), own.loc[own["trained"], column]
            value = passed.max() if len(passed) else points[0]
            beyond = [*points, np.inf][points.index(value) + 1]
            censored = "no" if beyond < np.inf else "above"
            reach = (value, beyond, censored) if len(passed) else (value, value, "below")
            rows.append((seed, norm, limit, deepest, *reach))
    return pd.DataFrame(rows, columns="seed norm limit at_depth value next censored".split())


def _common_depth(runs: pd.DataFrame) -> int:
    """The greatest depth where both norms train at some learning rate in most seeds; the least if there is none."""
    trained = runs[runs["trained"]].groupby(["depth", "norm"])["seed"].nunique()
    both = (trained > runs["seed"].nunique() / 2).groupby("depth").sum()
    depths = both.index[both == runs["norm"].nunique()]
    return int(depths.max() if len(depths) else runs["depth"].min())
