"""Forest plots of the factorial experiment: rows of effects with intervals, in panels that share an axis."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from takeoff.experiments.plotting import COLOURS, FAINT, INK, MUTED, new_figure, switch_words, text_width
from takeoff.study.model import Study

RESPONSE = "test_accuracy"
POINTS = ["estimate", "ci_low", "ci_high"]
PLOT, MARGIN, NUMBER, AXIS, HEADER, NOTE = 3.2, 0.15, 0.58, 0.55, 0.62, 0.19
"""In inches: the width of a panel, the space around, for numbers, axes, titles, and a note below."""
SINGLE, DOUBLE = 0.25, 0.34
"""In inches: the height of a row, and of one with two effects."""
NARROWEST = {"points": 2.0, "log-odds": 0.2}
"""The least that an axis spans: where all effects are nothing, ticks would be too close to name."""
PUBLISHED = COLOURS[3]
"""The colour of published values."""
SMALL = "≈"
"""Stands after the number of an effect that is shown to be smaller than the margin."""
Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Row:
    """A row of a panel: a heading where there is no effect, a strip where there are several."""

    label: str
    colour: str = INK
    effects: pd.DataFrame | None = None
    beside: pd.DataFrame | None = None
    """One more effect to draw below the first, hollow."""
    published: float | None = None
    """What another study found, as a diamond."""
    small: bool = False
    """Whether the effect is shown to be smaller than the margin."""


@dataclass(frozen=True)
class Panel:
    """Rows that share an axis."""

    rows: list[Row] = field(default_factory=list)
    bars: bool = False
    """Effects as bars, because they add up."""

    @property
    def height(self) -> float:
        """In inches, without the axis."""
        double = any(row.beside is not None for row in self.rows)
        return (DOUBLE if double else SINGLE) * len(self.rows)


@dataclass(frozen=True)
class Words:
    """What stands around the panels."""

    title: str
    subtitle: str
    unit: str = "points"
    """`points` or `log-odds`."""
    notes: Sequence[str] = ()
    """Lines below the panels."""

    @property
    def axis(self) -> str:
        """Below each panel."""
        return "test accuracy, percentage points" if self.unit == "points" else "test accuracy, log-odds"


def draw_forest(columns: Sequence[Sequence[Panel]], words: Words) -> Figure:
    """The panels in columns, all on one axis."""
    labels = [max(text_width(row.label) for panel in column for row in panel.rows) for column in columns]
    width = sum(labels) + len(columns) * (PLOT + NUMBER + 2 * MARGIN)
    panels = [panel for column in columns for panel in column]
    below = 0.05 + NOTE * len(words.notes)
    height = HEADER + max(sum(panel.height + AXIS for panel in column) for column in columns) + below
    width = max([width, *(0.93 * text_width(note) + 0.25 for note in words.notes)])
    figure = new_figure(width, height, words.title, words.subtitle, constrained=False)
    limits, width = _limits(panels, NARROWEST[words.unit]), figure.get_figwidth()
    left = 0.0
    for column, label in zip(columns, labels, strict=True):
        left += MARGIN + label
        top = height - HEADER
        for panel in column:
            bottom = top - panel.height
            box = (left / width, bottom / height, PLOT / width, panel.height / height)
            axes = figure.add_axes(box)
            _draw_panel(axes, panel, limits, words)
            top = bottom - AXIS
        left += PLOT + NUMBER + MARGIN
    for number, note in enumerate(reversed(words.notes)):
        y = (0.06 + NOTE * number) / height
        figure.text(0.1 / width, y, note, size=8.5, color=MUTED, va="bottom")
    return figure


def _limits(panels: Sequence[Panel], narrowest: float) -> tuple[float, float]:
    """The axis of every panel: zero, estimates and intervals, and what was published."""
    rows = [row for panel in panels for row in panel.rows]
    tables = [table for row in rows for table in (row.effects, row.beside) if table is not None]
    # A strip of dots shows no intervals.
    shown = [table[POINTS if len(table) == 1 else POINTS[:1]] for table in tables]
    values = np.concatenate([table.to_numpy(dtype=float).ravel() for table in shown])
    values = np.append(values, [0.0, *(row.published for row in rows if row.published is not None)])
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    margin = max(0.04 * (high - low), (narrowest - (high - low)) / 2)
    return low - margin, high + margin


def _draw_panel(axes: Axes, panel: Panel, limits: tuple[float, float], words: Words) -> None:
    axes.axvline(0, color=MUTED, lw=1, zorder=2)
    for y, row in enumerate(panel.rows):
        if row.effects is not None:
            _draw_row(axes, y, row, panel.bars, words.unit)
    axes.set_xlim(*limits)
    axes.set_ylim(len(panel.rows) - 0.5, -0.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.set_yticks(range(len(panel.rows)), [row.label for row in panel.rows])
    for tick, row in zip(axes.get_yticklabels(), panel.rows, strict=True):
        tick.set_fontweight("bold" if row.effects is None else "normal")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(words.axis)


def _draw_row(axes: Axes, y: int, row: Row, bars: bool, unit: str) -> None:
    """A bar, a circle with its interval and number, two circles, or a strip of dots."""
    assert row.effects is not None
    if len(row.effects) > 1:
        clear = row.effects["p_adjusted"] < 0.05
        colours = np.where(clear, row.colour, FAINT)
        dots = axes.scatter(row.effects["estimate"], [y] * len(clear), s=24, c=colours)
        dots.set(alpha=0.8, linewidth=0, zorder=3)
        return
    effect = row.effects.iloc[0]
    if row.published is not None:
        axes.plot(row.published, y, "D", color=PUBLISHED, mfc="none", mew=1.4, ms=6, zorder=4)
    if row.beside is not None:
        other = row.beside.iloc[0]
        _draw_effect(axes, y - 0.2, effect, row.colour, filled=True)
        _draw_effect(axes, y + 0.2, other, row.colour, filled=False)
        _write(axes, y - 0.2, signed(effect["estimate"], unit), size=7.5)
        _write(axes, y + 0.2, signed(other["estimate"], unit), size=7.5, color=MUTED)
        return
    # Without a p-value, which one seed does not give, no effect is greyed.
    grey = effect["p_adjusted"] >= 0.05
    if bars:
        colour = FAINT if grey else row.colour
        axes.barh(y, effect["estimate"], height=0.62, color=colour, alpha=0.8, zorder=1)
        axes.plot([effect["ci_low"], effect["ci_high"]], [y, y], color=INK, lw=1.3, zorder=3)
    else:
        _draw_effect(axes, y, effect, "#a6a6a6" if grey else row.colour, filled=True)
    _write(axes, y, signed(effect["estimate"], unit) + (f" {SMALL}" if row.small else ""), size=8.5)


def _draw_effect(axes: Axes, y: float, effect: "pd.Series", colour: str, *, filled: bool) -> None:
    axes.plot(
        [effect["ci_low"], effect["ci_high"]], [y, y], color=colour, lw=1.8 if filled else 1.1, zorder=3
    )
    face = colour if filled else "white"
    axes.plot(effect["estimate"], y, "o", color=colour, mfc=face, mew=1.3, ms=5.5, zorder=3.5)


def _write(axes: Axes, y: float, text: str, **style: Any) -> None:
    """Right of the panel, the numbers' ends in line; a mark after the number hangs over."""
    number, space, mark = text.partition(" ")
    place = (1 + (NUMBER - 0.12) / PLOT, y)
    common: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "va": "center"} | style
    axes.annotate(number, place, ha="right", **common)
    if space:
        axes.annotate(f" {mark}", place, ha="left", **common)


