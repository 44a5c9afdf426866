"""The synergy experiment's figures: the cells, and the Shapley shares beside each factor alone."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from takeoff.experiments.base import Drawing, FixedCriterion, Tables
from takeoff.experiments.synergy.design import AMOUNTS, Design, Place
from takeoff.figures.curves import ENDS, Look, draw_curves, in_percent, limit_values
from takeoff.figures.rows import DASHED, DOTTED, ESTIMATE, ZERO, Line, draw_rows
from takeoff.figures.style import COLOURS, INK, MUTED, new_figure, styled
from takeoff.figures.words import level_words, power_words, seeds_words, signed

LOOKS = {"tanh": Look(COLOURS[1], marker="s"), "sigmoid": Look(COLOURS[2], marker="D"), "modern": Look(COLOURS[0])}
NAMES = {"tanh": "plain tanh", "sigmoid": "plain sigmoid", "modern": "ReLU, batch norm ± dropout"}
COLOUR = {"none": MUTED, "data": COLOURS[2], "computation": COLOURS[4], "algorithms": COLOURS[0], "all": INK}
WORDS = {name: name for name in COLOUR} | {"none": "little of all", "all": "much of all"}
PERCENT = "test_accuracy_percent"
NEAR = 20.0
"""Points above chance within which an accuracy is shown beside it."""
UNITS = {"test_accuracy": "percent", "gain": "points", "lead": "points", "older": "percent"}
CELLS = ["arm", *Place._fields, *"method n_seeds n_diverged n_collapsed chosen flops train_samples".split()]


@styled
def draw(synergy: Design, tables: Tables, criteria: Mapping[str, FixedCriterion]) -> list[Drawing]:
    """The cells, and the shares beside each factor alone; both say where networks take the rates of others."""
    rates = "" if synergy.options.tuned else " · networks with little take the rates of those with much"
    title = synergy.study.title
    return [_cube(title, tables["cells"], rates), _shares(title, tables["alone"], tables["effects"], rates)]


def _cube(title: str, cells: pd.DataFrame, rates: str) -> Drawing:
    """Panels: little and much computation; across: data; lines: algorithms, and the best older method."""
    numbers = in_percent(cells, CELLS, ["test_accuracy"]).assign(chance_percent=cells["chance"] * 100)
    aside = {name: 0.03 * (place - 1) for place, name in enumerate(LOOKS)}
    x = numbers["data"].map(AMOUNTS.index) + numbers["algorithms"].map(aside).fillna(0)
    shown = numbers.assign(x=x).sort_values("x", kind="stable")
    chosen = shown[shown["chosen"].astype(bool)]
    nets, best = chosen[chosen["algorithms"] != "older"], chosen[chosen["algorithms"] == "older"]
    images = nets.groupby("data")["train_samples"].max()
    spread = seeds_words(int(numbers["n_seeds"].max()))
    subtitle = f"{spread} · dashed: the best older method, chosen on validation images"
    if lost := int(nets["n_collapsed"].sum()):
        subtitle += f" · {lost} of {int(nets['n_seeds'].sum())} runs of networks collapsed to chance"
    title = f"{title}: do data, computation and algorithms need each other?"
    figure = new_figure(8.6, 4.7, title, subtitle + rates)
    grid = figure.subplots(1, 2, sharey=True)
    chance = numbers["chance_percent"].iloc[0]
    near = numbers[PERCENT].min() < chance + NEAR  # elsewhere it would take the room that differences need
    for axes, computation in zip(grid, AMOUNTS, strict=True):
        own = nets[nets["computation"] == computation]
        draw_curves(axes, own, "x", PERCENT, "algorithms", LOOKS, NAMES, markers=True, bars=True)
        for line in axes.lines:
            line.set_clip_on(False)
        axes.plot(best["x"], best[PERCENT], color=INK, lw=1.3, ls=DASHED, label="best older method", zorder=2)
        if near:
            axes.axhline(chance, color=MUTED, lw=1, ls=DOTTED, zorder=1, label="chance")
        flops = " to ".join(dict.fromkeys(map(power_words, (own["flops"].min(), own["flops"].max()))))
        modern = own[own["algorithms"] == "modern"].set_index("data")["dropout"]
        little, much = (level_words("dropout", modern[name]) for name in AMOUNTS)
        words = little if little == much else f"{little} on little data, {much} on much"
        axes.set(title=f"{computation} computation, {flops} FLOPs\nchosen: {words}", xlim=(-0.35, 1.35))
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
    numbers = alone[["plain", "alone", "recipe", "older_method"]].assign(
        **{f"{name}_{unit}{end}": alone[name + end] * 100 for name, unit in UNITS.items() for end in ENDS}
    )
    names = {"estimate": "shapley_points", "ci_low": "shapley_points_low", "ci_high": "shapley_points_high"}
    points = 100 * shares.rename(columns=names).set_index(["plain", "term"])[list(names.values())]
    numbers = numbers.join(points, on=["plain", "alone"])
    subtitle = seeds_words(int(alone["n_seeds"].max()))
    subtitle += f" · short lines: the best older method on the same data{rates}"
    title = f"{title}: was any one of data, computation and algorithms enough?"
    figure = new_figure(9.6, 2.7 * len(plains) + 1.0, title, subtitle)
    grid = figure.subplots(len(plains), 2, sharey="row", squeeze=False)
    for (left, right), plain in zip(grid, plains, strict=True):
        share = shares[shares["plain"] == plain].set_index("term")
        words = whole_words(alone[alone["plain"] == plain].set_index("alone"), share)
        left.set_title(f"from {NAMES[plain]}: {words}")
        _draw_shares(left, right, numbers[numbers["plain"] == plain].reset_index(drop=True))
    return Drawing("shares", figure, numbers)


def _draw_shares(left: Axes, right: Axes, own: pd.DataFrame) -> None:
    """Left the Shapley shares and the whole gain; right each alone, with the criteria: half the gain, older methods."""
    rows = own.assign(label=own["alone"].map(WORDS), colour=own["alone"].map(COLOUR))
    for name, end in zip(ESTIMATE, ENDS, strict=True):
        rows[name] = own[f"shapley_points{end}"].where(own["alone"] != "all", own[f"gain_points{end}"])
    draw_rows(left, rows.assign(bar=True), xlabel="Shapley shares, and the whole gain, points", lines=[ZERO])
    rows[ESTIMATE] = own[[f"test_accuracy_percent{end}" for end in ENDS]]
    recipe = ("  " + own["recipe"]).where(own["alone"].isin(["algorithms", "all"]), "")
    rows["text"] = rows["estimate"].map("{:.1f}".format) + recipe
    first, gain = rows["estimate"].iloc[0], own["gain_points"].iloc[-1]
    lines = [Line(first + gain / 2, "criterion: half the whole gain", COLOURS[3], DOTTED)]
    draw_rows(right, rows, xlabel="test accuracy, %", lines=lines, include=own["older_percent"].dropna())
    right.vlines(own["older_percent"], own.index - 0.3, own.index + 0.3, color=INK, lw=1.6)
    right.set_xlim(right=min(right.get_xlim()[1], 100.5))


def whole_words(own: pd.DataFrame, share: pd.DataFrame) -> str:
    """The whole gain in points, and the shares of it in percent, the greatest first, where its interval lies above 0
    and each of them is a part of it: between nothing and all.
    """
    words = f"whole gain {signed(100 * float(own.loc['all', 'gain']))}"
    parts = (share["estimate"] / share["estimate"].sum()).sort_values(ascending=False)
    if not own.loc["all", "gain_low"] > 0 or not parts.between(0, 1).all():
        return words
    return f"{words}\n{', '.join(f'{name} {part:.0%}' for name, part in parts.items())}"
