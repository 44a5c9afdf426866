"""The gain experiment's figures: test error over computation, gains, and effects in points, by budget."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator
from scipy import special

from takeoff.experiments.base import Drawing, FixedCriterion, Tables
from takeoff.experiments.gain.design import Design
from takeoff.experiments.gain.tables import ALL, POINTS, compared
from takeoff.figures.curves import Look, draw_curves, look, value_ticks
from takeoff.figures.rows import SOLID, Line, draw_rows, headed, ratio_rows
from takeoff.figures.style import COLOURS, INK, MUTED, PUBLISHED, new_figure, styled
from takeoff.figures.words import seeds_words, switch_words, times_words
from takeoff.statistics.intervals import mean_band

PUBLISHED_GAINS = pd.DataFrame(
    [
        ("images, to AlexNet's accuracy, 2012–2019 (Hernandez 2020)", 44, "44×"),
        ("language, ablations at small scale (Gundlach 2025)", 10, "< 10×"),
    ],
    columns=["label", "published", "text"],
)
"""Of many innovations together, not of one factor."""
SHARES = "Erdil & Besiroglu 2022, ImageNet: 45% of progress by computation, 45% by algorithms, 10% by data (Shapley)"
SIDES = {"treatment": Look(COLOURS[0]), "baseline": Look(COLOURS[1], (0, (5, 1.5)), "s")}
LOOKS = [look(number) for number in (0, 1, 2, 4, 5, 6, 7)]
"""Of factors, in their order; the colour that is left out is that of published values."""
ERROR = "test_error"
TICKS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.25, *np.arange(6, 20) / 20]
ONE = Line(1, "", MUTED, SOLID)


@styled
def draw(gain: Design, tables: Tables, criteria: Mapping[str, FixedCriterion]) -> list[Drawing]:
    """A panel per factor of error over computation, a row per factor and budget, and effects by budget."""
    return [_curves(gain, tables), _gains(gain, tables), _effects(gain, tables)]


def _curves(gain: Design, tables: Tables) -> Drawing:
    """Baseline and treatment, each averaged over contexts in log-odds; between them the gain of the summary."""
    numbers, names = _errors(gain, tables["points"]), [*gain.comparisons]
    across = min(len(names), 3)
    down = -(-len(names) // across)
    title = f"{gain.study.title}: how much computation does each factor save?"
    subtitle = f"{seeds_words(int(numbers['n_seeds'].max()), 'bands')} · mean over combinations · arrow: the gain"
    figure = new_figure(2.9 * across + 0.5, 3.1 * down + 1.0, title, subtitle)
    grid = figure.subplots(down, across, sharey=True, squeeze=False)
    chosen, power = tables["summary"].set_index("factor"), 3 * int(np.log10(numbers["flops"].min()) // 3)
    for axes, name in zip(grid.flat, names, strict=False):
        own = numbers[numbers["factor"] == name].assign(x=numbers["flops"] / 10**power)
        draw_curves(axes, own, "x", ERROR, "side", SIDES, {side: side for side in SIDES}, markers=True)
        _draw_gain(axes, own, chosen.loc[name])
        axes.set_xscale("log")
        axes.xaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), major_formatter="{x:g}", minor_locator=NullLocator())
        axes.set_title(switch_words(name, *gain.levels[name]))
        axes.set_xlabel(f"training computation, $10^{{{power}}}$ FLOPs")
    for axes in grid.flat[len(names) :]:
        axes.set_visible(False)
    # Straight between budgets, as the gain is read: log-odds over log computation.
    first = grid.flat[0]
    first.set_yscale("logit")
    first.set_yticks(TICKS, [f"{100 * tick:g}" for tick in TICKS])
    first.yaxis.set_minor_locator(NullLocator())
    odds = special.logit(numbers[ERROR])
    first.set_ylim(special.expit(odds.min() - 0.15), special.expit(odds.max() + 0.15))
    figure.supylabel("test error, % (log-odds axis)", size=9)
    figure.legend(*first.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return Drawing("curves", figure, numbers)


def _errors(gain: Design, points: pd.DataFrame) -> pd.DataFrame:
    """A row per factor, side and budget: test error, a fraction, with its t interval, both taken in log-odds."""
    parts = []
    for factor, pairs in gain.comparisons.items():
        runs, first = compared(points, pairs.values()), next(iter(pairs.values()))
        for side in SIDES:
            scores, compute = getattr(runs, side).mean(axis=0), getattr(runs, f"{side}_compute").mean(axis=0)
            band = mean_band(scores.T)
            ends = {ERROR: band.mean, f"{ERROR}_low": band.high, f"{ERROR}_high": band.low}
            epochs = [arm.recipe.epochs for arm in getattr(first, side)]
            table = pd.DataFrame({"factor": factor, "side": side, "epochs": epochs, "flops": np.exp(compute)})
            table = table.assign(**{name: special.expit(-values) for name, values in ends.items()})
            parts.append(table.assign(n_seeds=len(scores)))
    return pd.concat(parts, ignore_index=True)


def _draw_gain(axes: Axes, errors: pd.DataFrame, row: pd.Series) -> None:
    """From the treatment's point to where the baseline errs as much, and the ratio; a bound's arrow has no end."""
    point = errors[(errors["side"] == "treatment") & (errors["epochs"] == row["epochs"])].iloc[0]
    start, end, height = point["x"], point["x"] * row["gain"], point[ERROR]
    axes.annotate("", (end, height), (start, height), arrowprops={"arrowstyle": "->", "color": INK, "lw": 1.2})
    ends = _ends_words(row["gain_low"], row["gain_high"])
    words = f"{times_words(row['gain'], row['bound'])}{ends}\nat {_epochs_words(row['epochs'])}"
    axes.text(0.97, 0.97, words, transform=axes.transAxes, ha="right", va="top", size=9, weight="bold")


def _gains(gain: Design, tables: Tables) -> Drawing:
    """Below each factor's name a row per budget; small points are single combinations of the other factors."""
    numbers, blocks = tables["gains"], {}
    mean = numbers[numbers["context"] == ALL]
    for number, (name, own) in enumerate(mean.groupby("factor", sort=False)):
        rows = ratio_rows(own.assign(ratio=own["gain"], ci_low=own["gain_low"], ci_high=own["gain_high"]), "")
        ends = [_ends_words(low, high) for low, high in zip(own["gain_low"], own["gain_high"], strict=True)]
        rows = rows.assign(label=own["epochs"].map(_epochs_words), mark=ends, colour=LOOKS[number].colour)
        growth = _growth_row(tables["growth"].set_index("factor").loc[name])
        blocks[switch_words(str(name), *gain.levels[str(name)])] = pd.concat([rows, growth], ignore_index=True)
    if gain.beside_published:
        blocks["Published, of many innovations together"] = PUBLISHED_GAINS
    table = headed(blocks)
    places = table.reset_index().dropna(subset="epochs").set_index(["factor", "epochs"])["index"]
    single = numbers[numbers["context"] != ALL]
    at = [places[factor, epochs] for factor, epochs in zip(single["factor"], single["epochs"], strict=True)]
    points = pd.DataFrame(
        {"row": at, "value": single["gain"].to_numpy(), "hollow": (single["bound"] != "none").to_numpy()}
    )
    seeds = seeds_words(int(numbers["n_seeds"].max())).replace("Student t intervals", "confidence sets")
    subtitle = f"{seeds} · open where no budget bounds it, hollow: a bound · small points: single combinations"
    title = f"{gain.study.title}: how many times less computation does each factor need?"
    figure = new_figure(9.2, 1.5 + 0.25 * len(table), title, subtitle)
    if gain.beside_published:
        figure.supxlabel(SHARES, x=0.1 / figure.get_figwidth(), ha="left", size=8.5, color=PUBLISHED)
    axes = figure.subplots()
    label = "compute-equivalent gain: computation of the baseline\nover that of the treatment, at equal test error"
    draw_rows(axes, table, xlabel=label, log=True, lines=[ONE], include=(0.5, 2), points=points)
    return Drawing("gains", figure, numbers)


