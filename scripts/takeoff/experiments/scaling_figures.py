"""The scaling experiment's other figures: gains per doubling, differences by size, and agreement by size."""

from math import isfinite

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from takeoff.experiments.factorial_forest import PUBLISHED, signed
from takeoff.experiments.plotting import COLOURS, FAINT, INK, MUTED, new_figure, styled
from takeoff.experiments.scaling_claims import best_of, widest
from takeoff.experiments.scaling_curves import Tables, colours_of, draws_words, size_words
from takeoff.experiments.scaling_methods import method_words
from takeoff.statistics.intervals import mean_interval
from takeoff.study.model import Study

CAFFENET = (0.471 - 0.305) / np.log2(6)
"""Gain of accuracy per doubling from 200,000 to 1.2 million images (Mishkin, Sergievskiy & Matas 2017)."""
ROWS = {
    "width_smallest": "widest − narrowest network\nat the smallest size",
    "width_full": "at the full size",
    "width_by_data": "full − smallest",
    "hog_smallest": "HOG − pixels, SVMs\nat the smallest size",
    "hog_full": "at the full size",
    "hog_by_data": "smallest − full",
    "network_minus_older": "best network − best older\nmethod at the full size",
}
ENDS = ("estimate", "ci_low", "ci_high")
SCALES = {
    "points": ("value", 100.0, ENDS, "points; filled, with a tint: of a claim, which says: above 0"),
    "log-odds": (
        "log_odds",
        1.0,
        ("log_odds", "log_odds_low", "log_odds_high"),
        "log-odds, which chance and perfection bend less",
    ),
}
"""By unit: the column of `differences`, its factor, the columns of the figure's numbers, the words of the axis."""
JUDGED = ("width_by_data", "hog_by_data", "network_minus_older")
"""The quantities with a criterion, which is above 0."""


@styled
def draw_gains(study: Study, tables: Tables) -> tuple[Figure, pd.DataFrame]:
    """A row per method: its gain per doubling over the last two, single draws small, the margin as a band."""
    kinds = tables["fits"][["method", "kind", "best"]]
    numbers = _intervals(tables["gains"], "method", "gain").merge(kinds, on="method")
    numbers = numbers.sort_values(["kind", "estimate"], ascending=[False, True], ignore_index=True)
    numbers["margin"] = 100 * study.margin
    title = f"{study.title}: what do twice as many images bring?"
    subtitle = f"points of test error per doubling, over the last two · {draws_words(tables['runs'])}"
    figure = new_figure(8.2, 1.75 + 0.33 * len(numbers), title, subtitle)
    axes = _axes(figure)
    axes.axvspan(
        -numbers["margin"].iloc[0], numbers["margin"].iloc[0], color=FAINT, alpha=0.5, lw=0, zorder=0
    )
    axes.axvline(0, color=MUTED, lw=1, zorder=1)
    judged, colours = {best_of(tables, "older"), widest(tables)}, colours_of(tables)
    for y, row in numbers.iterrows():
        single = 100 * tables["gains"].loc[tables["gains"]["method"] == row["method"], "gain"]
        _row(axes, int(str(y)), row, single, colours[row["method"]], filled=row["method"] in judged)
    axes.plot(100 * CAFFENET, -0.75, "D", color=PUBLISHED, mfc="none", mew=1.4, ms=6)
    axes.annotate(
        "published: CaffeNet, 200,000 to 1.2 million images  ",
        (100 * CAFFENET, -0.75),
        (-6, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        size=8,
        color=PUBLISHED,
    )
    _names(
        axes, [method_words(m) for m in numbers["method"]], [m in judged for m in numbers["method"]], top=-1.2
    )
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 100 * CAFFENET - 0.62 * (high - low) * 1.5), high)
    axes.set_xlabel(
        f"points per doubling; grey: within the margin of {numbers['margin'].iloc[0]:g}; filled: of the claim"
    )
    return figure, numbers


