"""The dropout experiment's figure: gap, test and training error by set size and steps, and what changes them."""

from collections.abc import Mapping
from math import inf

import pandas as pd
from matplotlib.axes import Axes

from takeoff.experiments.base import Drawing, FixedCriterion, Tables
from takeoff.experiments.dropout.design import CLAIM, Design
from takeoff.figures.curves import ENDS, draw_curves, in_percent, limit_values, look, value_ticks
from takeoff.figures.rows import ESTIMATE, Line, criterion_lines, draw_rows
from takeoff.figures.style import COLOURS, MUTED, new_figure, styled
from takeoff.figures.words import level_words, seeds_words

RESPONSES = {
    "gap": "gap (training − test\naccuracy), points",
    "test_error": "test error, %",
    "train_error": "training error, %",
}
KEPT = "arm dropout images steps n_seeds n_diverged n_collapsed".split()


@styled
def draw(dropout: Design, tables: Tables, criteria: Mapping[str, FixedCriterion]) -> list[Drawing]:
    """Gap, test and training error by set size and steps; what dropout and more steps change at the greatest size."""
    cells = tables["cells"]
    numbers = in_percent(cells, KEPT, RESPONSES).join(cells[[f"loss_change{end}" for end in ENDS]])
    subtitle = seeds_words(int(numbers["n_seeds"].max()))
    if lost := int(numbers["n_collapsed"].sum()):
        subtitle += f" · {lost} of {int(numbers['n_seeds'].sum())} runs collapsed to chance, without a gap"
    figure = new_figure(10.2, 8.0, f"{dropout.study.title}: does dropout reduce overfitting?", subtitle)
    titles = {"time": f"by steps, {numbers['images'].max():,} images"}
    if numbers["images"].nunique() > 1:
        titles = {"size": "by size of the training set"} | titles
    grid = figure.add_gridspec(3, len(titles) + 1, width_ratios=(1.5, *[1.1] * len(titles)))
    for place, response in enumerate(RESPONSES):
        axes: dict[str, Axes] = {}
        for column, x in enumerate(titles):
            axes[x] = figure.add_subplot(grid[place, column], sharey=next(iter(axes.values()), None))
        _draw_response(axes, numbers, response)
        for x, title in titles.items() if not place else ():
            axes[x].set_title(title)
    figure.legend(*axes["time"].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    claim = criteria.get(CLAIM)
    lines = criterion_lines(claim.parts["gap-1x"]) if claim else [Line(0, "no change", MUTED)]
    rates = sorted(numbers["dropout"].unique())
    _draw_dropout(figure.add_subplot(grid[:2, -1]), tables, rates, lines)
    _draw_steps(figure.add_subplot(grid[2, -1]), tables["longer"], rates)
    return [Drawing("sizes", figure, numbers)]


def _draw_response(panels: Mapping[str, Axes], numbers: pd.DataFrame, response: str) -> None:
    """A line per rate of dropout: over the `size` of the training set, where there are several, and over the `time`,
    the steps at the greatest size.
    """
    rates, sizes, steps = (sorted(numbers[name].unique()) for name in ("dropout", "images", "steps"))
    apart = numbers["dropout"].map(rates.index) - (len(rates) - 1) / 2
    percent, size = f"{response}_percent", numbers["images"] * 1.02**apart
    time = numbers["steps"].map(steps.index) + 0.05 * apart
    table = numbers.assign(size=size, time=time).sort_values(["images", "steps"])
    looks = {rate: look(number) for number, rate in enumerate(rates)}
    words = {rate: level_words("dropout", rate) for rate in rates}
    shown = {"size": table["steps"] == 1, "time": table["images"] == sizes[-1]}
    for x, axes in panels.items():
        draw_curves(axes, table[shown[x]], x, percent, "dropout", looks, words, markers=True, bars=True)
    if "size" in panels:
        value_ticks(panels["size"], sizes)
        panels["size"].set_xlabel("training images, equal steps")
        panels["size"].set_xlim(sizes[0] / 1.2, sizes[-1] * 1.2)
    panels["time"].set(xticks=range(len(steps)), xticklabels=[f"{times}× steps" for times in steps])
    panels["time"].set_xlim(-0.4, len(steps) - 0.6)
    left = next(iter(panels.values()))
    left.set_ylabel(RESPONSES[response])
    # An interval may reach below 0, an error cannot.
    limit_values(left, -inf if response == "gap" else -0.03 * left.get_ylim()[1], inf, least=4)


def _draw_dropout(axes: Axes, tables: Tables, rates: list[float], lines: list[Line]) -> None:
    """The chosen rate of dropout and each rate against none, at the greatest size, by response and steps."""
    each, chosen = tables["differences"], tables["chosen"].assign(which="chosen", colour=COLOURS[4])
    colours = each["dropout"].map(lambda rate: look(rates.index(rate)).colour)
    rows = pd.concat([chosen, each.assign(which=each["dropout"].map("{:g}".format), colour=colours)])
    own = rows[rows["images"] == rows["images"].max()].sort_values(["response", "steps"], kind="stable")
    names = own["response"].map({"gap": "gap", "test_error": "test error"})
    _draw_changes(axes, own.assign(label=names + own["steps"].map(", {}×, ".format) + own["which"]), lines)
    axes.set_title("what dropout changes: rate − none", pad=16)


def _draw_steps(axes: Axes, longer: pd.DataFrame, rates: list[float]) -> None:
    """The most steps against the study's, in training error, by rate of dropout."""
    own = longer[(longer["response"] == "train_error") & (longer["steps"] == longer["steps"].max())]
    if own.empty:
        axes.set_title("one number of steps only")
        axes.set_axis_off()
        return
    labels = own["dropout"].map(lambda rate: level_words("dropout", rate))
    colours = own["dropout"].map(lambda rate: look(rates.index(rate)).colour)
    _draw_changes(axes, own.assign(label=labels, colour=colours), [Line(0, "below 0: still learning", MUTED)])
    axes.set_title(f"training error, {own['steps'].iloc[0]}× − 1× steps", pad=16)


def _draw_changes(axes: Axes, table: pd.DataFrame, lines: list[Line]) -> None:
    """Estimates and intervals in points, of fractions."""
    rows = table.assign(**{name: 100 * table[name].astype(float) for name in ESTIMATE})
    draw_rows(axes, rows, xlabel="points", lines=lines, include=(-2, 2))
