"""Effects of a 2^k design as weights on its cells: what they compare, without any data.

Every effect here is linear: its estimate is the sum over cells of weight × response. So one seed gives one
value of each effect, and a paired interval is a one-sample interval over those values.
"""

from collections.abc import Collection, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def cells(k: int) -> NDArray[np.int_]:
    """The cells of a 2^k design, (2^k, k): 0 for a factor's baseline, 1 for its treatment.

    The first factor changes slowest, as in `itertools.product`: row 0 is all baselines, the last all
    treatments.
    """
    return np.array(list(product((0, 1), repeat=k)), dtype=int).reshape(2**k, k)


def interaction_weights(k: int, members: Collection[int]) -> Floats:
    """The weights, (2^k,), of the interaction of the factors `members`; of one factor, its main effect.

    The contrast over 2^(k−1) (Box, Hunter & Hunter 2005, ch. 5): a main effect is the mean over the other
    factors of treatment − baseline; an interaction of two factors is half the difference of differences.

    >>> interaction_weights(2, [0, 1])
    array([ 0.5, -0.5, -0.5,  0.5])
    """
    _check_members(k, members)
    signs = 2 * cells(k)[:, list(members)] - 1
    return np.asarray(signs.prod(axis=1) / 2 ** (k - 1), dtype=float)


def simple_weights(k: int, factor: int, setting: Sequence[int]) -> Floats:
    """The weights, (2^k,), of a simple effect: treatment − baseline of `factor` at one `setting` of the
    others.

    Args:
        k: how many factors there are.
        factor: which one changes, from 0.
        setting: k − 1 zeros and ones, the levels of the other factors in their order.

    """
    _check_members(k, [factor])
    if len(setting) != k - 1:
        raise ValueError(f"{len(setting)} levels for {k - 1} other factors")
    design = cells(k)
    at_setting = (np.delete(design, factor, axis=1) == np.asarray(setting, dtype=int)).all(axis=1)
    return np.asarray(at_setting * (2.0 * design[:, factor] - 1))


def _check_members(k: int, members: Collection[int]) -> None:
    if not members or len(set(members)) < len(members) or not set(members) <= set(range(k)):
        raise ValueError(f"factors {list(members)} are not distinct ones among 0 … {k - 1}")
