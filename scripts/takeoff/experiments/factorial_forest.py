"""The factorial experiment's forest plot: every effect with its interval, and Shapley shares."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from takeoff.experiments.plotting import (
    COLOURS,
    FAINT,
    INK,
    MUTED,
    level_words,
    new_figure,
    styled,
    switch_words,
    text_width,
)
from takeoff.study.model import Study

RESPONSE = "test_accuracy"
MOST_INTERACTIONS = 15
"""Of more interactions only the largest are drawn; the table has all of them."""
POINTS = ["estimate", "ci_low", "ci_high"]
ROW, PLOT, MARGIN, NUMBER, AXIS, HEADER = 0.25, 3.2, 0.15, 0.5, 0.55, 0.62
"""In inches: the height of a row, the width of a panel, the space around, for numbers, axes and titles."""
Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Row:
    """A row of a panel: a heading where there is no effect, a strip where there are several."""

    label: str
    colour: str = INK
    effects: pd.DataFrame | None = None


@dataclass(frozen=True)
class Panel:
    """Rows that share an axis."""

    rows: list[Row] = field(default_factory=list)
    bars: bool = False
    """Effects as bars, because they add up."""

    @property
    def height(self) -> float:
        """In inches, without the axis."""
        return ROW * len(self.rows)


@styled
def draw_effects(study: Study, tables: Tables) -> tuple[Figure, pd.DataFrame]:
    """Main, interaction and simple effects with intervals, and Shapley shares, in percentage points."""
    effects = tables["effects"]
    effects = effects[effects["response"] == RESPONSE].assign(response=f"{RESPONSE}_points")
    effects[POINTS] *= 100
    colours = dict(zip(study.factors, COLOURS, strict=False))
    main, shares = _main_panel(study, effects, colours), _shares_panel(study, effects, colours)
    if len(study.factors) == 1:
        columns = [[main]]
    elif len(study.factors) < 4:
        columns = [[main, shares], [_simple_panel(study, effects, colours)]]
    else:
        columns = [[main], [_strips_panel(study, effects, colours), shares]]

    labels = [max(text_width(row.label) for panel in column for row in panel.rows) for column in columns]
    width = sum(labels) + len(columns) * (PLOT + NUMBER + 2 * MARGIN)
    height = HEADER + max(sum(panel.height + AXIS for panel in column) for column in columns) + 0.05
    subtitle = seeds_words(tables)
    if effects["p_adjusted"].notna().any():
        subtitle += " · grey: adjusted p ≥ 0.05"
    figure = new_figure(width, height, f"{study.title}: which factor mattered?", subtitle, constrained=False)
    limits, width = _limits(effects), figure.get_figwidth()
    left = 0.0
    for column, label in zip(columns, labels, strict=True):
        left += MARGIN + label
        top = height - HEADER
        for panel in column:
            bottom = top - panel.height
            box = (left / width, bottom / height, PLOT / width, panel.height / height)
            _draw_panel(figure.add_axes(box), panel, limits)
            top = bottom - AXIS
        left += PLOT + NUMBER + MARGIN
    return figure, effects


def _main_panel(study: Study, effects: pd.DataFrame, colours: Mapping[str, str]) -> Panel:
    """Main effects, and interactions, the largest of them where there are many."""
    rows = [Row("Main effects")]
    for term, effect in effects[effects["kind"] == "main"].groupby("term", sort=False):
        rows.append(Row(_switch(study, str(term)), colours[str(term)], effect))
    interactions = effects[effects["kind"] == "interaction"]
    shown = interactions
    if len(interactions) > MOST_INTERACTIONS:
        shown = interactions.loc[interactions["estimate"].abs().nlargest(MOST_INTERACTIONS).index]
        rows.append(Row(f"Interactions, the {len(shown)} largest of {len(interactions)}"))
    elif len(shown):
        rows.append(Row("Interactions"))
    for term, effect in shown.groupby("term", sort=False):
        names = [level_words(factor, study.factors[factor].treatment) for factor in str(term).split(":")]
        rows.append(Row(" × ".join(names), INK, effect))
    return Panel(rows)


def _simple_panel(study: Study, effects: pd.DataFrame, colours: Mapping[str, str]) -> Panel:
    """A row for each simple effect, below its factor's name."""
    rows = []
    for factor, group in _simple(effects).groupby("factor", sort=False):
        rows.append(Row(f"{_switch(study, str(factor))}, with"))
        for term, effect in group.groupby("term", sort=False):
            setting = [part.split("=") for part in str(term).split("@")[1].split(",")]
            words = ", ".join(level_words(name, level) for name, level in setting)
            rows.append(Row(words, colours[str(factor)], effect))
    return Panel(rows)


