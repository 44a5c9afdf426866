"""The factorial's tables: effects, cells, curves, and what its claims and its one fixed rate rest on."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from takeoff.common.errors import TakeoffError
from takeoff.common.tables import level_text
from takeoff.experiments.answers import right_answers
from takeoff.experiments.base import Results
from takeoff.experiments.chance import chance_of
from takeoff.experiments.factorial.design import Design
from takeoff.experiments.factorial.fixed import fixed_tables
from takeoff.experiments.factorial.speed import speed_tables
from takeoff.statistics.chance import chance_line, collapse_table, collapsed
from takeoff.statistics.clustered import crossed_mean
from takeoff.statistics.crossing import first_crossing
from takeoff.statistics.design import Design as TwoLevels
from takeoff.statistics.design import design_of
from takeoff.statistics.effects import Contrast, contrasts_of, crossed_contrast, effects_table, equivalence_table
from takeoff.statistics.fractional import aliases_table, fraction_contrasts
from takeoff.statistics.intervals import mean_band, mean_interval
from takeoff.statistics.pairing import pairing_table, pooled_table
from takeoff.statistics.responses import is_accuracy, responses_of
from takeoff.study.arms import Arm

EPOCHS = "epochs_to_threshold"
RESPONSES = ("test_accuracy", "test_accuracy_log_odds", "generalisation_gap", EPOCHS)
"""What effects are measured on."""
IN_POINTS = ("test_accuracy", "generalisation_gap")
"""What the study's margin is about."""
CURVES = ("train_accuracy", "validation_accuracy", "train_loss", "validation_loss")
"""What is measured after every epoch."""

CROSSED = "term kind estimate ci_low ci_high crossed_low crossed_high n_seeds n_images"


def analyse(factorial: Design, results: Results) -> dict[str, pd.DataFrame]:
    """The tables of the experiment; accuracies and their differences are fractions.

    - `effects`: the columns of `statistics.effects.COLUMNS`, for every one of `RESPONSES`; of a fraction, main
      effects and interactions of two factors alone.
    - `cells`: a row per arm: levels, `n_seeds`, `n_diverged`, `collapsed`, `censored` (runs that never
      reached the threshold, so that `epochs_to_threshold` is a lower bound), the median of its rates, whether any lay
      at the grid's edge or had no reason, and mean and t interval of every response.
    - `collapse`: a row per arm: how many `runs` collapsed, the rate's Clopper–Pearson interval, test accuracy
      over all runs and over the rest. A run collapsed if it diverged, or if its test accuracy is not above
      `line`: chance (the rate of the test images' most frequent class) plus two binomial standard errors of
      the test images.
    - `pairing`: the mean correlation of arms over seeds, and for each main effect its variance over what it
      would be without common seeds (below 1, pairing helped).
    - `curves`: a row per arm and epoch: mean and t interval over `n_seeds`.
    - `runs`: a row per run: levels, seed, what was measured of it.
    - `test_images`: each effect on test accuracy but simple ones, its t interval over seeds, and the one that takes
      the test images as random, too (`crossed_low`, `crossed_high`): what other test images might have shown. Empty
      where runs have no record of their answers.
    - `equivalence`: which main and simple effects on accuracy are shown to lie within the study's margin: the
      columns of `statistics.effects.EQUIVALENCE_COLUMNS`.
    - `pooled`: each effect with the interval from the pooled error of all cells, which takes all cells as equally
      noisy: a check of the t intervals, never the result; none on epochs where a run never got there, since a
      pooled error of bounds would be too small.
    - `speed_up`, `step_seconds`: batch norm against none, see `factorial.speed`; `speed_curves`: as `curves`, of these
      two networks as often as they are scored, in whole epochs.
    - `fixed_effects`, `fixed_cells`, `fixed`: at the one rate, and against tuned rates, see `factorial.fixed`.
    - `aliases`: of a fraction, see `statistics.fractional.aliases_table`.

    A diverged run's accuracy counts as chance wherever it has none, on its curve from where that stops. A TakeoffError
    says what of the runs, curves or card does not fit the study.
    """
    study, options, part = factorial.study, factorial.options, factorial.fraction
    factors, horizon = list(study.factors), study.recipe.epochs
    chance, images = test = chance_of(results.card, study)
    factorial.check(chance_line(chance, images), 0.0)
    runs, design = _measured(factorial, factorial.tuned_arms, results.runs, test)
    curves = _complete_curves(runs, results.curves, chance)
    validation = curves["validation_accuracy"]
    crossings = [
        first_crossing(validation.index, validation[run.arm, run.seed], options.threshold, horizon)
        for run in runs.itertuples()
    ]
    runs[[EPOCHS, "censored"]] = pd.DataFrame(crossings, index=runs.index)
    contrasts = contrasts_of(design.levels) if part is None else fraction_contrasts(factors, part)
    responses, censored = {name: runs[name] for name in RESPONSES}, runs["censored"]
    bounds = {EPOCHS: censored}
    collapse = collapse_table(runs["arm"], runs["test_accuracy"], runs["diverged"], chance, images)
    pooled = {name: of for name, of in responses.items() if name != EPOCHS or not censored.any()}
    in_points = {name: runs[name] for name in IN_POINTS}
    tables = {
        "effects": _possible(effects_table(design, responses, runs["diverged"], contrasts=contrasts, censored=bounds)),
        "cells": _cells(runs, factors),
        "collapse": collapse.rename(columns={"group": "arm"}),
        "pairing": pairing_table(design, responses, contrasts),
        "curves": _mean_curves(runs, curves),
        "runs": runs,
        "equivalence": equivalence_table(design, in_points, study.margin, contrasts),
        "pooled": pooled_table(design, pooled, contrasts),
        "test_images": _crossed(factorial, design, contrasts, results.runs, test),
        **_speed(factorial, results, chance),
    }
    if options.fixed_rate is not None:
        fixed, its_design = _measured(factorial, factorial.fixed_arms, results.runs, test)
        same = runs[runs["seed"].isin(fixed["seed"])].reset_index(drop=True)
        tuned = (_two_levels(factorial, same), same)
        tables |= fixed_tables(options.fixed_rate, contrasts, tuned, (its_design, fixed))
    if part is not None:
        tables["aliases"] = aliases_table(factors, part)
    return tables


