"""What one MLflow run is to hold, as plain values with a digest; knows neither MLflow nor where results lie."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

from takeoff.common.digests import code_digest
from takeoff.common.files import digest_of, sha256_of_file
from takeoff.tracking.models import SERVED

Key = tuple[str, str, str]
"""Role, arm or experiment, seed: what a run is about, whatever its MLflow id and whatever a user renames it to."""


Only = Literal["runs", "finished"]
"""What an import is of, where it is not of all: runs and arms, or those of the arms that have been trained."""


class Point(NamedTuple):
    """One value of a metric."""

    key: str
    value: float
    timestamp: int
    """Milliseconds since 1970."""
    step: int
    """The epoch of a curve; 0 for a value measured once, which MLflow then draws as a bar."""


@dataclass(frozen=True)
class Entry:
    """One MLflow run: a training of an arm with a seed, final or to tune, an arm over its seeds, or an experiment."""

    name: str
    start: int
    """Milliseconds since 1970, like `end`."""
    end: int
    tags: dict[str, str]
    params: dict[str, str] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)
    """Artifact path, `figures/factorial-effects.svg` → the file."""
    weights: Path | None = None
    """Of the arm's best network, which becomes a model."""

    @property
    def key(self) -> Key:
        """What the run is about."""
        return key_of(self.tags)

    @property
    def parent(self) -> Key | None:
        """The key of the arm that a training belongs to."""
        role, arm, _ = self.key
        return ("arm", arm, "") if role in {"run", "tuning"} else None

    @cached_property
    def digest(self) -> str:
        """Changes when anything changes that would be logged; 'NaN' has a text and no JSON."""
        points = [[p.key, repr(p.value), p.timestamp, p.step] for p in self.points]
        files = {path: sha256_of_file(file) for path, file in self.files.items()}
        if self.weights:
            files["weights"] = sha256_of_file(self.weights) + code_digest(SERVED)
        return digest_of([self.name, self.start, self.end, self.tags, self.params, points, files])


def key_of(tags: dict[str, str]) -> Key:
    """What a run with these tags is about; of those that tune, several have one seed."""
    about = tags.get("takeoff.arm") or tags.get("takeoff.experiment", "")
    which = " ".join(filter(None, (tags.get("takeoff.seed"), tags.get("takeoff.setting"))))
    return tags.get("takeoff.role", ""), about, which
