"""Batch norm's speed-up: epochs to a height that other runs fixed, and seconds per step, plain against batch norm."""

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


def speed_tables(factorial: Design, results: Results, validation: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Two tables, without rows where the study has no such pair of arms.

    - `speed_up`: a row per seed: both arms' names, the `threshold` (a fraction: of what the plain arm's runs with all
      other seeds end at, so that nothing is measured by a height that it fixed; empty where there is one seed), each
      arm's epochs to it, whether these are `_censored` (the curve ends first: a lower bound), and their `ratio`, plain
      over batch norm (empty where a curve starts at the threshold).
    - `step_seconds`: a row per block of timed steps on the device that the runs were trained on: the seconds of a
      step of each arm, and their `ratio`.

    `validation` is both arms' validation accuracy, epochs × (arm, seed); a diverged run counts as chance.
    """
    if isinstance(factorial.speed_pair, str):
        return {"speed_up": pd.DataFrame(columns=CROSSINGS), "step_seconds": pd.DataFrame(columns=STEPS)}
    plain, norm = (arm.name for arm in factorial.speed_pair)
    rows, horizon = [], factorial.scoring.horizon
    for seed in sorted({*validation[plain]} & {*validation[norm]}):
        height = SHARE * validation[plain].iloc[-1].drop(seed).mean()
        one, other = (first_crossing(validation.index, validation[arm, seed], height, horizon) for arm in (plain, norm))
        ratio = one[0] / other[0] if height > 0 and one[0] > 0 and other[0] > 0 else np.nan
        rows.append((seed, plain, norm, height, *one, *other, ratio))
    return {"speed_up": pd.DataFrame(rows, columns=CROSSINGS), "step_seconds": _step_seconds(results, plain, norm)}


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
