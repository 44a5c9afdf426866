"""The pooled claims at a glance: a row for each part, the studies small, their mean with its interval large."""

from collections import Counter
from collections.abc import Mapping, Sequence
from textwrap import fill

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from takeoff.across.pool import PooledPart, pool_table
from takeoff.figures.style import COLOURS, MUTED, new_figure, styled
from takeoff.figures.words import label_words
from takeoff.judging.claims import side_words
from takeoff.judging.figure import BELOW, LABEL, LINE, ROW, SYMBOLS, WIDTH, draw_judged, row_of, scale_of

AGREEMENT = {True: "✗ disagree", False: "✓ agree"}
WITHOUT = {True: "tested, but in no study may a verdict rest on it", False: "tested by no study"}
"""Why a part has no row."""


@styled
def draw_pool(parts: Sequence[PooledPart], studies: Sequence[str]) -> tuple[Figure, pd.DataFrame]:
    """Each part that some study has, on an axis of its own, those of a claim together, decided claims first; and the
    table of all parts.
    """
    ordered = [one for verdict in SYMBOLS for one in parts if one.claim_verdict == verdict]
    shown = [one for one in ordered if one.pooled]
    first = {one.claim.name: one for one in reversed(shown)}
    rows = pd.DataFrame(
        [
            row_of(one.judged) | {"mark": _mark(one), "label": _label(one, first=first[one.claim.name] is one)}
            for one in shown
        ]
    )
    colours = dict(zip(studies, COLOURS * len(studies), strict=False))
    points = [
        {"row": row, "value": share(measure.estimate), "colour": colours[study]}
        for row, one in enumerate(shown)
        if one.judgement
        for share in [scale_of(one.judgement, one.judged.claim.published_value)]
        for study, measure in one.own.items()
    ]
    without = {
        why: dict.fromkeys(_named(one, first) for one in ordered if not one.pooled and one.tested == tested)
        for tested, why in WITHOUT.items()
    }
    notes = [fill(f"– {why}: {' · '.join(names)}", BELOW) for why, names in without.items() if names]
    words = "each row on its own axis · small: studies · k studies pooled · ◇ published · ✗ disagree: Cochran's Q at 5%"
    method = "random-effects means, intervals of Hartung–Knapp–Sidik–Jonkman, widened for the number of claims (Holm)"
    below = "\n".join([method, words, *notes])
    count = sum(one.disagree is True for one in shown)
    verdicts = Counter({one.claim.name: one.claim_verdict for one in parts}.values())
    counts = " · ".join(f"{SYMBOLS[name]} {verdicts[name]} {name}" for name in SYMBOLS)
    title = f"{len(studies)} {'studies' if len(studies) > 1 else 'study'} pooled: which claims hold?"
    subtitle = f"{counts} · studies disagree on {count} of {len(shown)} parts"
    height = 1.2 + ROW * len(rows) + LINE * below.count("\n")
    figure = new_figure(WIDTH, height, title, subtitle)
    figure.supxlabel(below, x=0.01, ha="left", size=8, color=MUTED)
    if len(rows):
        axes = figure.subplots()
        draw_judged(axes, rows, pd.DataFrame(points))
        handles = [Line2D([], [], ls="", marker="o", ms=4, color=colours[name], label=name) for name in studies]
        axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=len(studies), fontsize=8)
    return figure, pool_table(ordered)


def _label(one: PooledPart, *, first: bool) -> str:
    """What is pooled and its criterion, under the claim and its verdict at the claim's `first` part."""
    assert one.judgement
    part = one.judgement.part
    quantity = f"{one.claim.parts[one.part].quantity} {side_words(part.criterion.supports, part.measure.unit)}"
    claim = f"{SYMBOLS[one.claim_verdict]} {one.claim.statement.rstrip('.')}" if first else ""
    return label_words(claim, quantity, letters=LABEL)


def _named(one: PooledPart, shown: Mapping[str, PooledPart]) -> str:
    """A part without a row: by its claim, and by what it is where others of the claim have one."""
    statement = one.claim.statement.rstrip(".")
    return f"{statement} ({one.claim.parts[one.part].quantity})" if one.claim.name in shown else statement


def _mark(one: PooledPart) -> str:
    """After the number: the interval, how many studies, and whether they agree."""
    interval = row_of(one.judged)["mark"].partition(" n ")[0].partition(", vetoed")[0]
    assert one.pooled
    agreement = "" if one.disagree is None else f"  {AGREEMENT[one.disagree]}"
    return f"{interval}  k {one.pooled.k}{agreement}"
