"""Verdicts: on which side of a criterion fixed beforehand an estimate's interval lies, Holm-adjusted.

**A part** is one measured quantity with a criterion. It is `supported` where its whole interval lies where the claim
says, `contradicted` where the whole interval lies in one region that the claim excludes, else `undecided`; an interval
that touches the line is undecided. Its p-value is the smallest level at which the interval is decided: twice the
smaller of the one-sided t tests for and against. A region with two ends needs both its one-sided tests, and the larger
p-value counts: an intersection–union test, for equivalence the two one-sided tests (Berger & Hsu 1996, Statistical
Science 11, 283–319). Where all n values are equal there is no spread to judge by, and the sign test stands in: n of n
on one side have p = 1/2^(n − 1), a statement on the median, and the interval is that value alone or, where p does not
reach the level, everything. A veto takes the verdict from a part, and leaves it its estimate and interval.

**The level** comes from Holm's step-down (1979, Scandinavian Journal of Statistics 6, 65–70) over all parts of a
family: the i-th smallest of m p-values gets α / (m − i + 1); from the first that is not decided at its level on, all
keep that one's. A part without an interval counts among the m. The chance that a family decides anything wrongly,
directions included, is at most α (for independent parts: Shaffer 1980, Annals of Statistics 8, 1342–1347). Each
interval is that of its step and shows why its verdict stands; taken together they are not simultaneous intervals
(Strassburger & Bretz 2008, Statistics in Medicine 27, 4914–4927). All this as far as intervals cover: of runs that
fail rarely, and are alike otherwise, few seeds say nothing that a t interval could.

**A claim** is supported where every part is, contradicted where any part is, else undecided.
"""

from collections.abc import Sequence
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
    """After Holm, over all parts of the family."""
    verdict: Verdict


def judge_parts(parts: Sequence[Part], alpha: float = 0.05, families: Sequence[str] | None = None) -> list[Judgement]:
    """The verdicts of all parts of a study, in their order.

    The parts of a family share the error rate `alpha`; `families` names each part's: all are of one when left out.
    """
    p_values = np.array([_p_values(part) for part in parts]).reshape(-1, 2)
    best = np.fmin(1, p_values.min(axis=1))
    levels, adjusted = np.empty_like(best), np.empty_like(best)
    family = np.array(families or [""] * len(parts))
    for name in np.unique(family):
        own = family == name
        levels[own], adjusted[own] = _levels(best[own], alpha), holm(best[own])
    judged = []
    for i, part in enumerate(parts):
        measure, level = part.measure, float(levels[i])
        verdict: Verdict = "undecided"
        if best[i] < level:
            verdict = "supported" if p_values[i, 0] < p_values[i, 1] else "contradicted"
        low, high = map(measure.unscaled, _interval(measure, level))
        estimate = measure.unscaled(measure.estimate)
        p_value, p_adjusted = (best[i], adjusted[i]) if measure.testable else (np.nan, np.nan)
        judged.append(Judgement(part, estimate, low, high, level, p_value, p_adjusted, verdict))
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
    if not measure.testable or measure.veto == "any":
        return 1.0, 1.0

    def p_value(*regions: Range) -> float:
        margin = max((_margin(measure, region) for region in regions), default=-np.inf)
        if measure.error == 0:
            return float(sign_test(measure.freedom + 1)) if margin > 0 else 1.0
        return 2 * float(special.stdtr(measure.freedom, -margin / measure.error))

    against = () if measure.veto == "contradicted" else part.against
    return p_value(part.criterion.supports), p_value(*against)


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
