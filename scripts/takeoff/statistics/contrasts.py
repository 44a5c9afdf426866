"""Effects of a 2^k design as weights on its cells: what they compare, without any data.

Every effect here is linear: its estimate is the sum over cells of weight × response. So one seed gives one value of
each effect, and a paired interval is a one-sample interval over those values.
"""

from collections.abc import Collection, Sequence
from itertools import product
from math import factorial

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def all_cells(k: int) -> NDArray[np.int_]:
    """The cells of a 2^k design, (2^k, k): 0 for a factor's baseline, 1 for its treatment.

    The first factor changes slowest: row 0 is all baselines, the last all treatments.
    """
    return np.array(list(product((0, 1), repeat=k)), dtype=int)


def places_of(cells: ArrayLike) -> NDArray[np.int_]:
    """The places of `cells`, (n, k) zeros and ones, among `all_cells`: (n,)."""
    levels = np.asarray(cells, dtype=int)
    return np.asarray(levels @ 2 ** np.arange(levels.shape[1])[::-1])


def interaction_weights(k: int, members: Collection[int]) -> Floats:
    """The weights, (2^k,), of the interaction of the factors `members`; of one factor, its main effect.

    The contrast over 2^(k−1) (Box, Hunter & Hunter 2005, ch. 5): a main effect is the mean over the other factors of
    treatment − baseline; an interaction of two factors is half the difference of differences.

    >>> interaction_weights(2, [0, 1])
    array([ 0.5, -0.5, -0.5,  0.5])
    """
    signs = 2 * all_cells(k)[:, list(members)] - 1
    return np.asarray(signs.prod(axis=1) / 2 ** (k - 1), dtype=float)


def simple_weights(k: int, factor: int, others: Sequence[int]) -> Floats:
    """The weights, (2^k,), of a simple effect: treatment − baseline of `factor`, a place from 0, where the other k − 1
    factors have the levels `others`, zeros and ones in their order.
    """
    cells = all_cells(k)
    at_levels = (np.delete(cells, factor, axis=1) == np.asarray(others, dtype=int)).all(axis=1)
    return np.asarray(at_levels * (2.0 * cells[:, factor] - 1))


def shapley_weights(k: int) -> Floats:
    """The weights, (k, 2^k), of every factor's share.

    A factor's share is the mean gain from switching it to its treatment, over all k! orders in which the factors may be
    switched (Shapley 1953): Σ over sets S of others of |S|! (k − |S| − 1)! / k! × (v(S ∪ {i}) − v(S)), where v(S) is
    the cell with S at treatment and v(∅) the one with all baselines. Shares sum to all treatments − all baselines; for
    two factors they are the main effects.
    """
    cells = all_cells(k)
    switched = cells.sum(axis=1, keepdims=True) - cells  # of the other factors, whichever one the share is of
    share = np.array([factorial(s) * factorial(k - s - 1) / factorial(k) for s in range(k)])
    return np.asarray((share[switched] * (2 * cells - 1)).T)