def _speed(factorial: Design, results: Results, chance: float) -> dict[str, pd.DataFrame]:
    """The tables of `factorial.speed`, and the curves that they rest on."""
    runs = results.runs[results.runs["arm"].isin([arm.name for arm in factorial.timed()])]
    if runs.empty:
        return {"speed_curves": pd.DataFrame(columns=["arm", "epoch"]), **speed_tables(factorial, results, runs)}
    curves = _complete_curves(runs, results.curves, chance)
    curves = {name: curve.set_axis(curve.index * factorial.scoring.share) for name, curve in curves.items()}
    validation = curves["validation_accuracy"]
    return {"speed_curves": _mean_curves(runs, curves), **speed_tables(factorial, results, validation)}


def _crossed(
    factorial: Design, design: TwoLevels, contrasts: Sequence[Contrast], runs: pd.DataFrame, test: tuple[float, int]
) -> pd.DataFrame:
    """Effects on test accuracy over seeds, and over seeds and test images where runs have a record of these."""
    arms = pd.DataFrame({"arm": [arm.name for arm in factorial.tuned_arms]})
    given = arms.merge(runs.sort_values("seed", kind="stable"), on="arm")
    if "test_correct" not in given:
        return pd.DataFrame(columns=CROSSED.split())
    right = right_answers(given, "test", *test, "factorial")
    rows = []
    for contrast in (one for one in contrasts if one.kind != "simple"):
        found = crossed_contrast(design, contrast, right)
        own = mean_interval(found.mean(axis=1), size=1.0)
        rows.append((contrast.term, contrast.kind, *own[:3], *crossed_mean(found).interval(), *found.shape))
    return pd.DataFrame(rows, columns=CROSSED.split())


