"""Verdicts: on which side of a criterion fixed beforehand an estimate's interval lies, Holm-adjusted.

**A part** is one quantity with a criterion. It is `supported` where its whole interval lies where the claim says,
`contradicted` where the whole interval lies in one region that the claim excludes, else `undecided`; an interval that
touches the line is undecided. Its p-value is the smallest level at which the interval is decided: twice the smaller of
the one-sided t tests for and against. A region with two ends needs both its one-sided tests, and the larger p-value
counts: an intersection–union test, for equivalence the two one-sided tests (Berger & Hsu 1996, Statistical Science 11,
283–319). Where all n values are equal there is no spread to judge by, and the sign test stands in: n of n on one side
have p = 1/2^(n − 1), a statement on the median, and the interval is that value alone or, where p does not reach the
level, everything.

**The level** comes from Holm's step-down (1979, Scandinavian Journal of Statistics 6, 65–70) over all parts of all
claims that a study tests: the i-th smallest of m p-values gets α / (m − i + 1); from the first that is not decided at
its level on, all keep that one's. A part without an interval counts among the m. The chance that a study decides
anything wrongly, directions included, is at most α (for independent parts: Shaffer 1980, Annals of Statistics 8,
1342–1347). Each interval is that of its step and shows why its verdict stands; taken together they are not
simultaneous intervals (Strassburger & Bretz 2008, Statistics in Medicine 27, 4914–4927). All this as far as intervals
cover: of runs that fail rarely, and are alike otherwise, few seeds tell nothing that a t interval could.

**A claim** is supported where every part is, contradicted where any part is, else undecided.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from takeoff.statistics import student
from takeoff.statistics.contrasts import Floats
from takeoff.statistics.corrections import holm
from takeoff.statistics.intervals import ROUNDING, mean_interval, sign_test

Verdict = Literal["supported", "contradicted", "undecided"]
Range = tuple[float, float]


@dataclass(frozen=True)
class Part:
    """One quantity with a criterion; a claim has one, or several which must all hold."""

    label: str
    """What is measured, in words: `epochs to 25% training error, tanh over ReLU`."""
    estimate: float
    """In the quantity's units; of a ratio, its natural logarithm."""
    error: float
    """The estimate's standard error, on the same scale; NaN where there is none (a single value)."""
    freedom: float
    """Degrees of freedom of that error, for Student's t; infinite for a normal one."""
    supports: Range
    """Where the claim says the quantity lies, ends left out: `(2, inf)`; in the quantity's own units, ratios as
    ratios."""
    contradicts: tuple[Range, ...] | None = None
    """Where it would be wrong; None: everywhere else."""
    ratio: bool = False
    """Whether `estimate` and `error` are of a natural logarithm."""
    slack: Range = (0.0, 0.0)
    """How far below and above the interval the quantity may lie besides, on the estimate's scale, both 0 or more:
    infinite where censoring leaves only a bound, a step of a grid where only grid points were tried."""
    unit: str = ""
    """Of the quantity: `points`; empty for a ratio and for what has none."""
    most: float = float("inf")
    """No value of the quantity lies farther from 0: 2 for a difference of correlations."""

    def __post_init__(self) -> None:
        for low, high in (self.supports, *(self.contradicts or ())):
            scaled = self.scaled(low), self.scaled(high)
            if not scaled[0] < scaled[1] or np.isinf(scaled).all():
                raise ValueError(f"{self.label}: ({low:g}, {high:g}) is no side of a criterion")
        for low, high in self.contradicts or ():
            if low < self.supports[1] and self.supports[0] < high:
                raise ValueError(f"{self.label}: ({low:g}, {high:g}) both supports and contradicts")
        if not all(slack >= 0 for slack in self.slack) or self.error < 0:
            raise ValueError(f"{self.label}: slack and error are 0 or more")

    @classmethod
    def of(
        cls,
        label: str,
        values: ArrayLike,
        supports: Range,
        *,
        contradicts: tuple[Range, ...] | None = None,
        ratio: bool = False,
        slack: Range = (0.0, 0.0),
        unit: str = "",
    ) -> "Part":
        """The part of `values`, (n,), one per seed and paired; of a ratio, the ratios themselves, above 0.

        A spread that is only rounding counts as none, as in `intervals.mean_interval`.

        Raises:
            ValueError: there is no value, or one is not finite, or a ratio is not above 0; or `supports`,
                `contradicts` and `slack` make no criterion.

        """
        sample = np.asarray(values, dtype=float)
        if ratio:
            if not (sample > 0).all():
                raise ValueError(f"{label}: a ratio is above 0")
            sample = np.log(sample)
        size = 1.0 if ratio else float(np.abs(sample).max(initial=0))
        mean = mean_interval(sample, size=size).estimate
        if sample.size == 1:
            error = float("nan")
        elif np.ptp(sample) <= ROUNDING * size:
            error = 0.0
        else:
            error = float(sample.std(ddof=1) / np.sqrt(sample.size))
        return cls(label, mean, error, sample.size - 1, supports, contradicts, ratio, slack, unit)

    @property
    def against(self) -> tuple[Range, ...]:
        """The regions that contradict, in the quantity's own units."""
        if self.contradicts is not None:
            return self.contradicts
        low, high = self.supports
        outside = ((-np.inf, low), (high, np.inf))
        return tuple(region for region in outside if self.scaled(region[0]) < self.scaled(region[1]))

    @property
    def testable(self) -> bool:
        """Whether there is an estimate with an error; two values that agree by chance are no evidence of none."""
        known = np.isfinite(self.estimate) and np.isfinite(self.error) and self.freedom > 0
        return bool(known and (self.error > 0 or self.freedom > 1))

    def scaled(self, value: float) -> float:
        """A value in the quantity's own units on the estimate's scale: the logarithm of a ratio."""
        if not self.ratio:
            return value
        return float(np.log(value)) if value > 0 else -np.inf

    def unscaled(self, value: float) -> float:
        """A value on the estimate's scale in the quantity's own units."""
        return float(np.exp(value)) if self.ratio else value


