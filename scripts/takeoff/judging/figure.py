"""The claims at a glance: a row for each, with estimate, interval, criterion, published figure and verdict."""

import textwrap
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from takeoff.figures.rows import AGAINST, FOR
from takeoff.figures.style import INK, MUTED, new_figure, styled
from takeoff.judging.judge import JudgedClaim, Outcome, claims_table
from takeoff.judging.scale import AXIS, LINE, VETOES, Scale, bounded, criterion_words, number_words
from takeoff.statistics.verdicts import Judgement
from takeoff.study.model import Study

SYMBOLS: dict[Outcome, str] = {"supported": "✓", "contradicted": "✗", "undecided": "?", "not tested": "–"}
"""In the order in which the verdicts stand."""
STRENGTH = {"supported": FOR, "contradicted": AGAINST, "undecided": "#8a8a8a"}
WIDTH, HEADER, COLUMNS_HEAD, UNTESTED_HEAD = 10.3, 0.62, 0.24, 0.3
BADGE, CLAIM, NUMBERS, PUBLISHED = (0.12, 1.12), (1.38, 2.95), (6.8, 1.7), (8.52, 1.68)
UNTESTED_CLAIM, UNTESTED_REASON = (0.34, 4.0), (4.5, 5.6)
"""Columns: left edge and width, in inches."""
WORDS, SMALL, TINY, LETTER = 8.5, 7.2, 6.6, 0.56
"""Points; how wide a letter is of its size, on average."""
LEADING = 1.32
PADDING, PART = 0.17, 0.35
"""In inches: the space around a row's words, and the least height of a part's line."""
Block = tuple[float, Callable[[Axes, float], None]]
"""Its height in inches, and what draws it below a place."""


@styled
def draw_claims(study: Study, judged: Sequence[JudgedClaim]) -> tuple[Figure, pd.DataFrame]:
    """All claims, by verdict; right of the line speaks for the claim. Beside it the table of what is drawn."""
    ordered = [one for verdict in SYMBOLS for one in judged if one.verdict == verdict]
    tested = [_tested(one) for one in ordered if one.judgements]
    untested = [_untested(one) for one in ordered if not one.judgements]
    blocks = [(COLUMNS_HEAD, _draw_head), *tested] if tested else []
    blocks += [(UNTESTED_HEAD, _draw_untested_head), *untested] if untested else []
    height = HEADER + sum(height for height, _ in blocks) + 0.1
    subtitle = " · ".join(f"{sum(one.verdict == verdict for one in judged)} {verdict}" for verdict in SYMBOLS)
    subtitle += " · 95% intervals, widened for the number of criteria (Holm), from n values" * bool(tested)
    figure = new_figure(WIDTH, height, f"{study.title}: which claims hold?", subtitle, constrained=False)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    # In inches, from the top left.
    axes.set(xlim=(0, figure.get_figwidth()), ylim=(height, 0))
    top = HEADER
    for height, draw in blocks:
        draw(axes, top)
        top += height
    return figure, claims_table(ordered)


def _tested(judged: JudgedClaim) -> Block:
    """A claim that was tested: what is claimed, and below it a line for each part."""
    ink = MUTED if judged.verdict == "undecided" else INK
    statement = _wrap(judged.claim.statement.rstrip("."), CLAIM[1], WORDS)
    published = _wrap(judged.claim.published or "–", PUBLISHED[1], SMALL, most=5)
    labels = [_wrap(part.part.measure.label, CLAIM[1], SMALL, most=3) for part in judged.judgements]
    talls = [max(_tall(label, SMALL) + 0.05, PART) for label in labels]
    words = _tall(statement, WORDS) + sum(talls)
    height = max(words, _tall(published, SMALL)) + PADDING

    def draw(axes: Axes, top: float) -> None:
        middle = top + height / 2
        axes.plot([BADGE[0], sum(PUBLISHED)], [top, top], color="#ececec", lw=0.8, zorder=0)
        _draw_badge(axes, middle, judged.verdict)
        if judged.changed:
            _write(axes, middle + 0.14, BADGE[0] + 0.02, ["criterion changed"], TINY, AGAINST)
        _write(axes, middle - _tall(published, SMALL) / 2, PUBLISHED[0], published, SMALL, MUTED)
        below = middle - words / 2
        _write(axes, below, CLAIM[0], statement, WORDS, ink)
        below += _tall(statement, WORDS)
        known = judged.claim.published_value  # in the units of the first part
        for judgement, label, tall in zip(judged.judgements, labels, talls, strict=True):
            _write(axes, below + (tall - _tall(label, SMALL)) / 2, CLAIM[0], label, SMALL, MUTED)
            # The axis of a single part has the whole row.
            low, high = (below, below + tall) if len(labels) > 1 else (top + 0.03, top + height)
            _draw_axis(axes, judgement, known, low, high - 0.03)
            place, (estimate, interval) = (low + high) / 2, number_words(judgement)
            _write(axes, place - 0.16, NUMBERS[0], [estimate], WORDS, ink, weight="bold")
            _write(axes, place + 0.01, NUMBERS[0], [interval], SMALL, MUTED)
            below, known = below + tall, None

    return height, draw


