"""The effects table of a 2^k design: main, interaction, simple effects and Shapley shares, with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from takeoff.errors import TakeoffError
from takeoff.statistics.contrasts import Floats, interaction_weights, simple_weights
from takeoff.statistics.corrections import benjamini_hochberg, holm
from takeoff.statistics.design import Design
from takeoff.statistics.intervals import mean_interval, pooled_interval
from takeoff.statistics.shapley import shapley_weights

Kind = Literal["main", "interaction", "simple", "shapley"]
COLUMNS = (
    "term",
    "kind",
    "response",
    "estimate",
    "ci_low",
    "ci_high",
    "p_value",
    "p_adjusted",
    "n_seeds",
    "n_diverged",
    "n_censored",
)

POOLED_COLUMNS = ("term", "kind", "response", "estimate", "ci_low", "ci_high")
FAMILIES = ((("main", "interaction"), holm), (("shapley",), holm), (("simple",), benjamini_hochberg))
"""Which kinds are corrected together, and how."""


@dataclass(frozen=True)
class Contrast:
    """An effect and its weights on the cells, (2^k,)."""

    term: str
    """`norm`, `activation:norm`, or `norm@activation=tanh,dropout=0`."""
    kind: Kind
    weights: Floats


def contrasts_of(levels: Mapping[str, tuple[str, str]]) -> list[Contrast]:
    """Every effect of the factors in `levels` (factor → baseline, treatment).

    Main effects, interactions by order, simple effects (none where there is one factor: it is the main
    effect), and Shapley shares.
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
            at = ",".join(
                f"{other}={levels[other][level]}" for other, level in zip(others, setting, strict=True)
            )
            found.append(Contrast(f"{factor}@{at}", "simple", simple_weights(k, i, setting)))
    return found + [
        Contrast(factor, "shapley", weights)
        for factor, weights in zip(factors, shapley_weights(k), strict=True)
    ]


def effects_table(
    design: Design,
    responses: Mapping[str, ArrayLike],
    diverged: ArrayLike | None = None,
    confidence: float = 0.95,
    contrasts: Sequence[Contrast] | None = None,
    censored: Mapping[str, ArrayLike] | None = None,
) -> pd.DataFrame:
    """Every effect on every response, in the response's units: a row each, with the columns `COLUMNS`.

    Each contrast is taken within seeds, over the seeds that all its cells have (`n_seeds`), and its interval
    is Student's t over them; with one seed there is none (NaN). A contrast that is the same for every seed
    has an interval without width, and p = 1/2^(n − 1) if it is not 0, else p = 1. Within each response `p_adjusted` is
    Holm's over main effects and interactions together (planned), Holm's over Shapley shares, and
    Benjamini–Hochberg's over simple effects (exploratory). `n_diverged` and `n_censored` count such runs among those
    compared. What censored runs leave open on one side or on both is infinite there, and p = 1 unless the rest of the
    interval lies on one side of 0: it counts among those adjusted for.

    Args:
        design: of the table that the responses are from.
        responses: name → values, (rows,), finite.
        diverged: (rows,) bool; none when left out.
        confidence: of the intervals; not adjusted for their number.
        contrasts: which effects; left out, all those of the full design.
        censored: response → (rows,) bool: where its value is only a lower bound; none when left out.

    Raises:
        TakeoffError: the cells of a contrast have no seed in common.

    """
    lost = design.matrix(np.zeros(len(design.cell)) if diverged is None else diverged)
    contrasts = contrasts_of(design.levels) if contrasts is None else contrasts
    tables = []
    for response, values in responses.items():
        matrix = design.matrix(values)
        bounds = design.matrix((censored or {}).get(response, np.zeros(len(design.cell))))
        rows = [_estimate(design, contrast, matrix, lost, bounds, confidence) for contrast in contrasts]
        tables.append(_adjusted(pd.DataFrame(rows).assign(response=response)))
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)]


def pooled_table(
    design: Design, responses: Mapping[str, ArrayLike], contrasts: Sequence[Contrast] | None = None
) -> pd.DataFrame:
    """Every effect with the interval that takes all cells as equally noisy: a sensitivity line, never the result.

    A row per effect and response, with the columns `POOLED_COLUMNS`; arguments are those of `effects_table`.
    """
    rows = []
    for response, values in responses.items():
        matrix: Floats = design.matrix(values)[:, design.present]
        for contrast in contrasts_of(design.levels) if contrasts is None else contrasts:
            found = pooled_interval(matrix, contrast.weights[design.present])
            rows.append((contrast.term, contrast.kind, response, found.estimate, found.low, found.high))
    return pd.DataFrame(rows, columns=list(POOLED_COLUMNS))


def seed_values(design: Design, contrast: Contrast, matrix: Floats) -> tuple[Floats, np.ndarray]:
    """A contrast within each seed that all its cells have, and which seeds of the design, (seeds,) bool,
    these are; `matrix` (seeds, cells) are the responses.

    Raises:
        TakeoffError: the cells compared have no seed in common.

    """
    compared = contrast.weights != 0
    paired = np.asarray(np.isfinite(matrix[:, compared]).all(axis=1))
    if not paired.any():
        raise TakeoffError(
            f"{design.source}: {contrast.term}: no seed is in all of the {compared.sum()} cells compared; "
            "valid: the same seeds in every cell, or one run per cell and no column seed"
        )
    return matrix[paired][:, compared] @ contrast.weights[compared], paired


def _estimate(
    design: Design, contrast: Contrast, matrix: Floats, lost: Floats, bounds: Floats, confidence: float
) -> dict[str, object]:
    """A contrast of the responses `matrix`, (seeds, cells); likewise, `lost` is 1 where the run diverged and `bounds`
    where its response is a lower bound.
    """
    values, paired = seed_values(design, contrast, matrix)
    size = float(np.nanmax(np.abs(matrix)))
    estimate, low, high, p_value = mean_interval(values, confidence, size)
    bounded = bounds[paired].any(axis=0)
    if np.isfinite(p_value):
        low = -np.inf if (bounded & (contrast.weights < 0)).any() else low
        high = np.inf if (bounded & (contrast.weights > 0)).any() else high
        p_value = 1.0 if np.isinf([low, high]).any() and low <= 0 <= high else p_value
    return {
        "term": contrast.term,
        "kind": contrast.kind,
        "estimate": estimate,
        "ci_low": low,
        "ci_high": high,
        "p_value": p_value,
        "n_seeds": int(paired.sum()),
        "n_diverged": int(lost[paired][:, contrast.weights != 0].sum()),
        "n_censored": int(bounds[paired][:, contrast.weights != 0].sum()),
    }


def _adjusted(table: pd.DataFrame) -> pd.DataFrame:
    """The effects on one response, with `p_adjusted` within each family."""
    table["p_adjusted"] = np.nan
    for kinds, adjust in FAMILIES:
        family = table["kind"].isin(kinds)
        table.loc[family, "p_adjusted"] = adjust(table.loc[family, "p_value"])
    return table
