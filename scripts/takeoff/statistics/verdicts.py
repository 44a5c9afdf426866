"""Verdicts: on which side of a criterion fixed beforehand an estimate's interval lies, corrected for many claims.

**A part** is one measured quantity with a criterion. It is `supported` where its whole interval lies where the claim
says, `contradicted` where the whole interval lies in one region that the claim excludes, else `undecided`; an interval
that touches the line is undecided. Its p-value is the smallest level at which the interval is decided: twice the
smaller of the one-sided t tests for and against. A region with two ends needs both its one-sided tests, and the larger
p-value counts: an intersection–union test, for equivalence the two one-sided tests (Berger & Hsu 1996, Statistical
Science 11, 283–319). Where all n values are equal there is no spread to judge by, and the sign test stands in: n of n
on one side have p = 1/2^(n − 1), a statement on the median, and the interval is that value alone or, where p does not
reach the level, everything. A part with a veto, such as "not trained enough", has neither verdict, but its interval.

**A claim** is supported where every part is, contradicted where any part is, else undecided. Support takes the largest
p-value of its parts: where one is not as claimed, all pass no more often than that one (Berger & Hsu 1996). One part
suffices to contradict, so that takes the smallest, times the number of parts that could (Bonferroni). The smaller of
both is the claim's: at a level of a each errs with probability a/2 at most, however parts depend on each other. A look
divides it by the share of α that it may spend; as all shares sum to 1 (`judging.looks`), the smallest quotient of all
looks is a p-value again.

**The level** comes from Holm's step-down (1979, Scandinavian Journal of Statistics 6, 65–70) over all claims of a
family: the i-th smallest of m p-values gets α / (m − i + 1); from the first that is not decided at its level on, all
keep that one's. A claim without an interval counts among the m. The chance that a family decides any claim on its line
is at most α; for independent claims, that of a wrong direction too (Shaffer 1980, Annals of Statistics 8, 1342–1347).
The interval of a part that is supported has its claim's level, others the smaller one for contradicting: each lies on a
side just where its verdict says so. They are not simultaneous (Strassburger & Bretz 2008, Statistics in Medicine 27,
4914–4927). All this as far as they cover: of runs that fail rarely, and are alike otherwise, few seeds say nothing that
a t interval could. A sign-flip test beside t never decides: it needs symmetric errors alone, but nine values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from takeoff.statistics.contrasts import Floats
from takeoff.statistics.criterion import Criterion, Range
from takeoff.statistics.intervals import ROUNDING, holm, sign_test
from takeoff.statistics.measures import Measure

Verdict = Literal["supported", "contradicted", "undecided"]


@dataclass(frozen=True)
class Part:
    """One measured quantity with its criterion; a claim has one, or several which must all hold."""

    measure: Measure
    criterion: Criterion

    def __post_init__(self) -> None:
        low, high = map(self.measure.scaled, self.criterion.supports)
        if np.isinf((low, high)).all():
            raise ValueError(f"{self.measure.label}: every ratio lies there, it is no side of a criterion")

    @property
    def against(self) -> tuple[Range, ...]:
        """The regions that contradict: of a ratio, none below 0."""
        scaled = self.measure.scaled
        return tuple(region for region in self.criterion.against if scaled(region[0]) < scaled(region[1]))


@dataclass(frozen=True)
class Judgement:
    """What became of a part; numbers in the quantity's own units, NaN where the part has no interval."""

    part: Part
    estimate: float
    low: float
    """The adjusted interval, bounds included."""
    high: float
    level: float
    """The interval has confidence 1 − `level`."""
    p_value: float
    """Two-sided, against either side of the criterion."""
    p_adjusted: float
    """That of its claim, over its look's share, after Holm over the claims of the family."""
    verdict: Verdict

    @property
    def p_sign_flip(self) -> float:
        """`p_value` by flipping signs (Fisher 1935): all of up to 16 values, else 65,536 times; NaN below nine."""
        from scipy import stats  # takes half a second

        measure, values = self.part.measure, np.array(self.part.measure.values)
        bound = np.minimum(measure.bound, 1e9)  # which leaves nothing inside
        keys = {"permutation_type": "samples", "alternative": "greater", "n_resamples": 2**16, "rng": 0}

        def p_value(region: Range) -> float:
            low, high = map(measure.scaled, region)
            ends = [(low, values - low - bound[0]), (high, high - values - bound[1])]
            tests = [stats.permutation_test([inside], np.mean, **keys) for end, inside in ends if np.isfinite(end)]
            return max(float(test.pvalue) for test in tests)

        regions = (self.part.criterion.supports, *self.part.against)
        return min(1.0, 2 * min(map(p_value, regions))) if values.size >= 9 else np.nan


