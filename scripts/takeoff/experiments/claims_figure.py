"""The claims at a glance: a row for each, with estimate, interval, criterion, published figure and verdict."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from takeoff.experiments.claims_scale import (
    AXIS,
    CRITERION,
    Scale,
    bounded,
    criterion_words,
    number_words,
)
from takeoff.experiments.judging import JudgedClaim, Outcome, claims_table
from takeoff.experiments.plotting import COLOURS, INK, MUTED, new_figure, styled, text_width
from takeoff.statistics.verdicts import Judgement
from takeoff.study.model import Study

SYMBOLS: dict[Outcome, str] = {"supported": "✓", "contradicted": "✗", "undecided": "?", "not tested": "–"}
"""In the order in which the verdicts stand."""
FOR, AGAINST = COLOURS[0], COLOURS[3]
STRENGTH = {"supported": FOR, "contradicted": AGAINST, "undecided": "#8a8a8a"}

WIDTH, HEADER, COLUMNS_HEAD = 10.0, 0.62, 0.24
BADGE, CLAIM, NUMBERS, PUBLISHED = (0.12, 1.12), (1.38, 2.95), (6.8, 1.4), (8.22, 1.68)
UNTESTED_CLAIM, UNTESTED_REASON = (0.34, 4.0), (4.5, 5.4)
"""Columns: left edge and width, in inches."""
WORDS, SMALL, TINY = 8.5, 7.2, 6.6
CHANGED = ["criterion changed", "after planning"]
"""Below a badge that this is true of, so many inches from its middle:"""
BELOW_BADGE = 0.14
LEADING = 1.32
PADDING, LEAST, PART = 0.17, 0.52, 0.35
"""In inches: the space around a row's words, its least height, and that of a part's line."""


@styled
def draw_claims(study: Study, judged: Sequence[JudgedClaim]) -> tuple[Figure, pd.DataFrame]:
    """All claims, by verdict; right of the line speaks for the claim. Beside it the table of what is drawn."""
    ordered = [one for verdict in SYMBOLS for one in judged if one.verdict == verdict]
    tested = [Row(one) for one in ordered if one.shown is not None]
    untested = [Untested(one) for one in ordered if one.shown is None]
    height = HEADER + sum(row.height for row in tested) + sum(line.height for line in untested) + 0.1
    height += COLUMNS_HEAD * bool(tested) + 0.3 * bool(untested)
    counts = [f"{sum(one.verdict == verdict for one in judged)} {verdict}" for verdict in SYMBOLS]
    subtitle = " · ".join(counts)
    if tested:
        subtitle += " · 95% intervals, widened for the number of criteria (Holm), from n values"
    figure = new_figure(WIDTH, height, f"{study.title}: which claims hold?", subtitle, constrained=False)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    # In inches, from the top left.
    axes.set(xlim=(0, figure.get_figwidth()), ylim=(height, 0))
    top = HEADER
    if tested:
        _draw_head(axes, top)
        top += COLUMNS_HEAD
    for row in tested:
        row.draw(axes, top)
        top += row.height
    if untested:
        axes.text(BADGE[0], top + 0.2, "Not tested", size=WORDS, weight="bold", va="center", color=MUTED)
        top += 0.3
    for line in untested:
        line.draw(axes, top)
        top += line.height
    return figure, claims_table(ordered)


class Row:
    """A claim that was tested: what is claimed, and below it a line for each part."""

    def __init__(self, judged: JudgedClaim) -> None:
        self.judged = judged
        self.statement = _wrap(judged.claim.statement.rstrip("."), CLAIM[1], WORDS)
        self.published = _wrap(judged.claim.published or "–", PUBLISHED[1], SMALL, most=5)
        # The published figure is in the units of the first part.
        published = [judged.claim.published_value, *[None] * len(judged.judgements)]
        self.parts = [PartLine(*pair) for pair in zip(judged.judgements, published, strict=False)]
        head, lines = _tall(self.statement, WORDS), sum(part.height for part in self.parts)
        if len(self.parts) == 1:
            lines = max(lines, LEAST - PADDING - head)
        self.words = head + lines
        self.height = max(self.words, _tall(self.published, SMALL)) + PADDING
        if judged.changed:
            self.height = max(self.height, 2 * (BELOW_BADGE + _tall(CHANGED, TINY) + 0.04))

    def draw(self, axes: Axes, top: float) -> None:
        """Draw the row below `top`."""
        middle = top + self.height / 2
        ink = MUTED if self.judged.verdict == "undecided" else INK
        axes.plot([BADGE[0], PUBLISHED[0] + PUBLISHED[1]], [top, top], color="#ececec", lw=0.8, zorder=0)
        _draw_badge(axes, middle, self.judged.verdict)
        if self.judged.changed:
            _write(axes, BADGE[0] + 0.02, middle + BELOW_BADGE, CHANGED, TINY, AGAINST)
        tall = _tall(self.published, SMALL)
        _write(axes, PUBLISHED[0], middle - tall / 2, self.published, SMALL, MUTED)
        below = middle - self.words / 2
        _write(axes, CLAIM[0], below, self.statement, WORDS, ink)
        below += _tall(self.statement, WORDS)
        if len(self.parts) == 1:  # its axis has the whole row
            self.parts[0].write(axes, below, middle, ink)
            self.parts[0].draw_axis(axes, top + 0.03, top + self.height - 0.03)
            return
        for part in self.parts:
            part.write(axes, below + (part.height - part.tall) / 2, below + part.height / 2, ink)
            part.draw_axis(axes, below, below + part.height - 0.03)
            below += part.height


class PartLine:
    """One quantity of a claim: its words, its own axis, its numbers."""

    def __init__(self, judged: Judgement, published: float | None) -> None:
        self.judged, self.published = judged, published
        self.label = _wrap(judged.part.label, CLAIM[1], SMALL, most=3)
        self.tall = _tall(self.label, SMALL)
        self.height = max(self.tall + 0.05, PART)

    def write(self, axes: Axes, top: float, middle: float, ink: str) -> None:
        """The words below `top`, the numbers about `middle`."""
        _write(axes, CLAIM[0], top, self.label, SMALL, MUTED)
        estimate, interval = number_words(self.judged)
        axes.text(NUMBERS[0], middle - 0.075, estimate, size=WORDS, weight="bold", va="center", color=ink)
        axes.text(NUMBERS[0], middle + 0.085, interval, size=SMALL, va="center", color=MUTED)

    def draw_axis(self, axes: Axes, low: float, high: float) -> None:
        """The sides of the criterion, the interval, and the published figure."""
        scale, part = Scale.of(self.judged, self.published), self.judged.part
        for region, colour in [(part.supports, FOR), *((region, AGAINST) for region in part.against)]:
            left, right = sorted(scale.place(part.scaled(end)) for end in region)
            box = Rectangle((left, low), right - left, high - low, color=colour, alpha=0.1, lw=0, zorder=1)
            axes.add_patch(box)
        for value, words, side in criterion_words(part):
            x = scale.place(part.scaled(value))
            axes.plot([x, x], [low, high], color=INK, lw=1.1, zorder=2)
            x += 0.05 if side == "left" else -0.05
            axes.text(x, low + 0.075, words, size=TINY, va="center", ha=side, color=MUTED, zorder=3)
        y = (low + high) / 2 + 0.06
        self._draw_interval(axes, scale, y, STRENGTH[self.judged.verdict])
        if self.published is not None:
            place = part.scaled(self.published)
            right = scale.sign * (place - scale.origin) > 0
            marker = "D" if scale.holds(place) else ">" if right else "<"
            spot = axes.plot(scale.place(place), y, marker, ms=5, color="white", zorder=5)
            spot[0].set(markeredgecolor=INK, markeredgewidth=1.1)

    def _draw_interval(self, axes: Axes, scale: "Scale", y: float, colour: str) -> None:
        part = self.judged.part
        estimate = scale.place(part.estimate)
        fill = "white" if np.isnan(self.judged.low) else colour  # hollow where there is no interval
        axes.plot(estimate, y, "o", ms=6, mfc=fill, mec=colour, mew=1.4, zorder=4)
        if np.isnan(self.judged.low):
            return
        ends = [bounded(part, end) for end in (self.judged.low, self.judged.high)]
        places = [scale.place(end) for end in ends]
        axes.plot(places, [y, y], color=colour, lw=2.2, solid_capstyle="butt", zorder=3)
        for end, place in zip(ends, places, strict=True):
            if np.isinf(end):
                marker = ">" if place > estimate else "<"
                axes.plot(place, y, marker, ms=6, color=colour, zorder=3)


class Untested:
    """A claim that was not tested, and why, in few words."""

    def __init__(self, judged: JudgedClaim) -> None:
        self.statement = _wrap(judged.claim.statement.rstrip("."), UNTESTED_CLAIM[1], SMALL + 0.4)
        self.reason = _wrap(judged.brief or judged.reason, UNTESTED_REASON[1], SMALL)
        self.height = max(_tall(self.statement, SMALL + 0.4), _tall(self.reason, SMALL)) + 0.08

    def draw(self, axes: Axes, top: float) -> None:
        """Draw the row below `top`."""
        axes.text(BADGE[0] + 0.05, top + 0.1, SYMBOLS["not tested"], size=WORDS, va="center", color=MUTED)
        _write(axes, UNTESTED_CLAIM[0], top + 0.04, self.statement, SMALL + 0.4, MUTED)
        _write(axes, UNTESTED_REASON[0], top + 0.04, self.reason, SMALL, MUTED, style="italic")


def _draw_head(axes: Axes, top: float) -> None:
    """The columns' names; above the axes, which side speaks for a claim."""
    y = top + 0.1
    line = AXIS[0] + CRITERION * AXIS[1]
    for x, words in (
        (CLAIM[0], "claim, and what was measured"),
        (NUMBERS[0], "measured"),
        (PUBLISHED[0], "published  ◇"),
    ):
        axes.text(x, y, words, size=SMALL, va="center", color=MUTED, weight="bold")
    for x, words, side, colour in (
        (line - 0.06, "◂ against", "right", AGAINST),
        (line + 0.06, "for the claim ▸", "left", FOR),
    ):
        axes.text(x, y, words, size=SMALL, va="center", ha=side, color=colour, weight="bold")


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


