"""The claims at a glance, on one screen: a row for each that was tested, and below them why others were not."""

from collections.abc import Callable, Sequence
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from takeoff.data.catalogue import entries
from takeoff.figures.rows import AGAINST, FOR, draw_rows
from takeoff.figures.style import INK, MUTED, new_figure, styled
from takeoff.figures.words import digits_words, estimate_words, label_words
from takeoff.judging.claims import by_reason, side_words
from takeoff.judging.judge import JudgedClaim, Outcome, claims_table
from takeoff.statistics.measures import Measure
from takeoff.statistics.verdicts import Judgement
from takeoff.study.model import Study

SYMBOLS: dict[Outcome, str] = {"supported": "✓", "contradicted": "✗", "undecided": "?", "not tested": "–"}
"""In the order in which the verdicts stand."""
STRENGTH: dict[Outcome, str] = {"supported": FOR, "contradicted": AGAINST, "undecided": MUTED}
WIDTH, ROW, LINE = 12.4, 0.36, 0.16
"""In inches: of the figure; the heights of a row, which has two lines of words, and of a line below the axis."""
LABEL, BELOW = 96, 190
"""Letters in such lines."""
ENDS = (-0.42, 0.58)
"""Of every part's axis, in shares of it: its criterion stands at 0."""
NEARLY_NONE = 1e-9
"""Ratios below it are written as 0, those above its inverse as infinite: a t interval of two values has such ends."""


@styled
def draw_claims(study: Study, judged: Sequence[JudgedClaim]) -> tuple[Figure, pd.DataFrame]:
    """Each claim that was tested, decided ones first, with the part that decides it; right of the line speaks for it.
    Below, why others were not tested. Beside it the table of all.
    """
    ordered = [one for verdict in SYMBOLS for one in judged if one.verdict == verdict]
    known = study.dataset.name in entries()  # beside a user's own images no published figure of others stands
    rows = pd.DataFrame([row_of(one, published=known) for one in ordered if one.judgements])
    why = by_reason((one.claim.statement.rstrip("."), one.reason) for one in ordered[len(rows) :])
    notes = [fill(f"– {' · '.join(claims)}: {reason}", BELOW) for reason, claims in why.items()]
    legend = "each row on its own axis · hollow: vetoed, or no interval" + " · ◇ published" * known
    below = "\n".join([legend, *notes])
    counts = [f"{SYMBOLS[name]} {sum(one.verdict == name for one in judged)} {name}" for name in SYMBOLS]
    look = max((one.look for one in judged), default=1)
    words = ["95% intervals of n values, widened for the number of claims (Holm)", *[f"look {look}"] * (look > 1)]
    height = 0.9 + ROW * len(rows) + LINE * below.count("\n")
    figure = new_figure(WIDTH, height, f"{study.title}: which claims hold?", " · ".join([*counts, *words]))
    figure.supxlabel(below, x=0.01, ha="left", size=8, color=MUTED)
    if len(rows):
        draw_judged(figure.subplots(), rows)
    return figure, claims_table(ordered)


def draw_judged(axes: Axes, rows: pd.DataFrame, points: pd.DataFrame | None = None) -> None:
    """Rows as `row_of` gives them, each on its own axis, and single values on it, as `draw_rows` takes them."""
    draw_rows(axes, rows, xlabel="", include=ENDS, points=points)
    for row, (low, high, colour) in rows["tints"].explode().items():
        axes.barh(row, high - low, 0.86, low, color=colour, alpha=0.1, lw=0, zorder=0)
    axes.axvline(0, color=INK, lw=1.1, zorder=1)
    axes.text(0, -0.6, "◂ against     in favour ▸", size=8, color=MUTED, ha="center", weight="bold")
    axes.set_xticks([])


