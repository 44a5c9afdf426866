"""Judging: every claim of every experiment against a study's tables; the rule is in `statistics.verdicts`."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from takeoff.errors import TakeoffError
from takeoff.experiments import registry
from takeoff.experiments.claims import MUCH_DATA, Claim, Finding
from takeoff.experiments.gathering import read_back
from takeoff.files import load_json
from takeoff.statistics.criteria import judgement_row
from takeoff.statistics.intervals import sign_test
from takeoff.statistics.verdicts import Judgement, Verdict, judge_claim, judge_parts
from takeoff.study.model import Study

FEW = 6
"""Fewer values than these, and the reason says how many."""
NAMED = 4
"""Arms that a reason names; `choices.csv` names the rest."""
CHANGED = "its criterion, or a number that it rests on, was changed after this study was first planned"
MUCH_DATA_STUDY = "cifar10"
"""A study in config/studies that has much data."""
COLUMNS = (
    "claim source statement quantity estimate ci_low ci_high criterion verdict published experiment figure reason"
).split()
PART_COLUMNS = (
    "claim part unit n estimate ci_low ci_high level supports contradicts p_value p_adjusted verdict"
).split()

Outcome = Verdict | Literal["not tested"]


@dataclass(frozen=True)
class JudgedClaim:
    """A claim, and what the study says of it."""

    claim: Claim
    experiment: str
    verdict: Outcome
    judgements: tuple[Judgement, ...] = ()
    """Of its parts; none where the claim was not tested."""
    deciding: int = 0
    """Which of them is shown: the first where all hold, else the one that decides."""
    reason: str = ""
    """What a reader must know of the verdict, or why the claim was not tested."""
    brief: str = ""
    """The reason in a few words, for the figure; empty: `reason` is short enough."""
    changed: bool = False
    """Whether its criterion was changed after the study was planned."""

    @property
    def shown(self) -> Judgement | None:
        """The judgement that stands for the claim; None where it was not tested."""
        return self.judgements[self.deciding] if self.judgements else None


def judge_study(
    study: Study, source: str, options: Mapping[str, Any], results: Path, card: dict[str, Any]
) -> list[JudgedClaim]:
    """Every claim there is, in the order of the experiments.

    Args:
        study: the study.
        source: the file that it was read from.
        options: of every experiment that is switched on, as `registry.enabled` gives them.
        results: the folder with `<experiment>/<table>.csv`, and `criteria.json`, written when the study was planned.
        card: of the dataset.

    Raises:
        TakeoffError: a table or the criteria are missing, or the card does not count its images.
        RuntimeError: an experiment does not judge each of its claims once.

    """
    images, fixed = _training_images(study, card), _criteria(results / "criteria.json")
    now = registry.criteria(study, source)
    asked = list(_asked(study, source, options, results, card))
    twice = [name for name, n in Counter(claim.name for _, claim, _ in asked).items() if n > 1]
    if twice:
        raise RuntimeError(f"two claims are called {twice[0]}")
    untested = [_untested(name, claim, finding, images) for name, claim, finding in asked]
    tested = [finding for (_, _, finding), no in zip(asked, untested, strict=True) if finding and not no]
    # All parts of the study share one error rate.
    judgements = iter(judge_parts([part for finding in tested for part in finding.parts]))
    judged = []
    for (name, claim, finding), no in zip(asked, untested, strict=True):
        if no or finding is None:
            reason, brief = no or ("", "")
            judged.append(JudgedClaim(claim, name, "not tested", reason=reason, brief=brief))
        else:
            own = tuple(next(judgements) for _ in finding.parts)
            verdict, deciding = judge_claim(own)
            changed = fixed.get(claim.name) != now.get(claim.name)
            reasons = [CHANGED * changed, finding.reason, *_reasons(own, verdict, deciding)]
            reason = "; ".join(filter(None, reasons))
            judged.append(JudgedClaim(claim, name, verdict, own, deciding, reason, changed=changed))
    return judged


def claims_table(judged: Sequence[JudgedClaim]) -> pd.DataFrame:
    """`claims.csv`: a row per claim; estimate and interval in units that `claims_parts.csv` names."""
    rows = []
    for one in judged:
        row: dict[str, Any] = {name: getattr(one.claim, name) for name in COLUMNS[1:4]}
        row["claim"] = one.claim.name
        if one.shown is not None:
            row |= {"estimate": one.shown.estimate, "ci_low": one.shown.low, "ci_high": one.shown.high}
        row |= {name: getattr(one.claim, name) for name in ("criterion", "published", "figure")}
        row |= {"verdict": one.verdict, "experiment": one.experiment, "reason": one.reason}
        rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS)


def parts_table(judged: Sequence[JudgedClaim]) -> pd.DataFrame:
    """`claims_parts.csv`: a row per part of each tested claim; regions as `(2, inf)`, several joined by `or`."""
    rows = [
        {"claim": one.claim.name, **judgement_row(judgement)}
        for one in judged
        for judgement in one.judgements
    ]
    return pd.DataFrame(rows, columns=PART_COLUMNS)


def _criteria(path: Path) -> dict[str, str]:
    """The criteria as they were when the study was planned."""
    if not path.is_file():
        raise TakeoffError(
            f"{path}: there is no such file; `scripts/plan.py --study … --criteria-out {path}` writes it, before "
            "anything is trained"
        )
    return {str(name): str(criterion) for name, criterion in load_json(path).items()}


def _asked(
    study: Study, source: str, options: Mapping[str, Any], results: Path, card: dict[str, Any]
) -> Iterator[tuple[str, Claim, Finding | None]]:
    """Each experiment's claims with what it found; None where it is switched off."""
    for name in registry.EXPERIMENTS:
        module: Any = registry.experiment(name)
        claims: tuple[Claim, ...] = getattr(module, "CLAIMS", ())
        if name not in options or not claims:
            yield from ((name, claim, None) for claim in claims)
            continue
        tables = {
            table: _table(results / name / f"{table}.csv", name, source)
            for table in registry.tables_of(name, study, options[name])
        }
        findings = module.judge(study, options[name], tables, card)
        named = {finding.claim: _noted(finding, tables[registry.CHOICES]) for finding in findings}
        if len(named) < len(findings) or set(named) != {claim.name for claim in claims}:
            wrong = sorted(set(named) ^ {claim.name for claim in claims})
            raise RuntimeError(
                f"experiments/{name}.py: judge must give one finding for each claim; wrong: {wrong}"
            )
        yield from ((name, claim, named[claim.name]) for claim in claims)


