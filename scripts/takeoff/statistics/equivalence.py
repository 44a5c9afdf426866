"""Equivalence: is an effect shown to be smaller than a margin, by two one-sided t tests?"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from takeoff.statistics.design import Design
from takeoff.statistics.effects import Contrast, contrasts_of, seed_values
from takeoff.statistics.intervals import mean_interval, sign_test

ALPHA = 0.05
"""The level of each one-sided test; the interval that decides the same has confidence 1 − 2 × this."""
COLUMNS = ("term", "kind", "response", "estimate", "ci_low", "ci_high", "p_value", "equivalent")
KINDS = ("main", "simple")
"""Of which effects one asks whether there is none; shares and interactions follow from these."""


class Equivalence(NamedTuple):
    """A mean difference, its 90% interval, and the test that it lies within the margin."""

    estimate: float
    low: float
    high: float
    p_value: float
    """The larger of both one-sided tests'; small where the difference is within the margin."""

    @property
    def verdict(self) -> str:
        """`equivalent`, or `not shown`: which is not the same as different."""
        return "equivalent" if self.p_value < ALPHA else "not shown"


def equivalence_test(values: ArrayLike, margin: float, size: float | None = None) -> Equivalence:
    """Two one-sided t tests that the mean of `values`, (n,), lies within ±`margin` (Schuirmann 1987).

    Given differences within seeds, these are the paired tests. p < 0.05 where the whole 90% interval is
    inside the margin, if it has a width. With one value nothing is shown (NaN); without variance the one-sided sign
    test stands in, 1/2^n inside the margin and 1 outside. What is below `intervals.ROUNDING` times `size`, that of the
    responses, counts as nothing.

    Raises:
        ValueError: the margin is not above 0; there is no value, or one is not finite.

    """
    from statsmodels.stats.weightstats import DescrStatsW

    if not margin > 0:
        raise ValueError(f"a margin of {margin} is not above 0")
    estimate, low, high, _ = mean_interval(values, 1 - 2 * ALPHA, size)
    if np.isnan(low) or low == high:
        inside = float(sign_test(np.size(values))) / 2 if abs(estimate) < margin else 1.0
        p_value = np.nan if np.isnan(low) else inside
    else:
        p_value = float(DescrStatsW(np.asarray(values, dtype=float)).ttost_mean(-margin, margin)[0])
    return Equivalence(estimate, low, high, p_value)


def equivalence_table(
    design: Design,
    responses: Mapping[str, ArrayLike],
    margin: float,
    contrasts: Sequence[Contrast] | None = None,
) -> pd.DataFrame:
    """Every main and simple effect on every response against `margin`: a row each, columns `COLUMNS`.

    `equivalent` holds the verdict's words. Neither p-values nor intervals are adjusted for their number.

    Args:
        design: of the table that the responses are from.
        responses: name → values, (rows,), finite.
        margin: in the responses' units, above 0: what would be too small to matter.
        contrasts: which effects, of which main and simple ones are tested; left out, those of the full design.

    Raises:
        TakeoffError: the cells of a contrast have no seed in common.

    """
    rows = []
    for response, column in responses.items():
        matrix = design.matrix(column)
        size = float(np.nanmax(np.abs(matrix)))
        for contrast in contrasts_of(design.levels) if contrasts is None else contrasts:
            if contrast.kind in KINDS:
                values, _ = seed_values(design, contrast, matrix)
                found = equivalence_test(values, margin, size)
                rows.append((contrast.term, contrast.kind, response, *found, found.verdict))
    return pd.DataFrame(rows, columns=list(COLUMNS))