def _epochs_words(epochs: int) -> str:
    return "1 epoch" if epochs == 1 else f"{epochs:,} epochs"


def _ends_words(low: float, high: float) -> str:
    """The ends of an interval; nothing of one seed."""
    return "" if np.isnan(low) else f" ({low:.2f} to {'∞' if np.isinf(high) else f'{high:.2f}'})"


def _growth_row(growth: pd.Series) -> pd.DataFrame:
    """What ten times the computation multiply the gain by, in words; nothing where that is not known."""
    if np.isnan(growth["slope"]):
        return pd.DataFrame()
    slope, low, high = (10 ** growth[name] for name in ("slope", "slope_low", "slope_high"))
    words = f"gain × {slope:.2f}{_ends_words(low, high)}, from {int(growth['n_budgets'])} budgets"
    return pd.DataFrame({"label": ["per ten times the computation"], "note": [words]})


def _effects(gain: Design, tables: Tables) -> Drawing:
    """A line per factor: what it does to test accuracy in points, by budget."""
    table, names = tables["effects_by_budget"], [*gain.comparisons]
    points = {f"effect_points{end}": 100 * table[name] for end, name in POINTS.items()}
    numbers = table[["factor", "epochs", "n_seeds"]].assign(**points)
    title = f"{gain.study.title}: which factor helps after how much training?"
    subtitle = f"{seeds_words(int(table['n_seeds'].max()))} · effect on test accuracy, mean over combinations"
    figure = new_figure(7.6, 4.2, title, subtitle)
    axes = figure.subplots()
    apart = numbers["factor"].map(names.index) - (len(names) - 1) / 2
    looks = dict(zip(names, LOOKS, strict=False))
    words = {name: switch_words(name, *gain.levels[name]) for name in names}
    shown = numbers.assign(x=numbers["epochs"] * 1.015**apart)
    draw_curves(axes, shown, "x", "effect_points", "factor", looks, words, markers=True, bars=True)
    axes.axhline(0, color=MUTED, lw=1, zorder=1)
    value_ticks(axes, numbers["epochs"])
    axes.set(xlabel="training budget, epochs", ylabel="effect on test accuracy, points")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center")
    return Drawing("effects", figure, numbers)
