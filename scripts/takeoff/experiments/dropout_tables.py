"""The dropout experiment's tables: gap and test error by rate, size and steps, and what dropout does to them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from takeoff.errors import TakeoffError
from takeoff.statistics.chance import collapsed
from takeoff.statistics.corrections import benjamini_hochberg
from takeoff.statistics.intervals import mean_interval
from takeoff.statistics.responses import GAP, responses_of
from takeoff.study.arms import Arm

if TYPE_CHECKING:
    from takeoff.experiments.registry import Results

MEASURES = ("gap", "test_error", "train_error", "test_accuracy", "train_accuracy", "loss_change")
FLAGS = ("learning_rate", "at_edge", "untuned")
PLACE = ["dropout", "images", "steps"]


def analysed(
    cells: "Mapping[tuple[float, int, int], Arm]", results: "Results", chance: tuple[float, int]
) -> dict[str, pd.DataFrame]:
    """The tables, of arms by rate, images and multiple of the epochs; `chance` as `chance_of` gives it."""
    runs = _runs(cells, results, chance)
    return {
        "cells": _cells(runs),
        "runs": runs,
        "differences": _differences(runs),
        "longer": longer(runs),
    }


def _runs(
    cells: "Mapping[tuple[float, int, int], Arm]", results: "Results", chance: tuple[float, int]
) -> pd.DataFrame:
    names = [arm.name for arm in cells.values()]
    given = results.runs[results.runs["arm"].isin(names)]
    for name in names:
        if not (given["arm"] == name).any():
            raise TakeoffError(f"dropout: arm {name} has no run; train it again")
    if given.duplicated(["arm", "seed"]).any():
        raise TakeoffError("dropout: an arm has two runs with one seed; valid: one")
    given = given.iloc[np.lexsort([given["seed"], given["arm"].map(names.index)])].reset_index(drop=True)
    place = {arm.name: cell for cell, arm in cells.items()}
    runs = given[["arm", "seed"]].copy()
    for i, column in enumerate(PLACE):
        runs[column] = [place[arm][i] for arm in runs["arm"]]
    found = responses_of(given, ["test_accuracy", "train_accuracy", GAP], chance[1], chance[0], "dropout")
    runs["gap"], runs["test_error"] = found[GAP], 1 - found["test_accuracy"]
    for name in ("test_accuracy", "train_accuracy"):
        runs[name] = found[name]
    runs["train_error"] = 1 - runs["train_accuracy"]
    runs["loss_change"] = _loss_change(runs, results.curves)
    runs["diverged"] = given["diverged"].astype(bool)
    runs["collapsed"] = collapsed(runs["test_accuracy"], runs["diverged"], *chance)
    return runs.assign(**{name: given[name] for name in FLAGS if name in given})


def _loss_change(runs: pd.DataFrame, curves: pd.DataFrame) -> np.ndarray:
    """Training loss after the last epoch less that an epoch before, (rows,); NaN where a run diverged."""
    changes = {}
    for key, curve in curves.groupby(["arm", "seed"]):
        losses = curve.sort_values("epoch")["train_loss"].to_numpy(dtype=float)
        changes[key] = losses[-1] - losses[-2] if losses.size > 1 else np.nan
    lost = [changes.get((run.arm, run.seed), np.nan) for run in runs.itertuples()]
    return np.where(np.isfinite(lost), lost, np.nan)


def _cells(runs: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for arm, group in runs.groupby("arm", sort=False):
        first = group.iloc[0]
        row = {"arm": arm, **{name: first[name] for name in PLACE}, "n_seeds": len(group)}
        row |= {f"n_{flag}": int(group[flag].sum()) for flag in ("diverged", "collapsed")}
        row |= {name: first[name] for name in FLAGS if name in runs}
        for name in MEASURES:
            row[name], row[f"{name}_low"], row[f"{name}_high"] = _mean(group[name])
        rows.append(row)
    return pd.DataFrame(rows)


def _mean(values: pd.Series) -> tuple[float, float, float]:
    """Mean and interval of what is there; NaN where nothing is."""
    known = values.dropna()
    return mean_interval(known)[:3] if len(known) else (np.nan, np.nan, np.nan)


def _differences(runs: pd.DataFrame) -> pd.DataFrame:
    """A row per response, size, number of steps and rate but the least."""
    rows = []
    for response in ("gap", "test_error"):
        for (images, steps), group in runs.groupby(["images", "steps"]):
            wide = group.pivot(index="seed", columns="dropout", values=response)
            least = min(wide)
            for rate in sorted(wide)[1:]:
                pair = wide[[least, rate]].dropna()
                if pair.empty:
                    raise TakeoffError(
                        f"dropout: dropout {least:g} and {rate:g} have no seed in common at {images} images"
                    )
                size = float(pair.abs().to_numpy().max())
                found = mean_interval(pair[rate] - pair[least], size=size)
                rows.append((response, images, steps, rate, least, *found, len(pair)))
    columns = "response images steps dropout over estimate ci_low ci_high p_value".split()
    table = pd.DataFrame(rows, columns=[*columns, "n_seeds"])
    for _, family in table.groupby("response"):
        table.loc[family.index, "p_adjusted"] = benjamini_hochberg(family["p_value"])
    return table


def longer(runs: pd.DataFrame) -> pd.DataFrame:
    """What more steps change at the full size, paired by seed: a row per response, rate and multiple of the steps."""
    full, rows = runs[runs["images"] == runs["images"].max()], []
    for response in ("train_error", "test_error"):
        for rate, group in full.groupby("dropout"):
            wide = group.pivot(index="seed", columns="steps", values=response)
            for steps in sorted(set(wide) - {1}):
                pair = wide[[1, steps]].dropna()
                if len(pair):
                    found = mean_interval(pair[steps] - pair[1], size=1)
                    rows.append((response, rate, steps, 1, *found[:3], len(pair)))
    columns = "response dropout steps over estimate ci_low ci_high n_seeds".split()
    return pd.DataFrame(rows, columns=columns)
