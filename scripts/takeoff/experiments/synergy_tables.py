"""The synergy experiment's tables: cells, effects and Shapley shares, and each factor alone beside older methods."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from takeoff.errors import TakeoffError
from takeoff.experiments.synergy_claims import ALONE, cell, older
from takeoff.statistics.chance import collapsed
from takeoff.statistics.design import design_of
from takeoff.statistics.effects import effects_table
from takeoff.statistics.intervals import mean_interval
from takeoff.statistics.responses import responses_of

if TYPE_CHECKING:
    from takeoff.experiments.registry import Results
    from takeoff.experiments.synergy import Place

FACTORS = ("data", "computation", "algorithms")
RESPONSES = ("test_accuracy", "test_accuracy_log_odds")
KEPT = ("method", "train_samples", "epochs", "learning_rate", "flops", "seconds", "at_edge", "untuned")
"""Columns of runs.parquet that stay, where they are."""


def analysed(
    places: "Mapping[str, Place]", plain: tuple[str, ...], results: "Results", chance: tuple[float, int]
) -> dict[str, pd.DataFrame]:
    """The tables, of arms by name; `chance` as `chance_of` gives it."""
    runs = _runs(places, results, chance)
    effects = [_effects(runs, activation) for activation in plain]
    alone = [row for activation in plain for row in _alone(runs, activation)]
    return {
        "cells": _cells(runs),
        "runs": runs,
        "effects": pd.concat(effects, ignore_index=True),
        "alone": pd.DataFrame(alone),
    }


def _runs(places: "Mapping[str, Place]", results: "Results", chance: tuple[float, int]) -> pd.DataFrame:
    given = results.runs[results.runs["arm"].isin(places)]
    for name in places:
        if not (given["arm"] == name).any():
            raise TakeoffError(f"synergy: arm {name} has no run; train it again")
    if given.duplicated(["arm", "seed"]).any():
        raise TakeoffError("synergy: an arm has two runs with one seed; valid: one")
    order = given["arm"].map(list(places).index)
    given = given.iloc[np.lexsort([given["seed"], order])].reset_index(drop=True)
    runs = given[["arm", "seed"]].copy()
    for factor in FACTORS:
        runs[factor] = [getattr(places[arm], factor) for arm in runs["arm"]]
    # An older method has no steps to diverge in.
    given = given.assign(diverged=[value is True or value == 1 for value in given["diverged"]])
    names = [*RESPONSES, "validation_accuracy", "train_accuracy"]
    runs = runs.assign(**responses_of(given, names, chance[1], chance[0], "synergy"))
    runs["diverged"], runs["chance"] = given["diverged"], chance[0]
    runs["collapsed"] = collapsed(runs["test_accuracy"], runs["diverged"], *chance)
    runs = runs.assign(**{name: given[name] for name in KEPT if name in given})
    return runs.assign(chosen=runs["arm"].isin(_chosen(runs)))


def _chosen(runs: pd.DataFrame) -> set[str]:
    """At each size, the older method with the best mean validation accuracy; the first where two tie."""
    rivals = runs[runs["algorithms"] == "older"]
    means = rivals.groupby(["data", "arm"], sort=False)["validation_accuracy"].mean()
    return {means[size].idxmax() for size in rivals["data"].unique()}


def _cells(runs: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for arm, group in runs.groupby("arm", sort=False):
        first = group.iloc[0]
        row = {"arm": arm, **{factor: first[factor] for factor in FACTORS}, "n_seeds": len(group)}
        row |= {f"n_{flag}": int(group[flag].sum()) for flag in ("diverged", "collapsed")}
        row |= {name: first[name] for name in ("chosen", "chance", *KEPT) if name in runs}
        for name in ("flops", "seconds"):
            if name in runs:
                row[name] = group[name].astype(float).mean()
        for name in ("test_accuracy", "validation_accuracy"):
            row[name], row[f"{name}_low"], row[f"{name}_high"], _ = mean_interval(group[name])
        rows.append(row)
    return pd.DataFrame(rows)


def _effects(runs: pd.DataFrame, plain: str) -> pd.DataFrame:
    """The 2^3 design with plain networks of one activation."""
    own = runs[runs["algorithms"].isin([plain, "modern"])].reset_index(drop=True)
    baselines = {"data": "little", "computation": "little", "algorithms": plain}
    design = design_of(own, list(FACTORS), baselines, "synergy")
    table = effects_table(design, {name: own[name] for name in RESPONSES}, own["diverged"])
    table.insert(0, "plain", plain)
    return table


def _alone(runs: pd.DataFrame, plain: str) -> list[dict[str, object]]:
    """A row for none, each factor alone, and all."""
    rows: list[dict[str, object]] = []
    none = cell(runs, "none", plain)
    for factor, (data, _, _) in ALONE.items():
        own, rival = cell(runs, factor, plain), older(runs, data)
        gain, lead = (own - none).dropna(), (own - rival).dropna()
        for sort, pairs in (("plain network without any", gain), ("older method", lead)):
            if pairs.empty:
                raise TakeoffError(
                    f"synergy: {factor} and the {sort} have no seed in common; valid: one or more"
                )
        row: dict[str, object] = {"plain": plain, "alone": factor, "data": data}
        for name, values in (("test_accuracy", own), ("gain", gain), ("lead", lead), ("older", rival)):
            size = max(float(own.abs().max()), float(rival.abs().max()))
            found = mean_interval(values, size=size)
            row |= {name: found.estimate, f"{name}_low": found.low, f"{name}_high": found.high}
        chosen = runs[(runs["data"] == data) & runs["chosen"]]
        rows.append(row | {"older_method": chosen["method"].iloc[0], "n_seeds": len(gain)})
    return rows
