"""The factorial's figures of its cells, of learning curves, and of what its claims are judged by."""

from collections.abc import Iterable, Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from takeoff.common.tables import level_text
from takeoff.experiments.base import Drawing, FixedCriterion, Tables
from takeoff.experiments.factorial import effects, measured
from takeoff.experiments.factorial.design import Design
from takeoff.experiments.factorial.effects import RESPONSE, Drawn, runs_words
from takeoff.figures.curves import ACTIVATION_LOOKS, Look, draw_curves, in_percent, look
from takeoff.figures.rows import DASHED, DOTTED, ZERO, criterion_lines, draw_rows, headed, ratio_lines, ratio_rows
from takeoff.figures.style import COLOURS, INK, MUTED, new_figure, styled
from takeoff.figures.words import level_words

PERCENT = f"{RESPONSE}_percent"
MOST_ARMS = 64
"""Of more arms, only the best and the worst are drawn."""
BEST = 12
"""How many arms of a fraction get a panel of curves."""
CURVES = {
    "train_accuracy": ("training", Look(COLOURS[1], (0, (4, 1.5)))),
    "validation_accuracy": ("validation", Look(COLOURS[0])),
}
CURVE = ["arm", "epoch", "n_seeds"]
SPACE = "\N{NO-BREAK SPACE}"
SIGNS = {"o": "●", "D": "◆", "^": "▲", "s": "■", "v": "▼"}
"""Markers of single runs, by weight decay, and what stands for each in words."""
GIVEN_NORM = pd.DataFrame(
    [("Mishkin 2017, dropout 0.5", -1.4), ("Mishkin 2017, dropout 0.2", 1.4), ("Li 2018, DenseNet", -8.8)],
    columns=["label", "published"],
)
"""Points that dropout brought given batch norm: .513 to .499 or .527 (Mishkin 2017); 77.4 to 68.6 (Li 2018)."""


@styled
def draw(factorial: Design, tables: Tables, criteria: Mapping[str, FixedCriterion]) -> list[Drawing]:
    """The forest plots of effects, the cells, the curves per arm, and what the claims are judged by."""
    drawn = {
        "effects": lambda: effects.draw_effects(factorial, tables),
        "log-odds": lambda: effects.draw_log_odds(factorial, tables),
        "cells": lambda: draw_cells(factorial, tables),
        "curves": lambda: draw_learning(factorial, tables),
        "rates": lambda: effects.draw_rates(factorial, tables),
        "speed-up": lambda: draw_speed_up(factorial, tables, criteria.get(measured.SPEED)),
        "interaction": lambda: draw_interaction(factorial, tables, criteria.get(measured.TOGETHER)),
    }
    return [Drawing(name, *drawn[name]()) for name in factorial.figures()]


def draw_cells(factorial: Design, tables: Tables) -> Drawn:
    """Test accuracy in every cell: of two or three factors lines between levels, else all arms in order."""
    runs, kept = tables["runs"], ["arm", *factorial.levels, "n_seeds", "n_diverged", "collapsed"]
    numbers = in_percent(tables["cells"], kept, [RESPONSE])
    numbers["chance_percent"] = 100 * tables["collapse"]["chance"].iloc[0]
    hollow = ", hollow where collapsed" if runs["collapsed"].any() else ""
    runs = runs.assign(marker=_markers(runs["weight_decay"]))
    decays = runs.drop_duplicates("marker").sort_values("weight_decay")
    by_decay = ", ".join(f"{SIGNS[row.marker]} {row.weight_decay:g}" for row in decays.itertuples())
    by_decay = f", weight decay {by_decay}" if len(decays) > 1 else ""
    subtitle = f"{runs_words(tables)} · small points: single runs{hollow}{by_decay}"
    if len(factorial.levels) in {2, 3}:
        return _draw_lines(factorial, numbers, runs, subtitle), numbers
    ordered = numbers.sort_values(PERCENT, ascending=False, kind="stable", ignore_index=True)
    if len(ordered) > MOST_ARMS:
        half = MOST_ARMS // 2
        subtitle += f" · the {half} best and the {half} worst of {len(ordered)} arms"
        ordered = pd.concat([ordered.head(half), ordered.tail(half)], ignore_index=True)
    figure = _draw_ranking(factorial, ordered, runs, subtitle)
    return figure, ordered if len(factorial.levels) > 3 else numbers


