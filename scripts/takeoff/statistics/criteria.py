"""Criteria and values from any two tables, as parts to judge, and the table of their verdicts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from takeoff.errors import TakeoffError, choices
from takeoff.statistics.tables import check_once, column, first_rows, flags, level_texts, numbers
from takeoff.statistics.verdicts import Judgement, Part, Range, judge_claim, judge_parts

COLUMNS = (
    "claim part unit n estimate ci_low ci_high level supports contradicts p_value p_adjusted verdict claim_verdict"
).split()
ENDS = ("above", "below", "contradicted_above", "contradicted_below")
CRITERIA = ("part", "claim", "ratio", "unit", *ENDS)
"""Columns that a table of criteria may have; `part` it must, and `above` or `below`."""


def parts_of(
    values: pd.DataFrame, criteria: pd.DataFrame, censored: str | None, sources: tuple[str, str]
) -> list[tuple[str, Part]]:
    """The parts to judge, each with its claim's name, in the order of the criteria.

    Args:
        values: a row per part and seed: `part` and `value`, already paired: a difference, or a ratio.
        criteria: a row per part. It is supported `above` and `below` these numbers, empty where that end is open, and
            contradicted elsewhere, or only above `contradicted_above` and below `contradicted_below` where these are
            given; `ratio` is true where the values are ratios, judged as logarithms; parts with the same `claim` must
            all hold, one without is its own.
        censored: a column of `values`, true where a value is a lower bound; None: none is.
        sources: where values and criteria were read from, for messages.

    Raises:
        TakeoffError: a column is absent, unknown or wrong; a part has no value or no criterion, or two criteria; a
            criterion has no side, or contradicts what it supports.

    """
    of, by = sources
    for name in criteria.columns:
        if name not in CRITERIA:
            raise TakeoffError(f"{by}: column {name}: {choices(str(name), CRITERIA)}")
    names, labels = level_texts(criteria, "part", by), np.array(level_texts(values, "part", of))
    check_once(pd.DataFrame({"part": names}), by)
    for label in dict.fromkeys(labels):
        if label not in names:
            raise TakeoffError(
                f"{of}: column part: no criterion in {by} for {label}; {choices(label, names)}"
            )
    if "seed" in values:
        check_once(pd.DataFrame({"part": labels, "seed": level_texts(values, "seed", of)}), of)
    numbers_of, bounds = _finite(values, of), np.zeros(len(values), dtype=bool)
    if censored is not None:
        column(values, censored, of)
        bounds = flags(values, censored, of)
    ends = {name: _ends(criteria, name, by) for name in ENDS if name in criteria}
    stated = _texts(criteria, "ratio", by, ["false"] * len(names))
    ratios = flags(pd.DataFrame({"ratio": stated}), "ratio", by)
    claims = _texts(criteria, "claim", by, names)
    units = _texts(criteria, "unit", by, [""] * len(names))
    parts = []
    for row, label in enumerate(names):
        own = labels == label
        if not own.any():
            raise TakeoffError(f"{of}: no row of part {label}, which {by} has a criterion for")
        limits = {name: float(found[row]) for name, found in ends.items() if np.isfinite(found[row])}
        if ratios[row] and (wrong := np.flatnonzero(own & (numbers_of <= 0))).size:
            raise TakeoffError(
                f"{of}: column value: {first_rows(wrong)}: {numbers_of[wrong[0]]:g} is no ratio, and {by} takes "
                f"{label} for one; valid: above 0"
            )
        slack = (0.0, np.inf if bounds[own].any() else 0.0)
        try:
            supports, contradicts = _regions(limits)
            part = Part.of(
                label,
                numbers_of[own],
                supports,
                contradicts=contradicts,
                ratio=bool(ratios[row]),
                slack=slack,
                unit=units[row],
            )
        except ValueError as error:
            raise TakeoffError(
                f"{by}: row {row + 1}: {error}; valid: above and below that leave a side each"
            ) from None
        parts.append((claims[row], part))
    return parts


def verdicts_table(parts: Sequence[tuple[str, Part]], alpha: float = 0.05) -> pd.DataFrame:
    """A row per part, with the columns `COLUMNS`; all parts share the error rate `alpha`."""
    judgements = judge_parts([part for _, part in parts], alpha)
    by_claim: dict[str, list[Judgement]] = {}
    for (claim, _), judgement in zip(parts, judgements, strict=True):
        by_claim.setdefault(claim, []).append(judgement)
    rows = [
        {"claim": claim, **judgement_row(judgement), "claim_verdict": judge_claim(by_claim[claim])[0]}
        for (claim, _), judgement in zip(parts, judgements, strict=True)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def judgement_row(judgement: Judgement) -> dict[str, Any]:
    """A judgement as a row; regions as `(2, inf)`, several joined by `or`."""
    part = judgement.part
    return {
        "part": part.label,
        "unit": "ratio" if part.ratio else part.unit,
        "n": part.freedom + 1 if float(part.freedom).is_integer() else None,
        "estimate": judgement.estimate,
        "ci_low": judgement.low,
        "ci_high": judgement.high,
        "level": judgement.level,
        "supports": _interval_text(part.supports),
        "contradicts": " or ".join(map(_interval_text, part.against)),
        "p_value": judgement.p_value,
        "p_adjusted": judgement.p_adjusted,
        "verdict": judgement.verdict,
    }


def _finite(values: pd.DataFrame, source: str) -> np.ndarray:
    found = numbers(values, "value", source)
    wrong = np.flatnonzero(~np.isfinite(found))
    if wrong.size:
        raise TakeoffError(
            f"{source}: column value: {first_rows(wrong)}: no finite number; valid: one in each row"
        )
    return found


def _ends(criteria: pd.DataFrame, name: str, source: str) -> np.ndarray:
    """The ends of criteria's sides; NaN where open."""
    found = numbers(criteria, name, source)
    wrong = np.flatnonzero(np.isinf(found))
    if wrong.size:
        raise TakeoffError(
            f"{source}: column {name}: {first_rows(wrong)}: {found[wrong[0]]:g} is no end; valid: a number, or nothing "
            "where that side is open"
        )
    return found


def _texts(table: pd.DataFrame, name: str, source: str, absent: list[str]) -> list[str]:
    """A column that may be absent, or empty in a row; there, what `absent` says."""
    if name not in table:
        return absent
    texts = column(table, name, source).fillna("").astype(str).str.strip()
    return [text or other for text, other in zip(texts, absent, strict=True)]


def _regions(limits: Mapping[str, float]) -> tuple[Range, tuple[Range, ...] | None]:
    """Where a part is supported, and where contradicted; None: everywhere else."""
    supports = limits.get("above", -np.inf), limits.get("below", np.inf)
    below, above = limits.get("contradicted_below"), limits.get("contradicted_above")
    against = [(-np.inf, below)] if below is not None else []
    against += [(above, np.inf)] if above is not None else []
    return supports, tuple(against) or None


def _interval_text(region: Range) -> str:
    """As in `(2, inf)`."""
    return f"({region[0]:g}, {region[1]:g})"
