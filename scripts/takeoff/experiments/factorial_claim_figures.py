"""The figures of the factorial experiment's claims: batch norm's speed-up, and how it goes with dropout."""

from math import nan

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from takeoff.experiments.factorial_cells import Options, tuned_arms
from takeoff.experiments.factorial_claims import RESPONSES, by_norm, quartet, seconds_part
from takeoff.experiments.factorial_forest import PUBLISHED, Tables, seeds_words
from takeoff.experiments.plotting import COLOURS, INK, MUTED, level_words, new_figure, styled
from takeoff.statistics import student
from takeoff.statistics.intervals import mean_interval
from takeoff.statistics.verdicts import Part
from takeoff.study.model import Study

SPEED_UP = 2.3
"""Times fewer steps with batch norm alone, 31.0 against 13.3 million (Ioffe & Szegedy 2015)."""
GIVEN_NORM = {"Mishkin 2017, p = 0.5": -1.4, "Mishkin 2017, p = 0.2": 1.4, "Li 2018, DenseNet": -8.8}
"""Points that dropout brought given batch norm: .513 to .499 or .527 (Mishkin 2017); 77.4 to 68.6 (Li 2018)."""
TICKS = [0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 20, 50]


@styled
def draw_speed_up(study: Study, tables: Tables) -> tuple[Figure, pd.DataFrame]:
    """Validation accuracy of the plain arm and the one with batch norm, and how many times sooner it crosses."""
    crossings, steps = tables["speed_up"], tables["step_seconds"]
    threshold = float(crossings["threshold"].iloc[0]) if len(crossings) else nan
    subtitle = seeds_words(tables, "bands and intervals")
    figure = new_figure(9.4, 4.1, f"{study.title}: does batch norm speed training?", subtitle)
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    for name, words, colour, dashes in (
        ("plain", "ReLU, no norm", COLOURS[1], (0, (4, 1.5))),
        ("batch_norm", "ReLU, batch norm", COLOURS[0], "-"),
    ):
        curve = tables["curves"].query("arm == @arm", local_dict={"arm": crossings[name].iloc[0]})
        ends = [100 * curve[f"validation_accuracy{end}"] for end in ("", "_low", "_high")]
        left.fill_between(curve["epoch"], ends[1], ends[2], color=colour, alpha=0.2, lw=0)
        left.plot(curve["epoch"], ends[0], color=colour, ls=dashes, lw=1.8, label=words)
        if np.isfinite(threshold):
            seen = crossings[~crossings[f"{name}_censored"].astype(bool)]
            left.plot(
                seen[f"{name}_epochs"],
                [100 * threshold] * len(seen),
                "o",
                color=colour,
                mfc="white",
                ms=5,
                zorder=4,
            )
    if np.isfinite(threshold):
        words = f"{100 * threshold:.1f}%: 95% of the plain network's, on tuning seeds"
        left.axhline(100 * threshold, color=MUTED, lw=0.9, ls=(0, (1, 2)), label=words)
    left.set_xlabel("epoch")
    left.set_ylabel("validation accuracy, %")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower left", ncols=3)
    numbers = _ratios(crossings, steps)
    _draw_ratios(right, numbers, crossings)
    return figure, numbers


def _ratios(crossings: pd.DataFrame, steps: pd.DataFrame) -> pd.DataFrame:
    """Epochs, seconds per step and seconds, plain over batch norm: `ratio`, its unadjusted 95% interval, `bound`."""
    found: list[tuple[str, Part | None]] = []
    seen = crossings["ratio"].dropna()
    epochs = Part.of("epochs", seen, (1, np.inf), ratio=True) if len(seen) else None
    found.append(("epochs", epochs))
    if len(steps):
        found.append(("seconds per step", Part.of("", steps["ratio"], (1, np.inf), ratio=True)))
        if epochs:
            found.append(("seconds", seconds_part("", epochs, steps)))
    above, below = (bool(crossings[f"{name}_censored"].any()) for name in ("plain", "batch_norm"))
    rows = []
    for name, part in found:
        if part is None:
            continue
        half = student.quantile(0.975, part.freedom) * part.error if part.freedom > 0 else nan
        ends = [float(np.exp(value)) for value in (part.estimate, part.estimate - half, part.estimate + half)]
        bound = {(0, 0): "none", (1, 0): "lower", (0, 1): "upper", (1, 1): "unknown"}[above, below]
        rows.append((name, *ends, "none" if name == "seconds per step" else bound))
    return pd.DataFrame(rows, columns=["quantity", "ratio", "ci_low", "ci_high", "bound"])


