"""Spreads: by how much the quantities of claims differed between seeds in studies that were run, for planning others.

`config/spreads.csv` holds those of the reference results; `scripts/analyse.py spreads` makes such a file of any results
folders. Planning reads it, so that this takes no pandas.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from math import isfinite, nan, sqrt
from pathlib import Path
from typing import Any

from takeoff.common.errors import TakeoffError
from takeoff.common.files import load_json
from takeoff.common.spelling import choices
from takeoff.statistics.criterion import Range

LIKENESS = ("same study", "same images", "other images")
"""How near a source is to the study that is planned, the nearest first."""


@dataclass(frozen=True)
class Spread:
    """A part of a claim in one study; of a ratio, numbers are of its natural logarithm."""

    study: str
    dataset: str
    claim: str
    part: str
    unit: str
    estimate: float
    spread: float
    """The standard deviation of the values whose mean the estimate is: its standard error times √n."""
    n: int
    """How many values, by its degrees of freedom."""
    bound_below: float
    bound_above: float
    veto: str
    """`any`: no verdict could rest on it."""

    @property
    def bound(self) -> Range:
        """How far below and above its interval the quantity may lie besides."""
        return (self.bound_below, self.bound_above)


def read_spreads(path: Path) -> list[Spread]:
    """Those in a file that `analyse.py spreads` wrote, or in a study's results folder, finished or a pilot's.

    A TakeoffError says that there is no such file, or what in it is wrong.
    """
    if path.is_dir():
        return list(spreads_of(path))
    return [_spread(path, row) for row in _rows(path, [field.name for field in fields(Spread)])]


def spreads_of(results: Path) -> Iterator[Spread]:
    """Of a results folder: from the `measured.csv` of its experiments. A TakeoffError says that it has none, or what
    is wrong in them.
    """
    if not results.is_dir():
        raise TakeoffError(f"{results}: there is no such folder; valid: a study's results")
    dataset = load_json(results / "study.json").get("dataset")
    own = {"study": results.resolve().name, "dataset": dataset.get("name", "") if isinstance(dataset, dict) else ""}
    # A committed copy has its tables side by side.
    measured = sorted([*results.glob("*/measured.csv"), *results.glob("*-measured.csv")])
    if not measured:
        raise TakeoffError(f"{results}: no <experiment>/measured.csv; valid: a study's results")
    for path in measured:
        for row in _rows(path, "claim part unit standard_error degrees_of_freedom".split()):
            freedom = _number(path, row, "degrees_of_freedom")
            # What is no whole number, of two errors taken together, is rounded.
            n = round(freedom) + 1.0 if isfinite(freedom) else 0.0
            spread = _number(path, row, "standard_error") * sqrt(n)
            if row["part"] and n > 1 and isfinite(spread):
                yield _spread(path, row | own | {"spread": spread, "n": n})


def nearest(spreads: Iterable[Spread], claim: str, part: str, study: str, dataset: str) -> tuple[Spread, str] | None:
    """The source to plan a part with, and its likeness: the same study, else the same images, else any.

    Of several the one with the greatest spread, those without a veto first. None: there is none.
    """
    known = [one for one in spreads if (one.claim, one.part) == (claim, part)]
    like = [(one.dataset == dataset) + (one.study == study and one.dataset == dataset) for one in known]
    ranked = sorted(zip(like, known, strict=True), key=lambda pair: (-pair[0], pair[1].veto, -pair[1].spread))
    return (ranked[0][1], LIKENESS[2 - ranked[0][0]]) if ranked else None


def _rows(path: Path, columns: list[str]) -> list[dict[str, Any]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (FileNotFoundError, UnicodeDecodeError, csv.Error):
        raise TakeoffError(
            f"{path}: no such table; valid: a CSV file by analyse.py spreads, a results folder"
        ) from None
    for name in columns if rows else ():
        if name not in rows[0]:
            raise TakeoffError(f"{path}: no column {name}; {choices(name, rows[0])}")
    return rows


def _number(path: Path, row: dict[str, Any], name: str) -> float:
    try:
        return nan if row[name] in {"", None} else float(row[name])
    except (KeyError, TypeError, ValueError):
        raise TakeoffError(f"{path}: column {name}: {row.get(name)!r} is not a number") from None


def _spread(path: Path, row: dict[str, Any]) -> Spread:
    texts = ("study", "dataset", "claim", "part", "unit", "veto")
    given: dict[str, Any] = {name: str(row.get(name) or "") for name in texts}
    given |= {name: _number(path, row, name) for name in ("estimate", "spread", "n", "bound_below", "bound_above")}
    if not (given["n"] >= 2 and given["spread"] >= 0):
        raise TakeoffError(
            f"{path}: {row['claim']}: n {given['n']:g}, spread {given['spread']:g}: valid: 2 or more, 0 or more"
        )
    return Spread(**given | {"n": int(given["n"])})
