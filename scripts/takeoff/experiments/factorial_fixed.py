"""The factorial experiment at one rate for all: its effects, and how tuning each cell's rate changed them.

The rate is a hidden factor: Garbin 2020 has batch norm gain 2.3 points at rate 1e-4 and 27.3 at 1e-3.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from takeoff.experiments.factorial_tables import design_and_contrasts
from takeoff.statistics.design import Design
from takeoff.statistics.effects import Contrast, effects_table, seed_values
from takeoff.statistics.intervals import mean_interval
from takeoff.study.model import Study

RESPONSES = ("test_accuracy", "test_accuracy_log_odds")
SIDES = ("tuned", "fixed", "difference")


def fixed_tables(
    study: Study,
    rate: float,
    tuned: pd.DataFrame,
    fixed: pd.DataFrame,
    part: Sequence[Sequence[int]] | None,
) -> dict[str, pd.DataFrame]:
    """The tables at the one `rate`, from the runs of both as `factorial_tables.measured_runs` makes them.

    - `fixed_effects`: as `effects`, of the runs at the one rate, and `rate`.
    - `fixed`: a row per effect and response: `tuned`, `fixed` and `difference` (tuned − fixed, paired by seed), each
      with `_low` and `_high`, all on the seeds that both have (`n_seeds`); and `rate`.
    - `fixed_cells`: a row per cell: levels, `tuned_rate`, test accuracy and collapsed runs at either rate, on the
      same seeds.
    """
    design, contrasts = design_and_contrasts(study, fixed, part)
    at_rate = effects_table(
        design, {name: fixed[name] for name in RESPONSES}, fixed["diverged"], contrasts=contrasts
    )
    same = tuned[tuned["seed"].isin(fixed["seed"])].reset_index(drop=True)
    pair = (design_and_contrasts(study, same, part)[0], same), (design, fixed)
    return {
        "fixed_effects": at_rate.assign(rate=rate),
        "fixed": _compared(contrasts, pair).assign(rate=rate),
        "fixed_cells": _cells(study, rate, same, fixed),
    }


def _compared(
    contrasts: Sequence[Contrast], pair: tuple[tuple[Design, pd.DataFrame], tuple[Design, pd.DataFrame]]
) -> pd.DataFrame:
    rows = []
    for response in RESPONSES:
        matrices = [design.matrix(runs[response]) for design, runs in pair]
        size = max(float(np.nanmax(np.abs(matrix))) for matrix in matrices)
        for contrast in contrasts:
            values = []
            for (design, _), matrix in zip(pair, matrices, strict=True):
                found, seeds = seed_values(design, contrast, matrix)
                values.append(pd.Series(found, index=np.array(design.seeds)[seeds]))
            both = pd.concat(values, axis=1, join="inner").to_numpy()
            row: dict[str, object] = {"term": contrast.term, "kind": contrast.kind, "response": response}
            for side, sample in zip(SIDES, (*both.T, both[:, 0] - both[:, 1]), strict=True):
                row[side], row[f"{side}_low"], row[f"{side}_high"], _ = mean_interval(sample, size=size)
            rows.append(row | {"n_seeds": len(both)})
    return pd.DataFrame(rows)


def _cells(study: Study, rate: float, tuned: pd.DataFrame, fixed: pd.DataFrame) -> pd.DataFrame:
    factors, rows = list(study.factors), []
    groups = dict(tuple(fixed.groupby(factors, sort=False)))
    for levels, ours in tuned.groupby(factors, sort=False):
        row: dict[str, object] = {"arm": ours["arm"].iloc[0], **dict(zip(factors, levels, strict=True))}
        row |= {"tuned_rate": ours["learning_rate"].iloc[0], "rate": rate}
        for side, group in (("tuned", ours), ("fixed", groups[levels])):
            row[side], row[f"{side}_low"], row[f"{side}_high"], _ = mean_interval(group["test_accuracy"])
            row |= {f"{side}_runs": len(group), f"{side}_collapsed": int(group["collapsed"].sum())}
        rows.append(row)
    return pd.DataFrame(rows)
