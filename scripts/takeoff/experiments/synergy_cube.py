"""The synergy experiment's figure of its cells: little and much data, computation and algorithms."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from takeoff.experiments.plotting import COLOURS, INK, MUTED, level_words, new_figure, styled
from takeoff.study.model import Study

Tables = Mapping[str, pd.DataFrame]
LOOK = {"tanh": (COLOURS[1], "s"), "sigmoid": (COLOURS[2], "D"), "modern": (COLOURS[0], "o")}
SIZES = ("little", "much")
LEAST = 4.0
"""Points that an axis shows at least: less is noise, blown up."""
PERCENT = "test_accuracy_percent"


def name_of(algorithms: str) -> str:
    """The algorithms as a reader would name them."""
    if algorithms == "modern":
        return "ReLU, batch norm, dropout"
    return f"plain {level_words('activation', algorithms)}"


def in_percent(cells: pd.DataFrame) -> pd.DataFrame:
    """What is drawn of the cells."""
    columns = ["arm", "data", "computation", "algorithms", "method", "n_seeds", "n_diverged", "n_collapsed"]
    columns += ["chosen", "flops", "train_samples"]
    numbers = cells[[name for name in columns if name in cells]].copy()
    for end in ("", "_low", "_high"):
        numbers[PERCENT + end] = cells[f"test_accuracy{end}"] * 100
    return numbers.assign(chance_percent=cells["chance"] * 100)


@styled
def draw_cube(study: Study, tables: Tables, borrowed: str = "") -> tuple[Figure, pd.DataFrame]:
    """Panels: little and much computation; across: data; lines: algorithms, and the best older method; `borrowed`:
    what the subtitle must say of the networks' rates.
    """
    numbers = in_percent(tables["cells"])
    nets = numbers[numbers["algorithms"] != "older"]
    seeds = int(numbers["n_seeds"].max())
    spread = "95% Student t intervals" if seeds > 1 else "so no intervals"
    subtitle = f"{seeds} seed{'s' * (seeds > 1)}, {spread} · dashed: the best older method, chosen on validation images"
    lost = int(nets["n_collapsed"].sum())
    if lost:
        subtitle += f" · {lost} of {int(nets['n_seeds'].sum())} runs of networks collapsed to chance"
    subtitle += f" · {borrowed}" * bool(borrowed)
    title = f"{study.title}: do data, computation and algorithms need each other?"
    figure = new_figure(8.6, 4.7, title, subtitle)
    grid = figure.subplots(1, 2, sharey=True)
    for axes, computation in zip(grid, SIZES, strict=True):
        own = nets[nets["computation"] == computation]
        for i, (algorithms, look) in enumerate(LOOK.items()):
            line = own[own["algorithms"] == algorithms]
            if len(line):
                _draw_line(axes, line, look, name_of(algorithms), 0.03 * (i - 1))
        _draw_older(axes, numbers)
        axes.axhline(
            numbers["chance_percent"].iloc[0], color=MUTED, lw=1, ls=(0, (1, 2)), zorder=1, label="chance"
        )
        axes.set_title(f"{computation} computation{_flops(own)}")
        axes.set_xlim(-0.35, 1.35)
        axes.grid(axis="x", visible=False)
        axes.set_xticks([0, 1], [_data_words(nets, size) for size in SIZES])
    low, high = grid[0].get_ylim()
    wider = max(0, LEAST - (high - low)) / 2
    grid[0].set_ylim(max(low - wider, 0), min(high + wider, 100))
    grid[0].set_ylabel("test accuracy, %")
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure, numbers


def _data_words(nets: pd.DataFrame, size: str) -> str:
    words = f"{size} data"
    if "train_samples" not in nets:
        return words
    return f"{words}\n{int(nets.loc[nets['data'] == size, 'train_samples'].max()):,} images"


def _flops(own: pd.DataFrame) -> str:
    """The range of the counted operations, as `, 1.2–1.5 × 10^9 FLOPs`."""
    flops = own["flops"].dropna() if "flops" in own else pd.Series(dtype=float)
    if flops.empty:
        return ""
    low, high = (f"{value:.1e}".split("e") for value in (flops.min(), flops.max()))
    power = f"$10^{{{int(low[1])}}}$"
    if low[1] != high[1]:
        return f", {low[0]} × {power} to {high[0]} × $10^{{{int(high[1])}}}$ FLOPs"
    span = low[0] if low[0] == high[0] else f"{low[0]} to {high[0]}"
    return f", {span} × {power} FLOPs"


def _draw_line(axes: Axes, line: pd.DataFrame, look: tuple[str, str], name: str, apart: float) -> None:
    colour, marker = look
    line = line.set_index("data").loc[list(SIZES)]
    x = [apart, 1 + apart]
    axes.plot(
        x, line[PERCENT], marker=marker, ms=6.5, color=colour, lw=1.8, label=name, zorder=3, clip_on=False
    )
    axes.vlines(x, line[f"{PERCENT}_low"], line[f"{PERCENT}_high"], color=colour, lw=1.8, zorder=3)


def _draw_older(axes: Axes, numbers: pd.DataFrame) -> None:
    """The same in both panels: older methods have no such computation to vary."""
    chosen = numbers[(numbers["algorithms"] == "older") & numbers["chosen"].astype(bool)].set_index("data")
    heights = chosen.loc[list(SIZES), PERCENT]
    dashes = (0, (4, 3))
    axes.plot([0, 1], heights, color=INK, lw=1.3, ls=dashes, label="best older method", zorder=2)
