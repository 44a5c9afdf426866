"""What common random numbers bought: how alike the same seeds make the cells, what that saves, and the intervals that
take every run as independent.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from takeoff.statistics.design import Design, Responses
from takeoff.statistics.effects import ESTIMATE, Contrast
from takeoff.statistics.intervals import pooled_interval

COLUMNS = ("response", "quantity", "term", "value")


def mean_correlation(responses: ArrayLike) -> float:
    """The mean, over pairs of cells, of their correlation over seeds; `responses` (seeds, cells), NaN where absent.

    A pair counts where three seeds or more are in both cells and both vary; NaN where no pair does.
    """
    values = np.asarray(responses, dtype=float)
    found = []
    for i in range(values.shape[1]):
        for j in range(i):
            pair = values[np.isfinite(values[:, [i, j]]).all(axis=1)][:, [i, j]]
            if len(pair) > 2 and (np.ptp(pair, axis=0) > 0).all():
                found.append(np.corrcoef(pair, rowvar=False)[0, 1])
    return float(np.mean(found)) if found else float("nan")


def variance_ratio(responses: ArrayLike, weights: ArrayLike) -> float:
    """An effect's variance over paired seeds, over what it would be with independent seeds in every cell.

    Below 1 pairing narrowed the interval. `responses` (seeds, cells), NaN where absent; `weights` (cells,). NaN where
    fewer than two seeds are in all the cells compared, or nothing varies.
    """
    weight = np.asarray(weights, dtype=float)
    values = np.asarray(responses, dtype=float)[:, weight != 0]
    weight = weight[weight != 0]
    values = values[np.isfinite(values).all(axis=1)]
    if len(values) < 2:
        return float("nan")
    unpaired = float((weight**2 * values.var(axis=0, ddof=1)).sum())
    return float((values @ weight).var(ddof=1)) / unpaired if unpaired > 0 else float("nan")


def pairing_table(design: Design, responses: Responses, contrasts: Sequence[Contrast]) -> pd.DataFrame:
    """Tidy: `response`, `quantity` (`mean_correlation`, `variance_ratio`), `term` (of a ratio: a main effect), `value`.

    The arguments are those of `effects.effects_table`.
    """
    rows = []
    for response, values in responses.items():
        matrix = design.matrix(values)[:, design.present]
        rows.append((response, "mean_correlation", "", mean_correlation(matrix)))
        for contrast in contrasts:
            if contrast.kind == "main":
                ratio = variance_ratio(matrix, contrast.weights[design.present])
                rows.append((response, "variance_ratio", contrast.term, ratio))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def pooled_table(design: Design, responses: Responses, contrasts: Sequence[Contrast]) -> pd.DataFrame:
    """Every effect with the interval that takes all cells as equally noisy: a sensitivity line, never the result.

    A row per effect and response, with the columns `ESTIMATE`; arguments are those of `effects.effects_table`.
    """
    rows = [
        (c.term, c.kind, response, *pooled_interval(matrix, c.weights[design.present])[:3])
        for response, values in responses.items()
        for matrix in [design.matrix(values)[:, design.present]]
        for c in contrasts
    ]
    return pd.DataFrame(rows, columns=list(ESTIMATE))