def judge_parts(
    parts: Sequence[Part], alpha: float = 0.05, terms: Mapping[str, tuple[str, float]] | None = None
) -> list[Judgement]:
    """The verdicts of all parts of a study, in their order; those with one `measure.claim` are of one claim.

    The claims of a family share the error rate `alpha`. `terms` name a claim's family, and which share of `alpha` this
    look at it may spend; without them all claims are of one family, and spend all.
    """
    p_values = np.array([_p_values(part) for part in parts]).reshape(-1, 2)
    names, claim = np.unique([part.measure.claim for part in parts], return_inverse=True)
    own_terms = [(terms or {}).get(name, ("", 1.0)) for name in names]
    family, share = np.array([one[0] for one in own_terms]), np.array([one[1] for one in own_terms])
    many = np.bincount(claim, [bool(part.against) for part in parts], names.size).clip(1)
    both = [p_values[claim == i] for i in range(names.size)]
    best = np.array([min(1, p[:, 0].max(), n * p[:, 1].min()) for p, n in zip(both, many, strict=True)]) / share
    levels, adjusted = np.empty_like(best), np.empty_like(best)
    for name in np.unique(family):
        own = family == name
        levels[own], adjusted[own] = _levels(best[own], alpha) * share[own], holm(best[own])
    judged = []
    for part, (support, against), i in zip(parts, p_values, claim, strict=True):
        measure, level = part.measure, float(levels[i])
        verdict: Verdict = "supported" if support < level else "undecided"
        if verdict == "undecided":
            level /= many[i]
            verdict = "contradicted" if against < level else "undecided"
        low, high = map(measure.unscaled, _interval(measure, level))
        estimate = measure.unscaled(measure.estimate)
        known = (float(min(1, support, against)), float(adjusted[i])) if measure.testable else (np.nan, np.nan)
        judged.append(Judgement(part, estimate, low, high, level, *known, verdict))
    return judged


def judge_claim(judgements: Sequence[Judgement]) -> tuple[Verdict, int]:
    """The verdict of a claim with these parts, and which part shows it: the first, if all hold, else the first that
    decides. No part is a ValueError.
    """
    verdicts = [judgement.verdict for judgement in judgements]
    for verdict in ("contradicted", "undecided", "supported"):
        if verdict in verdicts:
            return verdict, verdicts.index(verdict)
    raise ValueError("a claim without parts is not judged")


def _p_values(part: Part) -> tuple[float, float]:
    """For and against, each twice the one-sided p-value; 1 where there is no error to test with, and where a veto
    forbids it. The tests of a region's two ends share an error, so the larger p-value is that of the nearer end.
    """
    measure = part.measure
    if not measure.testable or measure.veto:
        return 1.0, 1.0

    def p_value(*regions: Range) -> float:
        margin = max((_margin(measure, region) for region in regions), default=-np.inf)
        if measure.error == 0:
            return float(sign_test(measure.freedom + 1)) if margin > 0 else 1.0
        return 2 * float(special.stdtr(measure.freedom, -margin / measure.error))

    return p_value(part.criterion.supports), p_value(*part.against)


def _margin(measure: Measure, region: Range) -> float:
    """How far inside a region the estimate lies, less its bound, on its scale; negative outside, 0 where only rounding
    keeps it off the line.
    """
    low, high = map(measure.scaled, region)
    below = np.inf if low == -np.inf else measure.estimate - measure.bound[0] - low
    above = np.inf if high == np.inf else high - measure.estimate - measure.bound[1]
    sizes = [abs(value) for value in (measure.estimate, low, high) if np.isfinite(value)]
    margin = min(below, above)
    return 0.0 if abs(margin) <= ROUNDING * max(*sizes, float(measure.ratio), 0.0) else margin


def _levels(p_values: Floats, alpha: float) -> Floats:
    """Each p-value's level in the step-down, (m,); that of the first undecided for all after it."""
    steps, ascending = alpha / np.arange(p_values.size, 0, -1), np.argsort(p_values, kind="stable")
    undecided = np.flatnonzero(p_values[ascending] >= steps)
    if undecided.size:
        steps[undecided[0] :] = steps[undecided[0]]
    levels = np.empty_like(steps)
    levels[ascending] = steps
    return levels


def _interval(measure: Measure, level: float) -> Range:
    """With bounds, on the estimate's scale: Student's t, or where all values are equal that of the sign test; NaN where
    there is no error.
    """
    if not measure.testable:
        return np.nan, np.nan
    half = -float(special.stdtrit(max(measure.freedom, 1), level / 2)) * measure.error
    if measure.error == 0 and sign_test(measure.freedom + 1) >= level:
        half = np.inf
    below, above = measure.bound
    return measure.estimate - half - below, measure.estimate + half + above
