"""The dropout experiment's tables: gap and test error by rate, size and steps, and what dropout does to them."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd

from takeoff.experiments.base import Results
from takeoff.experiments.chance import chance_of
from takeoff.experiments.dropout.design import Design
from takeoff.statistics.chance import collapsed
from takeoff.statistics.intervals import Interval, benjamini_hochberg, mean_interval
from takeoff.statistics.responses import GAP, responses_of

MEASURES = ("gap", "test_error", "train_error", "test_accuracy", "train_accuracy", "loss_change")
FLAGS = ["learning_rate", "at_edge", "untuned"]
NOTHING = Interval(*[np.nan] * 4)
PLACE = ["dropout", "images", "steps"]


def analyse(dropout: Design, results: Results) -> dict[str, pd.DataFrame]:
    """The tables of the experiment; accuracies, errors and gaps are fractions.

    - `runs`: a row per run: `dropout`, `images` (validation included), `steps` (multiple of the epochs), errors,
      `gap` (training − test accuracy), and `loss_change`: training loss after the last epoch − before it, below 0
      where it still falls; empty for a run that diverged.
    - `cells`: a row per arm: counts, learning rate, and mean and t interval over seeds of every measure in `runs`.
    - `differences`: what each rate of dropout does to gap and test error against the least one, paired by seed, at each
      size and number of steps: t interval, p, and p after Benjamini–Hochberg within each response.
    - `longer`: what more steps change in training and test error of each rate at the full size, paired by seed.

    A TakeoffError says that runs or card do not fit the study.
    """
    runs = _runs(dropout, results)
    full = runs[runs["images"] == runs["images"].max()]
    differences = _changes(runs, ("gap", "test_error"), ["images", "steps"], "dropout")
    adjusted = differences.groupby("response")["p_value"].transform(benjamini_hochberg)
    longer = _changes(full, ("train_error", "test_error"), ["dropout"], "steps")
    return {
        "cells": _cells(runs),
        "runs": runs,
        "differences": differences.assign(p_adjusted=adjusted),
        "longer": longer.drop(columns="p_value"),
    }


def _runs(dropout: Design, results: Results) -> pd.DataFrame:
    places = pd.DataFrame(list(dropout.cells), columns=PLACE)
    places["arm"] = [arm.name for arm in dropout.cells.values()]
    given = places.merge(results.runs.sort_values("seed"), on="arm", suffixes=("", "_of_run"))
    chance, images = chance_of(results.card, dropout.study)
    found = responses_of(given, ["test_accuracy", "train_accuracy", GAP], images, chance, "dropout")
    test, train = found["test_accuracy"], found["train_accuracy"]
    runs = given[["arm", "seed", *PLACE]].assign(gap=found[GAP], test_error=1 - test)
    runs = runs.assign(test_accuracy=test, train_accuracy=train, train_error=1 - train)
    losses = results.curves.sort_values("epoch").groupby(["arm", "seed"])["train_loss"]
    runs = runs.join(losses.agg(lambda loss: loss.diff().iloc[-1]).rename("loss_change"), on=["arm", "seed"])
    runs["loss_change"] = runs["loss_change"].where(np.isfinite(runs["loss_change"]))
    runs["diverged"] = given["diverged"].astype(bool)
    runs["collapsed"] = collapsed(runs["test_accuracy"], runs["diverged"], chance, images)
    return runs.join(given[FLAGS])


def _cells(runs: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for arm, group in runs.groupby("arm", sort=False):
        row = {"arm": arm, **group.iloc[0][PLACE], "n_seeds": len(group)}
        row |= {f"n_{flag}": int(group[flag].sum()) for flag in ("diverged", "collapsed")}
        row |= dict(group.iloc[0][FLAGS])
        for name in MEASURES:
            known = group[name].dropna()
            row |= (mean_interval(known) if len(known) else NOTHING).named(name)
        rows.append(row)
    return pd.DataFrame(rows)


def _changes(runs: pd.DataFrame, responses: Sequence[str], within: list[str], by: str) -> pd.DataFrame:
    """What each level of `by` changes against the least one, paired by seed, a row per response and place `within`."""
    rows = []
    for response, (place, group) in product(responses, runs.groupby(within)):
        wide = group.pivot(index="seed", columns=by, values=response)
        least, *levels = sorted(wide)
        for level in levels:
            size = float(wide[[least, level]].abs().max(axis=None))
            found = mean_interval(wide[level] - wide[least], size=size)
            rows.append((response, *place, level, least, *found, len(wide)))
    columns = ["response", *within, by, "over", "estimate", "ci_low", "ci_high", "p_value", "n_seeds"]
    return pd.DataFrame(rows, columns=columns)
