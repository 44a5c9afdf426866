"""The factorial experiment's figures of its cells and of its learning curves."""

from collections.abc import Sequence
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from takeoff.experiments.factorial_forest import RESPONSE, Tables, seeds_words
from takeoff.experiments.plotting import ACTIVATION_COLOURS, COLOURS, MUTED, level_words, new_figure, styled
from takeoff.statistics.tables import level_text
from takeoff.study.model import Study

PERCENT = f"{RESPONSE}_percent"
MOST_ARMS = 64
"""Of more arms, only the best and the worst are drawn."""
JOIN = "\N{NO-BREAK SPACE}+ "
"""Between levels: a line never starts with the plus."""
BEST = 12
"""How many arms of a fraction get a panel of curves."""


@styled
def draw_cells(study: Study, tables: Tables) -> tuple[Figure, pd.DataFrame]:
    """Test accuracy in every cell: lines between levels for up to three factors, else all arms in order."""
    cells, runs = tables["cells"], tables["runs"]
    numbers = cells[["arm", *study.factors, "n_seeds", "n_diverged", "collapsed"]].copy()
    for end in ("", "_low", "_high"):
        numbers[PERCENT + end] = cells[RESPONSE + end] * 100
    numbers["chance_percent"] = float(tables["collapse"]["chance"].iloc[0]) * 100
    hollow = ", hollow where collapsed" if runs["collapsed"].any() else ""
    subtitle = f"{seeds_words(tables)} · small points: single runs{hollow}"
    if len(study.factors) <= 3:
        several = len(study.factors) > 1
        title = f"{study.title}: {'do the factors need each other?' if several else 'did it matter?'}"
        return _draw_interactions(study, numbers, runs, (title, subtitle)), numbers
    numbers = numbers.sort_values(PERCENT, ascending=False, kind="stable", ignore_index=True)
    if len(numbers) > MOST_ARMS:
        half = MOST_ARMS // 2
        subtitle += f" · the {half} best and the {half} worst of {len(numbers)} arms"
        numbers = pd.concat([numbers.head(half), numbers.tail(half)], ignore_index=True)
    title = f"{study.title}: which combinations do best?"
    return _draw_ranking(study, numbers, runs, (title, subtitle)), numbers


def _draw_interactions(
    study: Study, numbers: pd.DataFrame, runs: pd.DataFrame, words: tuple[str, str]
) -> Figure:
    """Across: the second factor, if there is one; lines: the first; panels: the third."""
    factors = list(study.factors)
    across, lines, panel = (factors[1], factors[0], factors[2:]) if factors[1:] else (factors[0], None, [])
    settings: list[object] = [None]
    if panel:
        settings = [study.factors[panel[0]].baseline, study.factors[panel[0]].treatment]
    figure = new_figure(5.2 if len(settings) == 1 else 8.8, 4.6, *words)
    grid = figure.subplots(1, len(settings), sharey=True, squeeze=False)[0]
    _limit(grid[0], numbers, runs)
    for axes, setting in zip(grid, settings, strict=True):
        chosen = [_at(table, panel[0] if panel else None, setting) for table in (numbers, runs)]
        _draw_panel(axes, study, chosen[0], chosen[1], (across, lines))
        _draw_chance(axes, float(numbers["chance_percent"].iloc[0]), named=axes is grid[-1])
        if panel:
            axes.set_title(level_words(panel[0], setting))
    grid[0].set_ylabel("test accuracy, %")
    return figure


def _at(table: pd.DataFrame, factor: str | None, level: object) -> pd.DataFrame:
    """The rows at a level of a factor; all of them where there is no factor."""
    return table if factor is None else table[table[factor].map(level_text) == level_text(level)]


def _draw_panel(
    axes: Axes, study: Study, numbers: pd.DataFrame, runs: pd.DataFrame, roles: tuple[str, str | None]
) -> None:
    """A line per level of one factor, named at its right end, between the levels of the other."""
    across, lines = roles
    ends = [study.factors[across].baseline, study.factors[across].treatment]
    levels = [study.factors[lines].baseline, study.factors[lines].treatment] if lines else [None]
    names = []
    for i, level in enumerate(levels):
        cells = pd.concat([_at(_at(numbers, lines, level), across, end) for end in ends])
        side = 2 * i - 1
        x = np.array([0.0, 1.0]) + 0.025 * side * (len(levels) > 1)
        colour = ACTIVATION_COLOURS.get(level_text(level), COLOURS[i])
        axes.plot(x, cells[PERCENT], marker="os"[i], ms=7, color=colour, lw=1.8, zorder=3)
        axes.vlines(x, cells[f"{PERCENT}_low"], cells[f"{PERCENT}_high"], color=colour, lw=1.8, zorder=3)
        for position, end in zip(x.tolist(), ends, strict=True):
            _draw_runs(axes, position + 0.06 * side, _at(_at(runs, lines, level), across, end), colour)
        if lines:
            names.append((float(cells[PERCENT].iloc[-1]), level_words(lines, level), colour))
    axes.set_xticks([0, 1], [level_words(across, end) for end in ends])
    axes.set_xlim(-0.25, 1.5 if lines else 1.25)
    axes.grid(axis="x", visible=False)
    _name_lines(axes, sorted(names))


