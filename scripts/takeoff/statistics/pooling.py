"""One estimate from several studies, by random effects: each study has an effect of its own, and their mean is sought.

The variance between studies is that of Paule & Mandel (1982, Journal of Research of the National Bureau of Standards
87, 377–385). The mean's interval is that of Hartung & Knapp and Sidik & Jonkman: Student's t with one degree of freedom
fewer than studies. Its standard error is never less than that of the weights, as Röver, Knapp & Friede (2015, BMC
Medical Research Methodology 15, 99) advise: else two studies that agree by chance would seem certain. Two studies have
one degree of freedom, so their interval is wide. Weights take each study's standard error as known.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from takeoff.statistics.criterion import Range
from takeoff.statistics.measures import Measure


@dataclass(frozen=True)
class Pooled:
    """Studies' measures of one quantity, as one. All but `prediction` is on the estimate's scale, NaN for one study."""

    measure: Measure
    """The mean; of one study, that study's own measure."""
    k: int
    """How many studies it rests on."""
    tau: float = np.nan
    """The standard deviation between studies' true effects."""
    i_squared: float = np.nan
    """The share of the scatter between studies that is not their own error (Higgins & Thompson 2002), 0 to 1."""
    q: float = np.nan
    """Cochran's Q,"""
    q_p_value: float = np.nan
    """and its p-value where all studies have the same effect."""
    prediction: Range = (np.nan, np.nan)
    """Where the effect of another study lies with 95% probability, in the quantity's own units; from three studies on
    (Higgins, Thompson & Spiegelhalter 2009)."""


def pooled(measures: Sequence[Measure]) -> Pooled:
    """The random-effects mean of one quantity, from studies that each have a standard error above 0.

    Bounds are averaged with the same weights: each true effect may lie so much farther. Where no value differs from
    another, in any study, the mean is that value, with all studies' seeds. Where values differ between studies alone,
    each study is one value. No measure, or one without such an error among others, is a ValueError.
    """
    first, k = measures[0], len(measures)
    if k == 1:
        return Pooled(first, 1)
    if all(one.error == 0 and one.estimate == first.estimate for one in measures):
        values = tuple(value for one in measures for value in one.values)
        bound = (max(one.bound[0] for one in measures), max(one.bound[1] for one in measures))
        return Pooled(replace(first, values=values, freedom=sum(one.freedom for one in measures), bound=bound), k)
    if not any(one.error for one in measures):
        return _of_values(measures)
    if not all(one.error > 0 for one in measures):
        raise ValueError(f"{first.label}: a study without a standard error cannot be weighed")
    from statsmodels.stats.meta_analysis import combine_effects  # takes a second

    estimates, variances = (np.array([getattr(one, name) for one in measures]) for name in ("estimate", "error"))
    variances = variances**2
    with np.errstate(divide="ignore"):  # of an I² that is not used here, where Q is 0
        found = combine_effects(estimates - estimates[0], variances, method_re="iterated")
    mean, error = float(found.mean_effect_re + estimates[0]), float(found.sd_eff_w_re)
    error *= float(np.sqrt(max(1.0, found.scale_hksj_re)))
    bounds = np.array([one.bound for one in measures]).T
    below, above = (float(np.where(bound > 0, bound * found.weights_rel_re, 0).sum()) for bound in bounds)
    most = max(one.most for one in measures)
    whole = replace(first, estimate=mean, error=error, freedom=k - 1.0, bound=(below, above), most=most, values=())
    between, prediction = float(np.sqrt(found.tau2)), (np.nan, np.nan)
    if k > 2:
        half = float(special.stdtrit(k - 2, 0.975) * np.hypot(between, error))
        prediction = (whole.unscaled(mean - half - below), whole.unscaled(mean + half + above))
    q = float(found.q)
    share = max(0.0, 1 - (k - 1) / q) if q else 0.0
    return Pooled(whole, k, between, share, q, float(special.chdtrc(k - 1, q)), prediction)


def _of_values(measures: Sequence[Measure]) -> Pooled:
    """The mean of studies within which no value differs from another: Student's t over studies, in which their scatter
    is all that there is. How much of it is their own error (I², Q) cannot be said.
    """
    values, k = np.array([one.estimate for one in measures]), len(measures)
    between = float(values.std(ddof=1))
    below, above = (float(np.mean([one.bound[end] for one in measures])) for end in (0, 1))
    whole = replace(
        measures[0],
        estimate=float(values.mean()),
        error=between / k**0.5,
        freedom=k - 1.0,
        bound=(below, above),
        most=max(one.most for one in measures),
        values=(),
    )
    return Pooled(whole, k, between)
