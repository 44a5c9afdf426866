"""The claims as data: `config/claims.yaml`, each with a published source and a criterion in numbers.

The sentence of a criterion is made from its numbers, so that none can say another thing than what decides.
"""

from collections.abc import Iterable, Mapping
from math import inf
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from takeoff.common.documents import read_yaml
from takeoff.common.errors import TakeoffError
from takeoff.common.files import load_json
from takeoff.common.places import configured
from takeoff.common.spelling import choices
from takeoff.statistics.criterion import Criterion, Range
from takeoff.study.loading import check
from takeoff.study.model import Study
from takeoff.study.settings import Settings

OFF = "experiment {name} is not switched on in this study: add `{name}: {{}}` below `experiments` in its file"
"""Why a study tests none of an experiment's claims."""
End = float | Literal["margin", "-margin"]
Family = Literal["results", "times"]


class Side(Settings):
    """A range of values, in the quantity's own units; an end that is left out is open."""

    above: End | None = None
    below: End | None = None

    @model_validator(mode="after")
    def _has_an_end(self) -> "Side":
        if self.above is None and self.below is None:
            raise ValueError("above or below is missing")
        return self

    def range(self, margin: float) -> Range:
        """Its two ends; `margin` is the study's, in the quantity's units."""
        ends = {"margin": margin, "-margin": -margin}
        return _range(*(ends[end] if isinstance(end, str) else end for end in (self.above, self.below)))


class ClaimPart(Settings):
    """One quantity of a claim, and where it must lie."""

    quantity: str
    """What the sentence of the criterion calls it: `the ratio of epochs`."""
    unit: Literal["ratio", "points", "log-odds", "nats", "per layer", ""] = ""
    supports: Side
    """Where the claim says that it lies."""
    contradicts: tuple[Side, ...] | None = None
    """Where the claim would be wrong; left out: everywhere else; an empty list: nowhere."""
    family: Family = "results"
    """The claims of a family share an error rate; what one busy machine timed is a family of its own."""

    @model_validator(mode="after")
    def _has_sides(self) -> "ClaimPart":
        low, high = self.criterion(0.01).supports
        if self.unit == "ratio" and low <= 0 and high == inf:
            raise ValueError(f"{self.quantity}: every ratio lies there, it is no side of a criterion")
        return self

    def criterion(self, margin: float) -> Criterion:
        """In numbers; `margin` is the study's, a fraction."""
        scaled = 100 * margin if self.unit == "points" else margin
        against = None if self.contradicts is None else tuple(side.range(scaled) for side in self.contradicts)
        return Criterion(self.supports.range(scaled), against)


class Claim(Settings):
    """What is claimed, by whom, and what would settle it."""

    name: str
    """Short and unique: `relu-trains-faster`."""
    experiment: str
    """The experiment that measures it."""
    statement: str
    """The claim, one sentence."""
    source: str
    """Who published it, with year and place, or that nobody is known to have."""
    quantity: str
    """What is measured for it, with its unit."""
    parts: Annotated[dict[str, ClaimPart], Field(min_length=1)]
    """By name; supported needs every one, and the first is the one shown."""
    note: str = ""
    """What the criterion's sentence adds to the numbers."""
    published: str = ""
    """The published figure."""
    published_value: float | None = None
    """The published figure as a number, in the units of the first part, to be marked on its axis."""
    figure: str
    """The figure that shows it: `race-ratios`."""
    scope: str = "any"
    """What a study must have for the claim to be tested: a name in `scopes`, or `any`."""
    rests_on: tuple[str, ...] = ()
    """The experiment's options that decide it, beside the study's margin."""

    @property
    def family(self) -> Family:
        """That of times, as soon as one of its parts is a time."""
        return "times" if any(part.family == "times" for part in self.parts.values()) else "results"


class Scope(Settings):
    """What a study must have for some claims to be tested."""

    train_samples: int
    """So many training images at least."""
    study: str
    """A study in config/studies that has them."""


class Claims(Settings):
    """The file."""

    scopes: dict[str, Scope] = Field(default_factory=dict)
    claims: Annotated[dict[str, Claim], Field(min_length=1)]

    @model_validator(mode="after")
    def _scopes_exist(self) -> "Claims":
        for name, claim in self.claims.items():
            if claim.scope != "any" and claim.scope not in self.scopes:
                raise ValueError(f"claims.{name}.scope: {claim.scope}: {choices(claim.scope, ['any', *self.scopes])}")
        return self

    @property
    def units(self) -> dict[tuple[str, str], str]:
        """Of each part, by claim and part."""
        return {(name, part): own.unit for name, claim in self.claims.items() for part, own in claim.parts.items()}

    def of(self, experiment: str) -> list[Claim]:
        """The claims that an experiment measures."""
        return [claim for claim in self.claims.values() if claim.experiment == experiment]


def claims_file() -> Path:
    """The file of the claims: `config/claims.yaml` of the working directory, or else ours."""
    return configured("claims.yaml")


def load_claims(path: Path | None = None, experiments: Iterable[str] | None = None) -> Claims:
    """The claims in a file, `claims_file` when left out, each of one of the `experiments` that there are, if given.

    A TakeoffError says that a key or a value is wrong, or that a criterion has no side.
    """
    path = path or claims_file()
    content = read_yaml(path)
    stated = content.get("claims")
    if isinstance(stated, dict):  # each claim's key is its name
        content["claims"] = {k: {"name": k, **v} if isinstance(v, dict) else v for k, v in stated.items()}
    claims, known = check(Claims, content, path), list(experiments or ())
    for name, claim in claims.claims.items():
        if known and claim.experiment not in known:
            words = f"{claim.experiment}: no such experiment; {choices(claim.experiment, known)}"
            raise TakeoffError(f"{path}: claims.{name}.experiment: {words}")
    return claims


