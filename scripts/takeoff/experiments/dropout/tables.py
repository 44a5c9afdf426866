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

ACCURACIES = ["test_accuracy", "train_accuracy", "validation_accuracy"]
MEASURES = ("gap", "test_error", "train_error", *ACCURACIES, "loss_change")
WITHIN = ["images", "steps"]
PLACE = ["dropout", *WITHIN]


def analyse(dropout: Design, results: Results) -> dict[str, pd.DataFrame]:
    """The tables of the experiment; accuracies, errors and gaps are fractions.

    - `runs`: a row per run: `dropout`, `images` (validation included), `steps` (multiple of the epochs), errors, `gap`
      (training − test accuracy), `loss_change`: training loss after the last epoch − before it, empty for a run that
      diverged; and whether its rate is `chosen`: best in mean validation accuracy of the other seeds at its place.
    - `cells`: a row per arm: counts, and mean and t interval over seeds of every measure in `runs`.
    - `differences`: what each rate of dropout does to gap and test error against none, paired by seed, at each size and
      number of steps: t interval, p, and p after Benjamini–Hochberg within each response.
    - `chosen`: the same of the rate chosen for each seed, and which `rates` these are.
    - `longer`: what more steps change in training and test error of each rate at the greatest size, paired by seed.

    A TakeoffError says that runs or card do not fit the study.
    """
    runs = _runs(dropout, results)
    full = runs[runs["images"] == runs["images"].max()]
    differences = _changes(runs, ("gap", "test_error"), WITHIN, "dropout")
    adjusted = differences.groupby("response")["p_value"].transform(benjamini_hochberg)
    longer = _changes(full, ("train_error", "test_error"), ["dropout"], "steps")
    return {
        "cells": _cells(runs),
        "runs": runs,
        "differences": differences.assign(p_adjusted=adjusted),
        "chosen": _chosen(runs),
        "longer": longer.drop(columns="p_value"),
    }


def _runs(dropout: Design, results: Results) -> pd.DataFrame:
    places = pd.DataFrame(list(dropout.cells), columns=PLACE)
    places["arm"] = [arm.name for arm in dropout.cells.values()]
    given = places.merge(results.runs.sort_values("seed"), on="arm", suffixes=("", "_of_run"))
    chance, images = chance_of(results.card, dropout.study)
    found = responses_of(given, [*ACCURACIES, GAP], images, chance, "dropout")
    runs = given[["arm", "seed", *PLACE]].assign(gap=found.pop(GAP), **found)
    runs = runs.assign(test_error=1 - runs["test_accuracy"], train_error=1 - runs["train_accuracy"])
    losses = results.curves.sort_values("epoch").groupby(["arm", "seed"])["train_loss"]
    runs = runs.join(losses.agg(lambda loss: loss.diff().iloc[-1]).rename("loss_change"), on=["arm", "seed"])
    runs["loss_change"] = runs["loss_change"].where(np.isfinite(runs["loss_change"]))
    runs["diverged"] = given["diverged"].astype(bool)
    runs["collapsed"] = collapsed(runs["test_accuracy"], runs["diverged"], chance, images)
    # Chosen by the other seeds, as its own luck would speak for what did well in a seed; of equals the least rate.
    dropped = runs[runs["dropout"] > 0]
    others = dropped.groupby(PLACE)["validation_accuracy"].transform("sum") - dropped["validation_accuracy"]
    runs["chosen"] = runs.index.isin(others.groupby([dropped[name] for name in (*WITHIN, "seed")]).idxmax())
    return runs.join(given[["learning_rate", "at_edge", "untuned"]])


def _chosen(runs: pd.DataFrame) -> pd.DataFrame:
    switched = runs[runs["chosen"] | (runs["dropout"] == 0)].assign(switched=(runs["dropout"] > 0).astype(int))
    table = _changes(switched, ("gap", "test_error"), WITHIN, "switched").drop(columns=["switched", "over"])
    taken = runs[runs["chosen"]].groupby(WITHIN)["dropout"].value_counts().sort_index().reset_index()
    words = [f"{rate:g} in {number} seeds" for rate, number in zip(taken["dropout"], taken["count"], strict=True)]
    return table.join(taken.assign(rates=words).groupby(WITHIN)["rates"].agg(", ".join), on=WITHIN)


def _cells(runs: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for arm, group in runs.groupby("arm", sort=False):
        row = {"arm": arm, **group.iloc[0][PLACE], "n_seeds": len(group)}
        row |= {f"n_{flag}": int(group[flag].sum()) for flag in ("diverged", "collapsed")}
        for name in MEASURES:
            known = group[name].dropna()
            row |= (mean_interval(known) if len(known) else Interval(*[np.nan] * 4)).named(name)
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
