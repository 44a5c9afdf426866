"""Exact Shapley shares over the 2^k cells of a design."""

from math import factorial

import numpy as np
from numpy.typing import ArrayLike

from takeoff.statistics.contrasts import Floats, cells


def shapley_weights(k: int) -> Floats:
    """The weights, (k, 2^k), of every factor's share; cells in the order of `contrasts.cells`.

    A factor's share is the mean gain from switching it to its treatment, over all k! orders in which the
    factors may be switched (Shapley 1953): Σ over sets S of others of |S|! (k − |S| − 1)! / k! × (v(S ∪ {i})
    − v(S)), where v(S) is the cell with S at treatment and v(∅) the one with all baselines. Shares sum to all
    treatments − all baselines; for two factors they are the main effects.
    """
    design = cells(k)
    before = (
        design.sum(axis=1, keepdims=True) - design
    )  # the others that are switched, whichever factor is asked
    chance = np.array([factorial(s) * factorial(k - s - 1) / factorial(k) for s in range(k)])
    return np.asarray((chance[before] * (2 * design - 1)).T)


def shapley_shares(values: ArrayLike) -> Floats:
    """Every factor's share, (k,), of responses (2^k,), in the responses' units.

    Raises:
        ValueError: the number of values is no power of two.

    """
    responses = np.asarray(values, dtype=float)
    k = responses.size.bit_length() - 1
    if responses.shape != (2**k,) or k < 1:
        raise ValueError(f"{responses.size} values are not the 2^k cells of a design")
    return np.asarray(shapley_weights(k) @ responses)
