"""Means over seeds and images, both taken as random, and ratios of such means, with their t intervals.

A mean over crossed seeds and images varies as both do. Its variance is estimated by that of the seeds' means over
their number, plus that of the images' means over theirs, less the residuals' share, which both contain: the variance
of a mean clustered two ways (Cameron, Gelbach & Miller 2011, JBES 29, 238–249), never less than the larger of the two.
A ratio's logarithm is linearised (delta method): an image counts as its error over the mean error. Degrees of freedom
after Satterthwaite (1946), of the three mean squares that the variance is made of. Simulated with 6 seeds and 300 or
2,000 images, 95% intervals of ratios covered 94–97%, with 3 seeds 92–97%: the least where seeds differ more than images
do.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from takeoff.statistics.contrasts import Floats


class Estimate(NamedTuple):
    """An estimate, its standard error, and degrees of freedom; the last two NaN with one seed or image."""

    value: float
    error: float
    freedom: float

    def interval(self) -> tuple[float, float]:
        """Student's 95% interval; NaN without an error."""
        if not self.freedom > 0:
            return float("nan"), float("nan")
        half = float(special.stdtrit(self.freedom, 0.975)) * self.error
        return self.value - half, self.value + half


def crossed_mean(values: ArrayLike) -> Estimate:
    """The mean of `values`, (seeds, images), as of random seeds and images; ValueError where one is not finite."""
    table: Floats = np.asarray(values, dtype=float)
    if table.ndim != 2 or not table.size or not np.isfinite(table).all():
        raise ValueError("a mean over seeds and images needs a finite table of them")
    mean, (seeds, images) = float(table.mean()), table.shape
    if min(seeds, images) < 2:
        return Estimate(mean, float("nan"), float("nan"))
    by_seed, by_image = table.mean(axis=1), table.mean(axis=0)
    rest = table - by_seed[:, None] - by_image + mean
    parts = np.array([by_seed.var(ddof=1) / seeds, by_image.var(ddof=1) / images])
    both = float((rest**2).sum()) / ((seeds - 1) * (images - 1)) / table.size
    if not parts.any():
        return Estimate(mean, 0.0, float(seeds - 1))
    variance, freedoms = parts.sum() - both, np.array([seeds - 1, images - 1])
    if variance < parts.max():
        return Estimate(mean, float(np.sqrt(parts.max())), float(freedoms[parts.argmax()]))
    freedom = variance**2 / ((parts**2 / freedoms).sum() + both**2 / freedoms.prod())
    return Estimate(mean, float(np.sqrt(variance)), float(freedom))


def log_ratio(errors: ArrayLike, others: ArrayLike) -> Estimate:
    """The natural logarithm of the mean of `errors` over that of `others`, (seeds, images) each, paired.

    NaN where either made no error.
    """
    one, two = np.asarray(errors, dtype=float), np.asarray(others, dtype=float)
    if one.mean() <= 0 or two.mean() <= 0:
        return Estimate(float("nan"), float("nan"), float("nan"))
    found = crossed_mean(one / one.mean() - two / two.mean())
    return found._replace(value=float(np.log(one.mean() / two.mean())))