def _write(
    axes: Axes, x: float, top: float, lines: list[str], size: float, colour: str, style: str = "normal"
) -> None:
    for i, line in enumerate(lines):
        y = top + (i + 0.5) * LEADING * size / 72
        axes.text(x, y, line, size=size, color=colour, va="center", style=style)


def _tall(lines: list[str], size: float) -> float:
    """Inches."""
    return len(lines) * LEADING * size / 72


def _wrap(text: str, width: float, size: float, most: int = 9) -> list[str]:
    """`text` in lines of up to `width` inches, `most` of them; a word that is wider, as an address, is broken."""
    lines: list[str] = []
    used, space = 0.0, _word_width(" ") * size / 72
    words = text.split()
    while words:
        word = words.pop(0)
        wide = _word_width(word) * size / 72
        if wide > width:
            kept = int(len(word) * width / wide * 0.9)
            words.insert(0, word[kept:])
            word, wide = word[:kept], width
        if lines and used + space + wide <= width:
            lines[-1] += f" {word}"
            used += space + wide
        else:
            lines.append(word)
            used = wide
    if len(lines) > most:
        # The tables have the rest.
        lines = [*lines[: most - 1], lines[most - 1].rpartition(" ")[0] + " …"]
    return lines


@cache
def _word_width(word: str) -> float:
    """In units of the letters' size."""
    return text_width(word, 72, "normal")