def _draw_axis(axes: Axes, judged: Judgement, published: float | None, low: float, high: float) -> None:
    """The sides of the criterion, the interval, and the published figure."""
    scale, part, measure = Scale.of(judged, published), judged.part, judged.part.measure
    against = () if measure.veto == "contradicted" else part.against
    for region, colour in [(part.criterion.supports, FOR), *((region, AGAINST) for region in against)]:
        left, right = sorted(scale.place(measure.scaled(end)) for end in region)
        axes.fill_between([left, right], low, high, color=colour, alpha=0.1, lw=0, zorder=1)
    for value, words, side in criterion_words(part):
        x = scale.place(measure.scaled(value))
        axes.plot([x, x], [low, high], color=INK, lw=1.1, zorder=2)
        x += 0.05 if side == "left" else -0.05
        axes.text(x, low + 0.075, words, size=TINY, va="center", ha=side, color=MUTED, zorder=3)
    y = (low + high) / 2 + 0.06
    _draw_interval(axes, judged, scale, y)
    if published is not None:
        place = measure.scaled(published)
        right = scale.sign * (place - scale.origin) > 0
        marker = "D" if scale.holds(place) else ">" if right else "<"
        axes.plot(scale.place(place), y, marker, ms=5, mfc="white", mec=INK, mew=1.1, zorder=5)


def _draw_interval(axes: Axes, judged: Judgement, scale: Scale, y: float) -> None:
    """The interval; one that a veto keeps from any verdict is hatched, with the word."""
    measure, colour = judged.part.measure, STRENGTH[judged.verdict]
    estimate, vetoed = scale.place(measure.estimate), measure.veto == "any"
    hollow = vetoed or np.isnan(judged.low)
    axes.plot(estimate, y, "o", ms=6, mfc="white" if hollow else colour, mec=colour, mew=1.4, zorder=4)
    if np.isnan(judged.low):
        return
    ends = [measure.scaled(bounded(measure, end)) for end in (judged.low, judged.high)]
    places = [scale.place(end) for end in ends]
    if vetoed:
        bar = axes.fill_between(places, y - 0.045, y + 0.045, fc="white", ec=colour, lw=0.8, zorder=3)
        bar.set_hatch("//////")
        words = axes.text(sum(AXIS) - 0.05, y - 0.13, VETOES["any"], size=TINY, va="center", ha="right")
        words.set(style="italic", color=MUTED)
    else:
        axes.plot(places, [y, y], color=colour, lw=2.2, solid_capstyle="butt", zorder=3)
    for end, place in zip(ends, places, strict=True):
        if np.isinf(end):
            axes.plot(place, y, ">" if place > estimate else "<", ms=6, color=colour, zorder=3)


def _untested(judged: JudgedClaim) -> Block:
    """A claim that was not tested, and why, in few words."""
    statement = _wrap(judged.claim.statement.rstrip("."), UNTESTED_CLAIM[1], SMALL + 0.4)
    reason = _wrap(judged.brief or judged.reason, UNTESTED_REASON[1], SMALL)

    def draw(axes: Axes, top: float) -> None:
        _write(axes, top + 0.03, BADGE[0] + 0.05, [SYMBOLS["not tested"]], WORDS, MUTED)
        _write(axes, top + 0.04, UNTESTED_CLAIM[0], statement, SMALL + 0.4, MUTED)
        _write(axes, top + 0.04, UNTESTED_REASON[0], reason, SMALL, MUTED, style="italic")

    return max(_tall(statement, SMALL + 0.4), _tall(reason, SMALL)) + 0.08, draw


def _draw_head(axes: Axes, top: float) -> None:
    """The columns' names; above the axes, which side speaks for a claim."""
    for x, words, side, colour in (
        (CLAIM[0], "claim, and what was measured", "left", MUTED),
        (NUMBERS[0], "measured", "left", MUTED),
        (PUBLISHED[0], "published  ◇", "left", MUTED),
        (LINE - 0.06, "◂ against", "right", AGAINST),
        (LINE + 0.06, "for the claim ▸", "left", FOR),
    ):
        axes.text(x, top + 0.1, words, size=SMALL, va="center", ha=side, color=colour, weight="bold")


def _draw_untested_head(axes: Axes, top: float) -> None:
    _write(axes, top + 0.12, BADGE[0], ["Not tested"], WORDS, MUTED, weight="bold")


def _draw_badge(axes: Axes, y: float, verdict: Outcome) -> None:
    """The verdict: a word, a symbol and a colour, filled only where it is decided."""
    decided, colour = verdict != "undecided", STRENGTH[verdict]
    box = FancyBboxPatch((BADGE[0] + 0.04, y - 0.09), BADGE[1] - 0.08, 0.18, zorder=2)
    box.set_boxstyle("round", pad=0.03, rounding_size=0.07)
    box.set(facecolor=colour if decided else "white", edgecolor=colour, linewidth=1)
    axes.add_patch(box)
    ink = "white" if decided else MUTED
    for x, words, side in ((0.14, SYMBOLS[verdict], "center"), (0.26, verdict, "left")):
        text = axes.text(BADGE[0] + x, y + 0.005, words, size=SMALL + 0.4, va="center_baseline", ha=side)
        text.set(color=ink, weight="bold", zorder=3)


def _write(axes: Axes, top: float, x: float, lines: list[str], size: float, colour: str, **font: str) -> None:
    for i, line in enumerate(lines):
        y = top + (i + 0.5) * LEADING * size / 72
        axes.text(x, y, line, size=size, color=colour, va="center", fontdict=font)


def _tall(lines: list[str], size: float) -> float:
    """Inches."""
    return len(lines) * LEADING * size / 72


def _wrap(text: str, width: float, size: float, most: int = 9) -> list[str]:
    """`text` in lines of about `width` inches, `most` of them: the tables have the rest."""
    return textwrap.wrap(text, int(width * 72 / size / LETTER), max_lines=most, placeholder=" …")
