"""The claims at a glance: each with its verdict, and below it a row per part with estimate, interval and criterion."""

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from takeoff.figures.rows import AGAINST, FOR, draw_rows
from takeoff.figures.style import INK, MUTED, new_figure, styled
from takeoff.judging.judge import JudgedClaim, Outcome, claims_table
from takeoff.judging.scale import ENDS, bounded, criterion_words, number_words, scale_of
from takeoff.statistics.verdicts import Judgement
from takeoff.study.model import Study

SYMBOLS: dict[Outcome, str] = {"supported": "✓", "contradicted": "✗", "undecided": "?", "not tested": "–"}
"""In the order in which the verdicts stand."""
STRENGTH: dict[Outcome, str] = {"supported": FOR, "contradicted": AGAINST, "undecided": MUTED, "not tested": MUTED}
WIDTH, ROW = 11.2, 0.3
"""In inches: of the figure, and the height of a row, which has room for two lines."""
LABEL, NOTE = 68, 95
"""Letters in a line of words left of the axis, and from there to the right."""


@styled
def draw_claims(study: Study, judged: Sequence[JudgedClaim]) -> tuple[Figure, pd.DataFrame]:
    """All claims, by verdict; right of the line speaks for the claim. Beside it the table of what is drawn."""
    ordered = [one for verdict in SYMBOLS for one in judged if one.verdict == verdict]
    rows = pd.DataFrame([row for one in ordered for row in _rows(one)])
    subtitle = " · ".join(f"{sum(one.verdict == verdict for one in judged)} {verdict}" for verdict in SYMBOLS)
    subtitle += " · 95% intervals, widened for the number of criteria (Holm), from n values"
    figure = new_figure(WIDTH, 1 + ROW * len(rows), f"{study.title}: which claims hold?", subtitle)
    axes, xlabel = figure.subplots(), "each row on an axis of its own · hollow: vetoed, or no interval · ◇ published"
    draw_rows(axes, rows, xlabel=xlabel, include=ENDS)
    for row, tints in enumerate(rows["tints"]):
        for left, right, colour in tints:
            axes.barh(row, right - left, 0.86, left, color=colour, alpha=0.1, lw=0, zorder=0)
            axes.vlines(0, row - 0.43, row + 0.43, color=INK, lw=1.1, zorder=1)
    axes.text(0, -0.6, "◂ against     in favour ▸", size=8, color=MUTED, ha="center", weight="bold")
    axes.set_xticks([])
    return figure, claims_table(ordered)


def _rows(judged: JudgedClaim) -> Iterator[dict[str, Any]]:
    """The claim with its verdict and what was published, and below it a row per part; or why it was not tested."""
    claim, tested = judged.claim, bool(judged.judgements)
    words = [judged.verdict] if tested else [judged.brief or judged.reason]
    words += ["criterion changed"] * judged.changed
    words += [f"published: {claim.published}"] * bool(tested and claim.published)
    label, note = f"{SYMBOLS[judged.verdict]} {claim.statement.rstrip('.')}", " · ".join(words)
    heading = {"heading": tested, "colour": STRENGTH[judged.verdict], "tints": ()}
    yield {"label": _cut(label, LABEL), "note": _cut(note, NOTE), **heading}
    for place, judgement in enumerate(judged.judgements):
        # The published figure is in the units of the first part.
        yield _part(judgement, None if place else claim.published_value)


def _part(judged: Judgement, published: float | None) -> dict[str, Any]:
    """A part's row, on its own axis, with the tints of what speaks for the claim and against it."""
    share, part, measure = scale_of(judged, published), judged.part, judged.part.measure
    ends = [measure.scaled(bounded(measure, end)) for end in (judged.low, judged.high) if not np.isnan(end)]
    low, high = sorted(map(share, ends)) or (np.nan, np.nan)
    diamond = np.nan if published is None else share(measure.scaled(published))
    number, interval = number_words(judged)
    against = () if measure.veto == "contradicted" else part.against
    regions = [(part.criterion.supports, FOR), *((region, AGAINST) for region in against)]
    return {
        "label": _cut(f"{measure.label} {criterion_words(part)}", LABEL),
        "estimate": share(measure.estimate),
        "ci_low": low,
        "ci_high": high,
        "open": sum(np.sign(share(end)) for end in ends if np.isinf(end)),
        "published": np.nan if diamond in ENDS else diamond,
        "colour": STRENGTH[judged.verdict],
        "hollow": measure.veto == "any" or not ends,
        "text": number,
        "mark": f"  {interval}",
        "tints": [(*sorted(share(measure.scaled(end)) for end in region), colour) for region, colour in regions],
    }


def _cut(text: str, letters: int) -> str:
    """`text` in two lines at most: the tables have the rest."""
    return "\n".join(wrap(text, letters, max_lines=2, placeholder=" …"))
