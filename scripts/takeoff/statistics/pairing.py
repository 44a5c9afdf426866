"""What common random numbers bought: how alike the same seeds make the cells, and what that saves."""

import numpy as np
from numpy.typing import ArrayLike


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
