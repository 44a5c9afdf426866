"""The dropout experiment's figure: gap, test and training error by set size and steps, and what changes them."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from takeoff.experiments.plotting import COLOURS, INK, MUTED, level_words, new_figure, styled
from takeoff.study.model import Study

Tables = Mapping[str, pd.DataFrame]
RESPONSES = {
    "gap": "gap (training − test\naccuracy), points",
    "test_error": "test error, %",
    "train_error": "training error, %",
}
MARKERS = "osD^v<>"
LEAST = 4.0
"""Points that an axis shows at least: less is noise, blown up."""
ENDS = ("", "_low", "_high")


@styled
def draw_sizes(study: Study, tables: Tables) -> tuple[Figure, pd.DataFrame]:
    """Rows: gap, test and training error; columns: by set size, by steps at the full size, and what dropout, or with
    training error more steps, change there.
    """
    cells, effects = tables["cells"], tables["differences"]
    numbers = cells[["arm", "dropout", "images", "steps", "n_seeds", "n_diverged", "n_collapsed"]].copy()
    for name in RESPONSES:
        for end in ENDS:
            numbers[f"{name}_percent{end}"] = cells[name + end] * 100
    for end in ENDS:
        numbers[f"loss_change{end}"] = cells[f"loss_change{end}"]
    full = int(numbers["images"].max())
    seeds = int(numbers["n_seeds"].max())
    subtitle = f"{seeds} seed{'s' * (seeds > 1)}, " + (
        "95% Student t intervals" if seeds > 1 else "so no intervals"
    )
    lost = int(numbers["n_collapsed"].sum())
    if lost:
        subtitle += f" · {lost} of {int(numbers['n_seeds'].sum())} runs collapsed to chance, without a gap"
    figure = new_figure(9.6, 8.6, f"{study.title}: does dropout reduce overfitting?", subtitle)
    grid = figure.subplots(3, 3, width_ratios=(1.5, 1.1, 1.1), squeeze=False)
    for row, response in zip(grid, RESPONSES, strict=True):
        _draw_sizes(row[0], numbers[numbers["steps"] == 1], response)
        _draw_steps(row[1], numbers[numbers["images"] == full], response)
        low = min(axes.get_ylim()[0] for axes in row[:2])
        high = max(axes.get_ylim()[1] for axes in row[:2])
        wider = max(0.0, LEAST - (high - low)) / 2
        for axes in row[:2]:
            # An interval may reach below 0, an error cannot.
            lowest = low - wider if response == "gap" else max(low - wider, -0.03 * high)
            axes.set_ylim(lowest, high + wider)
        if response == "train_error":
            _draw_longer(row[2], tables["longer"], numbers)
        else:
            _draw_effects(row[2], effects[(effects["response"] == response) & (effects["images"] == full)])
        row[0].set_ylabel(RESPONSES[response])
    grid[0][0].set_title("by size of the training set")
    grid[0][1].set_title(f"by steps, {full:,} images")
    grid[0][2].set_title("what dropout changes")
    grid[2][2].set_title("what more steps change")
    handles = {label: handle for handle, label in zip(*grid[0][0].get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=len(handles))
    return figure, numbers


def _look(numbers: pd.DataFrame, rate: float) -> tuple[str, str]:
    i = sorted(numbers["dropout"].unique()).index(rate)
    return COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]


def _draw_line(axes: Axes, own: pd.DataFrame, x: pd.Series, response: str, look: tuple[str, str]) -> None:
    colour, marker = look
    percent = f"{response}_percent"
    words = level_words("dropout", own["dropout"].iloc[0])
    axes.plot(x, own[percent], marker=marker, ms=5.5, color=colour, lw=1.7, label=words, zorder=3)
    axes.vlines(x, own[f"{percent}_low"], own[f"{percent}_high"], color=colour, lw=1.7, zorder=3)


def _draw_sizes(axes: Axes, numbers: pd.DataFrame, response: str) -> None:
    """Lines by rate over the logarithm of the size, a little apart."""
    sizes = sorted(numbers["images"].unique())
    axes.set_xscale("log")
    rates = sorted(numbers["dropout"].unique())
    for i, rate in enumerate(rates):
        own = numbers[numbers["dropout"] == rate].sort_values("images")
        apart = 1.02 ** (i - (len(rates) - 1) / 2)
        _draw_line(axes, own, own["images"] * apart, response, _look(numbers, rate))
    axes.set_xlim(sizes[0] / 1.2, sizes[-1] * 1.2)
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("training images, equal steps")


def _draw_steps(axes: Axes, numbers: pd.DataFrame, response: str) -> None:
    """Lines by rate over the multiples of the steps; the rates between have a point at one time alone."""
    steps = sorted(numbers["steps"].unique())
    rates = sorted(numbers["dropout"].unique())
    for i, rate in enumerate(rates):
        own = numbers[numbers["dropout"] == rate].sort_values("steps")
        places = own["steps"].map(steps.index) + 0.05 * (i - (len(rates) - 1) / 2)
        _draw_line(axes, own, places, response, _look(numbers, rate))
    axes.set_xticks(range(len(steps)), [f"{step}× steps" for step in steps])
    axes.set_xlim(-0.4, len(steps) - 0.6)
    axes.grid(axis="x", visible=False)


def _draw_effects(axes: Axes, effects: pd.DataFrame) -> None:
    """The greatest rate − the least by steps, with the criterion's line at 0."""
    own = effects[effects["dropout"] == effects["dropout"].max()].sort_values("steps")
    places = list(range(len(own)))
    _draw_changes(axes, own, places, [COLOURS[4]] * len(own), "criterion: below 0")
    axes.set_xticks(places, [f"{step}× steps" for step in own["steps"]])
    least = own["over"].iloc[0]
    axes.set_ylabel(f"dropout {own['dropout'].iloc[0]:g} − {least:g}, points")


def _draw_longer(axes: Axes, longer: pd.DataFrame, numbers: pd.DataFrame) -> None:
    """What the most steps change in training error, by rate of dropout: below 0, networks were still learning."""
    own = longer[(longer["response"] == "train_error") & (longer["steps"] == longer["steps"].max())]
    if own.empty:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "one number of steps only", ha="center", color=MUTED, transform=axes.transAxes)
        return
    places = list(range(len(own)))
    colours = [_look(numbers, rate)[0] for rate in own["dropout"]]
    _draw_changes(axes, own, places, colours, "still learning: below 0")
    axes.set_xticks(places, [level_words("dropout", rate) for rate in own["dropout"]])
    axes.set_ylabel(f"training error,\n{own['steps'].iloc[0]}× − 1× steps, points")


def _draw_changes(axes: Axes, own: pd.DataFrame, places: list[int], colours: list[str], words: str) -> None:
    """Estimates and intervals in points at `places`, and the line at 0 with its `words`."""
    axes.axhline(0, color=INK, lw=1.1, ls=(0, (4, 3)), zorder=1)
    axes.vlines(places, own["ci_low"] * 100, own["ci_high"] * 100, color=colours, lw=1.9, zorder=3)
    axes.scatter(places, own["estimate"] * 100, color=colours, s=36, zorder=4)
    axes.set_xlim(-0.5, len(own) - 0.5)
    low, high = axes.get_ylim()
    wider = max(0.15 * (high - low), (LEAST - (high - low)) / 2)
    axes.set_ylim(low - wider, high + wider)
    axes.grid(axis="x", visible=False)
    # At the top, where the room above all intervals is.
    axes.text(
        0.985, 0.975, f"dashed: {words}", transform=axes.transAxes, ha="right", va="top", size=8, color=MUTED
    )
