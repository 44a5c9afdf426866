"""The pooled claims at a glance: a row for each part, the studies small, their mean with its interval large."""

from collections.abc import Sequence
from textwrap import fill

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from takeoff.across.pool import PooledPart, pool_table
from takeoff.figures.style import COLOURS, MUTED, new_figure, styled
from takeoff.judging.figure import BELOW, LINE, ROW, SYMBOLS, WIDTH, draw_judged, row_of, scale_of

AGREEMENT = {True: "✗ disagree", False: "✓ agree"}
WITHOUT = {True: "tested, but in no study may a verdict rest on it", False: "tested by no study"}
"""Why a part has no row."""


@styled
def draw_pool(parts: Sequence[PooledPart], studies: Sequence[str]) -> tuple[Figure, pd.DataFrame]:
    """Each part that some study has, decided ones first, on an axis of its own, and the table of all parts."""
    ordered = [one for verdict in SYMBOLS for one in parts if one.judged.verdict == verdict]
    shown = [one for one in ordered if one.pooled]
    rows = pd.DataFrame([row_of(one.judged) | {"mark": _mark(one)} for one in shown])
    colours = dict(zip(studies, COLOURS * len(studies), strict=False))
    points = [
        {"row": row, "value": share(measure.estimate), "colour": colours[study]}
        for row, one in enumerate(shown)
        if one.judgement
        for share in [scale_of(one.judgement, one.judged.claim.published_value)]
        for study, measure in one.own.items()
    ]
    without = {
        why: [f"{one.claim.name} ({one.part})" for one in ordered if not one.pooled and one.tested == tested]
        for tested, why in WITHOUT.items()
    }
    notes = [fill(f"– {why}: {', '.join(names)}", BELOW) for why, names in without.items() if names]
    words = "each row on its own axis · small: studies · ◇ published · ✗ disagree: Cochran's Q at 5%"
    below = "\n".join([words, *notes])
    count = sum(one.disagree is True for one in shown)
    title = f"{len(studies)} {'studies' if len(studies) > 1 else 'study'} pooled: which claims hold?"
    subtitle = (
        "random-effects means, intervals of Hartung–Knapp–Sidik–Jonkman, widened for the number of claims (Holm)"
        f" · studies disagree on {count} of {len(shown)} parts"
    )
    height = 1.2 + ROW * len(rows) + LINE * below.count("\n")
    figure = new_figure(WIDTH, height, title, subtitle)
    figure.supxlabel(below, x=0.01, ha="left", size=8, color=MUTED)
    if len(rows):
        axes = figure.subplots()
        draw_judged(axes, rows, pd.DataFrame(points))
        handles = [Line2D([], [], ls="", marker="o", ms=4, color=colours[name], label=name) for name in studies]
        axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=len(studies), fontsize=8)
    return figure, pool_table(ordered)


def _mark(one: PooledPart) -> str:
    """After the number: the interval, how many studies, and whether they agree."""
    interval = row_of(one.judged)["mark"].partition(" n ")[0].partition(", vetoed")[0]
    assert one.pooled
    agreement = "" if one.disagree is None else f"  {AGREEMENT[one.disagree]}"
    return f"{interval}  k {one.pooled.k}{agreement}"