def _draw_lines(factorial: Design, numbers: pd.DataFrame, runs: pd.DataFrame, subtitle: str) -> Figure:
    """Lines: the first factor; across: the second; panels: the third, if there is one."""
    (line, across, *third), treated = factorial.levels, _treated(factorial, numbers)
    # The lines' levels stand a little apart, their runs farther.
    side, x = 2 * treated[line] - 1, treated[across].astype(float)
    table = numbers.assign(x=x + 0.025 * side, spot=x + 0.085 * side, line=numbers[line].map(level_text))
    words = {level: level_words(line, level) for level in table["line"]}
    looks = {level: ACTIVATION_LOOKS.get(level, look(number)) for number, level in enumerate(words)}
    table["colour"] = [looks[level].colour for level in table["line"]]
    panels = list(table.groupby(third[0], sort=False)) if third else [(None, table)]
    title = f"{factorial.study.title}: do the factors need each other?"
    figure = new_figure(8.8 if third else 5.2, 4.6, title, subtitle)
    grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (setting, panel) in zip(grid, panels, strict=True):
        draw_curves(axes, panel, "x", PERCENT, "line", looks, words, bars=True, markers=True)
        _draw_runs(axes, runs, panel)
        axes.set_xticks([0, 1], [level_words(across, level) for level in factorial.levels[across]])
        axes.set(xlim=(-0.25, 1.25), title=level_words(third[0], setting) if third else "")
    _frame(grid, numbers["chance_percent"].iloc[0])
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _draw_ranking(factorial: Design, numbers: pd.DataFrame, runs: pd.DataFrame, subtitle: str) -> Figure:
    """All arms from best to worst, and below each which factors are at their treatment."""
    k, arms, treated = len(factorial.levels), len(numbers), _treated(factorial, numbers)
    title = f"{factorial.study.title}: which combinations do best?"
    figure = new_figure(max(2.2 + 0.14 * arms, 7), 3.6 + 0.24 * k, title, subtitle)
    top, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.6, 0.24 * k))
    middle = np.arange(arms) + 0.5  # of the map's squares
    table = numbers.assign(x=middle, spot=middle + 0.3, colour="#9db8d2", line="")
    _draw_runs(top, runs, table)
    draw_curves(top, table, "x", PERCENT, "line", {"": Look(COLOURS[0], "")}, bars=True, markers=True)
    _frame([top], numbers["chance_percent"].iloc[0])
    names = [level_words(name, treatment) for name, (_, treatment) in factorial.levels.items()]
    # Each factor's treatment has a number, and so a colour, of its own.
    kinds = treated.set_axis(names, axis="columns").T * np.arange(1, k + 1)[:, None]
    look_of = {"cmap": ["#e8e8e8", *COLOURS[:k]], "cbar": False, "linewidths": 1.5, "xticklabels": False}
    sns.heatmap(kinds, ax=below, vmin=0, vmax=k, **look_of)
    below.set(xlabel="arms, best to worst; coloured: this treatment, else its baseline", ylabel="")
    below.tick_params(length=0, rotation=0)
    return figure


def _treated(factorial: Design, cells: pd.DataFrame) -> pd.DataFrame:
    """Which factors are at their treatment, a column each."""
    ends = {name: level_text(treatment) for name, (_, treatment) in factorial.levels.items()}
    return pd.DataFrame({name: cells[name].map(level_text) == end for name, end in ends.items()})


def _markers(decays: pd.Series) -> pd.Series:
    """The marker of each run's weight decay: the least decay has the first of `SIGNS`."""
    return decays.rank(method="dense").sub(1).mod(len(SIGNS)).astype(int).map(dict(enumerate(SIGNS)))


def _draw_runs(axes: Axes, runs: pd.DataFrame, cells: pd.DataFrame) -> None:
    """Single runs as small points at their cell's `spot`, in its `colour`, hollow where they collapsed."""
    single = runs.merge(cells[["arm", "spot", "colour"]], on="arm")
    single["face"] = single["colour"].mask(single["collapsed"].astype(bool), "white")
    for marker, group in single.groupby("marker"):
        look_of = {"s": 15, "marker": marker, "c": group["face"], "edgecolors": group["colour"]}
        spots = axes.scatter(group["spot"], 100 * group[RESPONSE], **look_of)
        spots.set(linewidth=0.8, alpha=0.65, zorder=2, clip_on=False)


