"""What a study can decide of each claim, said before it is trained: power, the smallest effects, and their price."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, inf, isfinite, log, prod
from typing import Any

from takeoff.experiments.base import Experiment
from takeoff.judging.claims import Claim, ClaimPart, Claims, by_reason, out_of_reach
from takeoff.judging.looks import share_of
from takeoff.judging.spreads import LIKENESS, Spread, nearest
from takeoff.statistics.criterion import Range
from takeoff.statistics.power import POWER, power, smallest_effect
from takeoff.study.model import Study
from takeoff.workflow.planning import PlannedRun

ALPHA = 0.05 * share_of(1)
"""What the first look at the claims of a family may spend; the last step of Holm has all of it."""
MOST_SEEDS = 50
"""So many are tried to decide a claim."""
WIDTH = 120
MEANING = (
    "If that holds: verdict and power, were the source the truth. To decide: n, core-hours more, for 80%, if n is",
    "that from the start: seeds added after a look are a second look, which may spend less of the error rate.",
    "n: values, one per seed. Sources: ' of the same images, * of others; of several that of the greatest spread.",
)
"""Of the table of claims, below it."""
MARKS = dict(zip(LIKENESS, ("", "'", "*"), strict=True))


@dataclass(frozen=True)
class PlannedPart:
    """A part of a claim in a study that is planned: a row of `power.csv`. Numbers are in the part's own units.

    Those that end in `first` are for the first step of Holm, where a claim has α over the number of claims of its
    family, whatever the others come to; those in `last` for the last, where all others are decided and it has α.
    """

    claim: str
    part: str = ""
    outcome: str = "not tested"
    """Of the claim, if the sources' estimates are the truth: `supported`, `contradicted`, `open` where they lie on no
    side, `vetoed` where no verdict could rest on one of them, `unknown` where a part has no source, `not tested`."""
    claim_power_first: float | None = None
    """The probability of that verdict. Where it needs several parts, their product, as if they were independent: too
    little for parts that rise and fall together."""
    claim_power_last: float | None = None
    values: int | None = None
    """How many values, one per seed, the part will have; of what is timed, those of the source."""
    values_needed: int | None = None
    """How many decide the claim with 80% power, first, where these do not; None: no number up to 50."""
    core_hours: float | None = None
    """What those beyond the study's cost, as the plan expects of the networks of the experiment, with the tuning of
    their own blocks where each seed has one; what other experiments train for more seeds is not in it."""
    unit: str = ""
    source: str = ""
    """The study whose estimate and spread are taken."""
    likeness: str = ""
    """`same study`, `same images` or `other images`."""
    estimate: float | None = None
    spread: float | None = None
    """The standard deviation between seeds; of a ratio, of its natural logarithm."""
    side: str = ""
    """`supports` or `contradicts`, where the estimate lies; empty where it lies on neither side."""
    beyond: str = ""
    """`above` or `below` the line: where that side lies; where there is none, the one that supports."""
    line: float | None = None
    """The end of the criterion that is nearest to the estimate."""
    smallest_first: float | None = None
    """How far from the line a truth lies that 80% of studies decide; of a ratio, a factor; infinite where none is."""
    smallest_last: float | None = None
    power_first: float | None = None
    """The probability that this part is decided."""
    power_last: float | None = None
    level_first: float | None = None
    """The claim's."""
    level_last: float | None = None
    reason: str = ""
    """Why a claim is not tested, its power is not known, or more seeds change nothing."""


@dataclass(frozen=True)
class _Known:
    """A part with its source, on the estimate's scale."""

    name: str
    part: ClaimPart
    source: Spread
    likeness: str
    side: str
    """`supports`, `contradicts`, or nothing where the estimate lies on neither side."""
    region: Range
    """That side; else the one that supports."""
    share: int
    """By how much the claim's level is divided."""

    def power(self, n: int, level: float) -> float:
        one = self.source
        return power(one.estimate, one.spread, n, self.region, level / self.share, one.bound) if self.side else 0.0