def _measured(
    factorial: Design, arms: Sequence[Arm], runs: pd.DataFrame, test: tuple[float, int]
) -> tuple[pd.DataFrame, TwoLevels]:
    """A row per run of `arms`, one per cell, in their order and then the seeds': its cell's levels, accuracies and
    their log-odds, and what flags it; and where these runs stand in the design. `test`: chance on the test images, and
    how many there are.
    """
    factors, (chance, images) = list(factorial.levels), test
    cells = pd.DataFrame(factorial.cells).map(level_text).assign(arm=[arm.name for arm in arms])
    given = runs.drop(columns=factors, errors="ignore").sort_values("seed", kind="stable")
    given = cells.merge(given, on="arm")
    design = _two_levels(factorial, given)
    names = [*RESPONSES[:3], "train_accuracy", "validation_accuracy"]
    found = given[["arm", "seed", *factors]].assign(
        **responses_of(given, names, images, chance, "factorial"), diverged=given["diverged"].astype(bool)
    )
    found["collapsed"] = collapsed(found["test_accuracy"], found["diverged"], chance, images)
    kept = [name for name in ("learning_rate", "weight_decay", "at_edge", "untuned") if name in given]
    return found.join(given[kept]), design


def _two_levels(factorial: Design, runs: pd.DataFrame) -> TwoLevels:
    baselines = {name: baseline for name, (baseline, _) in factorial.levels.items()}
    return design_of(runs, list(baselines), baselines, "factorial", factorial.fraction)


def _complete_curves(runs: pd.DataFrame, curves: pd.DataFrame, chance: float) -> dict[str, pd.DataFrame]:
    """Each of `CURVES` as epochs × (arm, seed); where a diverged run has no accuracy, it is at chance."""
    keys = pd.MultiIndex.from_frame(runs[["arm", "seed"]])
    diverged = runs["diverged"].to_numpy(dtype=bool)
    own = curves[curves["arm"].isin(runs["arm"])]
    measured, wide = own.pivot(index="epoch", columns=["arm", "seed"], values=[*CURVES]), {}
    for name in CURVES:
        curve = measured[name].reindex(columns=keys)
        for arm, seed in keys[curve.isna().all().to_numpy() & ~diverged]:
            raise TakeoffError(f"factorial: arm {arm}, seed {seed} has no {name} in its curve; train it again")
        if name.endswith("accuracy"):
            curve = curve.where(np.isfinite(curve) | ~diverged, chance)
        wide[name] = curve
    return wide


def _possible(effects: pd.DataFrame) -> pd.DataFrame:
    """Accuracies differ by 1 at most; a t interval of two seeds does not know that."""
    ends, accuracies = ["ci_low", "ci_high"], effects["response"].map(is_accuracy)
    return effects.assign(**effects[ends].where(~accuracies, effects[ends].clip(-1, 1)))


def _cells(runs: pd.DataFrame, factors: Sequence[str]) -> pd.DataFrame:
    """A row per arm: its levels, counts, rate, and each response's mean, `_low` and `_high`."""
    rows = []
    for arm, group in runs.groupby("arm", sort=False):
        first = group.iloc[0]
        row = {"arm": arm, **first[[*factors]], "n_seeds": len(group), "n_diverged": group["diverged"].sum()}
        row |= {flag: group[flag].sum() for flag in ("collapsed", "censored")}
        row |= group.filter(["learning_rate"]).median().to_dict() | group.filter(["at_edge", "untuned"]).any().to_dict()
        for name in (*RESPONSES, "train_accuracy", "validation_accuracy"):
            row |= mean_interval(group[name]).named(name)
        rows.append(row)
    return pd.DataFrame(rows)


def _mean_curves(runs: pd.DataFrame, curves: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """A row per arm and epoch: `n_seeds` with an accuracy, and each measure's mean, `_low` and `_high`."""
    parts = []
    for arm in runs["arm"].unique():
        bands = {name: mean_band(curves[name][arm]) for name in CURVES}
        part = pd.DataFrame({"arm": arm, "epoch": curves[CURVES[0]].index, "n_seeds": bands[CURVES[0]].n})
        for name, band in bands.items():
            part[name], part[f"{name}_low"], part[f"{name}_high"] = band.mean, band.low, band.high
        parts.append(part[part["n_seeds"] > 0])
    return pd.concat(parts, ignore_index=True)