def product_of(label: str, one: Part, other: Part) -> Part:
    """The part of the product of two ratios, which are independent; its criterion and slack are those of `one`.

    The logarithms' variances add; degrees of freedom after Welch and Satterthwaite (1946, Biometrics Bulletin 2,
    110–114). Where the values of either are all equal there is no error.
    """
    variances = one.error**2, other.error**2
    total = sum(variances)
    # Values that are all equal have an error of 0, which is not to make the other's more certain.
    error, freedom = float("nan"), min(one.freedom, other.freedom)
    if min(variances) > 0:
        error = float(np.sqrt(total))
        freedom = total**2 / sum(
            v**2 / f for v, f in zip(variances, (one.freedom, other.freedom), strict=True)
        )
    estimate = one.estimate + other.estimate
    return Part(label, estimate, error, freedom, one.supports, one.contradicts, ratio=True, slack=one.slack)


@dataclass(frozen=True)
class Judgement:
    """What became of a part; numbers in the quantity's own units, NaN where the part has no interval."""

    part: Part
    estimate: float
    low: float
    """The adjusted interval, slack included."""
    high: float
    level: float
    """The interval has confidence 1 − `level`."""
    p_value: float
    """Two-sided, against either side of the criterion."""
    p_adjusted: float
    """After Holm, over all parts."""
    verdict: Verdict


def judge_parts(parts: Sequence[Part], alpha: float = 0.05) -> list[Judgement]:
    """The verdicts of all parts of a study, which share the error rate `alpha`, in their order."""
    p_values = _p_values(parts)
    best = np.fmin(1, p_values.min(axis=1)) if len(parts) else np.empty(0)
    levels = _levels(best, alpha)
    adjusted = holm(best)
    intervals = _intervals(parts, levels)
    judged = []
    for i, part in enumerate(parts):
        verdict: Verdict = "undecided"
        if best[i] < levels[i]:
            verdict = "supported" if p_values[i, 0] < p_values[i, 1] else "contradicted"
        p_value, p_adjusted = (best[i], adjusted[i]) if part.testable else (np.nan, np.nan)
        low, high = (part.unscaled(float(end)) for end in intervals[i])
        estimate = part.unscaled(part.estimate)
        judged.append(
            Judgement(part, estimate, low, high, float(levels[i]), float(p_value), float(p_adjusted), verdict)
        )
    return judged