def row_of(judged: JudgedClaim, *, published: bool = True) -> dict[str, Any]:
    """The part that decides a claim, on its own axis, with the tints of what speaks for it and against it, and with the
    `published` figure, where there is one.
    """
    shown, claim = judged.judgements[judged.deciding], judged.claim
    part, measure, several = shown.part, shown.part.measure, len(judged.judgements)
    # The published figure is in the units of the first part.
    known = None if judged.deciding or not published else claim.published_value
    share = scale_of(shown, known)
    ends = [measure.scaled(bounded(measure, end)) for end in (shown.low, shown.high) if not np.isnan(end)]
    low, high = sorted(map(share, ends)) or (np.nan, np.nan)
    diamond = np.nan if known is None else share(measure.scaled(known))
    number, interval = number_words(shown)
    interval += f", part {judged.deciding + 1} of {several}" * (several > 1) + ", criterion changed" * judged.changed
    statement = f"{SYMBOLS[judged.verdict]} {claim.statement.rstrip('.')}"
    lines = statement, f"{measure.label} {side_words(part.criterion.supports, measure.unit)}"
    regions = [(part.criterion.supports, FOR), *((region, AGAINST) for region in part.against)]
    return {
        "label": label_words(*lines, letters=LABEL),
        "estimate": share(measure.estimate),
        "ci_low": low,
        "ci_high": high,
        "open": sum(np.sign(share(end)) for end in ends if np.isinf(end)),
        "published": np.nan if diamond in ENDS else diamond,
        "colour": STRENGTH[judged.verdict],
        "hollow": bool(measure.veto) or not ends,
        "text": number,
        "mark": f"  {interval}",
        "tints": [(*sorted(share(measure.scaled(end)) for end in region), colour) for region, colour in regions],
    }


def scale_of(judgement: Judgement, published: float | None) -> Callable[[float], float]:
    """A part's own axis: the share of it at which a value stands, held on it. The criterion stands at 0, what speaks
    for the claim right of it; estimate, interval and, unless it is far off, the published figure have room.
    """
    part, measure = judgement.part, judgement.part.measure
    low, high = map(measure.scaled, part.criterion.supports)
    sign, origin = (1, low) if np.isfinite(low) else (-1, high)

    def needed(*values: float) -> float:
        """Units from end to end."""
        offsets = sign * (np.array([value for value in values if np.isfinite(value)] or [origin]) - origin)
        return float(np.max(offsets / np.where(offsets > 0, ENDS[1], ENDS[0]))) / 0.93

    ends = [measure.scaled(end) for region in part.against for end in region]
    interval = [measure.scaled(bounded(measure, end)) for end in (judgement.low, judgement.high)]
    units = needed(measure.estimate, *interval, *ends)
    if np.isfinite(low) and np.isfinite(high):  # leave room beyond the far end
        units = max(units, 1.6 * needed(high))
    if np.isinf(interval).any():  # and for an arrow
        units *= 1.25
    # Shrunk four times at most for the published figure.
    if published is not None and (own := needed(measure.scaled(published))) <= 4 * units:
        units = max(units, own)
    return lambda value: float(np.clip(sign * (value - origin) / (units or 1.0), *ENDS))


def bounded(measure: Measure, value: float) -> float:
    """A value in the quantity's own units, as far as there is such a one: percentages differ by 100 points at most, and
    a ratio that is as good as 0 or infinite is that.
    """
    if measure.ratio:
        return 0.0 if value < NEARLY_NONE else np.inf if value > 1 / NEARLY_NONE else value
    most = 100.0 if measure.unit == "points" else measure.most
    return float(np.clip(value, -most, most)) if np.isfinite(value) else value


def number_words(judgement: Judgement) -> tuple[str, str]:
    """Estimate with its unit, and interval, both to the digits that the interval's width allows; on how many values
    they rest, where that is known; and whether the part may have no verdict.
    """
    measure = judgement.part.measure
    numbers = [bounded(measure, value) for value in (judgement.estimate, judgement.low, judgement.high)]
    estimate, *ends = numbers
    unit = "×" if measure.ratio else f" {measure.unit}".rstrip()
    if np.isnan(estimate):
        return "–", "not measured"
    if np.isnan(ends).any():
        return digits_words(estimate, np.nan, measure.ratio) + unit, "no interval"
    middle, low, high = estimate_words(estimate, *ends, ratio=measure.ratio)
    rests_on = "" if measure.n is None else f" n {measure.n}"
    return middle + unit, f"[{low}, {high}]{rests_on}{', vetoed' * bool(measure.veto)}"
