"""Intervals: Student t over seeds, its bands along curves, Welch's over independent runs, the pooled-error interval,
Clopper–Pearson; and the corrections of p-values for many contrasts: Holm for planned ones, Benjamini–Hochberg for
exploratory ones.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from takeoff.statistics.clustered import Estimate
from takeoff.statistics.contrasts import Floats

ROUNDING = 1e-12
"""A spread below this share of the responses' size is rounding, and counts as none."""


class Interval(NamedTuple):
    """An estimate, its confidence interval and two-sided p-value against zero; NaN where there is none."""

    estimate: float
    low: float
    high: float
    p_value: float

    def named(self, name: str) -> dict[str, float]:
        """The estimate and the interval as columns of a table: `name`, `name_low`, `name_high`."""
        return {name: self.estimate, f"{name}_low": self.low, f"{name}_high": self.high}


class Band(NamedTuple):
    """A mean at each point, its interval, and how many values it is of: each (points,)."""

    mean: Floats
    low: Floats
    high: Floats
    n: Floats


def mean_interval(values: ArrayLike, confidence: float = 0.95, size: float | None = None) -> Interval:
    """The Student t interval of the mean of `values`, (n,), one per seed; given differences, the paired interval.

    With one value there is no interval (NaN). Without variance the interval has no width, which says only that, and p
    is that of the sign test, 1/2^(n − 1), where the mean is not 0, else 1. `size` is that of the responses which the
    values are differences of: what is below `ROUNDING` times it counts as nothing. No value, or one that is not finite,
    is a ValueError.
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
    # Scaling by a power of two rounds nothing; without it the squares of very small values would be 0.
    exponent = np.frexp(np.abs(sample).max())[1]
    deviation = np.ldexp(np.ldexp(sample, -exponent).std(ddof=1), exponent)
    return _t_interval(mean, float(deviation / np.sqrt(sample.size)), sample.size - 1, confidence)


def sign_test(n: ArrayLike) -> Floats:
    """The two-sided p-value of `n` values that all lie on one side, the least that so many can have."""
    return np.asarray(0.5 ** (np.asarray(n, dtype=float) - 1))


def mean_band(samples: ArrayLike) -> Band:
    """Student's 95% intervals of the mean at each point of `samples`, (points, n), over what is finite there."""
    values = np.asarray(samples, dtype=float)
    finite = np.isfinite(values)
    n = finite.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(finite, values, 0).sum(axis=1) / n
        squares = np.where(finite, values - mean[:, None], 0) ** 2
        error = np.sqrt(squares.sum(axis=1) / (n - 1) / n)
        half = np.where(n > 1, special.stdtrit(np.maximum(n - 1, 1), 0.975) * error, np.nan)
    return Band(mean, mean - half, mean + half, n)


def welch(samples: Sequence[ArrayLike], weights: ArrayLike, size: float | None = None) -> Estimate:
    """The sum of weight × mean over `samples`, taken as independent of each other, and the values of each as
    independent and normal, with a variance of their own.

    Degrees of freedom after Welch 1947 and Satterthwaite 1946. Of two samples with the weights 1 and −1 they are those
    of `scipy.stats.ttest_ind(equal_var=False)`; SciPy and statsmodels have none for more. Where a sample is one run
    there is no error. `size` is that of `mean_interval`.
    """
    rows, weight = [np.asarray(sample, dtype=float) for sample in samples], np.asarray(weights, dtype=float)
    nothing = ROUNDING * (max(float(np.abs(row).max()) for row in rows) if size is None else size)
    estimate = float(weight @ [row.mean() for row in rows])
    estimate = 0.0 if abs(estimate) <= nothing else estimate
    n = np.array([row.size for row in rows])
    if (n < 2).any():
        return Estimate(estimate, np.nan, np.nan)
    parts = weight**2 * [row.var(ddof=1) if np.ptp(row) > nothing else 0.0 for row in rows] / n
    if not parts.any():
        return Estimate(estimate, 0.0, float(n.min() - 1))
    shares = parts / parts.sum()
    return Estimate(estimate, float(np.sqrt(parts.sum())), float(1 / (shares**2 / (n - 1)).sum()))


def welch_interval(
    samples: Sequence[ArrayLike], weights: ArrayLike, confidence: float = 0.95, size: float | None = None
) -> Interval:
    """The interval of `welch`, with the p-value of its t test; NaN where there is no error.

    Where no sample varies it has no width, and p is the sign test's, as in `mean_interval`, of the smallest sample.
    """
    found = welch(samples, weights, size)
    if found.error == 0:
        p_value = float(sign_test(found.freedom + 1)) if found.value else 1.0
        return Interval(found.value, found.value, found.value, p_value)
    return _t_interval(*found, confidence)


def pooled_interval(responses: ArrayLike, weights: ArrayLike) -> Interval:
    """The 95% interval of an effect from the pooled ANOVA error of all cells: a sensitivity line, never the result.

    It takes runs as independent and all cells as equally noisy; where they are not, its coverage is off in either
    direction. `responses` are (seeds, cells), NaN where there is no run; `weights` (cells,), as `contrasts` makes them.
    """
    values, weight = np.asarray(responses, dtype=float), np.asarray(weights, dtype=float)
    n = np.isfinite(values).sum(axis=0)
    means = np.nanmean(values, axis=0)
    freedom = int(n.sum() - n.size)
    estimate = float(weight @ means)
    if freedom < 1:
        return Interval(estimate, np.nan, np.nan, np.nan)
    variance = np.nansum((values - means) ** 2) / freedom
    error = float(np.sqrt(variance * (weight**2 / n).sum()))
    if error == 0:
        return Interval(estimate, estimate, estimate, float(estimate == 0))
    return _t_interval(estimate, error, freedom, 0.95)


def proportion_interval(successes: int, trials: int) -> tuple[float, float]:
    """The exact 95% interval of a proportion (Clopper & Pearson 1934) of one trial or more."""
    from scipy import stats

    interval = stats.binomtest(successes, trials).proportion_ci(0.95, method="exact")
    return float(interval.low), float(interval.high)


def _t_interval(estimate: float, error: float, freedom: float, confidence: float) -> Interval:
    half = float(special.stdtrit(freedom, (1 + confidence) / 2)) * error
    p_value = 2 * float(special.stdtr(freedom, -abs(estimate) / error))
    return Interval(estimate, estimate - half, estimate + half, p_value)


def holm(p_values: ArrayLike) -> Floats:
    """Adjusted p-values that bound the chance of any false discovery (Holm 1979); NaN stays and does not count.

    They are those of statsmodels' `multipletests` to the last bit, as are those of `benjamini_hochberg`.
    """
    return _adjusted(p_values, lambda p: np.maximum.accumulate(p * np.arange(p.size, 0, -1)))


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Adjusted p-values that bound the share of false discoveries (Benjamini & Hochberg 1995); NaN as in `holm`."""
    # SciPy's false_discovery_control multiplies by n / rank, which differs in the last bit.
    return _adjusted(p_values, lambda p: np.minimum.accumulate((p / (np.arange(1, p.size + 1) / p.size))[::-1])[::-1])


def _adjusted(p_values: ArrayLike, adjust: Callable[[Floats], Floats]) -> Floats:
    """What `adjust` makes of the finite p-values in ascending order, at most 1, in the order given."""
    adjusted = np.array(p_values, dtype=float)
    finite = np.flatnonzero(np.isfinite(adjusted))
    ascending = finite[np.argsort(adjusted[finite])]
    adjusted[ascending] = np.minimum(adjust(adjusted[ascending]), 1)
    return adjusted
