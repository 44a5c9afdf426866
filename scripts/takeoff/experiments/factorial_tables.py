"""The factorial experiment's tables of tuned cells, from runs and curves."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from takeoff.errors import TakeoffError
from takeoff.statistics.chance import collapsed
from takeoff.statistics.crossing import first_crossing
from takeoff.statistics.design import Design, design_of
from takeoff.statistics.effects import Contrast, contrasts_of, effects_table, pooled_table
from takeoff.statistics.equivalence import equivalence_table
from takeoff.statistics.fractional import fraction_contrasts
from takeoff.statistics.intervals import mean_band, mean_interval
from takeoff.statistics.pairing import pairing_table
from takeoff.statistics.responses import responses_of
from takeoff.statistics.tables import level_text
from takeoff.study.model import Level, Study

EPOCHS = "epochs_to_threshold"
RESPONSES = ("test_accuracy", "test_accuracy_log_odds", "generalisation_gap", EPOCHS)
"""What effects are measured on."""
IN_POINTS = ("test_accuracy", "generalisation_gap")
"""What the study's margin is about."""
CURVES = ("train_accuracy", "validation_accuracy", "train_loss", "validation_loss")
"""What is measured after every epoch."""
Levels = Mapping[str, Mapping[str, Level]]
"""Arm → factor → level."""


def of_arms(runs: pd.DataFrame, arms: Sequence[str]) -> pd.DataFrame:
    """The rows of `arms` alone, in their order and then the seeds'.

    Raises:
        TakeoffError: an arm has two runs with one seed.

    """
    found = runs[runs["arm"].isin(arms)]
    found = found.iloc[np.lexsort([found["seed"], found["arm"].map(list(arms).index)])].reset_index(drop=True)
    twice = found[found.duplicated(["arm", "seed"])]
    if len(twice):
        arm, seed = twice.iloc[0][["arm", "seed"]]
        raise TakeoffError(f"factorial: arm {arm} has two runs with seed {seed}; valid: one")
    return found


def complete_curves(runs: pd.DataFrame, curves: pd.DataFrame, chance: float) -> dict[str, pd.DataFrame]:
    """Each of `CURVES` as epochs × (arm, seed); where a diverged run has no accuracy, it is at chance."""
    keys = pd.MultiIndex.from_frame(runs[["arm", "seed"]])
    diverged = runs["diverged"].to_numpy(dtype=bool)
    wide = {}
    for name in CURVES:
        curve = curves.pivot(index="epoch", columns=["arm", "seed"], values=name).reindex(columns=keys)
        absent = curve.isna().all().to_numpy() & ~diverged
        if absent.any():
            arm, seed = keys[absent][0]
            raise TakeoffError(
                f"factorial: arm {arm}, seed {seed} has no {name} in its curve; train it again"
            )
        if name.endswith("accuracy"):
            curve = curve.where(np.isfinite(curve) | ~diverged, chance)
        wide[name] = curve
    return wide


def measured_runs(given: pd.DataFrame, levels: Levels, test: tuple[float, int]) -> pd.DataFrame:
    """A row per run of `given`: arm, seed, its cell's levels, accuracies and their log-odds, and what flags it.

    `test` is chance on the test images, and how many there are.
    """
    chance, images = test
    runs = given[["arm", "seed"]].copy()
    for factor in next(iter(levels.values())):
        runs[factor] = [level_text(levels[arm][factor]) for arm in runs["arm"]]
    names = [*RESPONSES[:3], "train_accuracy", "validation_accuracy"]
    runs = runs.assign(**responses_of(given, names, images, chance, "factorial"))
    runs["diverged"] = given["diverged"].astype(bool)
    runs["collapsed"] = collapsed(runs["test_accuracy"], runs["diverged"], chance, images)
    kept = [name for name in ("learning_rate", "at_edge", "untuned") if name in given]
    return pd.concat([runs, given[kept]], axis=1)


