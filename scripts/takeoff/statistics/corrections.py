"""Corrections for many contrasts: Holm for planned ones, Benjamini–Hochberg for exploratory ones."""

import gc

import numpy as np
from numpy.typing import ArrayLike

from takeoff.statistics.contrasts import Floats


def holm(p_values: ArrayLike) -> Floats:
    """Adjusted p-values that bound the chance of any false discovery (Holm 1979); NaN stays, uncounted."""
    return _adjust(p_values, "holm")


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Adjusted p-values that bound the share of false discoveries (Benjamini & Hochberg 1995); NaN stays."""
    return _adjust(p_values, "fdr_bh")


def _adjust(p_values: ArrayLike, method: str) -> Floats:
    from statsmodels.stats.multitest import multipletests

    adjusted = np.array(p_values, dtype=float)
    known = np.isfinite(adjusted)
    if known.any():
        # It collects garbage first, a tenth of a second for nothing: of what is frozen there is none to look through.
        ours = not gc.get_freeze_count()
        if ours:
            gc.freeze()
        try:
            adjusted[known] = multipletests(adjusted[known], method=method)[1]
        finally:
            if ours:
                gc.unfreeze()
    return adjusted
