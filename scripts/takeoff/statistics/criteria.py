"""Criteria and values from any two tables, as parts to judge, and the table of their verdicts."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from takeoff.common.errors import TakeoffError
from takeoff.common.spelling import choices
from takeoff.common.tables import check_once, check_rows, columns_named, flags, level_text, level_texts, numbers
from takeoff.statistics.measures import Measure
from takeoff.statistics.verdicts import Criterion, Judgement, Part, judge_claim, judge_parts

COLUMNS = (
    "claim part unit n estimate ci_low ci_high level supports contradicts p_value p_adjusted verdict p_sign_flip"
).split()
ENDS = ("above", "below", "contradicted_above", "contradicted_below")
CRITERIA = ("part", "claim", "ratio", "unit", *ENDS)
"""Columns that a table of criteria may have; `part` it must, and `above` or `below`."""


def parts_of(
    values: pd.DataFrame,
    criteria: pd.DataFrame,
    censored: NDArray[np.bool_],
    sources: tuple[str, str],
    seed: str = "seed",
) -> list[Part]:
    """The parts to judge, in the order of the criteria.

    `values` have a row per part and `seed`, with `part` and `value`, already paired: a difference, or a ratio;
    `censored`, (rows,), says which are lower bounds.

    `criteria` have a row per part. It is supported `above` and `below` these numbers, empty where that end is open, and
    contradicted elsewhere, or only above `contradicted_above` and below `contradicted_below` where these are given;
    `ratio` is true where the values are ratios, judged as logarithms; parts with the same `claim` must all hold, one
    without is its own.

    A TakeoffError, which names the table's source, of values or criteria, says that a column is absent, unknown or
    wrong; that a part has no value or no criterion, or two criteria; or that a criterion has no side, or contradicts
    what it supports.
    """
    of, by = sources
    for name in criteria.columns:
        if name not in CRITERIA:
            raise TakeoffError(f"{by}: column {name}: {choices(str(name), CRITERIA)}")
    names, labels = level_texts(criteria, "part", by), np.array(level_texts(values, "part", of))
    check_once(pd.DataFrame({"part": names}), by)
    for label in dict.fromkeys(labels):
        if label not in names:
            raise TakeoffError(f"{of}: column part: no criterion in {by} for {label}; {choices(label, names)}")
    if columns_named(values, seed):
        check_once(pd.DataFrame({"part": labels, seed: level_texts(values, seed, of)}), of)
    found = numbers(values, "value", of)
    check_rows(np.isfinite(found), found, f"{of}: column value", "is no number; valid: one in each row")
    given, blank = criteria.reindex(columns=list(CRITERIA)), [""] * len(names)
    claims, units = _texts(given["claim"], names), _texts(given["unit"], blank)
    ratios = flags(given.assign(ratio=_texts(given["ratio"], ["false"] * len(names))), "ratio", by)
    ends = np.column_stack([numbers(given, name, by) for name in ENDS])
    for name, end in zip(ENDS, ends.T, strict=True):
        wrong = "is no end; valid: a number, or nothing where that side is open"
        check_rows(~np.isinf(end), end, f"{by}: column {name}", wrong)
    parts = []
    for row, (label, ratio) in enumerate(zip(names, ratios, strict=True)):
        own = labels == label
        if not own.any():
            raise TakeoffError(f"{of}: no row of part {label}, which {by} has a criterion for")
        if ratio:
            wrong = f"is no ratio, and {by} takes {label} for one; valid: above 0"
            check_rows(~own | (found > 0), found, f"{of}: column value", wrong)
        bound = (0.0, np.inf if censored[own].any() else 0.0)
        unit = "ratio" if ratio else units[row]
        measure = Measure.of(claims[row], label, label, found[own], unit, bound)
        try:
            parts.append(Part(measure, _criterion(*ends[row].tolist())))
        except ValueError as error:
            raise TakeoffError(
                f"{by}: row {row + 1}: {label}: {error}; valid: above and below that leave a side each"
            ) from None
    return parts


def verdicts_table(parts: list[Part], alpha: float = 0.05) -> pd.DataFrame:
    """`judgements_table` of parts whose claims share the error rate `alpha`, with the verdict of each part's claim."""
    judgements = judge_parts(parts, alpha)
    table = judgements_table(judgements)
    verdicts = {
        claim: judge_claim([judgements[row] for row in rows])[0]
        for claim, rows in table.groupby("claim").indices.items()
    }
    return table.assign(claim_verdict=table["claim"].map(verdicts))


def judgements_table(judgements: Iterable[Judgement]) -> pd.DataFrame:
    """A row per judgement, with the columns `COLUMNS`; regions as `(2, inf)`, several joined by `or`."""
    rows = []
    for one in judgements:
        measure, part = one.part.measure, one.part
        regions = [
            " or ".join(f"({low:g}, {high:g})" for low, high in side)
            for side in ([part.criterion.supports], part.against)
        ]
        shown = (measure.n, one.estimate, one.low, one.high, one.level)
        judged = (*regions, one.p_value, one.p_adjusted, one.verdict, one.p_sign_flip)
        rows.append((measure.claim, measure.label, measure.unit, *shown, *judged))
    return pd.DataFrame(rows, columns=COLUMNS).astype({"n": "Int64"})


def _texts(column: pd.Series, absent: list[str]) -> list[str]:
    """A column of texts; where it is empty, what `absent` says."""
    return [level_text(value) or other for value, other in zip(column, absent, strict=True)]


def _criterion(above: float, below: float, against_above: float, against_below: float) -> Criterion:
    """Of its ends, NaN where open; contradicted everywhere else where neither of the latter two is given."""
    against = [side for side in ((-np.inf, against_below), (against_above, np.inf)) if not np.isnan(side).any()]
    supports = (-np.inf if np.isnan(above) else above, np.inf if np.isnan(below) else below)
    return Criterion(supports, tuple(against) or None)
