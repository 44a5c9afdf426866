"""Power laws of error against training-set size, error = α m^−β + γ: their fit and the intervals of β.

Sizes and errors are (n,), all above 0; a fit takes three different sizes or more, an interval four errors or more.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from takeoff.statistics.contrasts import Floats

SHALLOWEST, STEEPEST = 1e-4, 10.0
"""Between which β is sought. Published ones lie between 0.07 and 0.35 (Hestness 2017)."""
EVERY = -1
"""A draw's number that stands for all draws: what is of the same observations in each counts once, always."""
STARTS = ((0.1, 0.01), (0.5, 0.1), (1.0, 0.5))
"""(β, γ's share of the error at the smallest size) from which the fit starts; the best end is kept."""


class PowerLaw(NamedTuple):
    """error = `alpha` m^−`beta` + `gamma`, over sizes m."""

    alpha: float
    beta: float
    gamma: float
    """Exactly 0 where it sits on its bound."""
    squares: float
    """The weighted sum of squares of the log errors about the law."""


def fit_power_law(sizes: ArrayLike, errors: ArrayLike, weights: ArrayLike | None = None) -> PowerLaw:
    """The power law with α, β > 0, γ ≥ 0 nearest to `errors`, in least squares of their logarithms.

    On the log scale since the scatter of errors between draws shrinks with the error; weights from that scatter at each
    size would take more draws than there are. Of three sizes the fit goes through the means. `weights` are (n,), 0 or
    more; 1 when left out.
    """
    points = _Points(sizes, errors, weights)
    return min((points.fit(start) for start in STARTS), key=lambda law: law.squares)


def beta_profile_interval(sizes: ArrayLike, errors: ArrayLike) -> tuple[float, float]:
    """The 95% profile-likelihood interval of β: where the best α and γ fit not much worse than the best of all.

    Not much: by what F(1, n − 3) allows (Bates & Watts 1988, ch. 6), taking log errors as normal with one spread, and
    independent. It is the interval to report, since draws are few: simulated with 3 to 10 of 7 sizes over 2 decades, it
    covered 94–98% where errors are independent, and 98–100%, so is too wide, where draws differ in level or slope at
    all sizes. An end is 0 or infinite where every β down to `SHALLOWEST`, or up to `STEEPEST`, fits.
    """
    points, best = _Points(sizes, errors, None), fit_power_law(sizes, errors)
    freedom = len(np.asarray(sizes)) - 3
    most = best.squares * (1 + special.fdtri(1, freedom, 0.95) / freedom)

    def excess(log_beta: float) -> float:
        return points.profile(float(np.exp(log_beta))) - most

    centre = float(np.log(best.beta))
    if excess(centre) >= 0:  # no scatter but rounding
        return best.beta, best.beta
    ends = []
    for limit, beyond in ((np.log(SHALLOWEST), 0.0), (np.log(STEEPEST), np.inf)):
        crossed = excess(limit) > 0
        ends.append(float(np.exp(optimize.brentq(excess, limit, centre, xtol=1e-6))) if crossed else beyond)
    return ends[0], ends[1]


def beta_resampling_interval(
    sizes: ArrayLike, errors: ArrayLike, draws: ArrayLike, resamples: int = 400
) -> tuple[float, float]:
    """The 95% percentile interval of β over resampled draws, each drawn with its errors at all sizes.

    It takes nothing for granted about how a draw's errors hang together, but needs many draws: simulated as for
    `beta_profile_interval`, it covered 67% with 3 draws, 79% with 6 and 88% with 10. `draws`, (n,), say which draw an
    error is of; `EVERY` where it is of all, which no resample leaves out or counts twice.
    """
    best = fit_power_law(sizes, errors)
    start = best.beta, best.gamma / (best.alpha * float(np.min(sizes)) ** -best.beta + best.gamma)
    draw = np.asarray(draws)
    names = np.unique(draw[draw != EVERY])
    n, number = len(names), np.searchsorted(names, draw)
    counts = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=resamples)
    weights = (np.where(draw == EVERY, 1, count[number.clip(max=n - 1)]) for count in counts)
    betas = [_Points(sizes, errors, weight).fit(start).beta for weight in weights]
    low, high = np.quantile(betas, [(1 - 0.95) / 2, (1 + 0.95) / 2])
    return float(low), float(high)


class _Points:
    """Log errors by size, and how far a law is from them.

    A law is (β, share): its error at the smallest size m₀ is A, of which γ is the `share`; that A is best which centres
    the residuals.
    """

    def __init__(self, sizes: ArrayLike, errors: ArrayLike, weights: ArrayLike | None) -> None:
        m, log_error = np.asarray(sizes, dtype=float), np.log(np.asarray(errors, dtype=float))
        weight = np.ones(m.shape) if weights is None else np.asarray(weights, dtype=float)
        m, log_error, weight = m[weight > 0], log_error[weight > 0], weight[weight > 0]
        self.sizes, place = np.unique(m, return_inverse=True)
        counts = np.bincount(place, weight)
        self.logs = np.bincount(place, weight * log_error) / counts
        self.scatter = float((weight * (log_error - self.logs[place]) ** 2).sum())
        self.growth = np.log(self.sizes / self.sizes[0])
        self.roots, self.shares = np.sqrt(counts), counts / counts.sum()

    def _above(self, law: ArrayLike) -> Floats:
        """The log errors, (sizes,), less the law's, of which log A is not yet taken."""
        beta, share = np.asarray(law, dtype=float)
        return np.asarray(self.logs - np.log((1 - share) * np.exp(-beta * self.growth) + share))

    def _residuals(self, law: ArrayLike) -> Floats:
        above = self._above(law)
        return np.asarray(self.roots * (above - self.shares @ above))

    def fit(self, start: tuple[float, float]) -> PowerLaw:
        """The nearest law, sought from `start`."""
        bounds = ((SHALLOWEST, 0.0), (STEEPEST, 1 - 1e-9))
        # dogbox ends on a bound exactly, trf only near it
        found = optimize.least_squares(
            self._residuals, start, bounds=bounds, method="dogbox", xtol=1e-10, ftol=1e-12, gtol=1e-12
        )
        beta, share = (float(value) for value in found.x)
        first = float(np.exp(self.shares @ self._above(found.x)))
        alpha = first * (1 - share) * float(self.sizes[0]) ** beta
        return PowerLaw(alpha, beta, first * share, 2 * float(found.cost) + self.scatter)

    def profile(self, beta: float) -> float:
        """The least sum of squares with this β."""

        def squares(share: float) -> float:
            return float((self._residuals((beta, share)) ** 2).sum())

        inside = optimize.minimize_scalar(squares, bounds=(0, 1), method="bounded", options={"xatol": 1e-8})
        return min(float(inside.fun), squares(0.0)) + self.scatter