def _strips_panel(study: Study, effects: pd.DataFrame, colours: Mapping[str, str]) -> Panel:
    """A row for each factor, with a dot for each of its simple effects."""
    rows = [Row(f"Simple effects, {2 ** (len(study.factors) - 1)} each")]
    for factor, group in _simple(effects).groupby("factor", sort=False):
        rows.append(Row(_switch(study, str(factor)), colours[str(factor)], group))
    return Panel(rows)


def _simple(effects: pd.DataFrame) -> pd.DataFrame:
    simple = effects[effects["kind"] == "simple"]
    return simple.assign(factor=simple["term"].str.split("@").str[0])


def _shares_panel(study: Study, effects: pd.DataFrame, colours: Mapping[str, str]) -> Panel:
    """Shapley shares, and what they sum to: all treatments − all baselines."""
    shares = effects[effects["kind"] == "shapley"]
    rows = [Row(f"Shapley shares, sum {_signed(shares['estimate'].sum())}")]
    for term, share in shares.groupby("term", sort=False):
        rows.append(Row(_switch(study, str(term)), colours[str(term)], share))
    return Panel(rows, bars=True)


def _limits(effects: pd.DataFrame) -> tuple[float, float]:
    """The axis of every panel: zero, estimates and intervals."""
    low, high = min(effects[POINTS].min().min(), 0), max(effects[POINTS].max().max(), 0)
    margin = 0.04 * max(high - low, 0.1)
    return low - margin, high + margin


def _draw_panel(axes: Axes, panel: Panel, limits: tuple[float, float]) -> None:
    axes.axvline(0, color=MUTED, lw=1, zorder=2)
    for y, row in enumerate(panel.rows):
        if row.effects is not None:
            _draw_row(axes, y, row, panel.bars)
    axes.set_xlim(*limits)
    axes.set_ylim(len(panel.rows) - 0.5, -0.5)
    axes.set_yticks(range(len(panel.rows)), [row.label for row in panel.rows])
    for tick, row in zip(axes.get_yticklabels(), panel.rows, strict=True):
        tick.set_fontweight("bold" if row.effects is None else "normal")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("test accuracy, percentage points")


def _draw_row(axes: Axes, y: int, row: Row, bars: bool) -> None:
    """A bar, a circle with its interval and number, or a strip of dots."""
    assert row.effects is not None
    if len(row.effects) > 1:
        clear = row.effects["p_adjusted"] < 0.05
        colours = np.where(clear, row.colour, FAINT)
        dots = axes.scatter(row.effects["estimate"], [y] * len(clear), s=24, c=colours)
        dots.set(alpha=0.8, linewidth=0, zorder=3)
        return
    effect = row.effects.iloc[0]
    interval = [effect["ci_low"], effect["ci_high"]]
    if bars:
        colour = FAINT if effect["p_adjusted"] >= 0.05 else row.colour
        axes.barh(y, effect["estimate"], height=0.62, color=colour, alpha=0.8, zorder=1)
        axes.plot(interval, [y, y], color=INK, lw=1.3, zorder=3)
    else:
        # Without a p-value, which one seed does not give, no effect is greyed.
        colour = "#a6a6a6" if effect["p_adjusted"] >= 0.05 else row.colour
        axes.plot(interval, [y, y], color=colour, lw=1.8, solid_capstyle="round", zorder=3)
        axes.plot(effect["estimate"], y, "o", color=colour, ms=5.5, zorder=3)
    place = (1 + NUMBER / PLOT, y)
    axes.annotate(
        _signed(effect["estimate"]),
        place,
        xycoords=("axes fraction", "data"),
        size=8.5,
        ha="right",
        va="center",
    )


def _signed(value: float) -> str:
    text = f"{value:+.1f}"
    return "0.0" if text in {"+0.0", "-0.0"} else text.replace("-", "−")


def _switch(study: Study, factor: str) -> str:
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
