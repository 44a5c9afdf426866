"""The synergy experiment's figures: the cells, and the Shapley shares beside each factor alone."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from takeoff.experiments.base import Drawing, FixedCriterion, Tables
from takeoff.experiments.synergy.design import AMOUNTS, Design
from takeoff.figures.curves import Look, draw_curves, limit_values
from takeoff.figures.rows import DASHED, DOTTED
from takeoff.figures.style import COLOURS, INK, MUTED, new_figure, styled
from takeoff.figures.words import power_words, seeds_words, signed

LOOKS = {"tanh": Look(COLOURS[1], marker="s"), "sigmoid": Look(COLOURS[2], marker="D"), "modern": Look(COLOURS[0])}
NAMES = {"tanh": "plain tanh", "sigmoid": "plain sigmoid", "modern": "ReLU, batch norm, dropout"}
COLOUR = {"none": MUTED, "data": COLOURS[2], "computation": COLOURS[4], "algorithms": COLOURS[0], "all": INK}
WORDS = ("all\nlittle", "data\n", "compu-\ntation", "algo-\nrithms", "all\nmuch")
"""Both in the order of `tables.ALONE`."""
PERCENT, ENDS = "test_accuracy_percent", ("", "_low", "_high")
UNITS = {"test_accuracy": "percent", "gain": "points", "lead": "points", "older": "percent"}
CELLS = "arm data computation algorithms method n_seeds n_diverged n_collapsed chosen flops train_samples"
TOP, MOST = 100.0, 130.0
"""Percent: where the axis of accuracies ends, and how far a bar of the waterfall or its interval may stretch it."""


@styled
def draw(synergy: Design, tables: Tables, criteria: Mapping[str, FixedCriterion]) -> list[Drawing]:
    """The cells, and the shares beside each factor alone; both say where networks take the rates of others."""
    rates = "" if synergy.options.tuned else " · rates: tuned with much of both alone"
    title = synergy.study.title
    return [_cube(title, tables["cells"], rates), _shares(title, tables["alone"], tables["effects"], rates)]


def _cube(title: str, cells: pd.DataFrame, rates: str) -> Drawing:
    """Panels: little and much computation; across: data; lines: algorithms, and the best older method."""
    percent = {PERCENT + end: cells[f"test_accuracy{end}"] * 100 for end in ENDS}
    numbers = cells[CELLS.split()].assign(**percent, chance_percent=cells["chance"] * 100)
    aside = {name: 0.03 * (place - 1) for place, name in enumerate(LOOKS)}
    x = numbers["data"].map(AMOUNTS.index) + numbers["algorithms"].map(aside).fillna(0)
    shown = numbers.assign(x=x).sort_values("x", kind="stable")
    nets, older = shown[shown["algorithms"] != "older"], shown[shown["algorithms"] == "older"]
    best, images = older[older["chosen"].astype(bool)], nets.groupby("data")["train_samples"].max()
    spread = seeds_words(int(numbers["n_seeds"].max()))
    subtitle = f"{spread} · dashed: the best older method, chosen on validation images"
    if lost := int(nets["n_collapsed"].sum()):
        subtitle += f" · {lost} of {int(nets['n_seeds'].sum())} runs of networks collapsed to chance"
    title = f"{title}: do data, computation and algorithms need each other?"
    figure = new_figure(8.6, 4.7, title, subtitle + rates)
    grid = figure.subplots(1, 2, sharey=True)
    for axes, computation in zip(grid, AMOUNTS, strict=True):
        own = nets[nets["computation"] == computation]
        draw_curves(axes, own, "x", PERCENT, "algorithms", LOOKS, NAMES, markers=True, bars=True)
        for line in axes.lines:
            line.set_clip_on(False)
        axes.plot(best["x"], best[PERCENT], color=INK, lw=1.3, ls=DASHED, label="best older method", zorder=2)
        chance = numbers["chance_percent"].iloc[0]
        axes.axhline(chance, color=MUTED, lw=1, ls=DOTTED, zorder=1, label="chance")
        flops = " to ".join(dict.fromkeys(map(power_words, (own["flops"].min(), own["flops"].max()))))
        axes.set(title=f"{computation} computation, {flops} FLOPs", xlim=(-0.35, 1.35))
        axes.set_xticks([0, 1], [f"{name} data\n{int(images[name]):,} images" for name in AMOUNTS])
        axes.label_outer()
        axes.grid(axis="x", visible=False)
    limit_values(grid[0], 0, 100, least=4)
    grid[0].set_ylabel("test accuracy, %")
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return Drawing("cube", figure, numbers)


def _shares(title: str, alone: pd.DataFrame, effects: pd.DataFrame, rates: str) -> Drawing:
    """A row for each plain network: left the Shapley shares as a waterfall, right each factor alone."""
    shares = effects[(effects["kind"] == "shapley") & (effects["response"] == "test_accuracy")]
    plains = list(dict.fromkeys(alone["plain"]))
    subtitle = seeds_words(int(alone["n_seeds"].max()))
    subtitle += f" · short lines: the best older method on the same data{rates}"
    title = f"{title}: was any one of data, computation and algorithms enough?"
    figure = new_figure(9.0, 3.2 * len(plains) + 1.1, title, subtitle)
    grid = figure.subplots(len(plains), 2, sharey="row", squeeze=False)
    for (left, right), plain in zip(grid, plains, strict=True):
        own = alone[alone["plain"] == plain].set_index("alone")
        share = shares[shares["plain"] == plain].set_index("term")
        top = max(TOP, 1.06 * _draw_waterfall(left, own, share))
        _draw_alone(right, own)
        for axes in (left, right):
            axes.set_xticks(range(len(WORDS)), WORDS)
            axes.grid(axis="x", visible=False)
        # Titles leave room for the number of a bar that ends at the top.
        left.set_title(f"from {NAMES[plain]}: Shapley shares in points\n{whole_words(own, share)}", pad=14)
        right.set_title("one alone, and all together", pad=14)
        low, high = left.get_ylim()
        left.set(ylabel="test accuracy, %", ylim=(max(0, low), min(high + 0.06 * (high - max(0, low)), top)))
        if top > TOP:
            left.axhline(TOP, color=MUTED, lw=0.8, ls=DOTTED, zorder=1)
    figure.legend(*grid[0][1].get_legend_handles_labels(), loc="outside lower right", ncols=3)
    numbers = alone[["plain", "alone", "older_method"]].assign(
        **{f"{name}_{unit}{end}": alone[name + end] * 100 for name, unit in UNITS.items() for end in ENDS}
    )
    names = {"estimate": "shapley_points", "ci_low": "shapley_points_low", "ci_high": "shapley_points_high"}
    points = 100 * shares.rename(columns=names).set_index(["plain", "term"])[list(names.values())]
    return Drawing("shares", figure, numbers.join(points, on=["plain", "alone"]))


def whole_words(own: pd.DataFrame, share: pd.DataFrame) -> str:
    """The whole gain in points, and the shares of it in percent, where its interval lies above 0 and each of them is
    a part of it: between nothing and all.
    """
    words = f"whole gain {signed(100 * float(own.loc['all', 'gain']))}"
    parts = share["estimate"] / share["estimate"].sum()
    if not own.loc["all", "gain_low"] > 0 or not parts.between(0, 1).all():
        return words
    return f"{words}, of which {' + '.join(f'{part:.0%}' for part in parts)}"


def _draw_waterfall(axes: Axes, own: pd.DataFrame, share: pd.DataFrame) -> float:
    """Bars from all little, up or down by each share, to all much; how high they and their intervals reach, up to
    `MOST`, in percent.
    """
    points, first = 100 * share["estimate"].to_numpy(dtype=float), 100 * own.loc["none", "test_accuracy"]
    levels = first + np.cumsum([0, *points])
    bottoms, heights = np.array([0, *levels[:-1], 0]), np.array([first, *points, levels[-1]])
    places = np.arange(len(heights))
    axes.bar(places, heights, 0.7, bottoms, color=list(COLOUR.values()), alpha=0.75, lw=0, zorder=2)
    axes.hlines(levels, places[:-1] - 0.35, places[1:] + 0.35, color=MUTED, lw=0.8, zorder=1)
    low, high = levels[:-1] + 100 * share[["ci_low", "ci_high"]].to_numpy(dtype=float).T
    axes.vlines(places[1:-1], low, high, color=INK, lw=1.3, zorder=3)
    tops = np.fmax(bottoms + np.maximum(heights, 0), [np.nan, *high, np.nan]).clip(max=MOST)
    texts = [f"{first:.1f}", *map(signed, points), f"{levels[-1]:.1f}"]
    box = {"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.85}
    for x, top, text in zip(places, tops, texts, strict=True):
        axes.annotate(text, (x, top), (0, 3), textcoords="offset points", ha="center", bbox=box, zorder=5)
    return float(tops.max())


def _draw_alone(axes: Axes, own: pd.DataFrame) -> None:
    """A dot for none, each alone and all; the criteria: half the whole gain, and the older methods."""
    percent, x, colours = 100 * own.select_dtypes("number"), np.arange(len(own)), list(COLOUR.values())
    half = percent.loc["none", "test_accuracy"] + percent.loc["all", "gain"] / 2
    axes.axhline(half, color=COLOURS[3], lw=1.1, ls=DOTTED, zorder=1, label="criterion: half the whole gain")
    low, high = percent["test_accuracy_low"], percent["test_accuracy_high"]
    axes.vlines(x, low, high, color=colours, lw=1.9, zorder=3)
    axes.scatter(x, percent["test_accuracy"], s=49, color=colours, zorder=4, clip_on=False)
    words = "criterion: best older method"
    axes.hlines(percent["older"], x - 0.33, x + 0.33, color=INK, lw=1.6, label=words, zorder=2)
    axes.set_xlim(-0.6, len(own) - 0.4)
    axes.tick_params(labelleft=True)
