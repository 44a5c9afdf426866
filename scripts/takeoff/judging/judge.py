"""Judging: every claim against what a study measured; the rule is in `statistics.verdicts`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pandas as pd

from takeoff.common.errors import TakeoffError
from takeoff.common.spelling import choices
from takeoff.data.card import Card
from takeoff.judging.claims import Claim, Claims, criterion_sentence, fixed_criteria, out_of_reach
from takeoff.judging.looks import look_at, read_looks, share_of
from takeoff.statistics import criteria
from takeoff.statistics.intervals import sign_test
from takeoff.statistics.measures import Measure, read_measures
from takeoff.statistics.verdicts import Judgement, Part, Verdict, judge_claim, judge_parts
from takeoff.study.model import Study

CHANGED = "its criterion, or a number that it rests on, was changed after this study was first planned"
COLUMNS = (
    "claim source statement quantity unit estimate ci_low ci_high n criterion verdict published experiment figure "
    "reason look"
).split()
PART_COLUMNS = [*criteria.COLUMNS, "family", "veto"]

Outcome = Verdict | Literal["not tested"]


@dataclass(frozen=True)
class JudgedClaim:
    """A claim, and what the study says of it."""

    claim: Claim
    criterion: str
    """In words, with the study's numbers."""
    verdict: Outcome
    judgements: tuple[Judgement, ...] = ()
    """Of its parts; none where the claim was not tested."""
    deciding: int = 0
    """Which of them is shown: the first where all hold, else the one that decides."""
    reason: str = ""
    """What a reader must know of the verdict, or why the claim was not tested."""
    changed: bool = False
    """Whether its criterion was changed after the study was planned."""
    look: int = 1
    """So many times was it judged on other data, with this time."""

    @property
    def shown(self) -> Judgement | None:
        """The judgement that stands for the claim; None where it was not tested."""
        return self.judgements[self.deciding] if self.judgements else None


def judge_study(
    study: Study,
    claims: Claims,
    now: Mapping[str, Mapping[str, Any]],
    results: Path,
    card: Card,
    source: str,
    absent: Mapping[str, str] = MappingProxyType({}),
) -> list[JudgedClaim]:
    """Every claim there is, in the order of the claims' file, which is `source`.

    `now` are the study's criteria, as `claims.criteria` gives them today. The folder `results` has
    `<experiment>/measured.csv`, `criteria.json`, written when the study was planned, and `looks.json`, if it was judged
    before; `card` is the dataset's. `absent` are experiments that could not be analysed, and why. A TakeoffError says
    that one of these is missing or wrong, or that a measure and the claims' file do not fit.
    """
    images = card.images("train")
    path = results / "criteria.json"
    if not path.is_file():
        raise TakeoffError(f"{path}: there is no such file; `scripts/plan.py --criteria-out` writes it")
    fixed = fixed_criteria(path)
    measured = _measured([name for name in study.experiments if name not in absent], claims, results, source)
    every = claims.claims.values()
    untested = {
        claim.name: absent.get(claim.experiment) or out_of_reach(study, claims, claim, images) for claim in every
    }
    for name, measures in measured.items():
        if not any(one.part for one in measures):
            untested[name] = untested[name] or measures[0].reason
    tested = [claim for claim in every if untested[claim.name] is None]
    parts = [part for claim in tested for part in _parts(claim, measured[claim.name], study.margin, source)]
    before = read_looks(results)
    looks = {claim.name: look_at(claim.name, measured[claim.name], before)[0] for claim in tested}
    terms = {name: (claims.claims[name].family, share_of(look)) for name, look in looks.items()}
    judgements = judge_parts(parts, terms=terms)
    judged = []
    for claim in every:
        name, sentence, why = claim.name, criterion_sentence(claim, study.margin), untested[claim.name]
        if why is not None:
            judged.append(JudgedClaim(claim, sentence, "not tested", reason=why))
            continue
        own = tuple(judgement for judgement in judgements if judgement.part.measure.claim == name)
        verdict, deciding = judge_claim(own)
        # The published figure decides nothing.
        changed = fixed.get(name, {}) | {"published_value": None} != {**now[name], "published_value": None}
        look, again = looks[name], "look {}, which may spend {:.2g} of the error rate"
        reasons = [CHANGED * changed, again.format(look, share_of(look)) * (look > 1), measured[name][0].reason]
        reason = "; ".join(filter(None, [*reasons, *_reasons(own, verdict, deciding)]))
        judged.append(JudgedClaim(claim, sentence, verdict, own, deciding, reason, changed=changed, look=look))
    return judged


