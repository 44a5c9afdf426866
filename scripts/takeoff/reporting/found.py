"""What a study found, read from its tables: effects, gains, verdicts."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf, isfinite, isnan
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from takeoff.figures.words import signed, term_words
from takeoff.study.model import Study

VERDICTS = ("supported", "contradicted", "undecided", "not tested")


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
    def verdicts(self) -> dict[str, int]:
        """How many claims have each verdict."""
        counts = Counter(self.claims["verdict"]) if len(self.claims) else Counter()
        return {verdict: counts[verdict] for verdict in VERDICTS}


def read_found(folder: Path, study: Study) -> Found:
    """What the tables in a results folder say."""
    return Found(
        list(_effects(_read(folder / "factorial" / "effects.csv"), study)),
        {row.factor: _gain(row) for row in _read(folder / "gain" / "summary.csv").itertuples()},
        _read(folder / "factorial" / "cells.csv"),
        _read(folder / "claims.csv"),
    )


def _read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, keep_default_na=False, na_values=[""]) if path.is_file() else pd.DataFrame()


def _effects(table: pd.DataFrame, study: Study) -> Iterator[Effect]:
    levels = {name: (factor.baseline, factor.treatment) for name, factor in study.factors.items()}
    if table.empty:
        return
    for row in table[(table["kind"] == "main") & (table["response"] == "test_accuracy")].itertuples():
        estimate, low, high = (100 * float(value) for value in (row.estimate, row.ci_low, row.ci_high))
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
    """The estimate of a row of `claims.csv`, with its unit and interval; a dash where there is none."""
    if pd.isna(row.estimate):
        return "–"
    numbers = (
        f"{value:.3g}".replace("-", "−").replace("inf", "∞") for value in (row.estimate, row.ci_low, row.ci_high)
    )
    estimate, low, high = numbers
    unit = "" if pd.isna(row.unit) else "×" if row.unit == "ratio" else f" {row.unit}"
    return f"{estimate}{unit} ({low} to {high})"


def found_lines(found: Found) -> Iterator[str]:
    """A few lines for a terminal."""
    if len(found.claims):
        yield "claims: " + ", ".join(f"{count} {verdict}" for verdict, count in found.verdicts.items() if count)
    if found.effects:
        yield "what each factor does to test accuracy, in points, with its 95% interval:"
    width = max((len(effect.words) for effect in found.effects), default=0)
    for effect in found.effects:
        between = interval_words(effect.low, effect.high) or "one seed, so no interval"
        yield f"  {effect.words:{width}}  {signed(effect.estimate):>5}  ({between})"
