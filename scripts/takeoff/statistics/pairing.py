"""What common random numbers bought: how alike the same seeds make the cells, and what that saves."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from takeoff.statistics.design import Design
from takeoff.statistics.effects import Contrast, contrasts_of

COLUMNS = ("response", "quantity", "term", "value")


def mean_correlation(responses: ArrayLike) -> float:
    """The mean, over pairs of cells, of their correlation over seeds; `responses` (seeds, cells), NaN where
    absent.

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

    Below 1 pairing narrowed the interval. `responses` (seeds, cells), NaN where absent; `weights` (cells,).
    NaN where fewer than two seeds are in all the cells compared, or nothing varies.
    """
    weight = np.asarray(weights, dtype=float)
    values = np.asarray(responses, dtype=float)[:, weight != 0]
    weight = weight[weight != 0]
    values = values[np.isfinite(values).all(axis=1)]
    if len(values) < 2:
        return float("nan")
    unpaired = float((weight**2 * values.var(axis=0, ddof=1)).sum())
    return float((values @ weight).var(ddof=1)) / unpaired if unpaired > 0 else float("nan")


def pairing_table(
    design: Design, responses: Mapping[str, ArrayLike], contrasts: Sequence[Contrast] | None = None
) -> pd.DataFrame:
    """Tidy: `response`, `quantity` (`mean_correlation`, `variance_ratio`), `term` (of a ratio: a main effect), `value`.

    Args:
        design: of the table that the responses are from.
        responses: name → values, (rows,), finite.
        contrasts: which effects; left out, all those of the full design.

    """
    rows = []
    for response, values in responses.items():
        matrix = design.matrix(values)[:, design.present]
        rows.append((response, "mean_correlation", "", mean_correlation(matrix)))
        for contrast in contrasts_of(design.levels) if contrasts is None else contrasts:
            if contrast.kind == "main":
                ratio = variance_ratio(matrix, contrast.weights[design.present])
                rows.append((response, "variance_ratio", contrast.term, ratio))
    return pd.DataFrame(rows, columns=list(COLUMNS))
