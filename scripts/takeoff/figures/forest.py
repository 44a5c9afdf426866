"""Forest plots: panels of rows in columns, all on one axis, and notes below."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from takeoff.figures.rows import NUMBERS, ZERO, draw_rows
from takeoff.figures.style import MUTED, new_figure, text_width

PLOT, MARGIN, NUMBER, AXIS, HEADER, NOTE = 3.2, 0.15, 0.58, 0.55, 0.62, 0.19
"""In inches: the width of a panel, the space around, for numbers, axes, titles, and a note below."""
SINGLE, DOUBLE = 0.25, 0.34
"""In inches: the height of a row, and of one with two estimates."""


@dataclass(frozen=True)
class Panel:
    """Rows that share an axis, as `rows.draw_rows` takes them."""

    rows: pd.DataFrame
    points: pd.DataFrame | None = None

    @property
    def height(self) -> float:
        """In inches, without the axis."""
        return len(self.rows) * (DOUBLE if "beside" in self.rows else SINGLE)

    @property
    def values(self) -> list[float]:
        """What its axis must reach."""
        numbers = self.rows.reindex(columns=NUMBERS).to_numpy(dtype=float).ravel()
        return [*numbers[np.isfinite(numbers)], *([] if self.points is None else self.points["value"])]


def headed(blocks: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Rows below their headings, one table of all; no heading without rows."""
    parts = [pd.DataFrame({"label": []})]
    for heading, rows in blocks.items():
        if len(rows):
            parts += [pd.DataFrame({"label": [heading], "heading": True}), rows.assign(heading=False)]
    return pd.concat(parts, ignore_index=True)


def draw_forest(
    columns: Sequence[Sequence[Panel]],
    title: str,
    subtitle: str,
    *,
    xlabel: str,
    narrowest: float,
    notes: Sequence[str] = (),
) -> Figure:
    """Draw columns of panels, the top one first, with rows of one height; panels without rows are left out.

    `xlabel` is the axis' quantity and unit, `narrowest` the least that it spans: where all is nothing, ticks would be
    too close to name. `notes` are lines below the panels.
    """
    columns = [[panel for panel in column if len(panel.rows)] for column in columns]
    columns = [column for column in columns if column]
    labels = [max(text_width(text) for panel in column for text in panel.rows["label"]) for column in columns]
    height = max(sum(panel.height + AXIS for panel in column) for column in columns)
    height += HEADER + 0.05 + NOTE * len(notes)
    width = sum(labels) + len(columns) * (PLOT + NUMBER + 2 * MARGIN)
    width = max(width, *(0.93 * text_width(note) + 0.25 for note in ("", *notes)))
    figure = new_figure(width, height, title, subtitle, constrained=False)
    values = [0.0, *(value for column in columns for panel in column for value in panel.values)]
    middle, half = (max(values) + min(values)) / 2, max(max(values) - min(values), narrowest) / 2
    width, left = figure.get_figwidth(), 0.0
    for column, label in zip(columns, labels, strict=True):
        left, bottom = left + MARGIN + label, height - HEADER
        for panel in column:
            bottom -= panel.height
            axes = figure.add_axes((left / width, bottom / height, PLOT / width, panel.height / height))
            ends = (middle - half, middle + half)
            draw_rows(axes, panel.rows, xlabel=xlabel, lines=[ZERO], include=ends, points=panel.points)
            axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
            bottom -= AXIS
        left += PLOT + NUMBER + MARGIN
    for number, note in enumerate(reversed(notes)):
        figure.text(0.1 / width, (0.06 + NOTE * number) / height, note, size=8.5, color=MUTED, va="bottom")
    return figure