def planned_parts(
    study: Study,
    name: str,
    experiments: Mapping[str, Experiment[Any]],
    claims: Claims,
    spreads: Sequence[Spread],
    images: int,
    runs: Sequence[PlannedRun],
) -> list[PlannedPart]:
    """A row per part of each claim; one per claim that is not tested, or has a part without a source.

    `name` is the study's, `images` are the dataset's for training. Estimates and spreads are taken as the truth.
    """
    never = {claim: why for one in experiments.values() for claim, why in one.untestable().items()}
    why = {c.name: out_of_reach(study, claims, c, images) or never.get(c.name, "") for c in claims.claims.values()}
    tested = [claim.family for claim in claims.claims.values() if not why[claim.name]]
    found: list[PlannedPart] = []
    for claim in claims.claims.values():
        if why[claim.name]:
            found.append(PlannedPart(claim.name, reason=why[claim.name]))
            continue
        experiment = experiments[claim.experiment]
        # More seeds are more blocks, with tuning of their own, where each seed has its own.
        purposes = {experiment.seeded, *["tune"] * (study.tuning.blocks >= len(study.seed_list))}
        own = [r for r in runs if claim.experiment in r.experiments.split("+") and r.purpose in purposes]
        hours = sum(run.expected_seconds for run in own) / 3600
        known = _known(claim, study, name, spreads)
        levels = (ALPHA / tested.count(claim.family), ALPHA)
        found += _rows(claim, known, experiment.values(claim.name), levels, hours)
    return found


def _known(claim: Claim, study: Study, name: str, spreads: Sequence[Spread]) -> list[_Known]:
    """The parts of a claim that have a source."""
    criteria = {key: part.criterion(study.margin) for key, part in claim.parts.items()}
    against = {key: _scaled(claim.parts[key].unit, *one.against) for key, one in criteria.items()}
    share, found = max(1, sum(map(bool, against.values()))), []
    for key, part in claim.parts.items():
        near = nearest([s for s in spreads if s.unit == part.unit], claim.name, key, name, study.dataset.name)
        if near is not None:
            (supports,) = _scaled(part.unit, criteria[key].supports)
            sides = [("supports", supports), *(("contradicts", region) for region in against[key])]
            within = [(side, (low, high)) for side, (low, high) in sides if low < near[0].estimate < high]
            side, region = (*within, ("", supports))[0]
            found.append(_Known(key, part, *near, side, region, share if side == "contradicts" else 1))
    return found


def _scaled(unit: str, *regions: Range) -> list[Range]:
    """On the estimate's scale; of a ratio no region lies below 0."""
    if unit != "ratio":
        return [*regions]
    scaled = [tuple(log(end) if end > 0 else -inf for end in region) for region in regions]
    return [(low, high) for low, high in scaled if low < high]


def _rows(
    claim: Claim, known: Sequence[_Known], values: int, levels: tuple[float, float], hours: float
) -> list[PlannedPart]:
    """The rows of a claim that is tested, with so many values, whose experiment costs so many core-hours."""
    lacking = [name for name in claim.parts if name not in {one.name for one in known}]
    sides, timed = {one.side for one in known}, claim.family == "times"
    outcome = "contradicted" if "contradicts" in sides else "supported" if sides == {"supports"} else "open"
    outcome = "unknown" if lacking else "vetoed" if any(one.source.veto for one in known) else outcome

    def decided(n: int, level: float) -> float:
        own = [one for one in known if one.side == "contradicts" or outcome == "supported"]
        powers = [one.power(one.source.n if timed else n, level) for one in own]
        return prod(powers) if outcome == "supported" else max(powers, default=0.0)

    about: dict[str, Any] = {"claim": claim.name, "outcome": outcome}
    if lacking:
        about["reason"] = f"no spread is known of {', '.join(lacking)}; --spreads takes a pilot's results"
        return [PlannedPart(**about)]
    if outcome in {"supported", "contradicted"}:
        first, last = (decided(values, level) for level in levels)
        more = () if timed or first >= POWER else range(values + 1, MOST_SEEDS + 1)
        needed = next((n for n in more if decided(n, levels[0]) >= POWER), None)
        if timed and first < POWER:
            about["reason"] = "timed, all or in part: how much more seeds would help is not known"
        cost = None if needed is None else round(hours * (needed / values - 1), 3)
        about |= {"claim_power_first": first, "claim_power_last": last, "values_needed": needed, "core_hours": cost}
    return [_row(one, one.source.n if timed else values, levels, about) for one in known]