def _draw_ratios(axes: Axes, numbers: pd.DataFrame, crossings: pd.DataFrame) -> None:
    """A row per quantity on a log axis; single seeds small; an arrow where censoring leaves only a bound."""
    axes.axvline(1, color=INK, lw=1.1, zorder=1)
    axes.axvline(SPEED_UP, color=PUBLISHED, lw=1.2, ls=(0, (5, 2)), zorder=1)
    labels, marks = [], {"none": "", "lower": "≥ ", "upper": "≤ ", "unknown": "unknown, at the horizon "}
    for y, row in enumerate(numbers.itertuples()):
        axes.plot([row.ci_low, row.ci_high], [y, y], color=COLOURS[0], lw=1.8, zorder=3)
        axes.plot(row.ratio, y, "o", color=COLOURS[0], ms=6.5, zorder=4)
        text = f"{marks[row.bound]}{row.ratio:.2f}×"
        label = axes.annotate(text, (row.ratio, y), (0, 9), textcoords="offset points", ha="center", size=8.5)
        label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.6})
        for bound, direction in (("lower", 1), ("upper", -1)):
            if row.bound == bound:
                axes.annotate(
                    "",
                    (row.ratio, y),
                    (34 * direction, 0),
                    textcoords="offset points",
                    arrowprops={"arrowstyle": "<-", "color": COLOURS[0]},
                )
        labels.append(row.quantity)
        if row.quantity == "epochs":
            axes.plot(crossings["ratio"], [y + 0.2] * len(crossings), "o", color=MUTED, ms=3, alpha=0.7, lw=0)
    rows = max(len(labels), 1)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(rows - 0.4, -0.95)
    axes.text(1, -0.9, " equal", size=8, va="top", ha="left", color=INK)
    axes.text(SPEED_UP, -0.9, " 2.3×, published", size=8, va="top", ha="left", color=PUBLISHED)
    if not labels:
        axes.text(1, 0, " no crossing to compare", va="center", color=MUTED)
    axes.set_xscale("log")
    low = np.nanmin([0.6, *numbers[["ratio", "ci_low"]].to_numpy(float).ravel(), crossings["ratio"].min()])
    high = np.nanmax([5.5, *numbers[["ratio", "ci_high"]].to_numpy(float).ravel(), crossings["ratio"].max()])
    axes.set_xlim(max(low, 0.02) / 1.15, min(high, 100) * 1.15)
    axes.xaxis.set_major_locator(FixedLocator(TICKS))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("plain over batch norm\n(above 1, batch norm is faster)")


@styled
def draw_interaction(study: Study, options: Options, tables: Tables) -> tuple[Figure, pd.DataFrame]:
    """What dropout does to ReLU networks without and with batch norm, and half the difference: their interaction."""
    groups = quartet(study, tuned_arms(study, options))
    if isinstance(groups, str):
        raise TypeError(groups)
    numbers = interaction_numbers(tables["runs"], groups)
    title = f"{study.title}: do dropout and batch norm add up?"
    subtitle = seeds_words(tables) + " · small points: single seeds"
    figure = new_figure(9.2, 3.2, title, subtitle)
    dropout = level_words(
        "dropout", max(study.factors["dropout"].baseline, study.factors["dropout"].treatment)
    )
    rows = [
        f"{dropout}, without batch norm",
        f"{dropout}, with batch norm",
        "interaction: half the difference\n(claimed to be below 0)",
    ]
    for axes, (response, unit) in zip(figure.subplots(1, 2, sharey=True), RESPONSES.items(), strict=True):
        _draw_simple(axes, numbers[numbers["response"] == response], tables["runs"], groups)
        axes.set_yticks(range(3), rows)
        axes.set_ylim(2.6, -0.6)
        axes.set_xlabel(f"test accuracy, {'percentage points' if unit == 'points' else unit}")
        if unit == "points":
            for (name, value), mark in zip(GIVEN_NORM.items(), "Dds", strict=True):
                axes.plot(value, 1.28, mark, color=PUBLISHED, mfc="none", mew=1.3, ms=6, label=name, ls="")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=3,
        title="published, given batch norm",
        title_fontsize=8.5,
    )
    return figure, numbers


def interaction_numbers(runs: pd.DataFrame, groups: dict[tuple[bool, bool], list[str]]) -> pd.DataFrame:
    """A row per response and quantity (`without`, `with`, `interaction`): `estimate` and 95% t interval, `n_seeds`;
    points are percentage points.
    """
    rows = []
    for response, unit in RESPONSES.items():
        scale = 100 if unit == "points" else 1
        without, given = (scale * values for values in by_norm(runs, groups, response))
        sizes = {"without": without, "with": given, "interaction": (given - without) / 2}
        for quantity, values in sizes.items():
            found = mean_interval(values)[:3] if len(values) else (nan, nan, nan)
            rows.append((response, unit, quantity, *found, len(values)))
    columns = ["response", "unit", "quantity", "estimate", "ci_low", "ci_high", "n_seeds"]
    return pd.DataFrame(rows, columns=columns)


def _draw_simple(
    axes: Axes, numbers: pd.DataFrame, runs: pd.DataFrame, groups: dict[tuple[bool, bool], list[str]]
) -> None:
    response, scale = numbers["response"].iloc[0], 100 if numbers["unit"].iloc[0] == "points" else 1
    without, given = by_norm(runs, groups, response)
    axes.axvline(0, color=INK, lw=1.1, zorder=1)
    for y, (row, seeds) in enumerate(
        zip(numbers.itertuples(), (without, given, (given - without) / 2), strict=True)
    ):
        colour = (COLOURS[1], COLOURS[0], INK)[y]
        axes.plot([row.ci_low, row.ci_high], [y, y], color=colour, lw=1.8, zorder=3)
        axes.plot(row.estimate, y, "o", color=colour, ms=6.5, zorder=4)
        axes.plot(scale * seeds, [y - 0.22] * len(seeds), "o", color=colour, ms=3, alpha=0.6, lw=0)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
