"""Agreement: do independent draws put the methods in the same order?

Scores are (draws, methods), NaN where a draw lacks a method. Draws are the units of every error; they are to be
disjoint, else they agree too well.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from takeoff.statistics.clustered import Estimate
from takeoff.statistics.contrasts import Floats

FEWEST = 3
"""Draws that a jackknife takes."""


class Agreement(NamedTuple):
    """How alike draws order the methods, by pairs of methods (p,), and what each draw adds to its error (draws, p)."""

    by_pair: Floats
    """NaN where fewer than two draws have both methods."""
    parts: Floats
    """NaN where fewer than `FEWEST` do; 0 of a draw that lacks one of them."""
    draws: NDArray[np.int_]
    """How many have both."""

    def estimate(self) -> Estimate:
        """The mean over the pairs that two draws have; its error and freedom NaN where a jackknife lacks draws."""
        return _estimate(self.by_pair, self.parts, self.draws, self.draws > 1)

    def less(self, other: "Agreement") -> Estimate:
        """The agreement here less that at another size, over the pairs of methods that `FEWEST` draws have at both.

        Rows of both are the same draws, NaN where a size lacks one, so that what a draw adds to both sizes cancels.
        """
        compared = np.minimum(self.draws, other.draws)
        by_pair, parts = self.by_pair - other.by_pair, self.parts - other.parts
        return _estimate(by_pair, parts, compared, compared >= FEWEST)


def agreement(scores: ArrayLike) -> Agreement:
    """The agreement of `scores`: over all pairs of draws, 1 where both order two methods alike, −1 where they do not, 0
    where one has a tie.

    Their mean over pairs of methods is the mean over pairs of draws of Kendall's τ (1938, Biometrika 30, 81–93): 0
    where the order is random, 1 where it is the same in every draw. Each pair of methods is compared over all draws
    that have both, and counts alike however many these are: so methods may have different numbers of draws. Errors are
    the jackknife's (Tukey 1958; for such U-statistics Arvesen 1969), which says rather too much than too little.
    """
    values = np.asarray(scores, dtype=float)
    one, other = np.triu_indices(values.shape[1], 1)
    signs = np.sign(values[:, one] - values[:, other])
    there = np.isfinite(signs)
    signs, n = np.where(there, signs, 0), there.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        # Of each draw, how it agrees with every other one.
        by_draw = (signs * signs.sum(axis=0) - signs**2) / (n - 1)
        by_pair = np.where(n > 1, by_draw.sum(axis=0) / n, np.nan)
        parts = 2 * np.sqrt((n - 1) / n) * np.where(there, by_draw - by_pair, 0) / (n - 2)
    return Agreement(by_pair, np.where(n >= FEWEST, parts, np.nan), n)


def _estimate(by_pair: Floats, parts: Floats, draws: NDArray[np.int_], pairs: NDArray[np.bool_]) -> Estimate:
    if not pairs.any():
        return Estimate(float("nan"), float("nan"), float("nan"))
    error = float(np.sqrt(np.square(parts[:, pairs].mean(axis=1)).sum()))
    # Of the pair with the fewest draws: an error is no surer than its least sure part.
    freedom = float(draws[pairs].min() - 1) if np.isfinite(error) else float("nan")
    return Estimate(float(by_pair[pairs].mean()), error, freedom)