def _frame(grid: Sequence[Axes], chance: float) -> None:
    """The range of what is drawn, down to chance unless that would flatten the rest, and a line at chance, or where
    that is below the axis a word on it.
    """
    low, high = np.clip(grid[0].get_ylim(), -1, 101)
    low = min(low, chance - 1) if low - chance < high - low else low
    for axes in grid:
        axes.axhline(chance, color=MUTED, lw=1, ls=DASHED, zorder=1)
        axes.grid(axis="x", visible=False)
        axes.label_outer()
    grid[0].set(ylabel="test accuracy, %", ylim=(low, high))
    words = "chance" if chance >= low else f"↓ chance: {chance:.0f}%"
    text = grid[-1].text(0.995, max(chance, low), words, transform=grid[-1].get_yaxis_transform())
    text.set(ha="right", va="bottom", size=8, color=MUTED)


def draw_learning(factorial: Design, tables: Tables) -> Drawn:
    """Training and validation accuracy by epoch, a panel per arm; every other arm in grey behind."""
    cells, threshold = tables["cells"], 100 * factorial.options.threshold
    titles, numbers = _panels(factorial, cells), in_percent(tables["curves"], CURVE, CURVES)
    # As many panels in a row as leave the fewest places empty.
    across = min((4, 5), key=lambda columns: -len(titles) % columns) if len(titles) > 4 else len(titles)
    down, lines = -(-len(titles) // across), max(title.count("\n") for title in titles.values())
    subtitle = runs_words(tables, "bands") + " · grey: validation accuracy of the other arms"
    if len(titles) < len(cells):
        best = "the best " * (factorial.fraction is not None)
        subtitle += f" · {best}{len(titles)} of {len(cells)} arms"
    title = f"{factorial.study.title}: how fast does each network learn, and how well?"
    figure = new_figure(2.45 * across + 0.6, (1.9 + 0.15 * lines) * down + 1.15, title, subtitle)
    grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).flat
    others = numbers.pivot(index="epoch", columns="arm", values="validation_accuracy_percent")
    label = f"{threshold:g}%, the threshold that is timed"
    for place, (axes, (arm, words)) in enumerate(zip(grid, titles.items(), strict=False)):
        axes.plot(others.index, others, color="#dddddd", lw=0.6)
        for name, (curve, style) in CURVES.items():
            how: dict[str, Any] = {"looks": {arm: style}, "words": {arm: curve}, "within": (0, 100)}
            draw_curves(axes, numbers, "epoch", f"{name}_percent", "arm", **how)
        axes.axhline(threshold, color=MUTED, lw=0.8, ls=DOTTED, label=label)
        axes.set_title(words, size=8.2)
        axes.label_outer()
        if place >= len(titles) - across:  # nothing stands below
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("epoch")
    for axes in figure.axes[len(titles) :]:
        axes.set_visible(False)
    figure.axes[0].xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    figure.supylabel("accuracy, %", size=9)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower right", ncols=3)
    return figure, numbers


def _panels(factorial: Design, cells: pd.DataFrame) -> dict[str, str]:
    """Which arms get a panel, and its title.

    All of up to 16 arms; of more, those that differ by one factor at most from no or from all treatments; of a
    fraction, in which few of these are, the best.
    """
    k = len(factorial.levels)
    if factorial.fraction is not None:
        cells = cells.sort_values(RESPONSE, ascending=False, kind="stable").head(BEST)
    treated = _treated(factorial, cells).set_axis(cells["arm"])
    if k > 4 and factorial.fraction is None:
        # From no treatment to all, those of the first factors first.
        number = treated[::-1].sum(axis=1).sort_values(kind="stable")
        treated = treated.loc[number.index[~number.between(2, k - 2)]]
    return {str(arm): fill(_title(factorial, row), 33 if k < 7 else 29) for arm, row in treated.iterrows()}


def _title(factorial: Design, treated: pd.Series) -> str:
    """An arm's levels, without what it lacks; of four factors or more, how it differs from none or all."""
    words = {name: [level_words(name, level) for level in pair] for name, pair in factorial.levels.items()}
    if len(words) < 4:
        levels = [words[name][int(on)] for name, on in treated.items()]
        return _joined(level for level in levels if not level.startswith("no")) or "all baselines"
    on, off = ([words[name][1] for name in words if treated[name] == side] for side in (True, False))
    if not on or len(off) < 2:
        return "all baselines" if not on else f"all but {_joined(off)}" if off else "all treatments"
    return "only " * (len(on) == 1) + _joined(on)