def _noted(finding: Finding, choices: pd.DataFrame) -> Finding:
    """A tested claim's finding, with what must be known of its arms' tuning after its own reason."""
    own = choices if finding.arms is None else choices[choices["arm"].isin(finding.arms)]
    words = [finding.reason, *tuning_words(own)]
    return replace(finding, reason="; ".join(filter(None, words))) if finding.parts else finding


def tuning_words(choices: pd.DataFrame) -> list[str]:
    """Which choices lie at their grid's edge, beyond which a better one may lie, and which had no reason; a choice that
    several arms took counts once, and a fixed rate is none.
    """
    made = choices.dropna(subset="chosen_by").drop_duplicates("chosen_by")
    words = {"at_edge": "chose at the edge of the grid", "untuned": "had no reason for the choice"}
    found = []
    for flag, what in words.items():
        names = list(made.loc[made[flag].astype(bool), "chosen_by"])
        if names:
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            found.append(f"{len(names)} of {len(made)} tuned arms {what}: {', '.join(names[:NAMED])}{more}")
    return found


def _table(path: Path, name: str, source: str) -> pd.DataFrame:
    if not path.is_file():
        raise TakeoffError(
            f"{path}: there is no such file; `scripts/analyse.py experiment {name} --study {source} …` writes "
            f"it, or leave {name} out of `experiments` in {source}"
        )
    return read_back(path)


def _training_images(study: Study, card: dict[str, Any]) -> int:
    """How many images the study has to learn from, validation images included."""
    try:
        images = int(card["images"]["train"])
    except (KeyError, TypeError, ValueError):
        raise TakeoffError(
            "card.json: images.train is missing or wrong; valid: the number of training images"
        ) from None
    asked = study.dataset.train_samples
    return images if isinstance(asked, str) else min(asked, images)


def _untested(name: str, claim: Claim, finding: Finding | None, images: int) -> tuple[str, str] | None:
    """Why a claim is not tested, whole and in a few words; None where it is."""
    if finding is None:
        off = f"experiment {name} is not switched on in this study"
        return f"{off}: add `{name}: {{}}` below `experiments` in its file", f"{name} is not switched on"
    if claim.scope == "much data" and images < MUCH_DATA:
        return (
            f"out of scope: much data means {MUCH_DATA:,} training images or more, and this study has {images:,}; "
            f"the study {MUCH_DATA_STUDY} would test it",
            f"needs {MUCH_DATA:,} training images, here {images:,}",
        )
    if not finding.parts:
        reason = finding.reason or ("no GPU was measured" if claim.scope == "gpu" else "nothing was measured")
        return reason, ""
    return None


def _reasons(judgements: tuple[Judgement, ...], verdict: Verdict, deciding: int) -> Iterator[str]:
    """What the rule adds to an experiment's own reason: the part shown, and why it is undecided."""
    shown = judgements[deciding]
    if len(judgements) > 1:
        held = sum(judgement.verdict == "supported" for judgement in judgements)
        yield f"{held} of {len(judgements)} parts hold; shown: {shown.part.label}"
    if verdict == "undecided":
        yield undecided_words(shown)
    if 0 < shown.part.freedom < FEW - 1 and float(shown.part.freedom).is_integer():
        yield f"it rests on {int(shown.part.freedom) + 1} values"


def undecided_words(judgement: Judgement) -> str:
    """Why a part is undecided, in a few words."""
    if np.isnan(judgement.estimate):
        return "it could not be measured"
    if not judgement.part.testable:
        return "too few seeds for an interval"
    if not judgement.part.against and judgement.estimate == judgement.estimate:
        low, high = judgement.part.supports
        if judgement.high < low or judgement.low > high:
            return "the interval lies against the claim, but cannot contradict it here"
    if not np.isfinite(judgement.part.slack).all():
        return "only a bound is known"
    n = judgement.part.freedom + 1
    if judgement.part.error == 0 and sign_test(n) >= judgement.level:
        return f"all {n:g} values are equal: no spread, and too few for a sign test"
    return "the interval does not lie on one side of the criterion"