def _row(one: _Known, n: int, levels: tuple[float, float], about: dict[str, Any]) -> PlannedPart:
    source, (low, high), ratio = one.source, one.region, one.part.unit == "ratio"
    above = isfinite(low) and not high - source.estimate < source.estimate - low
    bound = source.bound if above else source.bound[::-1]
    effects = [smallest_effect(source.spread, n, level / one.share, high - low, bound) for level in levels]
    return PlannedPart(
        part=one.name,
        values=n,
        unit=one.part.unit,
        source=source.study,
        likeness=one.likeness,
        estimate=_own(source.estimate, ratio),
        spread=source.spread,
        side=one.side,
        beyond="above" if above else "below",
        line=_own(low if above else high, ratio),
        smallest_first=_own(effects[0], ratio),
        smallest_last=_own(effects[1], ratio),
        power_first=one.power(n, levels[0]),
        power_last=one.power(n, levels[1]),
        level_first=levels[0],
        level_last=levels[1],
        **about,
    )


def _own(value: float, ratio: bool) -> float:
    """On the scale of the part's own unit, to six digits."""
    return float(f"{exp(value) if ratio and value < 700 else value:.6g}")


def power_table(parts: Sequence[PlannedPart]) -> list[str]:
    """What `plan` prints, in 120 characters: a line per claim, with its part of the least power, or of the most among
    those that contradict, and what the columns mean; then why the other claims have none.
    """
    shown = []
    for name in dict.fromkeys(one.claim for one in parts):
        own = [one for one in parts if one.claim == name]
        against = [one for one in own if one.side == "contradicts"]
        sign = -1 if against else 1
        shown.append(min(against or own, key=lambda one: sign * (one.power_first or 0)))
    lines = [_line(one) for one in shown if one.source]
    if lines:
        levels = sorted({one.level_first for one in parts if one.level_first})
        words = " and ".join(f"{level:.2g}" for level in levels)
        heading = f"{'claim':44} {'n':>3}  {'seen, at the least':19} {'source':17} {'if that holds':16} to decide"
        seen = f"Seen: decided with 80% power at the first step of Holm, α = {words}; at the last it is {ALPHA:.2g}."
        lines = [heading, *lines, "", seen, *MEANING]
    without = [one for one in shown if not one.source]
    others: dict[str, list[str]] = {}
    for outcome in dict.fromkeys(one.outcome for one in without):
        given = [(one.claim, one.reason) for one in without if one.outcome == outcome]
        others |= {f"{outcome}: {reason}": claims for reason, claims in by_reason(given).items()}
    lines += [""] * bool(lines and others)
    for reason, claims in others.items():
        lines += textwrap.wrap(f"{', '.join(claims)}: {reason}", WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    return lines


def _line(one: PlannedPart) -> str:
    source = f"{one.source[:16]}{MARKS[one.likeness]}"
    verdict = f"{one.outcome} {100 * (one.claim_power_first or 0):.0f}%"
    decide = "" if (one.claim_power_first or 0) >= POWER else "timed" if one.reason else f"over {MOST_SEEDS}"
    if one.values_needed is not None:
        hours = one.core_hours or 0
        decide = f"{one.values_needed}, +{hours:{',.0f' if hours >= 10 else '.2g'}} h"
    if one.outcome in {"open", "vetoed"}:
        verdict, decide = one.outcome, ""
    return f"{one.claim:44} {one.values:3}  {_seen(one):19} {source:17} {verdict:16} {decide}".rstrip()


def _seen(one: PlannedPart) -> str:
    """The smallest effect, as a value on the other side of which what is seen lies."""
    line, least, ratio = one.line or 0.0, one.smallest_first or 0.0, one.unit == "ratio"
    if not isfinite(least):
        return "nothing"
    above = one.beyond == "above"
    value = line * (least if above else 1 / least) if ratio else line + (least if above else -least)
    number = f"{value:.3g}".replace("-", "−")
    return f"{'>' if above else '<'} {number} {'' if ratio else one.unit}".rstrip()
