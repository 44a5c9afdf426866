"""The tables of `stability`: what trains by learning rate and depth, and how far that goes."""

import numpy as np
import pandas as pd

from takeoff.experiments.base import Results
from takeoff.experiments.chance import guessing_loss, training_chance_of
from takeoff.experiments.stability.design import Design
from takeoff.statistics.chance import chance_line, collapsed
from takeoff.statistics.intervals import proportion_interval

NETWORK = ["activation", "norm", "depth"]
BEGUN = 0.02
"""By how many nats below that of guessing a loss shows that learning has begun, as in the claims of `depth`."""


def analyse(stability: Design, results: Results) -> dict[str, pd.DataFrame]:
    """The tables of the experiment; accuracies are fractions.

    - `map`: a row per activation, norm, depth and learning rate: over the tuning seeds mean training and validation
      accuracy, how many runs `trained` and how many `collapsed` (diverged, or at chance on the training images), the
      collapse rate's Clopper–Pearson interval.
    - `limits`: a row per tuning seed, activation, norm and `limit`: the largest `rate` that trains, at `rates_at`
      layers, and the greatest `depth` that trains at any rate; where none does, the grid's least, flagged `below`;
      `next`, the least point beyond which the limit cannot lie; `above` where it may lie beyond the grid. A depth that
      has begun to learn may yet train with more steps: the limit may lie there.

    Rates and seeds that another experiment adds to an arm do not count, so that both norms are tried at the same.

    A TakeoffError says that the line of `trains` is no better than chance, or that the card counts no training images.
    """
    trains, (chance, images) = stability.options.trains, training_chance_of(results.card, stability.study)
    stability.check(0.0, chance_line(chance, images))
    arms = {arm.name: arm for arm in stability.networks}
    own = [row.learning_rate in (arms[row.arm].learning_rates or ()) for row in results.tuning.itertuples()]
    runs = results.tuning[own].copy()
    runs = runs[runs.groupby("seed")["arm"].transform("nunique") == len(arms)]
    for key in NETWORK:
        runs[key] = runs["arm"].map({name: getattr(arm.network, key) for name, arm in arms.items()})
    runs["collapsed"] = collapsed(runs["train_accuracy"], runs["diverged"], chance, images)
    runs["trained"] = (runs["train_accuracy"] >= trains) & ~runs["collapsed"]
    begun = guessing_loss(results.card) - runs["train_loss"].astype(float) > BEGUN
    runs["may_train"] = runs["trained"] | (begun & ~runs["diverged"].astype(bool))
    return {"map": _map(runs), "limits": _limits(runs, stability.options.rates_at)}


def _map(runs: pd.DataFrame) -> pd.DataFrame:
    """A row per activation, norm, depth and learning rate."""
    place, rows = [*NETWORK, "learning_rate"], []
    means, sums = ["train_accuracy", "validation_accuracy"], ["trained", "collapsed"]
    for key, group in runs.groupby(place):
        n, lost = len(group), group["collapsed"].sum()
        found = [*(group[name].mean() for name in means), *(group[name].sum() for name in sums)]
        rows.append((*key, n, *found, lost / n, *proportion_interval(lost, n)))
    return pd.DataFrame(rows, columns=[*place, "runs", *means, *sums, "rate", "ci_low", "ci_high"])


def _limits(runs: pd.DataFrame, rates_at: int) -> pd.DataFrame:
    """A row per tuning seed, activation, norm and limit."""
    rows = []
    for place, group in runs.groupby(["seed", "activation", "norm"], sort=False):
        at_depth = group[group["depth"] == rates_at]
        # More steps may train a network that is deep; at too large a rate they do not (four times as many, on digits).
        for limit, column, own, open_ in (
            ("rate", "learning_rate", at_depth, at_depth["trained"]),
            ("depth", "depth", group, group["may_train"]),
        ):
            points = [*sorted(own[column].unique()), np.inf]
            passed, value = own.loc[own["trained"], column], points[0]
            beyond = points[points.index(own.loc[open_, column].max()) + 1] if open_.any() else value
            value = passed.max() if len(passed) else value
            censored = "below" if passed.empty else "above" if beyond == np.inf else "no"
            rows.append((*place, limit, value, beyond, censored))
    return pd.DataFrame(rows, columns="seed activation norm limit value next censored".split())