def with_crossings(
    runs: pd.DataFrame, validation: pd.DataFrame, threshold: float, horizon: float
) -> pd.DataFrame:
    """`runs` with `epochs_to_threshold`, and whether it is `censored`: the horizon, where it was not reached."""
    crossings = [
        first_crossing(validation.index, validation[run.arm, run.seed], threshold, horizon)
        for run in runs.itertuples()
    ]
    return runs.assign(
        epochs_to_threshold=[crossing.position for crossing in crossings],
        censored=[crossing.censored for crossing in crossings],
    )


def design_and_contrasts(
    study: Study, runs: pd.DataFrame, part: Sequence[Sequence[int]] | None
) -> tuple[Design, list[Contrast]]:
    """The runs as a design, and its effects; `part` are the cells of a fraction, None where all are trained."""
    factors = list(study.factors)
    baselines = {name: factor.baseline for name, factor in study.factors.items()}
    design = design_of(runs, factors, baselines, "factorial", part)
    return design, contrasts_of(design.levels) if part is None else fraction_contrasts(factors, part)


def effects(design: Design, contrasts: Sequence[Contrast], runs: pd.DataFrame) -> pd.DataFrame:
    """Every effect on every one of `RESPONSES`."""
    responses = {name: runs[name] for name in RESPONSES}
    censored = {EPOCHS: runs["censored"]}
    return effects_table(design, responses, runs["diverged"], contrasts=contrasts, censored=censored)


def equivalence(
    design: Design, contrasts: Sequence[Contrast], runs: pd.DataFrame, margin: float
) -> pd.DataFrame:
    """Two one-sided tests of main and simple effects on `IN_POINTS` against the margin (a fraction)."""
    return equivalence_table(design, {name: runs[name] for name in IN_POINTS}, margin, contrasts)


def pooled(design: Design, contrasts: Sequence[Contrast], runs: pd.DataFrame) -> pd.DataFrame:
    """Every effect with the pooled error of all cells, a sensitivity line; none on epochs where runs are censored,
    since a pooled error of bounds would be too small.
    """
    bounds = {EPOCHS} if runs["censored"].any() else set()
    return pooled_table(design, {name: runs[name] for name in RESPONSES if name not in bounds}, contrasts)


def cells(study: Study, runs: pd.DataFrame) -> pd.DataFrame:
    """A row per arm: its levels, counts, rate, and each response's mean, `_low` and `_high`."""
    rows = []
    for arm, group in runs.groupby("arm", sort=False):
        first = group.iloc[0]
        row = {"arm": arm, **{factor: first[factor] for factor in study.factors}, "n_seeds": len(group)}
        row["n_diverged"] = int(group["diverged"].sum())
        row |= {flag: int(group[flag].sum()) for flag in ("collapsed", "censored")}
        row |= {name: first[name] for name in ("learning_rate", "at_edge", "untuned") if name in runs}
        for name in (*RESPONSES, "train_accuracy", "validation_accuracy"):
            row[name], row[f"{name}_low"], row[f"{name}_high"], _ = mean_interval(group[name])
        rows.append(row)
    return pd.DataFrame(rows)


def pairing(design: Design, contrasts: Sequence[Contrast], runs: pd.DataFrame) -> pd.DataFrame:
    """What pairing by seed bought, of each of `RESPONSES`."""
    return pairing_table(design, {name: runs[name] for name in RESPONSES}, contrasts)


def mean_curves(runs: pd.DataFrame, curves: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """A row per arm and epoch: `n_seeds` with an accuracy, and each measure's mean, `_low` and `_high`."""
    parts = []
    for arm in runs["arm"].unique():
        part = pd.DataFrame({"arm": arm, "epoch": curves["train_accuracy"].index})
        for name in CURVES:
            band = mean_band(curves[name][arm])
            if name == "train_accuracy":
                part["n_seeds"] = band.n
            part[name], part[f"{name}_low"], part[f"{name}_high"] = band.mean, band.low, band.high
        parts.append(part[part["n_seeds"] > 0])
    return pd.concat(parts, ignore_index=True)
