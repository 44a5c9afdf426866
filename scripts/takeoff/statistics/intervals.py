"""Intervals: Student t over seeds, its bands along curves, the pooled-error interval, Clopper–Pearson."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from takeoff.statistics import student
from takeoff.statistics.contrasts import Floats

ROUNDING = 1e-12
"""A spread below this share of the responses' size is rounding, and counts as none."""


class Interval(NamedTuple):
    """An estimate, its confidence interval and two-sided p-value against zero; NaN where there is none."""

    estimate: float
    low: float
    high: float
    p_value: float


class Band(NamedTuple):
    """A mean at each point, its interval, and how many values it is of: each (points,)."""

    mean: Floats
    low: Floats
    high: Floats
    n: Floats


def mean_interval(values: ArrayLike, confidence: float = 0.95, size: float | None = None) -> Interval:
    """The Student t interval of the mean of `values`, (n,), one per seed; given differences, the paired
    interval.

    With one value there is no interval (NaN). Without variance the interval has no width, which says only that, and p
    is that of the sign test, 1/2^(n − 1), where the mean is not 0, else 1. `size` is that of the responses which the
    values are differences of: what is below `ROUNDING` times it counts as nothing.

    Raises:
        ValueError: there is no value, or one is not finite.

    """
    sample = np.asarray(values, dtype=float)
    if sample.ndim != 1 or not sample.size or not np.isfinite(sample).all():
        raise ValueError("a mean needs one finite value or more")
    nothing = ROUNDING * (np.abs(sample).max() if size is None else size)
    mean = float(sample.mean())
    mean = 0.0 if abs(mean) <= nothing else mean
    if sample.size == 1:
        return Interval(mean, np.nan, np.nan, np.nan)
    if np.ptp(sample) <= nothing:
        return Interval(mean, mean, mean, 1.0 if mean == 0 else float(sign_test(sample.size)))
    # By a power of two, which rounds nothing: the squares of very small values would be 0.
    exponent = np.frexp(np.abs(sample).max())[1]
    deviation = np.ldexp(np.ldexp(sample, -exponent).std(ddof=1), exponent)
    return _student(mean, float(deviation / np.sqrt(sample.size)), sample.size - 1, confidence)


def sign_test(n: ArrayLike) -> Floats:
    """The two-sided p-value of `n` values that all lie on one side, the least that so many can have."""
    return np.asarray(0.5 ** (np.asarray(n, dtype=float) - 1))


def mean_band(samples: ArrayLike, confidence: float = 0.95) -> Band:
    """Student t intervals of the mean at each point of `samples`, (points, n), over what is finite there."""
    values = np.asarray(samples, dtype=float)
    finite = np.isfinite(values)
    n = finite.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(finite, values, 0).sum(axis=1) / n
        squares = np.where(finite, values - mean[:, None], 0) ** 2
        error = np.sqrt(squares.sum(axis=1) / (n - 1) / n)
        half = np.where(n > 1, student.quantile((1 + confidence) / 2, np.maximum(n - 1, 1)) * error, np.nan)
    return Band(mean, mean - half, mean + half, n)


def pooled_interval(responses: ArrayLike, weights: ArrayLike, confidence: float = 0.95) -> Interval:
    """The interval of an effect from the pooled ANOVA error of all cells: a sensitivity line, never the
    result.

    It takes runs as independent and all cells as equally noisy; where they are not, its coverage is off in
    either direction.

    Args:
        responses: (seeds, cells), NaN where a cell has no run with that seed.
        weights: (cells,), as `contrasts` and `shapley` make them.
        confidence: of the interval.

    """
    values = np.asarray(responses, dtype=float)
    weight = np.asarray(weights, dtype=float)
    n = np.isfinite(values).sum(axis=0)
    if (n == 0).any():
        raise ValueError("a cell has no run")
    means = np.nanmean(values, axis=0)
    freedom = int(n.sum() - n.size)
    estimate = float(weight @ means)
    if freedom < 1:
        return Interval(estimate, np.nan, np.nan, np.nan)
    variance = np.nansum((values - means) ** 2) / freedom
    error = float(np.sqrt(variance * (weight**2 / n).sum()))
    if error == 0:
        return Interval(estimate, estimate, estimate, float(estimate == 0))
    return _student(estimate, error, freedom, confidence)


def proportion_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a proportion (Clopper & Pearson 1934).

    Raises:
        ValueError: there is no trial, or there are more successes than trials.

    """
    from scipy import stats

    interval = stats.binomtest(successes, trials).proportion_ci(confidence, method="exact")
    return float(interval.low), float(interval.high)


def _student(estimate: float, error: float, freedom: int, confidence: float) -> Interval:
    half = float(student.quantile((1 + confidence) / 2, freedom)) * error
    p_value = 2 * float(student.tail(abs(estimate) / error, freedom))
    return Interval(estimate, estimate - half, estimate + half, p_value)
