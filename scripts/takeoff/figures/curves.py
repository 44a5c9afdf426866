"""Curves: a line per group with its band of 95% intervals, and dashes and markers beside its colour."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import seaborn.objects as so
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from takeoff.figures.style import ACTIVATION_COLOURS, COLOURS

DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (1, 1.2)), (0, (8, 2)))
ENDS = ("", "_low", "_high")
"""Of the names of columns: a mean, and the ends of its interval."""
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<", ">", "h")


@dataclass(frozen=True)
class Look:
    """How a group is drawn: its colour, dashes and marker, which say the same."""

    colour: str
    dashes: Any = "-"
    marker: str = "o"
    hollow: bool = False
    """Whether its markers are hollow."""


def look(number: int) -> Look:
    """The look of the group of that number, from 0."""
    return Look(COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)], MARKERS[number % len(MARKERS)])


ACTIVATION_LOOKS = {
    name: Look(colour, DASHES[number], MARKERS[number])
    for number, (name, colour) in enumerate(ACTIVATION_COLOURS.items())
}
"""The same in every figure."""


def in_percent(table: pd.DataFrame, kept: Sequence[str], names: Iterable[str]) -> pd.DataFrame:
    """The columns `kept`, and the fractions `names` in percent, each with its interval."""
    return table[[*kept]].assign(**{f"{name}_percent{end}": 100 * table[name + end] for name in names for end in ENDS})


def draw_curves(
    axes: Axes,
    table: pd.DataFrame,
    x: str,
    y: str,
    by: str,
    looks: Mapping[Any, Look],
    words: Mapping[Any, str] | None = None,
    *,
    markers: bool = False,
    bars: bool = False,
    within: tuple[float, float] = (-np.inf, np.inf),
) -> None:
    """Draw a line over the columns `x` and `y` of `table`, in its order, per group of the column `by`.

    The groups are those of `looks`, the first on top; `words` name them in a legend. With `markers` each point has one.
    Intervals, `<y>_low` to `<y>_high` if the table has them, are a band, or with `bars` a bar at each point, clipped to
    `within`.
    """
    low, high = f"{y}_low", f"{y}_high"
    if low in table:
        ends = table[table[by].isin(looks)]
        ends = ends.assign(**{end: ends[end].clip(*within) for end in (low, high)})
        mark = so.Range(linewidth=1.7) if bars else so.Band(alpha=0.18, edgewidth=0)
        plot = so.Plot(ends, x=x, ymin=low, ymax=high, color=by).add(mark, legend=False)
        plot.scale(color={group: style.colour for group, style in looks.items()}).on(axes).plot()
    for number, (group, style) in enumerate(looks.items()):
        own = table[table[by] == group]
        if own.empty:
            continue
        label = words[group] if words else ""
        (line,) = axes.plot(own[x], own[y], color=style.colour, ls=style.dashes, lw=1.8, label=label)
        line.set_zorder(3 - 0.1 * number)
        if markers:
            fill, edge = ("white", style.colour) if style.hollow else (style.colour, "white")
            line.set(marker=style.marker, ms=5.5, mfc=fill, mec=edge, mew=1.1 if style.hollow else 0.6)
    axes.set(xlabel="", ylabel="")


def value_ticks(axes: Axes, values: Iterable[float]) -> None:
    """A logarithmic axis along, with ticks at these values alone; when all is drawn: seaborn draws on linear ones."""
    ticks = sorted(set(values))
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:,g}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())


def limit_values(axes: Axes, low: float, high: float, *, least: float = 0) -> None:
    """Keep the axis up between two ends; it spans `least`, where it can: less is noise, enlarged."""
    bottom, top = axes.get_ylim()
    wider = max(0, least - (top - bottom)) / 2
    axes.set_ylim(max(bottom - wider, low), min(top + wider, high))