def _name_lines(axes: Axes, names: list[tuple[float, str, str]]) -> None:
    """Name the lines (height at the right end, name, colour; the lowest first), apart where they meet."""
    low, high = axes.get_ylim()
    apart = 0.065 * (high - low)
    heights = [height for height, _, _ in names]
    if len(heights) == 2 and heights[1] - heights[0] < apart:
        heights = [sum(heights) / 2 - apart / 2, sum(heights) / 2 + apart / 2]
    for height, (_, name, colour) in zip(heights, names, strict=True):
        axes.text(1.14, height, name, color=colour, weight="bold", va="center")


def _draw_runs(axes: Axes, position: float, runs: pd.DataFrame, colour: str) -> None:
    """Single runs as small points, hollow where they collapsed."""
    faces = [colour if not collapsed else "white" for collapsed in runs["collapsed"]]
    spots = axes.scatter(
        [position] * len(runs), runs[RESPONSE] * 100, s=15, c=faces, edgecolors=colour, zorder=2
    )
    spots.set(linewidth=0.8, alpha=0.65, clip_on=False)


def _limit(axes: Axes, numbers: pd.DataFrame, runs: pd.DataFrame) -> None:
    """The range of what is drawn, down to chance unless that would flatten the rest."""
    drawn = pd.concat(
        [numbers[PERCENT], numbers[f"{PERCENT}_low"], numbers[f"{PERCENT}_high"], runs[RESPONSE] * 100]
    )
    low, high = max(drawn.min(), 0), min(drawn.max(), 100)
    chance = float(numbers["chance_percent"].iloc[0])
    if low - chance < high - low:
        low = min(low, chance)
    margin = 0.06 * max(high - low, 1)
    axes.set_ylim(max(low - margin, -1), high + margin)


def _draw_chance(axes: Axes, chance: float, named: bool = True) -> None:
    """A line at chance; where that is below the axis, a word on it."""
    inside = chance >= axes.get_ylim()[0]
    if inside:
        axes.axhline(chance, color=MUTED, lw=1, ls=(0, (4, 3)), zorder=1)
    if named:
        words = "chance" if inside else f"↓ chance: {chance:.0f}%"
        coordinates = ("axes fraction", "data" if inside else "axes fraction")
        place = (0.995, chance if inside else 0)
        text = axes.annotate(words, place, (0, 3), xycoords=coordinates, textcoords="offset points")
        text.set(ha="right", size=8, color=MUTED)


def _draw_ranking(study: Study, numbers: pd.DataFrame, runs: pd.DataFrame, words: tuple[str, str]) -> Figure:
    """All arms from best to worst, and below each which factors are at their treatment."""
    factors = list(study.factors)
    figure = new_figure(max(2.2 + 0.14 * len(numbers), 7), 3.6 + 0.24 * len(factors), *words)
    top, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.6, 0.24 * len(factors)))
    drawn = runs[runs["arm"].isin(numbers["arm"])]
    _limit(top, numbers, drawn)
    x = np.arange(len(numbers))
    for position, arm in zip(x.tolist(), numbers["arm"], strict=True):
        _draw_runs(top, position, drawn[drawn["arm"] == arm], "#9db8d2")
    top.vlines(x, numbers[f"{PERCENT}_low"], numbers[f"{PERCENT}_high"], color=COLOURS[0], lw=1.6, zorder=3)
    top.plot(x, numbers[PERCENT], "o", color=COLOURS[0], ms=5, zorder=4)
    _draw_chance(top, float(numbers["chance_percent"].iloc[0]))
    top.set_ylabel("test accuracy, %")
    top.grid(axis="x", visible=False)
    for y, factor in enumerate(factors):
        treated = numbers[factor].map(level_text) == level_text(study.factors[factor].treatment)
        below.scatter(x, [y] * len(x), s=26, c=np.where(treated, COLOURS[y % 10], "#e8e8e8"), lw=0)
    below.set_yticks(range(len(factors)), [level_words(f, study.factors[f].treatment) for f in factors])
    below.set_ylim(len(factors) - 0.5, -0.5)
    below.set_xticks([])
    below.set_xlabel("arms, best to worst; a coloured dot: this treatment, else its baseline")
    below.tick_params(axis="y", length=0)
    below.grid(visible=False)
    for axes in (top, below):
        axes.set_xlim(-0.8, len(numbers) - 0.2)
    below.spines[["left", "bottom"]].set_visible(False)
    return figure