def signed(value: float, unit: str = "points") -> str:
    """A number with its sign: points to a tenth, log-odds to a hundredth; nothing has no sign."""
    text = f"{value:+.1f}" if unit == "points" else f"{value:+.2f}"
    return text[1:] if not text.strip("+-0.") else text.replace("-", "−")


def switch(study: Study, factor: str) -> str:
    """The factor as what is done: `batch norm`, or `ReLU instead of tanh`."""
    return switch_words(factor, study.factors[factor].baseline, study.factors[factor].treatment)


def seeds_words(tables: Tables, spread: str = "intervals") -> str:
    """How many seeds there are, so which intervals (or bands), and how many runs diverged."""
    cells = tables["cells"]
    fewest, most = int(cells["n_seeds"].min()), int(cells["n_seeds"].max())
    seeds = f"{most} seed{'s' * (most > 1)}" if fewest == most else f"{fewest} to {most} seeds"
    spread = f"95% Student t {spread}" if most > 1 else f"so no {spread}"
    edge = cells["at_edge"].map(str).eq("True").sum() if "at_edge" in cells else 0
    edges = f" · rate at the grid's edge in {edge} of {len(cells)} arms" if edge else ""
    diverged, runs = int(cells["n_diverged"].sum()), int(cells["n_seeds"].sum())
    return f"{seeds}, {spread}" + (f" · {diverged} of {runs} runs diverged" if diverged else "") + edges