def judge_claim(judgements: Sequence[Judgement]) -> tuple[Verdict, int]:
    """The verdict of a claim with these parts, and which part shows it: the first, if all hold, else the first
    that decides.

    Raises:
        ValueError: there is no part.

    """
    verdicts = [judgement.verdict for judgement in judgements]
    if not verdicts:
        raise ValueError("a claim without parts is not judged")
    for verdict in ("contradicted", "undecided", "supported"):
        if verdict in verdicts:
            return verdict, verdicts.index(verdict)
    raise AssertionError(verdicts)


def _p_values(parts: Sequence[Part]) -> Floats:
    """(parts, 2): for and against, each twice the one-sided p-value; 1 where there is no error to test with.

    The tests of a region's two ends share an error, so the larger p-value is that of the nearer end.
    """
    margins = np.array(
        [
            (_margin(part, part.supports), max((_margin(part, r) for r in part.against), default=-np.inf))
            for part in parts
        ]
    ).reshape(-1, 2)
    testable = np.array([part.testable for part in parts], dtype=bool)
    errors = np.array([part.error for part in parts])
    freedoms = np.array([[part.freedom] for part in parts])
    equal, noisy = testable & (errors == 0), testable & (errors != 0)
    p_values = np.ones((len(parts), 2))
    p_values[equal] = np.where(margins[equal] > 0, sign_test(freedoms[equal] + 1).reshape(-1, 1), 1.0)
    if noisy.any():
        p_values[noisy] = 2 * student.tail(margins[noisy] / errors[noisy, None], freedoms[noisy])
    return p_values


def _margin(part: Part, region: Range) -> float:
    """How far inside a region the estimate lies, less slack, on its scale; negative outside, 0 where only rounding
    keeps it off the line.
    """
    low, high = (part.scaled(end) for end in region)
    below = np.inf if low == -np.inf else part.estimate - part.slack[0] - low
    above = np.inf if high == np.inf else high - part.estimate - part.slack[1]
    sizes = [abs(value) for value in (part.estimate, low, high) if np.isfinite(value)]
    margin = float(min(below, above))
    return 0.0 if abs(margin) <= ROUNDING * max(*sizes, float(part.ratio), 0.0) else margin


def _levels(p_values: Floats, alpha: float) -> Floats:
    """Each p-value's level in the step-down, (m,); that of the first undecided for all after it."""
    levels = np.empty(p_values.size)
    level, open_from_here = alpha, False
    for rank, i in enumerate(np.argsort(p_values, kind="stable")):
        if not open_from_here:
            level = alpha / (p_values.size - rank)
            open_from_here = not p_values[i] < level
        levels[i] = level
    return levels


def _intervals(parts: Sequence[Part], levels: Floats) -> Floats:
    """(parts, 2): intervals with slack, on the estimates' scale: Student's t, or where all values are equal that of
    the sign test; NaN where there is no error.
    """
    centres = np.array([part.estimate if part.testable else np.nan for part in parts])
    errors = np.array([part.error for part in parts])
    slack = np.array([part.slack for part in parts], dtype=float).reshape(-1, 2)
    freedoms = np.array([max(part.freedom, 1) for part in parts])
    half = -student.quantile(levels / 2, freedoms) * errors
    half[(errors == 0) & (sign_test(freedoms + 1) >= levels)] = np.inf
    return np.column_stack([centres - half - slack[:, 0], centres + half + slack[:, 1]])


__all__ = ["Judgement", "Part", "Range", "Verdict", "judge_claim", "judge_parts", "product_of"]