@styled
def draw_differences(study: Study, tables: Tables) -> tuple[Figure, pd.DataFrame]:
    """Gains from width and from HOG at both ends of the sizes, their differences, and best network less best older: in
    points, and in log-odds.
    """
    table = tables["differences"]
    numbers = _difference_numbers(table)
    names = f"{method_words(best_of(tables, 'network'))} − {method_words(best_of(tables, 'older'))}"
    figure = new_figure(
        10.4,
        1.65 + 0.47 * len(numbers),
        f"{study.title}: what matters more with data, and what less?",
        f"test accuracy, paired over seeds · {draws_words(tables['runs'])} · best on validation: {names}",
    )
    panels = figure.subplots(1, 2, width_ratios=(1.25, 1))
    for axes, (unit, (column, factor, ends, words)) in zip(panels, SCALES.items(), strict=True):
        shown = numbers[["quantity", *ends]].set_axis(["quantity", *ENDS], axis=1)
        _draw_scale(axes, shown, factor * table.set_index("quantity")[column], unit)
        axes.set_xlabel(words)
    panels[1].set_yticklabels([])
    return figure, numbers


def _difference_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """A row per quantity, in the order drawn: mean and interval in points, and in log-odds."""
    parts = [
        _intervals(table, "quantity", column, factor).rename(columns=dict(zip(ENDS, ends, strict=True)))
        for column, factor, ends, _ in SCALES.values()
    ]
    numbers = parts[0].merge(parts[1].drop(columns="n_seeds"), on="quantity").set_index("quantity")
    return numbers.loc[[quantity for quantity in ROWS if quantity in numbers.index]].reset_index()


def _draw_scale(axes: Axes, numbers: pd.DataFrame, single: pd.Series, unit: str) -> None:
    """A row per quantity of `numbers`, single seeds by quantity below; what claims judge has a tint."""
    axes.axvline(0, color=INK, lw=1.1, zorder=1)
    judged = [quantity in JUDGED for quantity in numbers["quantity"]]
    for y, (strong, (_, row)) in enumerate(zip(judged, numbers.iterrows(), strict=True)):
        seeds = single.loc[[row["quantity"]]]
        filled = strong and unit == "points"  # in which the criteria are
        _row(axes, y, row, seeds, COLOURS[0] if strong else MUTED, filled=filled, unit=unit)
        if strong:
            axes.axhspan(y - 0.5, y + 0.5, color="#f3f6fa", lw=0, zorder=0)
    _names(axes, [ROWS[quantity] for quantity in numbers["quantity"]], judged)


