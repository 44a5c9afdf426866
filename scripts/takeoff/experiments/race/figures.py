"""The race's figures: training error against epochs and seconds, and how many times as long each network takes."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from takeoff.experiments.base import Drawing, FixedCriterion, Tables
from takeoff.experiments.race.design import Design
from takeoff.experiments.race.measured import CHEAPER, FASTER, SIX_TIMES
from takeoff.figures.curves import ACTIVATION_LOOKS, draw_curves, in_percent
from takeoff.figures.rows import DASHED, criterion_lines, draw_rows, ratio_lines, ratio_rows
from takeoff.figures.style import ACTIVATION_COLOURS, MUTED, new_figure, styled
from takeoff.figures.words import level_words, seeds_words
from takeoff.statistics.criterion import Criterion
from takeoff.statistics.intervals import mean_interval

WORDS = {activation: level_words("activation", activation) for activation in ("relu", "tanh", "sigmoid")}
LOOKS = {activation: ACTIVATION_LOOKS[activation] for activation in WORDS}
CURVE = "arm activation epoch seconds n_seeds".split()
UNKNOWN = "neither bounded: both do not reach it in some runs"
COLUMNS = "label unit arm over ratio ci_low ci_high bound n".split()


@styled
def draw(race: Design, tables: Tables, criteria: Mapping[str, FixedCriterion]) -> list[Drawing]:
    """The curves with their crossings, and the ratios."""
    return [_curves(race, tables), _ratios(race, tables, criteria)]


def _curves(race: Design, tables: Tables) -> Drawing:
    """Training error by epoch and, where steps were timed, by second; where each run crosses the line."""
    crossings, error = tables["crossings"], race.options.error
    numbers = in_percent(tables["curves"], CURVE, ["train_error"])
    runs = crossings.groupby("activation")["censored"].agg(["sum", "size"])
    words = dict(WORDS)
    for name, lost, size in runs[runs["sum"] > 0].itertuples():
        words[name] += f" (not reached in {lost} of {size})"
    axis = {"epoch": "epochs", "seconds": "seconds (epochs × measured time of steps)"}
    bands = seeds_words(int(runs["size"].max()), "bands")
    subtitle = f"{bands} · points: where single runs reach {error:.0%}"
    if crossings["seconds"].isna().all():
        del axis["seconds"]
        subtitle += " · the time of steps was not measured"
    title = f"{race.study.title}: how soon does each network reach {error:.0%} training error?"
    figure = new_figure(4.6 * len(axis) + 0.4, 4.3, title, subtitle)
    grid = figure.subplots(1, len(axis), sharey=True, squeeze=False)[0]
    for axes, (x, label) in zip(grid, axis.items(), strict=True):
        axes.axhline(100 * error, color=MUTED, lw=1, ls=DASHED, zorder=1)
        draw_curves(axes, numbers, x, "train_error_percent", "activation", LOOKS, words, within=(0, 100))
        _draw_crossings(axes, crossings.rename(columns={"epochs": "epoch"}), numbers, x, 100 * error)
        axes.set_xlabel(label)
        axes.set_xlim(left=0)
    grid[0].xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    grid[0].set(ylabel="training error, %", ylim=(min(0, error * 50), min(100, grid[0].get_ylim()[1]) + 1))
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return Drawing("curves", figure, numbers)


def _draw_crossings(axes: Axes, crossings: pd.DataFrame, curves: pd.DataFrame, x: str, line: float) -> None:
    """A point on the line per run. Where one does not reach it, an arrow at the end of its arm's curve says that the
    crossing lies farther right.
    """
    for activation, look in LOOKS.items():
        own = crossings[crossings["activation"] == activation]
        late = own["censored"].astype(bool)
        reached = own.loc[~late, x]
        spots = axes.scatter(reached, [line] * len(reached), s=22, marker=look.marker, zorder=5)
        spots.set(color=look.colour, edgecolor="white", linewidth=0.6)
        if late.any():
            end = curves[curves["activation"] == activation].nlargest(1, x)
            (arrow,) = axes.plot(end[x], end["train_error_percent"], ">", ms=6.5, zorder=6)
            arrow.set(color=look.colour, mfc="white", clip_on=False)


def _ratios(race: Design, tables: Tables, criteria: Mapping[str, FixedCriterion]) -> Drawing:
    """How many times as long an arm takes as another, in epochs and seconds; and what a step costs."""
    ratios = tables["ratios"].rename(columns={"n_seeds": "n"})
    pairs = ratios["arm"].map(WORDS) + " over " + ratios["over"].map(WORDS)
    ratios = ratios.assign(label=pairs + ", " + ratios["unit"])[COLUMNS]
    parts = [ratios, *([_step_rows(tables["steps"])] if len(tables["steps"]) else [])]
    numbers, error = pd.concat(parts, ignore_index=True), race.options.error
    subtitle = f"{seeds_words(int(ratios['n'].max()))} · log axes"
    if (ratios["bound"] != "none").any():
        subtitle += f" · hollow, arrow: a bound, as a network does not reach {error:.0%}"
    height = 1.5 + sum(0.32 * len(part) + 0.55 for part in parts)
    title = f"{race.study.title}: how many times as long to {error:.0%} training error?"
    figure = new_figure(7.4, height, title, subtitle)
    panels = figure.subplots(len(parts), squeeze=False, height_ratios=[len(part) + 0.6 for part in parts])
    drawn = [ratio_rows(part.assign(colour=part["arm"].map(ACTIVATION_COLOURS)), UNKNOWN) for part in parts]
    several, six = criteria.get(FASTER), criteria.get(SIX_TIMES)
    lines = ratio_lines(several.parts["epochs"] if several else None, race.published(six))
    near = Criterion(six.parts["epochs"].supports, ()) if six else None
    draw_rows(panels[0, 0], drawn[0], xlabel="times as long", log=True, lines=lines, shade=near)
    if len(parts) > 1:
        cheaper = criteria.get(CHEAPER)
        lines = criterion_lines(cheaper.parts["seconds"] if cheaper else None, "×")
        draw_rows(panels[1, 0], drawn[1], xlabel="times as many seconds per step", log=True, lines=lines)
    return Drawing("ratios", figure, numbers)


def _step_rows(steps: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for activation in ("relu", "sigmoid"):
        ratios = steps.loc[steps["activation"] == activation, "ratio"]
        found = np.exp(mean_interval(np.log(ratios), size=1)[:3])
        label = f"{WORDS[activation]} over tanh, {len(ratios)} blocks"
        rows.append((label, "seconds per step", activation, "tanh", *found, "none", len(ratios)))
    return pd.DataFrame(rows, columns=COLUMNS)
