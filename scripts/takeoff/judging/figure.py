"""The claims at a glance, on one screen: a row for each that was tested, and below them why others were not."""

from collections.abc import Sequence
from textwrap import fill, shorten
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from takeoff.figures.rows import AGAINST, FOR, draw_rows
from takeoff.figures.style import INK, MUTED, new_figure, styled
from takeoff.judging.claims import side_words
from takeoff.judging.judge import JudgedClaim, Outcome, claims_table
from takeoff.judging.scale import ENDS, bounded, number_words, scale_of
from takeoff.study.model import Study

SYMBOLS: dict[Outcome, str] = {"supported": "✓", "contradicted": "✗", "undecided": "?", "not tested": "–"}
"""In the order in which the verdicts stand."""
STRENGTH: dict[Outcome, str] = {"supported": FOR, "contradicted": AGAINST, "undecided": MUTED}
WIDTH, ROW, LINE = 12.4, 0.36, 0.16
"""In inches: of the figure, and the heights of a row, which has two lines, and of a line below the axis."""
LABEL, BELOW = 78, 190
"""Letters in a line of a row's label, and of a line below the axis."""


@styled
def draw_claims(study: Study, judged: Sequence[JudgedClaim]) -> tuple[Figure, pd.DataFrame]:
    """Each claim that was tested, decided ones first, with the part that decides it; right of the line speaks for it.
    Below, why others were not tested. Beside it the table of all.
    """
    ordered = [one for verdict in SYMBOLS for one in judged if one.verdict == verdict]
    rows = pd.DataFrame([_row(one) for one in ordered if one.judgements])
    why: dict[str, list[str]] = {}
    for one in ordered[len(rows) :]:
        why.setdefault(one.reason, []).append(one.claim.statement.rstrip("."))
    notes = [fill(f"– {' · '.join(claims)}: {reason}", BELOW) for reason, claims in why.items()]
    below = "\n".join(["each row on its own axis · hollow: vetoed, or no interval · ◇ published", *notes])
    counts = [f"{SYMBOLS[name]} {sum(one.verdict == name for one in judged)} {name}" for name in SYMBOLS]
    look = max((one.look for one in judged), default=1)
    words = ["95% intervals of n values, widened for the number of claims (Holm)", *[f"look {look}"] * (look > 1)]
    height = 0.9 + ROW * len(rows) + LINE * below.count("\n")
    figure = new_figure(WIDTH, height, f"{study.title}: which claims hold?", " · ".join([*counts, *words]))
    figure.supxlabel(below, x=0.01, ha="left", size=8, color=MUTED)
    if len(rows):
        axes = figure.subplots()
        draw_rows(axes, rows, xlabel="", include=ENDS)
        tints = [(row, *tint) for row, own in enumerate(rows["tints"]) for tint in own]
        for row, left, right, colour in tints:
            axes.barh(row, right - left, 0.86, left, color=colour, alpha=0.1, lw=0, zorder=0)
        axes.axvline(0, color=INK, lw=1.1, zorder=1)
        axes.text(0, -0.6, "◂ against     in favour ▸", size=8, color=MUTED, ha="center", weight="bold")
        axes.set_xticks([])
    return figure, claims_table(ordered)


def _row(judged: JudgedClaim) -> dict[str, Any]:
    """The part that decides a claim, on its own axis, with the tints of what speaks for the claim and against it."""
    shown, claim = judged.judgements[judged.deciding], judged.claim
    part, measure, several = shown.part, shown.part.measure, len(judged.judgements)
    # The published figure is in the units of the first part.
    published = None if judged.deciding else claim.published_value
    share = scale_of(shown, published)
    ends = [measure.scaled(bounded(measure, end)) for end in (shown.low, shown.high) if not np.isnan(end)]
    low, high = sorted(map(share, ends)) or (np.nan, np.nan)
    diamond = np.nan if published is None else share(measure.scaled(published))
    number, interval = number_words(shown)
    interval += f", part {judged.deciding + 1} of {several}" * (several > 1) + ", criterion changed" * judged.changed
    lines = (
        f"{SYMBOLS[judged.verdict]} {claim.statement.rstrip('.')}",
        f"{measure.label} {side_words(part.criterion.supports, measure.unit)}",
    )
    regions = [(part.criterion.supports, FOR), *((region, AGAINST) for region in part.against)]
    return {
        "label": "\n".join(shorten(line, LABEL, placeholder=" …") for line in lines),
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