@styled
def draw_agreement(study: Study, tables: Tables) -> tuple[Figure, pd.DataFrame]:
    """Mean rank correlation between disjoint draws at each size, and the two sizes that the claim compares."""
    numbers, order = tables["agreement"], tables["order"].iloc[0]
    left = sorted({name for names in numbers["left_out"].dropna() for name in str(names).split(", ") if name})
    out = f" · left out for want of draws: {', '.join(map(method_words, left))}" if left else ""
    figure = new_figure(
        7.4,
        4.3,
        f"{study.title}: do other images put the methods in the same order?",
        f"mean rank correlation of test errors between draws that share no training image{out}",
    )
    axes = figure.subplots()
    seen = numbers[numbers["agreement"].notna()]
    axes.axhline(0, color=MUTED, lw=1, zorder=1)
    axes.plot(seen["train_samples"], seen["agreement"], color=FAINT, lw=1.2, zorder=1)
    axes.vlines(seen["train_samples"], seen["ci_low"], seen["ci_high"], color=COLOURS[0], lw=1.8, zorder=3)
    compared = seen["train_samples"].isin([order["smallest"], order["largest"]]) & isfinite(
        order["difference"]
    )
    for chosen, face in ((seen[compared], COLOURS[0]), (seen[~compared], "white")):
        axes.plot(
            chosen["train_samples"],
            chosen["agreement"],
            "o",
            color=COLOURS[0],
            mfc=face,
            ms=7,
            ls="",
            zorder=4,
        )
    axes.set_xscale("log")
    sizes = numbers["train_samples"]
    axes.set_xlim(sizes.min() / 1.3, sizes.max() * 1.3)
    floor = float(np.nanmin([-0.25, *seen["ci_low"], *seen["agreement"]]))
    axes.set_ylim(floor - 0.28, 1.09)
    for row in numbers.itertuples():
        words = f"{row.n_draws:g} draw{'s' * (row.n_draws != 1)}" if row.agreement == row.agreement else "–"
        axes.text(row.train_samples, floor - 0.15, words, ha="center", va="center", size=8, color=MUTED)
    if isfinite(order["difference"]):
        axes.axhline(order["largest_agreement"], color=INK, lw=1, ls=(0, (4, 2)), zorder=2)
        words = f"claimed: below the dashed line at {size_words(order['smallest'])} images; difference "
        words += f"{order['difference']:+.2f}"
        if isfinite(order["ci_low"]):
            words += f" [{order['ci_low']:+.2f}, {order['ci_high']:+.2f}]"
        taken = seen[["ci_low", "ci_high", "agreement"]].to_numpy(dtype=float)
        axes.annotate(
            words.replace("-", "−"),
            (0.985, _free(taken, floor)),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="center",
            size=8,
            bbox={"fc": "white", "ec": "none", "pad": 0.8, "alpha": 0.85},
            zorder=5,
        )
    elif isinstance(order["note"], str) and order["note"]:
        axes.text(0.5, 0.55, order["note"], transform=axes.transAxes, ha="center", color=MUTED)
    axes.xaxis.set_major_locator(FixedLocator(sizes.tolist()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: size_words(value)))
    axes.grid(axis="x", visible=False)
    axes.set_yticks([tick for tick in (-1, -0.5, 0, 0.5, 1) if tick >= axes.get_ylim()[0]])
    axes.set_ylabel("mean rank correlation\n(0: random order, 1: the same order)")
    axes.set_xlabel("training images, validation included; filled: compared by the claim")
    return figure, numbers


def _free(taken: np.ndarray, floor: float) -> float:
    """The height, of a few, that is farthest from what is drawn: rows of low end, high end and middle; where all meet
    it, below the `floor`, which nothing reaches.
    """
    low, high = np.nanmin(taken[:, [0, 2]], axis=1), np.nanmax(taken[:, [1, 2]], axis=1)

    def room(height: float) -> float:
        return float(np.maximum(low - height, height - high).min())

    best = max((0.85, 0.65, 0.4, 0.2, -0.12), key=room)
    return best if room(best) > 0.04 else floor - 0.04


def _intervals(table: pd.DataFrame, by: str, value: str, factor: float = 100) -> pd.DataFrame:
    """The mean of `value`, times `factor`, by default in points, and its t interval, per `by`."""
    rows = [
        (name, len(part), *mean_interval(factor * part[value], size=factor)[:3])
        for name, part in table.groupby(by, sort=False)
    ]
    return pd.DataFrame(rows, columns=[by, "n_seeds", *ENDS])


def _axes(figure: Figure) -> Axes:
    """The figure's one panel, its row names a little away from the edge."""
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(w_pad=0.1)
    return figure.subplots()


def _row(
    axes: Axes,
    y: int,
    row: pd.Series,
    single: pd.Series,
    colour: str,
    *,
    filled: bool,
    unit: str = "points",
) -> None:
    """An estimate with its interval and number, and below it single draws."""
    axes.plot([row["ci_low"], row["ci_high"]], [y, y], color=colour, lw=1.8, zorder=3)
    axes.plot(
        row["estimate"], y, "o", color=colour, mfc=colour if filled else "white", mew=1.4, ms=6.5, zorder=4
    )
    axes.plot(single, [y + 0.27] * len(single), "o", color=colour, ms=2.8, alpha=0.6, lw=0, ls="")
    axes.annotate(
        signed(row["estimate"], unit), (1.01, y), xycoords=("axes fraction", "data"), va="center", size=8.5
    )


def _names(axes: Axes, names: list[str], bold: list[bool], top: float = -0.5) -> None:
    axes.set_yticks(range(len(names)), names)
    for tick, strong in zip(axes.get_yticklabels(), bold, strict=True):
        tick.set_fontweight("bold" if strong else "normal")
    axes.set_ylim(len(names) - 0.4, top)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
