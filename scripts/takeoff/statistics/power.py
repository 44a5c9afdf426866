"""Power: how likely an estimate is to be decided by the rule of `verdicts`, and the smallest effect that is."""

from functools import cache

import numpy as np
from scipy import special

from takeoff.statistics.contrasts import Floats
from takeoff.statistics.criterion import Range
from takeoff.statistics.intervals import sign_test

POWER = 0.8
"""What counts as likely."""
POINTS = 1000
"""Of the distribution of a standard error, over which the power is averaged: good to four digits."""


def power(estimate: float, spread: float, n: int, region: Range, level: float, bound: Range = (0.0, 0.0)) -> float:
    """The probability that the interval of confidence 1 − `level` of a mean of `n` values lies inside `region`.

    `estimate` is the true mean and `spread` the values' standard deviation, all on the scale of the mean; `bound`
    widens the interval below and above. With one end this is the power of the one-sided t test at half the level, with
    two that of both tests at once, by integration over the standard error (Phillips 1990, Journal of Pharmacokinetics
    and Biopharmaceutics 18, 137–144). Without spread it is 0 or 1, as the sign test says.
    """
    low, high = region
    below = np.inf if low == -np.inf else estimate - bound[0] - low
    above = np.inf if high == np.inf else high - estimate - bound[1]
    if n < 2 or not min(below, above) > 0:
        return 0.0
    if spread == 0:
        return float(sign_test(n) < level)
    error, quantile = spread / np.sqrt(n), -float(special.stdtrit(n - 1, level / 2))
    half = quantile * _ratios(n)
    inside = special.ndtr(above / error - half) - special.ndtr(half - below / error)
    return float(np.clip(inside, 0, None).mean())


def smallest_effect(
    spread: float, n: int, level: float, width: float = np.inf, bound: Range = (0.0, 0.0), wanted: float = POWER
) -> float:
    """How far inside a region, `width` wide, from its nearer end a mean must lie to be decided with power `wanted`.

    Arguments as for `power`; infinite where no mean inside is. `bound` is towards that end and away from it.
    """
    far = width / 2 if np.isfinite(width) else bound[0] + (spread or 1) * 1e4
    if not np.isfinite(far) or power(far, spread, n, (0.0, width), level, bound) < wanted:
        return float(np.inf)
    low, high = 0.0, far
    for _ in range(50):
        middle = (low + high) / 2
        enough = power(middle, spread, n, (0.0, width), level, bound) >= wanted
        low, high = (low, middle) if enough else (middle, high)
    return high


@cache
def _ratios(n: int) -> Floats:
    """Quantiles of the standard error of `n` values over the true one, (POINTS,)."""
    tail = (np.arange(POINTS) + 0.5) / POINTS
    return np.sqrt(special.chdtri(n - 1, tail) / (n - 1))
