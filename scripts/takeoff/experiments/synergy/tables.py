"""The synergy experiment's tables: cells, effects and Shapley shares, and each factor alone beside older methods."""

from collections.abc import Iterator

import pandas as pd

from takeoff.experiments.base import Results
from takeoff.experiments.chance import chance_of
from takeoff.experiments.synergy.design import Design, Place
from takeoff.statistics.chance import collapsed
from takeoff.statistics.design import design_of
from takeoff.statistics.effects import effects_table
from takeoff.statistics.intervals import mean_interval
from takeoff.statistics.responses import responses_of

FACTORS = ("data", "computation", "algorithms")
ALONE = {
    "none": ("little", "little", False),
    "data": ("much", "little", False),
    "computation": ("little", "much", False),
    "algorithms": ("little", "little", True),
    "all": ("much", "much", True),
}
"""Data, computation, and whether algorithms are the modern ones: no factor, each alone, and all."""
RESPONSES = ("test_accuracy", "test_accuracy_log_odds")
KEPT = ["method", "train_samples", "epochs", "flops", "seconds"]


def analyse(synergy: Design, results: Results) -> dict[str, pd.DataFrame]:
    """The tables of the experiment; accuracies are fractions.

    - `runs`: a row per run, of networks and of older methods: `data`, `computation`, `algorithms`, rate of `dropout`,
      accuracies, `flops` of its training, `chance`. `chosen` marks, of what shares the first three, the arm with the
      best mean validation accuracy: at each size an older method, in each cell a modern network.
    - `cells`: a row per arm: counts, mean and t interval of test accuracy, validation accuracy, mean flops.
    - `effects`: the columns of `statistics.effects.COLUMNS` for the 2^3 design of chosen arms from all little to all
      much, on test accuracy and its log-odds; by the activation of the `plain` networks.
    - `alone`: by `plain` activation, from all little with each factor `alone`, and with `all`: test accuracy, its
      gain, and its lead over the best `older` method on the same data, each with its t interval over paired seeds; the
      chosen networks' `recipe` and the `older_method`.

    A TakeoffError says that runs or card do not fit the study.
    """
    runs = _runs(synergy, results)
    return {
        "cells": _cells(runs),
        "runs": runs,
        "effects": pd.concat([_effects(runs, plain) for plain in synergy.options.plain], ignore_index=True),
        "alone": pd.DataFrame([row for plain in synergy.options.plain for row in _alone(runs, plain)]),
    }


def cell(runs: pd.DataFrame, factor: str, plain: str) -> pd.Series:
    """Test accuracy by seed of the networks chosen for one of `ALONE`, `plain` or modern; its name is their recipe."""
    data, computation, modern = ALONE[factor]
    at = (runs["data"] == data) & (runs["computation"] == computation) & runs["chosen"].astype(bool)
    own = runs[at & (runs["algorithms"] == ("modern" if modern else plain))]
    rate = own["dropout"].iloc[0]
    return own.set_index("seed")["test_accuracy"].rename(f"dropout {rate:g}" if rate else "no dropout")


def older(runs: pd.DataFrame, data: str) -> pd.Series:
    """Test accuracy by seed of the older method chosen at a size; its name is the series'."""
    own = runs[(runs["algorithms"] == "older") & (runs["data"] == data) & runs["chosen"].astype(bool)]
    return own.set_index("seed")["test_accuracy"].rename(own["method"].iloc[0])


def _runs(synergy: Design, results: Results) -> pd.DataFrame:
    chance, images = chance_of(results.card, synergy.study)
    places = [(arm.name, *place) for place, arm in (*synergy.networks.items(), *synergy.rivals)]
    order = pd.DataFrame(places, columns=["arm", *Place._fields])
    given = order.merge(results.runs.sort_values("seed"), on="arm", suffixes=("", "_of_run"))
    names = [*RESPONSES, "validation_accuracy", "train_accuracy"]
    runs = given[["arm", "seed", *Place._fields]].assign(**responses_of(given, names, images, chance, "synergy"))
    runs["diverged"], runs["chance"] = given["diverged"].astype(bool), chance
    runs["collapsed"] = collapsed(runs["test_accuracy"], runs["diverged"], chance, images)
    runs = runs.join(given.reindex(columns=[*KEPT, "learning_rate", "at_edge", "untuned"]))
    means = runs.groupby([*FACTORS, "arm"], sort=False)["validation_accuracy"].mean()
    chosen = means.groupby([*FACTORS], sort=False).idxmax().str[-1]  # the first where two tie
    return runs.assign(chosen=runs["arm"].isin(chosen))


def _cells(runs: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for arm, group in runs.groupby("arm", sort=False):
        first = group.iloc[0]
        row = {"arm": arm, **first[[*Place._fields]], "n_seeds": len(group)}
        row |= {f"n_{flag}": int(group[flag].sum()) for flag in ("diverged", "collapsed")}
        row |= dict(first[["chosen", "chance", *KEPT]])
        row |= {name: group[name].astype(float).mean() for name in ("flops", "seconds")}
        for name in ("test_accuracy", "validation_accuracy"):
            row |= mean_interval(group[name]).named(name)
        rows.append(row)
    return pd.DataFrame(rows)


def _effects(runs: pd.DataFrame, plain: str) -> pd.DataFrame:
    """The 2^3 design with plain networks of one activation."""
    own = runs[runs["algorithms"].isin([plain, "modern"]) & runs["chosen"]].reset_index(drop=True)
    baselines = {"data": "little", "computation": "little", "algorithms": plain}
    design = design_of(own, list(FACTORS), baselines, "synergy")
    table = effects_table(design, {name: own[name] for name in RESPONSES}, own["diverged"])
    table.insert(0, "plain", plain)
    return table


def _alone(runs: pd.DataFrame, plain: str) -> Iterator[dict[str, object]]:
    """A row for none, each factor alone, and all."""
    none = cell(runs, "none", plain)
    for factor, (data, _, _) in ALONE.items():
        own, rival = cell(runs, factor, plain), older(runs, data)
        size = max(float(own.abs().max()), float(rival.abs().max()))
        row: dict[str, object] = {"plain": plain, "alone": factor, "data": data}
        columns = {"test_accuracy": own, "gain": own - none, "lead": own - rival, "older": rival}
        for name, values in columns.items():
            row |= mean_interval(values, size=size).named(name)
        yield row | {"recipe": own.name, "older_method": rival.name, "n_seeds": len(own)}
