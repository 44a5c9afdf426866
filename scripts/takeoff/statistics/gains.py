"""Compute-equivalent gains: how many times the treatment's computation a baseline needs to do as well, with a set of
ratios that the data do not reject; and whether the gain grows with computation.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from takeoff.statistics.contrasts import Floats
from takeoff.statistics.intervals import ROUNDING, mean_interval

Bound = Literal["none", "lower", "upper"]


class Compared(NamedTuple):
    """Scores of a baseline and of a treatment, paired by seed, in one or more contexts: each (contexts, seeds, budgets
    of its side), in units that computation moves along a line, such as log-odds; and natural logarithms of computation,
    each (contexts, budgets of its side), ascending.
    """

    baseline: Floats
    baseline_compute: Floats
    treatment: Floats
    treatment_compute: Floats


class Gain(NamedTuple):
    """A ratio of computation: above 1 the treatment saves some, below 1 it costs some."""

    gain: float
    """The estimate; where it is only a bound, the end of the observed range beyond which the gain lies."""
    gain_low: float
    """Of the 95% confidence set: 0 where no budget bounds it from below; NaN of one seed."""
    gain_high: float
    """Likewise: infinite where no budget bounds it from above."""
    bound: Bound
    """`lower` where the treatment does better than the baseline at any budget, `upper` where it does worse."""
    least: float
    """The least ratio that could be observed, with the baseline's least budget."""
    most: float


class Growth(NamedTuple):
    """The slope of a log gain over log computation, with its 95% interval; NaN where it cannot be known."""

    slope: float
    slope_low: float
    slope_high: float
    n_budgets: int
    """At which the gain is no bound and both its ends are known: what the slope rests on."""


def equivalent_gain(compared: Compared, budget: int) -> Gain:
    """The gain at the treatment's `budget`, a place among its budgets.

    Within a seed the treatment's score is compared with the baseline's at d times as much computation, linear between
    budgets on the log axis, in each context, and the differences are averaged over contexts. The estimate is the d at
    which their mean over seeds is 0; of several the one nearest to 1. The interval is the hull of every d at which
    Student's t test does not reject a mean of 0 at 5% (as Fieller 1954 does for a ratio), within the range that the
    baseline was trained in: nothing is extrapolated. Where the test does not reject an end of that range, or the
    estimate is a bound there, the interval is open.

    A ValueError says that the contexts' baselines have no such range in common.
    """
    shifts = compared.baseline_compute - compared.treatment_compute[:, [budget]]
    least, most = float(shifts[:, 0].max()), float(shifts[:, -1].min())
    if least > most:
        raise ValueError("the baselines of the contexts were trained with no ratio of computation in common")
    places = np.unique(np.clip([*shifts.ravel(), 0], least, most))
    lines = zip(shifts, compared.baseline, strict=True)
    reached = [[np.interp(places, shift, scores) for scores in seeds] for shift, seeds in lines]
    differences = compared.treatment[:, :, budget].mean(axis=0)[:, None] - np.mean(reached, axis=0)
    differences[np.abs(differences) <= ROUNDING * np.abs(compared.baseline).max()] = 0
    mean = differences.mean(axis=0)
    zeros = [*places[mean == 0], *_roots(places, np.stack([np.diff(mean), mean[:-1]], axis=1))]
    accepted = _accepted(places, differences)
    bound: Bound = "none"
    if zeros:
        estimate = min(zeros, key=abs)
    else:
        # A continuous mean without a root has one sign everywhere.
        bound, estimate = ("lower", most) if mean[0] > 0 else ("upper", least)
    low = 0.0 if bound == "upper" or least in accepted else np.exp(min([estimate, *zeros, *accepted]))
    high = np.inf if bound == "lower" or most in accepted else np.exp(max([estimate, *zeros, *accepted]))
    low, high = (low, high) if len(differences) > 1 else (np.nan, np.nan)
    return Gain(float(np.exp(estimate)), float(low), float(high), bound, float(np.exp(least)), float(np.exp(most)))


def _accepted(places: Floats, differences: Floats) -> list[float]:
    """The ends of the stretches in which the t test does not reject: where mean² − t² × squared error, of `differences`
    (seeds, places) that are linear between `places`, is not above 0. None of one seed.
    """
    n = len(differences)
    if n == 1:
        return []
    times = float(special.stdtrit(n - 1, 0.975)) ** 2 / n
    mean, start, step = differences.mean(axis=0), differences[:, :-1], np.diff(differences, axis=1)
    covariance = ((start - mean[:-1]) * (step - np.diff(mean))).sum(axis=0) / (n - 1)
    excess = mean**2 - times * differences.var(axis=0, ddof=1)
    square = np.diff(mean) ** 2 - times * step.var(axis=0, ddof=1)
    linear = 2 * (mean[:-1] * np.diff(mean) - times * covariance)
    return [*places[excess <= 0], *_roots(places, np.stack([square, linear, excess[:-1]], axis=1))]


def _roots(places: Floats, polynomials: ArrayLike) -> list[float]:
    """Where polynomials are 0, one in each segment between `places`, of the share of the way through it."""
    found: list[float] = []
    for start, end, polynomial in zip(places[:-1], places[1:], np.asarray(polynomials), strict=True):
        roots = np.roots(polynomial)
        inside = roots.real[(roots.imag == 0) & (roots.real >= 0) & (roots.real <= 1)]
        found += (start + inside * (end - start)).tolist()
    return found


def growth(compared: Compared) -> Growth:
    """How the gain grows: the least-squares slope of its log over the treatment's log computation, over the budgets at
    which both its ends are known; with fewer than two of these there is none. At a slope of s, ten times the
    computation multiply the gain by 10^s.

    The interval is Student's, from the delete-one-seed jackknife; none where a gain is a bound without some seed.
    """
    gains = [equivalent_gain(compared, budget) for budget in range(compared.treatment.shape[2])]
    known = [i for i, one in enumerate(gains) if one.bound == "none" and one.gain_low > 0 and one.gain_high < np.inf]
    if len(known) < 2:
        return Growth(np.nan, np.nan, np.nan, len(known))
    slope, seeds = _slope(compared, known), range(compared.baseline.shape[1])
    rest = [[np.delete(side, seed, axis=1) for side in (compared.baseline, compared.treatment)] for seed in seeds]
    left = np.array([_slope(compared._replace(baseline=one, treatment=other), known) for one, other in rest])
    half = np.nan
    if np.isfinite(left).all():
        pseudo = mean_interval(len(seeds) * slope - (len(seeds) - 1) * left)
        half = (pseudo.high - pseudo.low) / 2
    return Growth(slope, slope - half, slope + half, len(known))


def _slope(compared: Compared, budgets: list[int]) -> float:
    """NaN where a gain is a bound."""
    gains = [equivalent_gain(compared, budget) for budget in budgets]
    if any(one.bound != "none" for one in gains):
        return float("nan")
    return float(np.polyfit(compared.treatment_compute[:, budgets].mean(axis=0), np.log([g.gain for g in gains]), 1)[0])
