"""The scaling experiment's curves: test error by training images and the fitted laws, older methods beside networks."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from takeoff.experiments.plotting import COLOURS, FAINT, INK, MUTED, new_figure, styled
from takeoff.experiments.scaling_caveats import tuned_words
from takeoff.experiments.scaling_claims import law_words, lawful
from takeoff.experiments.scaling_methods import method_words
from takeoff.statistics.intervals import mean_interval
from takeoff.study.model import Study

Tables = Mapping[str, pd.DataFrame]
PANELS = {"older": "older methods", "network": "networks: ReLU, batch norm, equal steps at each size"}
STYLES = {"older": (0, (4, 1.5)), "network": "-"}
MARKERS = "osD^vPX*hd"
APART = 0.092
"""Between two labels, as a share of the panel's height."""
FEW = 3
"""Of fewer draws each is shown: a t interval of two spans the whole panel."""
NARROWEST = 1.5
"""The least factor that the axis of errors spans."""
TICKS = [n * 10.0**power for power in range(-2, 3) for n in (1, 2, 3, 5, 7)]
PERCENT = "test_error_percent"


def colours_of(tables: Tables) -> dict[str, str]:
    """A colour for every method; the last networks, the widest, first."""
    fits = tables["fits"]
    networks = fits.loc[fits["kind"] == "network", "method"].tolist()[::-1]
    older = fits.loc[fits["kind"] == "older", "method"].tolist()
    order = [COLOURS[0], COLOURS[9], COLOURS[2], "#56337a", "#7a7a00"]
    rest = [*(COLOURS[i] for i in (3, 1, 5, 4)), "#4d4d4d", "#8c1d40", "#6b5900", COLOURS[7]]
    return {
        **{method: order[i % len(order)] for i, method in enumerate(networks)},
        **{method: rest[i % len(rest)] for i, method in enumerate(older)},
    }


def draws_words(runs: pd.DataFrame) -> str:
    """How many draws there are, and so which intervals."""
    counts = runs.groupby(["method", "train_samples"])["seed"].count()
    fewest, most = int(counts.min()), int(counts.max())
    draws = f"{most} draw{'s' * (most > 1)}" if fewest == most else f"{fewest} to {most} draws"
    return f"{draws}, {'95% Student t intervals' if most > 1 else 'so no intervals'}"


def curve_draws_words(runs: pd.DataFrame) -> str:
    """The same of the curves, where fewer than `FEW` draws are shown one by one."""
    words, counts = draws_words(runs), runs.groupby(["method", "train_samples"])["seed"].count()
    return words + f"; fewer than {FEW} are small points" * bool(1 < counts.min() < FEW <= counts.max())


@styled
def draw_curves(study: Study, tables: Tables) -> tuple[Figure, pd.DataFrame]:
    """A panel for older methods and one for networks, on the same axes, each before the other's in grey."""
    runs = tables["runs"]
    numbers = curve_numbers(tables)
    subtitle = (
        f"{curve_draws_words(runs)} · lines: err = α·m^−β + γ where it can be fitted, else straight between sizes"
        f" · tuned: {tuned_words(runs)}"
    )
    figure = new_figure(11.2, 5.6, f"{study.title}: does error go on falling with data?", subtitle)
    panels = figure.subplots(1, 2, sharey=True)
    colours, chance = colours_of(tables), 100 * (1 - float(tables["fits"]["chance"].iloc[0]))
    low, high = _range(numbers[PERCENT], chance)
    span = float(np.log(runs["train_samples"].max() / runs["train_samples"].min()))
    for axes, (kind, title) in zip(panels, PANELS.items(), strict=True):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_ylim(low, high)
        _draw_chance(axes, chance, runs["train_samples"])
        for method, curve in numbers.groupby("method", sort=False):
            if curve["kind"].iloc[0] == kind:
                _draw_method(axes, curve, tables, colours[str(method)], kind)
            else:
                axes.plot(curve["train_samples"], curve[PERCENT], color=FAINT, lw=0.9, zorder=1)
        axes.set_title(title)
        axes.set_xlabel("training images, validation included")
        _ticks(axes, runs["train_samples"].unique())
        start = runs["train_samples"].min()
        axes.set_xlim(start / 1.25, runs["train_samples"].max() * np.exp(0.62 * span))
        own = numbers[(numbers["kind"] == kind) & (numbers["train_samples"] == runs["train_samples"].max())]
        _name(axes, own, tables, colours)
    panels[0].set_ylabel("test error, %")
    return figure, numbers


def curve_numbers(tables: Tables) -> pd.DataFrame:
    """A row per method and size: mean test error in percent with its t interval, and what the law says."""
    laws, rows = tables["fits"].set_index("method"), []
    for (method, size), part in tables["runs"].groupby(["method", "train_samples"], sort=False):
        law = laws.loc[method]
        fitted = 100 * (law["alpha"] * size ** -law["beta"] + law["gamma"])
        interval = mean_interval(100 * part["test_error"])[:3]
        rows.append((method, part["kind"].iloc[0], size, len(part), *interval, fitted))
    names = ["method", "kind", "train_samples", "n_draws", PERCENT, f"{PERCENT}_low", f"{PERCENT}_high"]
    return pd.DataFrame(rows, columns=[*names, "law_percent"])


