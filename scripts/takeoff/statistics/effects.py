"""The effects of a 2^k design with intervals: main, interaction, simple effects and Shapley shares; and which of them
are shown to be smaller than a margin.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import special

from takeoff.common.errors import TakeoffError
from takeoff.statistics.contrasts import Floats, interaction_weights, shapley_weights, simple_weights
from takeoff.statistics.design import Design, Responses
from takeoff.statistics.intervals import (
    Interval,
    benjamini_hochberg,
    holm,
    mean_interval,
    sign_test,
    welch,
    welch_interval,
)

Kind = Literal["main", "interaction", "simple", "shapley"]
ESTIMATE = ("term", "kind", "response", "estimate", "ci_low", "ci_high")
COLUMNS = (*ESTIMATE, "p_value", "p_adjusted", "n_seeds", "n_diverged", "n_censored")
EQUIVALENCE_COLUMNS = (*ESTIMATE, "p_value", "equivalent")
FAMILIES = ((("main", "interaction"), holm), (("shapley",), holm), (("simple",), benjamini_hochberg))
"""Which kinds are corrected together, and how."""
ALPHA = 0.05
"""The error rate of each one-sided test of equivalence; the interval with confidence 1 − 2 × it decides the same."""


@dataclass(frozen=True)
class Contrast:
    """An effect and its weights on the cells, (2^k,)."""

    term: str
    """`norm`, `activation:norm`, or `norm@activation=tanh,dropout=0`."""
    kind: Kind
    weights: Floats


def contrasts_of(levels: Mapping[str, tuple[str, str]]) -> list[Contrast]:
    """Every effect of the factors in `levels` (factor → baseline, treatment).

    Main effects, interactions by order, simple effects (none where there is one factor: it is the main effect), and
    Shapley shares.
    """
    factors, k = list(levels), len(levels)
    found = []
    for order in range(1, k + 1):
        kind: Kind = "main" if order == 1 else "interaction"
        for members in combinations(range(k), order):
            term = ":".join(factors[i] for i in members)
            found.append(Contrast(term, kind, interaction_weights(k, members)))
    for i, factor in enumerate(factors if k > 1 else []):
        others = factors[:i] + factors[i + 1 :]
        for setting in product((0, 1), repeat=k - 1):
            pairs = zip(others, setting, strict=True)
            at = ",".join(f"{name}={levels[name][level]}" for name, level in pairs)
            found.append(Contrast(f"{factor}@{at}", "simple", simple_weights(k, i, setting)))
    shares = zip(factors, shapley_weights(k), strict=True)
    return found + [Contrast(factor, "shapley", weights) for factor, weights in shares]


def effects_table(
    design: Design,
    responses: Responses,
    diverged: ArrayLike | None = None,
    contrasts: Sequence[Contrast] | None = None,
    censored: Responses | None = None,
) -> pd.DataFrame:
    """Every effect on every response, in the response's units: a row each, with the columns `COLUMNS`.

    Each contrast is taken within seeds, over the seeds that all its cells have (`n_seeds`). Its interval is Student's
    95% over them, not adjusted for the number of contrasts; with one seed there is none (NaN). Where runs are not
    paired it is Welch's (`intervals.welch`), which takes all runs as independent, and those of a cell as normal, with a
    variance of their own; `n_seeds` are then the runs of the smallest cell compared. A contrast that is the same for
    every seed has an interval without width, and p = 1/2^(n − 1) if it is not 0, else p = 1. Within each response
    `p_adjusted` is Holm's over main effects and interactions together (planned), Holm's over Shapley shares, and
    Benjamini–Hochberg's over simple effects (exploratory). `n_diverged` and `n_censored` count such runs among those
    compared. What censored runs leave open on one side or on both is infinite there, and p = 1 unless the rest of the
    interval lies on one side of 0: it counts among those adjusted for.

    `diverged` are (rows,) bool, and `censored` by response, where its value is only a lower bound: none when left out.
    `contrasts` are all those of the full design when left out. A TakeoffError says that the cells of one have no seed
    in common, or one alone though they have more runs.
    """
    lost = design.matrix(0 if diverged is None else diverged)
    contrasts = contrasts_of(design.levels) if contrasts is None else contrasts
    tables = []
    for response, values in responses.items():
        matrix, bounds = design.matrix(values), design.matrix((censored or {}).get(response, 0))
        rows = [(c.term, c.kind, response, *_estimate(design, c, matrix, lost, bounds)) for c in contrasts]
        table = pd.DataFrame(rows, columns=list(COLUMNS))
        for kinds, adjust in FAMILIES:
            family = table["kind"].isin(kinds)
            table.loc[family, "p_adjusted"] = adjust(table.loc[family, "p_value"])
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _estimate(design: Design, contrast: Contrast, matrix: Floats, lost: Floats, bounds: Floats) -> tuple[float, ...]:
    """Of a contrast of the responses `matrix`, (seeds, cells), what `effects_table` has from `estimate` on; no
    `p_adjusted` yet (NaN). Likewise, `lost` is 1 where a run diverged, `bounds` where its response is a lower bound.
    """
    size = float(np.nanmax(np.abs(matrix)))
    if design.paired:
        values, paired = seed_values(design, contrast, matrix)
        estimate, low, high, p_value = mean_interval(values, size=size)
        n = int(paired.sum())
    else:
        samples, weights, paired = *cell_samples(contrast, matrix), np.ones(len(matrix), dtype=bool)
        estimate, low, high, p_value = welch_interval(samples, weights, size=size)
        n = min(map(len, samples))
    bounded = np.nansum(bounds[paired], axis=0) > 0
    if np.isfinite(p_value):
        low = -np.inf if (bounded & (contrast.weights < 0)).any() else low
        high = np.inf if (bounded & (contrast.weights > 0)).any() else high
        p_value = 1.0 if np.isinf([low, high]).any() and low <= 0 <= high else p_value
    counts = (int(np.nansum(runs[paired][:, contrast.weights != 0])) for runs in (lost, bounds))
    return estimate, low, high, p_value, np.nan, n, *counts


def cell_samples(contrast: Contrast, matrix: Floats) -> tuple[list[Floats], Floats]:
    """The responses of the runs in each of a contrast's cells, from the `matrix`, (seeds, cells), and their weights."""
    cells = np.flatnonzero(contrast.weights)
    return [matrix[np.isfinite(matrix[:, cell]), cell] for cell in cells], contrast.weights[cells]


