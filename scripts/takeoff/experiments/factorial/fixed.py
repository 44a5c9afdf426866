"""The factorial at one rate for all: its effects, and how tuning each cell's rate changed them.

The rate is a hidden factor: Garbin 2020 has batch norm gain 2.3 points at rate 1e-4 and 27.3 at 1e-3.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from takeoff.statistics.design import Design
from takeoff.statistics.effects import Contrast, effects_table, seed_values
from takeoff.statistics.intervals import mean_interval

RESPONSES = ("test_accuracy", "test_accuracy_log_odds")
Runs = tuple[Design, pd.DataFrame]
"""Runs, a row each, as the table `runs` has them, and where they stand in the design."""


def fixed_tables(rate: float, contrasts: Sequence[Contrast], tuned: Runs, fixed: Runs) -> dict[str, pd.DataFrame]:
    """The tables at the one `rate`, from tuned runs and those at that rate, on the same seeds.

    - `fixed_effects`: as `effects`, of the runs at the one rate, and `rate`.
    - `fixed`: a row per effect and response: `tuned`, `fixed` and `difference` (tuned − fixed, paired by seed), each
      with `_low` and `_high`, all on the seeds that both have (`n_seeds`); and `rate`.
    - `fixed_cells`: a row per cell: levels, median `tuned_rate`, test accuracy and collapsed runs at either rate.
    """
    design, runs = fixed
    responses = {name: runs[name] for name in RESPONSES}
    effects = effects_table(design, responses, runs["diverged"], contrasts=contrasts)
    compared = [_compared(name, contrast, (tuned, fixed)) for name in RESPONSES for contrast in contrasts]
    return {
        "fixed_effects": effects.assign(rate=rate),
        "fixed": pd.DataFrame(compared).assign(rate=rate),
        "fixed_cells": _cells(list(design.levels), rate, tuned[1], runs),
    }


def _compared(response: str, contrast: Contrast, pair: tuple[Runs, Runs]) -> dict[str, object]:
    matrices = [design.matrix(runs[response]) for design, runs in pair]
    size = max(float(np.nanmax(np.abs(matrix))) for matrix in matrices)
    values = []
    for (design, _), matrix in zip(pair, matrices, strict=True):
        found, seeds = seed_values(design, contrast, matrix)
        values.append(pd.Series(found, index=np.array(design.seeds)[seeds]))
    tuned, fixed = pd.concat(values, axis=1, join="inner").to_numpy().T
    row: dict[str, object] = {"term": contrast.term, "kind": contrast.kind, "response": response}
    for side, sample in (("tuned", tuned), ("fixed", fixed), ("difference", tuned - fixed)):
        row |= mean_interval(sample, size=size).named(side)
    return row | {"n_seeds": len(tuned)}


def _cells(factors: list[str], rate: float, tuned: pd.DataFrame, fixed: pd.DataFrame) -> pd.DataFrame:
    rows = []
    groups = dict(tuple(fixed.groupby(factors, sort=False)))
    for levels, ours in tuned.groupby(factors, sort=False):
        row: dict[str, object] = {"arm": ours["arm"].iloc[0], **dict(zip(factors, levels, strict=True))}
        row |= {"tuned_rate": ours["learning_rate"].median(), "rate": rate}
        for side, group in (("tuned", ours), ("fixed", groups[levels])):
            row |= mean_interval(group["test_accuracy"]).named(side)
            row |= {f"{side}_runs": len(group), f"{side}_collapsed": int(group["collapsed"].sum())}
        rows.append(row)
    return pd.DataFrame(rows)