@styled
def draw_curves(study: Study, tables: Tables, threshold: float) -> tuple[Figure, pd.DataFrame]:
    """Training and validation accuracy by epoch, a panel per arm; every other arm in grey behind."""
    cells, curves = tables["cells"], tables["curves"]
    titles = _panels(study, cells)
    columns = ["arm", "epoch", "n_seeds"]
    numbers = curves[columns].copy()
    for name in ("train_accuracy", "validation_accuracy"):
        for end in ("", "_low", "_high"):
            numbers[f"{name}_percent{end}"] = curves[name + end] * 100
    # As many panels in a row as leave the fewest places empty.
    across = min((4, 5), key=lambda columns: -len(titles) % columns) if len(titles) > 4 else len(titles)
    down = -(-len(titles) // across)
    lines = 1 + max(title.count("\n") for title in titles.values())
    subtitle = seeds_words(tables, "bands") + " · grey: validation accuracy of the other arms"
    if len(titles) < len(cells):
        best = "the best " if len(cells) < 2 ** len(study.factors) else ""
        subtitle += f" · {best}{len(titles)} of {len(cells)} arms"
    size = (2.45 * across + 0.6, (1.75 + 0.15 * lines) * down + 1.15)
    figure = new_figure(*size, f"{study.title}: how fast does each network learn, and how well?", subtitle)
    grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, (arm, title) in zip(grid, titles.items(), strict=False):
        for other, curve in numbers.groupby("arm"):
            if other != arm:
                axes.plot(
                    curve["epoch"], curve["validation_accuracy_percent"], color="#dddddd", lw=0.6, zorder=1
                )
        _draw_curve(axes, numbers[numbers["arm"] == arm])
        axes.axhline(threshold * 100, color=MUTED, lw=0.8, ls=(0, (1, 2)), zorder=2)
        axes.set_title(title, size=8.2)
    low, high = grid[0].get_ylim()
    grid[0].set_ylim(max(low, -1), min(high, 101))
    for number, axes in enumerate(grid):
        axes.set_visible(number < len(titles))
        if number + across >= len(titles):
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
            axes.tick_params(labelbottom=True)
    figure.supylabel("accuracy, %", size=9)
    handles, labels = grid[0].get_legend_handles_labels()
    handles += [grid[0].lines[-1]]
    labels += [f"{threshold * 100:g}%, the threshold that is timed"]
    figure.legend(handles, labels, loc="outside lower right", ncols=3)
    return figure, numbers


def _draw_curve(axes: Axes, curve: pd.DataFrame) -> None:
    for name, colour, dashes in (("train", COLOURS[1], (0, (4, 1.5))), ("validation", COLOURS[0], "-")):
        column = f"{name}_accuracy_percent"
        axes.fill_between(
            curve["epoch"], curve[f"{column}_low"], curve[f"{column}_high"], color=colour, alpha=0.2, lw=0
        )
        words = "training" if name == "train" else name
        axes.plot(curve["epoch"], curve[column], color=colour, ls=dashes, lw=1.6, label=words, zorder=3)


def _panels(study: Study, cells: pd.DataFrame) -> dict[str, str]:
    """Which arms get a panel, and its title.

    All of up to 16 arms; of more, those that differ by one factor at most from no or from all treatments; of a
    fraction, in which few of these are, the best.
    """
    k = len(study.factors)
    if len(cells) < 2**k:
        cells = cells.sort_values(RESPONSE, ascending=False, kind="stable").head(BEST)
    treatments = {f: level_text(factor.treatment) for f, factor in study.factors.items()}
    rows = [
        (cell, [level_text(cell[f]) == treatments[f] for f in treatments]) for _, cell in cells.iterrows()
    ]
    if k > 4 and len(cells) != BEST:
        rows.sort(key=lambda row: (sum(row[1]), [not treated for treated in row[1]]))
    titles = {}
    for cell, treated in rows:
        if k <= 4 or len(cells) == BEST or not 1 < sum(treated) < k - 1:
            titles[str(cell["arm"])] = fill(_title(study, treated), 33 if k < 7 else 29)
    return titles


def _title(study: Study, treated: Sequence[bool]) -> str:
    """An arm's levels, without what it lacks; of four factors or more, how it differs from none or all."""
    factors = study.factors.items()
    words = [_unbroken(f, factor.treatment) for f, factor in factors]
    if len(treated) < 4:
        levels = [
            word if on else _unbroken(f, factor.baseline)
            for on, word, (f, factor) in zip(treated, words, factors, strict=True)
        ]
        present = [level for level in levels if not level.startswith("no\N{NO-BREAK SPACE}")]
        return JOIN.join(present or ["all baselines"])
    on = [word for word, switched in zip(words, treated, strict=True) if switched]
    off = [word for word, switched in zip(words, treated, strict=True) if not switched]
    if not on or not off:
        return "all treatments" if on else "all baselines"
    if len(off) == 1:
        return f"all but {off[0]}"
    return ("only " if len(on) == 1 else "") + JOIN.join(on)


def _unbroken(factor: str, level: object) -> str:
    """A level's words, which no line break parts."""
    return level_words(factor, level).replace(" ", "\N{NO-BREAK SPACE}")
