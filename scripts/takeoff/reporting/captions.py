"""What each figure shows, in sentences with the numbers of the study's tables: a caption begins with them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from takeoff.figures.words import signed
from takeoff.reporting.found import Found, gain_words, interval_words, number_words, table_at


def results_of(figure: str, found: Found, folder: Path) -> Iterator[str]:
    """The sentences of a figure, by its name, of the study whose results are in `folder`; none where no table says."""
    own = OF_FIGURES.get(figure)
    return own(found, folder) if own else _claims(figure, found)


def _counts(found: Found, folder: Path) -> Iterator[str]:
    if found.counts:
        yield f"Of {len(found.claims)} claims: {found.counts}."


def _effects(found: Found, folder: Path) -> Iterator[str]:
    for one in found.effects:
        yield f"{one.words}: {_points(one.estimate, one.low, one.high)}."


def _log_odds(found: Found, folder: Path) -> Iterator[str]:
    for row in _main_effects(folder / "factorial" / "effects.csv", "test_accuracy_log_odds"):
        interval = f" ({signed(row.ci_low, 2)} to {signed(row.ci_high, 2)})" * (row.n_seeds > 1)
        yield f"{_name(found, row.term)}: {signed(row.estimate, 2)} in log-odds{interval}."


def _rates(found: Found, folder: Path) -> Iterator[str]:
    for row in _main_effects(folder / "factorial" / "fixed.csv", "test_accuracy"):
        tuned, fixed = signed(100 * row.tuned), signed(100 * row.fixed)
        yield f"{_name(found, row.term)}: {tuned} points with tuned rates, {fixed} with {row.rate:g} for all."


def _best_and_worst(found: Found, folder: Path) -> Iterator[str]:
    if len(found.cells):
        ordered = found.cells.sort_values("test_accuracy", ascending=False, kind="stable")
        ends = (("Best", ordered.iloc[0]), ("worst", ordered.iloc[-1]))
        words = "; ".join(f"{end}: {row['arm']}, {100 * row['test_accuracy']:.1f}%" for end, row in ends)
        yield f"{words} of the test images."


def _gains(found: Found, folder: Path) -> Iterator[str]:
    for factor, gain in found.gains.items():
        yield f"{_name(found, factor)}: {gain_words(gain)} times less computation."


def _effects_by_budget(found: Found, folder: Path) -> Iterator[str]:
    for row in table_at(folder / "gain" / "summary.csv").itertuples():
        effect = _points(row.points, row.points_low, row.points_high)
        yield f"{_name(found, row.factor)}: {effect} at {row.epochs} epochs."


def _search(found: Found, folder: Path) -> Iterator[str]:
    """One training and all of them, which are the same for every machine."""
    table = table_at(folder / "compute" / "search.csv")
    if not table.empty:
        one, every = (table.loc[place] for place in (table["n_runs"].idxmin(), table["n_runs"].idxmax()))
        best = f"the best of {every['n_runs']} gets {100 * every['best_validation_accuracy']:.1f}%"
        yield f"One training gets {100 * one['best_validation_accuracy']:.1f}% of the validation images, {best}."


def _claims(figure: str, found: Found) -> Iterator[str]:
    """The claims that a figure is of; of one without such, those of its experiment."""
    if found.claims.empty:
        return
    own = found.claims["figure"] == figure
    if not own.any():
        own = found.claims["experiment"] == figure.partition("-")[0]
    for row in found.claims[own].itertuples():
        number = "" if pd.isna(row.estimate) else f" {number_words(row)}"
        yield f"{row.verdict.capitalize()}: {row.statement}{number}"


def _points(estimate: float, low: float, high: float) -> str:
    """An effect with its interval; without one where there is a single seed."""
    between = interval_words(low, high)
    return f"{signed(estimate)} points" + f" ({between})" * bool(between)


def _name(found: Found, factor: str) -> str:
    """A factor in words, as among the effects."""
    return next((one.words for one in found.effects if one.factor == factor), factor)


def _main_effects(path: Path, response: str) -> Iterator[Any]:
    table = table_at(path)
    if not table.empty:
        yield from table[(table["kind"] == "main") & (table["response"] == response)].itertuples()


OF_FIGURES: dict[str, Callable[[Found, Path], Iterator[str]]] = {
    "claims": _counts,
    "factorial-effects": _effects,
    "factorial-log-odds": _log_odds,
    "factorial-rates": _rates,
    "factorial-cells": _best_and_worst,
    "factorial-curves": _best_and_worst,
    "compute-search": _search,
    "gain-gains": _gains,
    "gain-curves": _gains,
    "gain-effects": _effects_by_budget,
}
"""By figure, what its sentences are made of; of the others they are claims."""
