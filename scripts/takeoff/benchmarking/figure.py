"""The figure of throughput.csv: images per second of every loop in every setting, and the engine's ratio to plain."""

import math

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from takeoff.benchmarking.table import MEMORY, PLAIN, Row, setting_words
from takeoff.experiments.plotting import COLOURS, INK, MUTED, new_figure, styled

WORDS = {PLAIN: "plain loop (DataLoader)", MEMORY: "plain loop, images in memory"}
RATIOS = ("ratio_to_plain", "ratio_low", "ratio_high")
MARKERS = "os^Dv*PX"
LINE, MARK, LEGEND, TOP, BOTTOM = 0.36, 0.1, 0.2, 0.56, 1.0
"""In inches: the least height of a row, that of a mark in it, that of the legend's further lines, and the space above
and below the axes."""
COLUMNS = 4
"""Of the legend, at most."""


@styled
def draw_throughput(table: pd.DataFrame, machine: str) -> Figure:
    """A row per setting, a mark per loop; whiskers are the slowest and the fastest block.

    Args:
        table: throughput.csv.
        machine: in words.

    """
    measured = table[table["images_per_second"].notna()]
    measured = measured.assign(label=[_label(row) for row in measured.to_dict("records")])
    places = {label: place for place, label in enumerate(measured["label"].unique())}
    loops = list(measured["loop"].unique())
    columns = min(len(loops), COLUMNS)
    more = math.ceil(len(loops) / columns) - 1
    figure = new_figure(
        8.6,
        TOP + max(LINE, MARK * len(loops)) * len(places) + BOTTOM + LEGEND * more,
        "How fast does it train? The engine against plain loops",
        f"the same network, images, batches and steps, in interleaved blocks · {machine}",
    )
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    for axes in (left, right):
        for place in range(0, len(places), 2):
            axes.axhspan(place - 0.5, place + 0.5, color=MUTED, alpha=0.09, lw=0, zorder=0)
    heights = measured["label"].map(places) + _aside(measured, loops)
    for i, loop in enumerate(loops):
        rows = measured[measured["loop"] == loop]
        y = heights[rows.index]
        mark = {"fmt": MARKERS[i % len(MARKERS)], "color": COLOURS[i % len(COLOURS)], "ms": 5, "lw": 1.2}
        _marks(left, rows["images_per_second"], rows["low"], rows["high"], y, mark, WORDS.get(loop, loop))
        if loop != PLAIN:
            known = rows["ratio_to_plain"].notna()
            middle, low, high = (rows.loc[known, name] for name in RATIOS)
            _marks(right, middle, low, high, y[known], mark, None)
    right.axvline(1, color=MUTED, lw=1)
    left.set_yticks(range(len(places)), list(places))
    left.set_ylim(len(places) - 0.5, -0.5)
    for axes, words in ((left, "images per second"), (right, "ratio to the plain loop")):
        axes.set_xscale("log")
        axes.set_xlabel(words)
        axes.tick_params(axis="y", length=0)
    _plain_ticks(left, measured["low"].min(), measured["high"].max())
    _plain_ticks(right, min(1, table["ratio_low"].min()), max(2, table["ratio_high"].max()))
    figure.legend(loc="outside lower center", ncols=columns, fontsize=8.5, labelcolor=INK)
    return figure


def _aside(measured: pd.DataFrame, loops: list[str]) -> pd.Series:
    """How far each loop lies from the middle of its setting, so that those measured there lie beside each other."""
    order = measured["loop"].map(loops.index)
    beside = order.groupby(measured["label"])
    return min(0.22, 0.75 / len(loops)) * (beside.rank("dense") - (beside.transform("nunique") + 1) / 2)


def _label(row: dict) -> str:
    """The setting's words; the columns are the row's, so that the words are those of the tables."""
    names = (
        "loop",
        "width",
        "batch",
        "threads",
        "precision",
        "processes",
        "resolution",
        "comparison",
        "device",
    )
    return setting_words(Row(**{name: row[name] for name in names}))


def _marks(axes, middle, low, high, y, mark, label) -> None:
    """Marks with whiskers from `low` to `high`, which may lie on one side of a ratio of medians."""
    errors = [(middle - low).clip(lower=0), (high - middle).clip(lower=0)]
    axes.errorbar(middle, y, xerr=errors, capsize=2, label=label, **mark)


def _plain_ticks(axes, low: float, high: float) -> None:
    """Ticks at 1, 2 and 5 times powers of ten, or over many powers at 1 and 3 times, in plain numbers."""
    multiples = (1, 2, 5) if high < 100 * low else (1, 3)
    steps = [m * 10.0**power for power in range(-2, 9) for m in multiples]
    axes.set_xlim(low / 1.15, high * 1.15)
    axes.set_xticks([step for step in steps if low / 1.15 <= step <= high * 1.15])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