def seed_values(design: Design, contrast: Contrast, matrix: Floats) -> tuple[Floats, np.ndarray]:
    """A contrast of the responses `matrix`, (seeds, cells), within each seed that all its cells have; and which seeds
    of the design these are, (seeds,) bool. A TakeoffError says that its cells have none in common, or one alone though
    they have more runs.
    """
    compared = contrast.weights != 0
    there = np.isfinite(matrix[:, compared])
    paired = np.asarray(there.all(axis=1))
    if paired.sum() < min(2, there.sum(axis=0).min()):
        raise TakeoffError(
            f"{design.source}: {contrast.term}: {'one seed alone' if paired.any() else 'no seed'} is in all of the "
            f"{compared.sum()} cells compared; valid: the same seeds in every cell; --unpaired for runs whose seeds "
            "have nothing in common; or one run per cell and no column seed"
        )
    return matrix[paired][:, compared] @ contrast.weights[compared], paired


def crossed_contrast(design: Design, contrast: Contrast, answers: Floats) -> Floats:
    """A contrast of the rows' answers to each image, (rows, images), within each seed that all its cells have: (seeds,
    images).
    """
    cells = np.flatnonzero(contrast.weights)
    found = []
    for seed in range(len(design.seeds)):
        rows = [np.flatnonzero((design.seed_of_row == seed) & (design.cell_of_row == cell)) for cell in cells]
        if all(len(row) for row in rows):
            found.append(contrast.weights[cells] @ answers[np.concatenate(rows)])
    return np.array(found)


def equivalence_test(values: ArrayLike, margin: float, size: float | None = None) -> Interval:
    """The 90% interval of the mean of `values`, (n,), and two one-sided t tests that it lies within ±`margin`
    (Schuirmann 1987), of which the larger p-value counts.

    Given differences within seeds, these are the paired tests. p < 0.05 where the whole 90% interval is inside the
    margin, if it has a width. With one value nothing is shown (NaN); without variance the one-sided sign test stands
    in, 1/2^n inside the margin and 1 outside. What is below `intervals.ROUNDING` times `size`, that of the responses,
    counts as nothing. The margin is above 0.
    """
    sample = np.asarray(values, dtype=float)
    n, ones = sample.size, np.ones(sample.size)
    found = mean_interval(sample, 1 - 2 * ALPHA, size)
    if n == 1:
        return found
    if found.low == found.high:
        return found._replace(p_value=float(sign_test(n)) / 2 if abs(found.estimate) < margin else 1.0)
    # The sums are those of statsmodels' DescrStatsW, to the last bit.
    mean = sample @ ones / n
    error = np.sqrt((sample - mean) ** 2 @ ones / n) / np.sqrt(n - 1)
    return found._replace(p_value=float(special.stdtr(n - 1, (abs(mean) - margin) / error)))


def unpaired_equivalence_test(
    samples: Sequence[ArrayLike], weights: ArrayLike, margin: float, size: float | None = None
) -> Interval:
    """`equivalence_test` of a contrast of independent `samples`, by Welch's t tests: those of `intervals.welch`."""
    found = welch_interval(samples, weights, 1 - 2 * ALPHA, size)
    mean, error, freedom = welch(samples, weights, size)
    if error == 0:
        return found._replace(p_value=float(sign_test(freedom + 1)) / 2 if abs(mean) < margin else 1.0)
    return found._replace(p_value=float(special.stdtr(freedom, (abs(mean) - margin) / error)))


def equivalence_table(
    design: Design, responses: Responses, margin: float, contrasts: Sequence[Contrast]
) -> pd.DataFrame:
    """Every main and simple effect among `contrasts`, on every response, against `margin`: interactions and shares
    follow from these. A row each, with the columns `EQUIVALENCE_COLUMNS`.

    `equivalent` reads `equivalent`, or `not shown`: which is not the same as different. Neither p-values nor intervals
    are adjusted for their number. The `margin`, above 0, is in the responses' units: what would be too small to matter.
    The other arguments and errors are those of `effects_table`.
    """
    rows = []
    for response, column in responses.items():
        matrix = design.matrix(column)
        size = float(np.nanmax(np.abs(matrix)))
        for contrast in contrasts:
            if contrast.kind in {"main", "simple"}:
                if design.paired:
                    found = equivalence_test(seed_values(design, contrast, matrix)[0], margin, size)
                else:
                    found = unpaired_equivalence_test(*cell_samples(contrast, matrix), margin, size)
                verdict = "equivalent" if found.p_value < ALPHA else "not shown"
                rows.append((contrast.term, contrast.kind, response, *found, verdict))
    return pd.DataFrame(rows, columns=list(EQUIVALENCE_COLUMNS))
