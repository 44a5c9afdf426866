"""What a study's results folder says, its own or a copy that is committed, whose tables lie flat in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from takeoff.common.errors import TakeoffError
from takeoff.common.table_files import read_table
from takeoff.common.tables import column
from takeoff.experiments.registry import EXPERIMENTS
from takeoff.statistics.measures import Measure, read_measures
from takeoff.study.loading import study_keys


@dataclass(frozen=True)
class StudyResults:
    """A folder with `study.json` and `claims.csv`."""

    folder: Path
    study: dict[str, Any]
    """The keys of `study.json`, as they stand there."""
    claims: pd.DataFrame
    """`claims.csv`, as text, with at least `claim`, `verdict` and `reason`."""

    @property
    def title(self) -> str:
        """The study's."""
        return str(self.study.get("title", self.folder.name))

    def path(self, experiment: str, table: str) -> Path | None:
        """A table of an experiment: `factorial/effects.csv`, or in a copy `factorial-effects.csv`; None without."""
        places = (self.folder / experiment / f"{table}.csv", self.folder / f"{experiment}-{table}.csv")
        return next((place for place in places if place.is_file()), None)

    def measures(self, units: Mapping[tuple[str, str], str]) -> list[Measure]:
        """What all its experiments measured, as `read_measures` takes it; a TakeoffError says that none has
        `measured.csv`, or what in one is wrong.
        """
        paths = [path for name in EXPERIMENTS if (path := self.path(name, "measured"))]
        if not paths:
            raise TakeoffError(
                f"{self.folder}: no EXPERIMENT/measured.csv or EXPERIMENT-measured.csv; judge a study first"
            )
        return [one for path in paths for one in read_measures(path, units)]


def read_results(folder: Path) -> StudyResults:
    """The results in a folder; a TakeoffError says that it is missing, or holds no judged study."""
    if not folder.is_dir():
        raise TakeoffError(f"{folder}: there is no such folder; valid: results/STUDY, or results/reference/STUDY")
    for name in ("study.json", "claims.csv"):
        if not (folder / name).is_file():
            raise TakeoffError(f"{folder}: no {name} in it; valid: the results of a study that was judged")
    claims = read_table(folder / "claims.csv")
    for name in ("claim", "verdict", "reason"):
        column(claims, name, str(folder / "claims.csv"))
    return StudyResults(folder, study_keys(folder / "study.json"), claims)
