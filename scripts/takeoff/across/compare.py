"""Two results of one study side by side: how far effects and claims lie apart, in half-widths of the first interval."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from takeoff.across.results import StudyResults
from takeoff.common.errors import TakeoffError
from takeoff.common.tables import level_texts, numbers
from takeoff.experiments.analysis import read_back

KEYS = {"effect": ["response", "kind", "term"], "claim": ["claim", "place", "unit"]}
"""What identifies a row: of a claim, the place of the part, whose words may hold a study's numbers."""
NUMBERS = ("estimate", "ci_low", "ci_high")
COLUMNS = [
    *("what", "name", "kind", "part", "unit", *NUMBERS, "verdict"),
    *(f"{name}_against" for name in (*NUMBERS, "verdict")),
    *("distance", "inside", "outside_both"),
]


def compared(first: StudyResults, second: StudyResults) -> pd.DataFrame:
    """A row per effect and per part of a claim that both results have, with the columns `COLUMNS`.

    `distance` is that of the second estimate from the first, in half-widths of the first's interval, of a ratio in
    logarithms; NaN where the first has no interval. `inside` says whether the second estimate lies in the first's
    interval, `outside_both` whether each lies outside the other's. Intervals of claims are as they were judged. A
    TakeoffError says that they have no table in common.
    """
    tables = []
    for what, key in KEYS.items():
        one, other = (_rows(results, what) for results in (first, second))
        if one is not None and other is not None:
            tables.append(one.merge(other, on=key, suffixes=("", "_against")).assign(what=what))
    if not tables:
        raise TakeoffError(
            f"{second.folder}: no table that {first.folder} has, too; valid: results with factorial/effects.csv or "
            "claims_parts.csv"
        )
    table = pd.concat(tables, ignore_index=True)
    table["name"] = table["response"].fillna(table["claim"]) if "response" in table else table["claim"]
    table["part"] = table["term"].fillna(table["part"]) if "term" in table else table["part"]
    ratio = (table["unit"] == "ratio").to_numpy()
    own, its = (_scaled(table, suffix, ratio) for suffix in ("", "_against"))
    with np.errstate(invalid="ignore", divide="ignore"):
        away = its[0] - own[0]
        table["distance"] = np.where(away == 0, 0.0, away / ((own[2] - own[1]) / 2))
    table.loc[np.isnan(own[1:]).any(axis=0), "distance"] = np.nan
    table["inside"] = (own[1] <= its[0]) & (its[0] <= own[2])
    table["outside_both"] = _beyond(its[0], own) & _beyond(own[0], its)
    return table.reindex(columns=COLUMNS)


def _rows(results: StudyResults, what: str) -> pd.DataFrame | None:
    """A results' effects, or parts of claims; None where it has no such table."""
    path = results.path("factorial", "effects") if what == "effect" else results.folder / "claims_parts.csv"
    if path is None or not path.is_file():
        return None
    table, source = read_back(path), str(path)  # of claims there may be none
    if what == "claim":
        table = table.assign(place=table.groupby(level_texts(table, "claim", source)).cumcount())
        extra = table[["claim", "place", "part", "unit", "verdict"]]
    else:
        extra = pd.DataFrame({name: level_texts(table, name, source) for name in KEYS["effect"]})
    return extra.assign(**{name: numbers(table, name, source) for name in NUMBERS})


def _scaled(table: pd.DataFrame, suffix: str, ratio: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Estimate and ends, (3, rows), ratios as logarithms."""
    values = table[[f"{name}{suffix}" for name in NUMBERS]].to_numpy(dtype=float).T
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(ratio, np.log(values), values)


def _beyond(estimate: NDArray[np.float64], interval: NDArray[np.float64]) -> NDArray[np.bool_]:
    return (estimate < interval[1]) | (estimate > interval[2])


def verdicts_that_differ(first: StudyResults, second: StudyResults) -> Iterator[tuple[str, str, str]]:
    """Each claim with another verdict in the second, with both; of claims that both know."""
    both = first.claims.merge(second.claims, on="claim", suffixes=("", "_against"))
    for row in both[both["verdict"] != both["verdict_against"]].itertuples():
        yield row.claim, row.verdict, row.verdict_against


def summary(table: pd.DataFrame, first: StudyResults, second: StudyResults) -> Iterator[str]:
    """Lines that say how many effects agree, the farthest, what is outside both intervals, which verdicts differ."""
    effects = table[(table["what"] == "effect") & table["distance"].notna()]
    if len(effects):
        inside = int(effects["inside"].sum())
        share = f"{inside} of {len(effects)} effects ({inside / len(effects):.1%})"
        yield f"{share} of {second.folder} lie in the 95% intervals of {first.folder}"
        far = effects.loc[effects["distance"].abs().idxmax()]
        mean = effects["distance"].abs().mean()
        words = f"{far['part']} ({far['kind']}) on {far['name']}"
        yield f"the farthest is {abs(far['distance']):.2f} half-widths away: {words}; the mean is {mean:.2f}"
    outside = table[table["outside_both"].astype(bool)]
    if table.empty:
        yield f"{first.folder} and {second.folder} have no effect and no part of a claim in common"
    else:
        yield f"{len(outside)} of {len(table)} effects and parts of claims lie outside both intervals"
    for row in outside.itertuples():
        yield f"  {row.name} {row.part}: {row.estimate:.4g}, against {row.estimate_against:.4g}"
    differ = list(verdicts_that_differ(first, second))
    yield f"{len(differ)} verdicts differ"
    yield from (f"  {claim}: {one}, against {other}" for claim, one, other in differ)


def name_beside(first: Path, second: Path) -> str:
    """What the comparison is called: the second folder, with the one above it where both have one name."""
    own, other = first.resolve(), second.resolve()
    return other.name if other.name != own.name else f"{other.parent.name}-{other.name}"
