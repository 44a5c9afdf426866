"""What a study found, read from its tables: effects, gains, verdicts."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf, isfinite, isnan, nan
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from takeoff.common.tables import column
from takeoff.experiments.analysis import read_back
from takeoff.figures.words import digits_words, estimate_words, signed, term_words
from takeoff.judging.claims import by_reason
from takeoff.study.manifest import check_unchanged
from takeoff.study.model import Study

TESTED = ("supported", "contradicted", "undecided")
VERDICTS = (*TESTED, "not tested")
"""In the order in which claims are listed."""

COLUMNS = {
    "factorial/effects.csv": "term kind response estimate ci_low ci_high n_seeds",
    "gain/summary.csv": "factor gain gain_low gain_high bound epochs",
    "factorial/cells.csv": "arm test_accuracy n_seeds",
    "claims.csv": "statement unit estimate ci_low ci_high n verdict published experiment figure reason",
}
"""By table, what is read of it."""

FEW = 4
"""Seeds below which an interval says little: with 2 its half-width is 9 standard deviations, with 4 it is 1.6."""


class Effect(NamedTuple):
    """What a factor does to test accuracy, in points, with its 95% interval; NaN where there is none."""

    factor: str
    words: str
    estimate: float
    low: float
    high: float
    n_seeds: int


class Gain(NamedTuple):
    """How many times less computation reaches the same test error with a factor, with its 95% confidence set."""

    estimate: float
    low: float
    high: float
    bound: str
    """`lower`, `upper`, or `none`: whether the estimate is one."""
    epochs: int
    """The budget of the treatment at which it is read."""


@dataclass(frozen=True)
class Found:
    """What the tables in a study's folder say; empty where one is not there."""

    effects: list[Effect]
    gains: dict[str, Gain]
    """By factor."""
    cells: pd.DataFrame
    """`factorial/cells.csv`: a row per combination of the factors."""
    claims: pd.DataFrame
    """`claims.csv`."""

    @property
    def warning(self) -> str:
        """A sentence on intervals over very few seeds; empty where there are more."""
        fewest = min((effect.n_seeds for effect in self.effects), default=FEW)
        return f"{fewest} seeds are too few to say much: intervals narrow quickly up to {FEW}." * (1 < fewest < FEW)

    def judged(self, *verdicts: str) -> pd.DataFrame:
        """The claims with one of these verdicts, in the order of `VERDICTS`."""
        if self.claims.empty:
            return self.claims
        own = self.claims[self.claims["verdict"].isin(verdicts)]
        return own.sort_values("verdict", key=lambda words: words.map(VERDICTS.index), kind="stable")

    @property
    def counts(self) -> str:
        """How many claims have each verdict, in words; empty where none was judged."""
        counted = Counter(self.claims["verdict"]) if len(self.claims) else Counter()
        return ", ".join(f"{counted[verdict]} {verdict}" for verdict in VERDICTS if counted[verdict])


def read_found(folder: Path, study: Study) -> Found:
    """What the tables in a results folder say; a TakeoffError names one that is wrong."""
    effects, gains, cells, claims = (table_at(folder / name, *columns.split()) for name, columns in COLUMNS.items())
    return Found(list(_effects(effects, study)), {row.factor: _gain(row) for row in gains.itertuples()}, cells, claims)


def table_at(path: Path, *needed: str) -> pd.DataFrame:
    """A CSV file of the study's, as its job wrote it; without rows and columns where there is none. A TakeoffError says
    that it is no table, or lacks a column that is needed.
    """
    check_unchanged(path)
    if not path.exists():
        return pd.DataFrame()
    table = read_back(path)
    for name in needed:
        column(table, name, str(path))
    return table


def _effects(table: pd.DataFrame, study: Study) -> Iterator[Effect]:
    levels = {name: (factor.baseline, factor.treatment) for name, factor in study.factors.items()}
    if table.empty:
        return
    for row in table[(table["kind"] == "main") & (table["response"] == "test_accuracy")].itertuples():
        estimate, low, high = 100 * row.estimate, 100 * row.ci_low, 100 * row.ci_high
        yield Effect(row.term, term_words(row.term, levels), estimate, low, high, int(row.n_seeds))


def _gain(row: Any) -> Gain:
    return Gain(float(row.gain), float(row.gain_low), float(row.gain_high), str(row.bound), int(row.epochs))


def interval_words(low: float, high: float) -> str:
    """The ends of an interval in points; nothing where there is none."""
    return f"{signed(low)} to {signed(high)}" if isfinite(low) else ""


def gain_words(gain: Gain | None) -> str:
    """A gain with its interval: `3.45 (2.64 to ∞)`, `at least 4.00 (4.00 to ∞)`; empty where there is none."""
    if gain is None or isnan(gain.estimate):
        return ""
    sign = {"lower": "at least ", "upper": "at most "}.get(gain.bound, "")
    if isnan(gain.low):
        return f"{sign}{gain.estimate:.2f}"
    return f"{sign}{gain.estimate:.2f} ({gain.low:.2f} to {'∞' if gain.high == inf else f'{gain.high:.2f}'})"


def number_words(row: Any) -> str:
    """The estimate of a row of `claims.csv`, with unit, interval and number of values where it has them; a dash without
    an estimate.
    """
    if pd.isna(row.estimate):
        return "–"
    ratio = row.unit == "ratio"
    unit = "" if pd.isna(row.unit) else "×" if ratio else f" {row.unit}"
    if pd.isna(row.ci_low):
        return digits_words(row.estimate, nan, ratio) + unit
    estimate, low, high = estimate_words(row.estimate, row.ci_low, row.ci_high, ratio=ratio)
    rests_on = "" if pd.isna(row.n) else f", n {row.n:.0f}"
    return f"{estimate}{unit} ({low} to {high}){rests_on}"


def untested_words(found: Found) -> Iterator[tuple[str, list[str]]]:
    """Why claims were not tested, each reason once, with the statements that it holds of."""
    rows = found.judged("not tested")
    yield from by_reason(zip(rows["statement"], rows["reason"].map(str), strict=True)).items()


def effect_table(found: Found) -> list[list[str]]:
    """A heading, and a row per factor, in words: effect, interval, seeds, and gain where gains were measured."""
    gains = bool(found.gains)
    head = ["factor", "test accuracy, points", "95% interval", "seeds"]
    rows = [
        [one.words, signed(one.estimate), interval_words(one.low, one.high), str(one.n_seeds)]
        + [gain_words(found.gains.get(one.factor)) or "–"] * gains
        for one in found.effects
    ]
    return [[*head, *["times less computation for the same error (95%)"] * gains], *rows]


def found_lines(found: Found) -> Iterator[str]:
    """A few lines for a terminal."""
    if found.counts:
        yield f"claims: {found.counts}"
    if found.effects:
        yield "what each factor does to test accuracy, in points, with its 95% interval:"
    width = max((len(effect.words) for effect in found.effects), default=0)
    for effect in found.effects:
        between = interval_words(effect.low, effect.high) or "one seed, so no interval"
        yield f"  {effect.words:{width}}  {signed(effect.estimate):>5}  ({between})"
    if found.warning:
        yield f"  {found.warning}"