def claims_table(judged: Sequence[JudgedClaim]) -> pd.DataFrame:
    """`claims.csv`: a row per claim, with the estimate and interval of the part that is shown, in its `unit`, and the
    number `n` of values that they rest on, where it is known.
    """
    rows = []
    for one in judged:
        claim, shown = one.claim, one.shown
        numbers: tuple = (None, *(np.nan,) * 4)
        if shown is not None:
            measure = shown.part.measure
            numbers = (measure.unit, shown.estimate, shown.low, shown.high, measure.n)
        found = (*numbers, one.criterion, one.verdict, claim.published, claim.experiment, claim.figure)
        rows.append((claim.name, claim.source, claim.statement, claim.quantity, *found, one.reason, one.look))
    return pd.DataFrame(rows, columns=COLUMNS).astype({"n": "Int64"})


def parts_table(judged: Sequence[JudgedClaim]) -> pd.DataFrame:
    """`claims_parts.csv`: a row per part of each tested claim, with the columns `PART_COLUMNS`."""
    pairs = [(one.claim, judgement) for one in judged for judgement in one.judgements]
    table = criteria.judgements_table(judgement for _, judgement in pairs)
    families = [claim.family for claim, _ in pairs]
    return table.assign(family=families, veto=[judgement.part.measure.veto for _, judgement in pairs])


def _measured(experiments: Iterable[str], claims: Claims, results: Path, source: str) -> dict[str, list[Measure]]:
    """What each of these experiments measured, by claim."""
    found: dict[str, list[Measure]] = {}
    for experiment in experiments:
        own = [claim.name for claim in claims.of(experiment)]
        path = results / experiment / "measured.csv"
        for one in read_measures(path, claims.units) if own or path.exists() else ():
            if one.claim not in own:
                raise TakeoffError(
                    f"{path}: {one.claim}: no such claim of {experiment} in {source}; {choices(one.claim, own)}"
                )
            found.setdefault(one.claim, []).append(one)
        for name in own:
            if name not in found:
                raise TakeoffError(f"{path}: no row on the claim {name}; valid: a Measure of that name by {experiment}")
    return found


def _parts(claim: Claim, measures: Sequence[Measure], margin: float, source: str) -> list[Part]:
    """The measures of a claim, each with its criterion; both are to have the same parts."""
    for name in sorted({one.part for one in measures} ^ claim.parts.keys(), key=claim.parts.__contains__):
        absent, unknown = "nothing was measured, but for other parts", f"no criterion; {choices(name, claim.parts)}"
        raise TakeoffError(f"{source}: {claim.name}.{name}: {absent if name in claim.parts else unknown}")
    return [Part(one, claim.parts[one.part].criterion(margin)) for one in measures]


def _reasons(judgements: tuple[Judgement, ...], verdict: Verdict, deciding: int) -> Iterator[str]:
    """What the rule adds to an experiment's own reason: the part shown, and why it is undecided."""
    shown = judgements[deciding]
    if len(judgements) > 1:
        held = sum(judgement.verdict == "supported" for judgement in judgements)
        yield f"{held} of {len(judgements)} parts hold; shown: {shown.part.measure.label}"
    if verdict == "undecided":
        yield undecided_words(shown)
    if verdict != "undecided" and shown.p_sign_flip >= shown.level:
        yield f"a sign-flip test would not decide (p = {shown.p_sign_flip:.2g})"


def undecided_words(judgement: Judgement) -> str:
    """Why a part is undecided, in a few words."""
    measure = judgement.part.measure
    if np.isnan(judgement.estimate):
        return "it could not be measured"
    if not measure.testable:
        return "too few seeds for an interval"
    if measure.veto:
        return "no verdict may rest on it"
    if not judgement.part.against:
        low, high = judgement.part.criterion.supports
        if judgement.high < low or judgement.low > high:
            return "the interval lies against the claim, but cannot contradict it here"
    if not np.isfinite(measure.bound).all():
        return "only a bound is known"
    if measure.error == 0 and sign_test(measure.freedom + 1) >= judgement.level:
        return f"all {measure.freedom + 1:g} values are equal: no spread, and too few for a sign test"
    return "the interval does not lie on one side of the criterion"
