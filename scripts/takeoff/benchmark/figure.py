"""The figure of throughput.csv: a panel per setting, a bar per loop."""

import pandas as pd
from matplotlib.figure import Figure

from takeoff.benchmark.table import MEMORY, PLAIN, Speed
from takeoff.figures.style import COLOURS, INK, MUTED, new_figure, styled

WORDS = {PLAIN: "plain loop (DataLoader)", MEMORY: "plain loop, images in memory"}
BAR, PANEL = 0.27, 0.55
"""The height of a bar with the space around it, and of the words around a panel, in inches."""


@styled
def draw_throughput(table: pd.DataFrame, machine: str) -> Figure:
    """Bars are the median blocks, whiskers the slowest and the fastest; words give the ratio to the plain loop."""
    measured = table[table["images_per_second"].notna()]
    columns = ["loop", "width", "batch", "threads", "precision", "resolution", "device"]
    words = [Speed(**row).setting for row in measured[columns].to_dict("records")]
    panels = list(measured.groupby(words, sort=False))
    figure = new_figure(
        7.2,
        0.75 + BAR * len(measured) + PANEL * len(panels),
        "How fast does it train? The engine against plain loops",
        f"the same network, images, batches and steps, in interleaved blocks · {machine}",
    )
    heights = [len(rows) for _, rows in panels]
    places = figure.subplots(len(panels), squeeze=False, height_ratios=heights).ravel()
    for axes, (setting, rows) in zip(places, panels, strict=True):
        speed, names = rows["images_per_second"], [WORDS.get(loop, loop) for loop in rows["loop"]]
        colours = [MUTED if loop in WORDS else COLOURS[0] for loop in rows["loop"]]
        spread = [speed - rows["low"], rows["high"] - speed]
        axes.barh(names, speed, 0.7, color=colours, xerr=spread, error_kw={"ecolor": INK, "lw": 1})
        for place, row in enumerate(rows.itertuples()):
            text = f"  {row.images_per_second:,.0f}, {row.ratio_to_plain:.1f}×"
            axes.text(row.high, place, text, va="center", size=8.5)
        axes.invert_yaxis()
        axes.set_xlim(0, 1.3 * rows["high"].max())
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.grid(visible=False, axis="y")
        axes.set_title(setting)
    places[-1].set_xlabel("images per second, and times the plain loop")
    return figure
