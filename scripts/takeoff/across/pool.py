"""One verdict over studies: a random-effects summary of each claim's parts, judged by the claims' own criteria."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from takeoff.across.results import StudyResults, read_results
from takeoff.common.errors import TakeoffError
from takeoff.judging.claims import Claim, Claims
from takeoff.judging.judge import JudgedClaim, Outcome
from takeoff.statistics.measures import Measure
from takeoff.statistics.pooling import Pooled, pooled
from takeoff.statistics.verdicts import Judgement, Part, judge_claim, judge_parts

DESIGN = ("dataset", "network", "recipe", "factors", "experiments")
"""Keys of `study.json` that say what is trained, on what."""
COLUMNS = (
    "claim part quantity unit k studies estimate ci_low ci_high level tau i_squared q q_p_value prediction_low "
    "prediction_high p_value p_adjusted verdict claim_verdict study_verdicts left_out reasons"
).split()


@dataclass(frozen=True)
class PooledPart:
    """A part of a claim over studies."""

    claim: Claim
    part: str
    own: dict[str, Measure]
    """By study, what is pooled."""
    left_out: dict[str, str]
    """By study, why it is not."""
    verdicts: dict[str, str]
    """By study, its own verdict on the claim."""
    pooled: Pooled | None
    """None where no study is left."""
    judgement: Judgement | None = None
    claim_verdict: Outcome = "not tested"

    @property
    def judged(self) -> JudgedClaim:
        """The part as a claim of its own, to be drawn; the published figure is that of the first."""
        first = self.part == next(iter(self.claim.parts))
        claim = self.claim if first else self.claim.model_copy(update={"published_value": None})
        own = (self.judgement,) if self.judgement and self.pooled else ()
        verdict: Outcome = own[0].verdict if own else "not tested"
        return JudgedClaim(claim, "", verdict, own, reason="; ".join(f"{k}: {v}" for k, v in self.left_out.items()))

    @property
    def tested(self) -> bool:
        """Whether some study tests the claim, though perhaps not so that its number can be pooled."""
        return any(verdict != "not tested" for verdict in self.verdicts.values())

    @property
    def disagree(self) -> bool | None:
        """Whether studies differ by more than their errors (Q at 5%); None where fewer than two have any."""
        if self.pooled is None or np.isnan(self.pooled.q_p_value):
            return None
        return self.pooled.q_p_value < 0.05


def labelled(folders: Sequence[Path]) -> dict[str, StudyResults]:
    """Studies by their folders' names, or where two have one name, by their paths.

    A TakeoffError says that a folder holds no judged study, or stands twice, or that two hold results of one study,
    which are not independent, whatever their tuning seeds.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise TakeoffError(f"{', '.join(map(str, folders))}: a folder stands twice; valid: each once")
    results = [read_results(folder) for folder in folders]
    names = [one.folder.name for one in results]
    labels = names if len(set(names)) == len(names) else [one.folder.as_posix() for one in results]
    designs = [{key: one.study.get(key) for key in DESIGN} for one in results]
    for place, design in enumerate(designs):
        if design in designs[:place]:
            first = results[designs.index(design)].folder
            raise TakeoffError(
                f"{results[place].folder}: results of the same study as {first}, which are not independent; valid: one "
                "of them; snakemake compare sets both side by side"
            )
    return dict(zip(labels, results, strict=True))


def pool_studies(studies: Mapping[str, StudyResults], claims: Claims) -> list[PooledPart]:
    """Each part of each claim over some studies, in the order of the claims' file; a TakeoffError says that nothing was
    measured in one, or that margins differ.
    """
    margins = {label: _margin(one) for label, one in studies.items()}
    if len(set(margins.values())) > 1:
        words = ", ".join(f"{margin:g} ({label})" for label, margin in margins.items())
        raise TakeoffError(f"margin: {words} differ; valid: studies of one margin, which criteria rest on")
    margin = next(iter(margins.values()))
    measured = {label: {(m.claim, m.part): m for m in one.measures(claims.units)} for label, one in studies.items()}
    parts = []
    for claim in claims.claims.values():
        stated = {label: _stated(one, claim.name) for label, one in studies.items()}
        verdicts = {label: verdict for label, (verdict, _) in stated.items()}
        for name in claim.parts:
            found = {label: own.get((claim.name, name)) for label, own in measured.items()}
            why = {label: _unfit(one, *stated[label]) for label, one in found.items()}
            own = {label: one for label, one in found.items() if one is not None and not why[label]}
            weighed = {label: one for label, one in own.items() if one.error > 0}
            if weighed:  # what has no spread has no weight beside what has one
                equal = "all its values are equal, so that it cannot be weighed"
                why |= dict.fromkeys(own.keys() - weighed.keys(), equal)
                own = weighed
            left_out = {label: reason for label, reason in why.items() if reason}
            whole = pooled(list(own.values())) if own else None
            parts.append(PooledPart(claim, name, own, left_out, verdicts, whole))
    return _judged(parts, margin)