def _range(errors: pd.Series, chance: float) -> tuple[float, float]:
    """Of the axis: all mean errors, chance where they come near, and a factor of `NARROWEST` at least."""
    low, high = float(errors.min()), float(errors.max())
    high = max(high, chance) if high > chance / 1.5 else high
    wider = max(NARROWEST / (high / low), 1.0) ** 0.5
    low, high = low / wider, high * wider
    return low / (high / low) ** 0.08, high * (high / low) ** 0.08


def _draw_chance(axes: Axes, chance: float, sizes: pd.Series) -> None:
    if chance < axes.get_ylim()[1]:
        axes.hlines(chance, sizes.min(), sizes.max(), color=MUTED, lw=1, ls=(0, (1, 2)), zorder=1)
        words = axes.annotate("chance", (sizes.min(), chance), (-4, 3), textcoords="offset points")
        words.set(size=8, color=MUTED)


def _draw_method(axes: Axes, curve: pd.DataFrame, tables: Tables, colour: str, kind: str) -> None:
    law = tables["fits"].set_index("method").loc[curve["method"].iloc[0]]
    place = list(tables["fits"]["method"]).index(curve["method"].iloc[0])
    x, y = curve["train_samples"], curve[PERCENT]
    many = curve[curve["n_draws"] >= FEW]
    low = many[f"{PERCENT}_low"].clip(lower=axes.get_ylim()[0])
    axes.vlines(many["train_samples"], low, many[f"{PERCENT}_high"], color=colour, lw=1.2, alpha=0.7)
    runs = tables["runs"]
    few = runs[
        (runs["method"] == curve["method"].iloc[0])
        & runs["train_samples"].isin(curve.loc[curve["n_draws"] < FEW, "train_samples"])
    ]
    axes.plot(few["train_samples"], 100 * few["test_error"], "o", color=colour, ms=2.4, alpha=0.7, ls="")
    axes.plot(x, y, MARKERS[place % len(MARKERS)], color=colour, ms=4.5, zorder=4)
    if lawful(law):
        m = np.geomspace(x.min(), x.max(), 80)
        axes.plot(
            m,
            100 * (law["alpha"] * m ** -law["beta"] + law["gamma"]),
            color=colour,
            lw=1.5,
            ls=STYLES[kind],
            zorder=3,
        )
    else:
        axes.plot(x, y, color=colour, lw=1.2, ls=STYLES[kind], alpha=0.8, zorder=3)


def _name(axes: Axes, ends: pd.DataFrame, tables: Tables, colours: Mapping[str, str]) -> None:
    """Each method's name at its right end, with its exponent and interval or its slope, apart where they meet."""
    laws = tables["fits"].set_index("method")
    ends = ends.sort_values(PERCENT)
    to_axes = axes.transScale + axes.transLimits
    heights = to_axes.transform(np.column_stack([ends["train_samples"], ends[PERCENT]]))
    places = apart(heights[:, 1].tolist(), APART, APART / 2, 1 - APART / 2)
    for (_, row), (x, y), place in zip(ends.iterrows(), heights, places, strict=True):
        law, colour = laws.loc[row["method"]], colours[row["method"]]
        axes.annotate(
            f"{method_words(row['method'])}\n{law_words(law)}",
            (x + 0.05, place),
            xycoords="axes fraction",
            color=colour,
            weight="bold" if law["best"] else "normal",
            size=8,
            va="center",
            linespacing=1.05,
        )
        axes.plot(
            [x + 0.012, x + 0.042], [y, place], color=colour, lw=0.7, transform=axes.transAxes, clip_on=False
        )


def apart(places: Sequence[float], gap: float, low: float = 0.02, high: float = 0.98) -> list[float]:
    """Ascending `places` moved as little as needed to lie `gap` apart and between `low` and `high`.

    >>> apart([0.5, 0.5], 0.1)
    [0.45, 0.55]
    """
    groups: list[list[float]] = []  # mean, number
    for place in places:
        groups.append([min(max(place, low), high), 1])
        while len(groups) > 1:
            (one, n), (two, k) = groups[-2], groups[-1]
            if two - one >= gap * (n + k) / 2 - 1e-12:
                break
            merged = (one * n + two * k) / (n + k)
            half = gap * (n + k - 1) / 2
            groups[-2:] = [[min(max(merged, low + half), max(high - half, low + half)), n + k]]
    return [round(mean + gap * (i - (n - 1) / 2), 9) for mean, n in groups for i in range(int(n))]


def _ticks(axes: Axes, sizes: np.ndarray) -> None:
    axes.xaxis.set_major_locator(FixedLocator(sorted(float(size) for size in sizes)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: size_words(value)))
    axes.tick_params(axis="x", labelrotation=40)
    low, high = axes.get_ylim()
    wanted = [tick for tick in TICKS if low <= tick <= high]
    if len(wanted) < 3:
        wanted = [tick for tick in MaxNLocator(5).tick_values(low, high) if low <= tick <= min(high, 100)]
    axes.yaxis.set_major_locator(FixedLocator(wanted))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.tick_params(axis="y", labelcolor=INK)


def size_words(size: float) -> str:
    """As in `41`, `1,297` and `40,000`."""
    return f"{int(size):,}"
