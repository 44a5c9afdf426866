"""Batch norm's speed-up: epochs to a height fixed on tuning seeds, and seconds per step, plain against batch norm."""

import numpy as np
import pandas as pd

from takeoff.experiments.base import Results
from takeoff.experiments.factorial.design import Design
from takeoff.statistics.crossing import first_crossing

SHARE = 0.95
"""Of the plain arm's mean validation accuracy: the height that both arms' curves must reach."""
CROSSINGS = (
    "seed plain batch_norm threshold plain_epochs plain_censored batch_norm_epochs batch_norm_censored ratio"
).split()
STEPS = "block device threads precision plain_seconds batch_norm_seconds ratio".split()


def speed_tables(
    factorial: Design, results: Results, validation: pd.DataFrame, chance: float
) -> dict[str, pd.DataFrame]:
    """Two tables, without rows where the study has no such pair of arms.

    - `speed_up`: a row per seed: both arms' names, the `threshold` (a fraction; empty where nothing was tuned),
      each arm's epochs to it, whether these are `_censored` (the curve ends first: a lower bound), and their `ratio`,
      plain over batch norm (empty where a curve starts at the threshold).
    - `step_seconds`: a row per block of timed steps on the device that the runs were trained on: the seconds of a
      step of each arm, and their `ratio`.

    `validation` is validation accuracy, epochs × (arm, seed); a diverged run counts as `chance`.
    """
    if isinstance(factorial.speed_pair, str):
        return {"speed_up": pd.DataFrame(columns=CROSSINGS), "step_seconds": pd.DataFrame(columns=STEPS)}
    plain, norm = (arm.name for arm in factorial.speed_pair)
    threshold = SHARE * _tuned_accuracy(results, plain, chance)
    rows = []
    for seed in validation[plain].columns.intersection(validation[norm].columns):
        one, other = (
            first_crossing(validation.index, validation[arm, seed], threshold, factorial.study.recipe.epochs)
            if np.isfinite(threshold)
            else (np.nan, False)
            for arm in (plain, norm)
        )
        ratio = one[0] / other[0] if one[0] > 0 and other[0] > 0 else np.nan
        rows.append((seed, plain, norm, threshold, *one, *other, ratio))
    return {"speed_up": pd.DataFrame(rows, columns=CROSSINGS), "step_seconds": _step_seconds(results, plain, norm)}


def _tuned_accuracy(results: Results, arm: str, chance: float) -> float:
    """The arm's mean validation accuracy over tuning seeds at its chosen rate (a fraction); NaN where it was not
    tuned. A run that diverged counts as chance.
    """
    if not len(results.tuning):
        return float("nan")
    rate = results.runs.loc[results.runs["arm"] == arm, "learning_rate"].iloc[0]
    tuning = results.tuning[results.tuning["arm"] == arm]
    chosen = tuning[np.isclose(tuning["learning_rate"], rate, rtol=1e-9)]
    accuracy = chosen["validation_accuracy"].where(~chosen["diverged"].astype(bool), chance)
    return float(accuracy.mean())


def _step_seconds(results: Results, plain: str, norm: str) -> pd.DataFrame:
    """The timed steps of both arms by block, where the runs were trained, with as many threads as were tried."""
    if results.speed is None:
        return pd.DataFrame(columns=STEPS)
    own = results.runs.loc[results.runs["arm"].isin([plain, norm]), ["device", "precision"]]
    steps = results.speed[(results.speed["kind"] == "step") & results.speed["name"].isin([plain, norm])]
    steps = steps.merge(own.drop_duplicates()).fillna({"threads": 0})  # a GPU has none
    steps = steps[steps["threads"] == steps["threads"].max()]
    where = ["block", "device", "threads", "precision"]
    wide = steps.pivot_table(index=where, columns="name", values="seconds", aggfunc="median")
    wide = wide.reindex(columns=[plain, norm]).dropna().reset_index().set_axis(STEPS[:-1], axis=1)
    return wide.assign(ratio=wide["plain_seconds"] / wide["batch_norm_seconds"])