def _margin(results: StudyResults) -> float:
    found = results.study.get("margin", 0.01)
    if not isinstance(found, int | float) or isinstance(found, bool):
        raise TakeoffError(f"{results.folder / 'study.json'}: margin: {found!r} is not a number")
    return float(found)


def _stated(results: StudyResults, claim: str) -> tuple[str, str]:
    """A study's own verdict on a claim, and the reason that it gives."""
    rows = results.claims[results.claims["claim"] == claim]
    return tuple(rows.iloc[0][["verdict", "reason"]]) if len(rows) else ("not tested", "the study knows no such claim")


def _unfit(measure: Measure | None, verdict: str, reason: str) -> str:
    """Why a study's measure is left out; nothing where it is not."""
    if verdict == "not tested":
        return reason
    if measure is None:
        return "it was not measured"
    if measure.veto:
        return measure.reason or "vetoed"
    if np.isnan(measure.estimate):
        return measure.reason or "it could not be measured"
    return "" if measure.testable else "too few seeds for an interval"


def _judged(parts: list[PooledPart], margin: float) -> list[PooledPart]:
    """With verdicts: of all claims that some part was pooled of, Holm over the claims of a family."""
    tested = {one.claim.name: (one.claim.family, 1.0) for one in parts if one.pooled}
    wanted = [one for one in parts if one.claim.name in tested]
    judgements = judge_parts([_part(one, margin) for one in wanted], terms=tested)
    own = {(one.claim.name, one.part): judgement for one, judgement in zip(wanted, judgements, strict=True)}
    verdicts = {name: judge_claim([own[key] for key in own if key[0] == name])[0] for name in tested}
    return [
        replace(
            one, judgement=own.get((one.claim.name, one.part)), claim_verdict=verdicts.get(one.claim.name, "not tested")
        )
        for one in parts
    ]


def _part(one: PooledPart, margin: float) -> Part:
    """With its criterion; one that no study has counts among the claim's parts, and is not known."""
    stated = one.claim.parts[one.part]
    missing = Measure.missing(one.claim.name, "no study", one.part, stated.quantity, stated.unit)
    return Part(one.pooled.measure if one.pooled else missing, stated.criterion(margin))


def pool_table(parts: Sequence[PooledPart]) -> pd.DataFrame:
    """A row per part, with the columns `COLUMNS`. Estimate, interval (of confidence 1 − `level`) and prediction are in
    the quantity's own units; `tau` is of the natural logarithm of a ratio. Without a study they are empty.
    """
    rows = []
    for one in parts:
        stated, whole, judgement = one.claim.parts[one.part], one.pooled, one.judgement
        numbers = (np.nan,) * 4
        tests: tuple = (np.nan, np.nan, "not tested")
        scatter: tuple = (np.nan,) * 6
        if whole and judgement:
            numbers = (judgement.estimate, judgement.low, judgement.high, judgement.level)
            tests = (judgement.p_value, judgement.p_adjusted, judgement.verdict)
            scatter = (whole.tau, whole.i_squared, whole.q, whole.q_p_value, *whole.prediction)
        head = (one.claim.name, one.part, stated.quantity, stated.unit, len(one.own), "; ".join(one.own))
        verdicts, reasons = ("; ".join(f"{k}: {v}" for k, v in words.items()) for words in (one.verdicts, one.left_out))
        rows.append((*head, *numbers, *scatter, *tests, one.claim_verdict, verdicts, len(one.left_out), reasons))
    return pd.DataFrame(rows, columns=COLUMNS)