def out_of_reach(study: Study, claims: Claims, claim: Claim, images: int) -> str | None:
    """Why a study of a dataset with so many training images tests nothing of a claim, whatever it measures, or None."""
    name, wanted = claim.experiment, study.dataset.train_samples
    if name not in study.experiments:
        return OFF.format(name=name)
    images = images if isinstance(wanted, str) else min(wanted, images)
    scope = claims.scopes.get(claim.scope)
    if scope is not None and images < scope.train_samples:
        words = f"out of scope: {claim.scope} means {scope.train_samples:,} training images or more"
        return f"{words}, and this study has {images:,}; the study {scope.study} would test it"
    return None


def by_reason(untested: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Claims by the reason why they are not tested, given each one's words and reason; those of experiments that are
    off are counted, and have one reason together.
    """
    found: dict[str, list[str]] = {}
    off: dict[str, int] = {}
    for words, reason in untested:
        experiment = reason.removeprefix("experiment ").partition(" ")[0]
        if reason == OFF.format(name=experiment):
            off[experiment] = off.get(experiment, 0) + 1
        else:
            found.setdefault(reason, []).append(words)
    if off:
        reason = "these experiments are not switched on: add `NAME: {}` below `experiments` in the study's file"
        found[reason] = [f"{sum(off.values())} claims of {', '.join(off)}"]
    return found


def fixed_criteria(path: Path) -> dict[str, dict[str, Any]]:
    """The criteria as they were written down when the study was planned; none where there is no such file.

    A TakeoffError says that the file is damaged, or was written by an older version, as sentences.
    """
    fixed = load_json(path) if path.exists() else {}
    for name, one in fixed.items():
        if not isinstance(one, dict) or not {"parts", "published_value"} <= one.keys():
            raise TakeoffError(f"{path}: {name}: not the numbers of a criterion; move the file away and plan again")
    return fixed


def criteria(claims: Claims, study: Study, options: Mapping[str, Settings]) -> dict[str, dict[str, Any]]:
    """`criteria.json`: of every claim of the experiments that a study switches on, the numbers that decide it.

    `options` are by experiment. A TakeoffError says that a claim rests on one that its experiment does not have.
    """
    return {
        claim.name: {
            "parts": {name: _numbers(part, study.margin) for name, part in claim.parts.items()},
            "scope": claims.scopes[claim.scope].model_dump() if claim.scope in claims.scopes else None,
            "margin": study.margin,
            "options": {name: _option(claim, given, name) for name in claim.rests_on},
            "published_value": claim.published_value,
        }
        for experiment, given in options.items()
        for claim in claims.of(experiment)
    }


def _option(claim: Claim, options: Settings, name: str) -> Any:
    dumped = options.model_dump(mode="json")
    if name not in dumped:
        valid = choices(name, dumped)
        raise TakeoffError(
            f"{claims_file()}: claims.{claim.name}.rests_on: {claim.experiment} has no option {name}; {valid}"
        )
    return dumped[name]


def _numbers(part: ClaimPart, margin: float) -> dict[str, Any]:
    criterion = part.criterion(margin)
    supports, *against = (
        [end if abs(end) < inf else None for end in region] for region in (criterion.supports, *criterion.against)
    )
    return {"supports": supports, "contradicts": against, "family": part.family}


def criterion_of(numbers: Mapping[str, Any]) -> Criterion:
    """The criterion of a part, as `criteria.json` states it."""
    against = tuple(_range(*region) for region in numbers["contradicts"])
    return Criterion(_range(*numbers["supports"]), against)


def _range(low: float | None, high: float | None) -> Range:
    """An end that is None is open."""
    return (-inf if low is None else low, inf if high is None else high)


def criterion_sentence(claim: Claim, margin: float) -> str:
    """When a claim is supported, and when contradicted, made from its numbers; `margin` is the study's."""
    supports, contradicts = [], []
    for part in claim.parts.values():
        criterion = part.criterion(margin)
        supports.append(f"{part.quantity} {side_words(criterion.supports, part.unit)}")
        # No ratio lies below 0.
        against = [region for region in criterion.against if part.unit != "ratio" or region[1] > 0]
        sides = " or ".join(side_words(region, part.unit) for region in against)
        contradicts += [f"{part.quantity} {sides}"] if sides else []
    intervals, one = ("intervals lie", "any lies") if len(supports) > 1 else ("interval lies", "it lies")
    words = f"supported where the {intervals}: {', '.join(supports)}"
    if contradicts:
        words += f"; contradicted where {one}: {', '.join(contradicts)}"
    return f"{words}; {claim.note}" if claim.note else words


def side_words(region: Range, unit: str) -> str:
    """Where a criterion's region lies, as in `above 2`, `below −1 points` or `between 4 and 9`."""
    low, high = (f"{end:,.7g}".replace("-", "−") for end in region)
    words = "" if unit in {"ratio", ""} else f" {unit}"
    if region[0] == -inf or (unit == "ratio" and region[0] == 0):
        return f"below {high}{words}"
    return f"above {low}{words}" if region[1] == inf else f"between {low} and {high}{words}"