def _joined(words: Iterable[str]) -> str:
    """No line break parts a level's words, or stands before a plus."""
    return f"{SPACE}+ ".join(word.replace(" ", SPACE) for word in words)


def draw_speed_up(factorial: Design, tables: Tables, fixed: FixedCriterion | None) -> Drawn:
    """Validation accuracy of the plain arm and the one with batch norm, and how many times sooner it crosses."""
    crossings, title = tables["speed_up"], f"{factorial.study.title}: does batch norm speed training?"
    subtitle = f"{runs_words(tables, 'bands and intervals')} · small points: single seeds · right: log axis"
    figure = new_figure(10.2, 4.1, title, subtitle)
    left, right = figure.subplots(1, 2, width_ratios=(1.1, 1))
    looks = {"plain": Look(COLOURS[1], (0, (4, 1.5))), "batch_norm": Look(COLOURS[0])}
    words = {"plain": "ReLU, no norm", "batch_norm": "ReLU, batch norm"}
    curves = in_percent(tables["speed_curves"], CURVE, CURVES)
    curves["arm"] = curves["arm"].map({crossings[name].iloc[0]: name for name in looks if len(crossings)})
    draw_curves(left, curves, "epoch", "validation_accuracy_percent", "arm", looks, words, within=(0, 100))
    if np.isfinite(threshold := 100 * crossings["threshold"].mean()):
        for name, style in looks.items():
            seen = crossings.loc[~crossings[f"{name}_censored"].astype(bool), f"{name}_epochs"]
            left.plot(seen, [threshold] * len(seen), "o", color=style.colour, mfc="white", ms=5, zorder=4)
        text = f"{threshold:.1f}%: 95% of the plain network's, in runs of other seeds"
        left.axhline(threshold, color=MUTED, lw=0.9, ls=DOTTED, label=text)
    left.set(xlabel="epoch", ylabel="validation accuracy, %")
    left.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower left", ncols=3)
    numbers = measured.speed_table(crossings, tables["step_seconds"])
    rows = ratio_rows(numbers, "both never get there in some runs").assign(label=numbers["quantity"])
    if rows.empty:
        rows = pd.DataFrame({"label": ["epochs"], "note": ["no crossing to compare"]})
    lines = ratio_lines(fixed.parts["epochs"], factorial.published(fixed)) if fixed else []
    seeds = pd.DataFrame({"row": 0, "value": crossings["ratio"], "colour": MUTED}).dropna()
    xlabel = "plain over batch norm (above 1, batch norm is faster)"
    rows["colour"] = COLOURS[0]
    draw_rows(right, rows, xlabel=xlabel, log=True, lines=lines, include=(0.9, 1.1), points=seeds)
    return figure, numbers


def draw_interaction(factorial: Design, tables: Tables, fixed: FixedCriterion | None) -> Drawn:
    """What dropout does to ReLU networks without and with batch norm, and half the difference: their interaction."""
    quartet, runs, colours = factorial.quartet, tables["runs"], [COLOURS[1], COLOURS[0], INK]
    assert not isinstance(quartet, str), quartet
    numbers = measured.interaction_table(runs, quartet)
    dropout = level_words("dropout", max(factorial.levels["dropout"]))
    labels = [f"{dropout}, without batch norm", f"{dropout}, with batch norm", "interaction: half the difference"]
    title = f"{factorial.study.title}: do dropout and batch norm add up?"
    figure = new_figure(7.4, 5.2, title, f"{runs_words(tables)} · small points: single seeds")
    grid = figure.subplots(2, 1, height_ratios=(7.6, 3.6))
    for axes, (response, (unit, scale)) in zip(grid, measured.RESPONSES.items(), strict=True):
        own, (xlabel, _, decimals) = numbers[numbers["response"] == response], effects.AXES[unit]
        rows = own.assign(label=labels, colour=colours)
        if unit == "points" and factorial.beside_published:
            rows = pd.concat([rows, headed({"Published, dropout with batch norm": GIVEN_NORM})])
        seeds = measured.by_norm(runs, quartet, response, scale).set_axis(range(3), axis=1)
        lines = criterion_lines(fixed.parts[unit]) if fixed else [ZERO]
        singles = seeds.melt(var_name="row")
        draw_rows(axes, rows, xlabel=xlabel, lines=lines, decimals=decimals, include=(0,), points=singles)
    return figure, numbers
