"""Compute-equivalent gains: how many times the treatment's computation a baseline needs to do as well, with a set of
factors that the data do not reject; and whether the gain grows with computation.
"""

from typing import Literal, NamedTuple

import numpy as np
from scipy import special

from takeoff.statistics.contrasts import Floats
from takeoff.statistics.intervals import ROUNDING, mean_interval

Bound = Literal["none", "lower", "upper"]


class Gain(NamedTuple):
    """A gain as a ratio of computation: above 1 the treatment saves computation, below 1 it costs some."""

    estimate: float
    """Where `bound` is not none, the end of the observed range beyond which the gain lies."""
    low: float
    """Of the 95% confidence set; 0 where nothing trained bounds it from below, NaN of one seed."""
    high: float
    """Likewise; infinite where nothing trained bounds it from above."""
    bound: Bound
    """Whether the estimate is only a bound: a `lower` one where the treatment does better than the baseline does with
    any computation that was tried, an `upper` one where it does worse."""
    least: float
    """The least ratio that could be observed, at the baseline's least computation."""
    most: float
    """The greatest."""

    @property
    def known(self) -> bool:
        """Whether the estimate is no bound, and neither end is open."""
        return self.bound == "none" and self.low > 0 and bool(np.isfinite(self.high))


class Growth(NamedTuple):
    """The slope of a log gain over log computation, with its 95% interval; NaN where it cannot be known."""

    slope: float
    low: float
    high: float
    n_budgets: int
    """Budgets at which the gain is known, so that the slope rests on them."""


class Compared(NamedTuple):
    """Runs of a baseline and of a treatment, paired by seed, in one or more contexts.

    Scores are those that computation moves along a line, such as log-odds; computation is its natural logarithm. A
    side's budgets ascend.
    """

    baseline: Floats
    """Scores (contexts, seeds, the baseline's budgets)."""
    baseline_compute: Floats
    """(contexts, the baseline's budgets)."""
    treatment: Floats
    """Scores (contexts, seeds, the treatment's budgets)."""
    treatment_compute: Floats
    """(contexts, the treatment's budgets)."""

    def without(self, seed: int) -> "Compared":
        """All runs but those of the seed at this place."""
        rest = [np.delete(side, seed, axis=1) for side in (self.baseline, self.treatment)]
        return self._replace(baseline=rest[0], treatment=rest[1])


def equivalent_gain(compared: Compared, budget: int) -> Gain:
    """The gain at the treatment's `budget`, a place among its budgets.

    Within a seed the treatment's score is compared with the baseline's at d times as much computation, linear between
    budgets on the log axis, in each context, and the differences are averaged over contexts. The estimate is the d at
    which their mean over seeds is 0; of several the one nearest to 1. The interval is the hull of every d at which
    Student's t test does not reject a mean of 0 at 5% (as Fieller 1954 does for a ratio), within the range that the
    baseline was trained in: nothing is extrapolated. Where the test does not reject an end of that range, or the
    estimate is a bound there, the interval is open.

    A ValueError says that the contexts' baselines have no range in common.
    """
    shifts = compared.baseline_compute - compared.treatment_compute[:, [budget]]
    least, most = float(shifts[:, 0].max()), float(shifts[:, -1].min())
    if least > most:
        raise ValueError("the baselines of the contexts were trained with no ratio of computation in common")
    places = np.unique(np.append(shifts, 0.0))
    places = np.unique([least, *places[(places > least) & (places < most)], most])
    reached = [
        [np.interp(places, shift, scores) for scores in seeds]
        for shift, seeds in zip(shifts, compared.baseline, strict=True)
    ]
    differences = compared.treatment[:, :, budget].mean(axis=0)[:, None] - np.mean(reached, axis=0)
    differences[np.abs(differences) <= ROUNDING * np.abs(compared.baseline).max()] = 0
    roots, accepted = _crossings(places, differences), _accepted(places, differences)
    bound: Bound = "none"
    if roots.size:
        estimate = float(roots[np.abs(roots).argmin()])
    else:
        # A continuous mean without a root has one sign everywhere.
        bound = "lower" if differences[:, 0].mean() > 0 else "upper"
        estimate = most if bound == "lower" else least
    inside = [estimate, *roots, *accepted]
    low = 0.0 if bound == "upper" or least in accepted else np.exp(min(inside))
    high = np.inf if bound == "lower" or most in accepted else np.exp(max(inside))
    if differences.shape[0] == 1:
        low = high = np.nan
    return Gain(float(np.exp(estimate)), float(low), float(high), bound, float(np.exp(least)), float(np.exp(most)))


def _crossings(places: Floats, differences: Floats) -> Floats:
    """Where the mean of `differences`, (seeds, places), linear between `places`, is 0."""
    mean = differences.mean(axis=0)
    found = [place for place, value in zip(places, mean, strict=True) if value == 0]
    for i in np.flatnonzero(mean[:-1] * mean[1:] < 0):
        found.append(places[i] + mean[i] / (mean[i] - mean[i + 1]) * (places[i + 1] - places[i]))
    return np.array(found, dtype=float)


def _accepted(places: Floats, differences: Floats) -> Floats:
    """Ends of the stretches in which the t test does not reject a mean of 0, exactly: there mean² − t² × its squared
    error, a square in each segment, is not above 0. None of one seed.
    """
    n = len(differences)
    if n == 1:
        return np.array([])
    times = float(special.stdtrit(n - 1, 0.975)) ** 2 / n
    mean, variance = differences.mean(axis=0), differences.var(axis=0, ddof=1)
    found = list(places[mean**2 <= times * variance])
    for i, start in enumerate(places[:-1]):
        step = differences[:, i + 1] - differences[:, i]
        between = float(np.cov(differences[:, i], step)[0, 1])
        square = step.mean() ** 2 - times * step.var(ddof=1)
        roots = np.roots([square, 2 * (mean[i] * step.mean() - times * between), mean[i] ** 2 - times * variance[i]])
        inside = roots.real[(roots.imag == 0) & (roots.real > 0) & (roots.real < 1)]
        found.extend(start + inside * (places[i + 1] - start))
    return np.array(found, dtype=float)


def growth(compared: Compared) -> Growth:
    """How the gain grows: the least-squares slope of its log over the treatment's log computation, over the budgets at
    which it is known.

    At a slope of s, ten times the computation multiply the gain by 10^s. The interval is Student's, from the
    delete-one-seed jackknife; there is none where a gain is a bound once a seed is left out. With fewer than two such
    budgets there is no slope.
    """
    budgets = range(compared.treatment.shape[2])
    known = [budget for budget in budgets if equivalent_gain(compared, budget).known]
    if len(known) < 2:
        return Growth(np.nan, np.nan, np.nan, len(known))
    seeds = compared.baseline.shape[1]
    slope = _slope(compared, known)
    # Of two seeds too: a gain of one seed has an estimate.
    left = np.array([_slope(compared.without(seed), known) for seed in range(seeds)])
    if not np.isfinite(left).all():
        return Growth(slope, np.nan, np.nan, len(known))
    pseudo = mean_interval(seeds * slope - (seeds - 1) * left)
    half = (pseudo.high - pseudo.low) / 2
    return Growth(slope, slope - half, slope + half, len(known))


def _slope(compared: Compared, budgets: list[int]) -> float:
    gains = [equivalent_gain(compared, budget) for budget in budgets]
    if any(gain.bound != "none" for gain in gains):
        return float("nan")
    compute = compared.treatment_compute[:, budgets].mean(axis=0)
    return float(np.polyfit(compute, np.log([gain.estimate for gain in gains]), 1)[0])
