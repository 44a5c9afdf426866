"""The compute experiment's figures: rates, the trainings' time on each machine, and what a search finds by hours."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from takeoff.experiments.compute import DAYS, HOURS, MILLION
from takeoff.experiments.compute_claims import fastest, times_words
from takeoff.experiments.compute_tables import DAY, UNITS, duration_words, two_digits
from takeoff.experiments.plotting import COLOURS, FAINT, INK, MUTED, new_figure, styled, text_width
from takeoff.study.model import Study

Tables = Mapping[str, pd.DataFrame]
LINE, TOP, BOTTOM, LEFT, RIGHT = 0.36, 1.1, 0.8, 0.15, 0.15
"""In inches: the height of a row, and the space around the axes."""
PLOT = 5.6
"""In inches: the width of the axes."""
OLD = (1e5, 1e7)
"""FLOP/s of machines of the 1980s, from … to."""
TOLD = 1e13
"""The claim's modern machine."""
MONTH_TO_HOUR = 730
"""Hours in a month."""


@styled
def draw_rates(study: Study, tables: Tables) -> tuple[Figure, pd.DataFrame]:
    """A bar per measured machine, which starts at 1 MFLOP/s, so that its length is how many times as fast it is."""
    rates = tables["rates"]
    numbers = rates[rates["n_blocks"] > 0].reset_index(drop=True)
    words = [_speed_words(row) for row in numbers.itertuples()]
    figure, axes = _rows(
        f"{study.title}: how fast do machines train?",
        f"forward and backward pass of the study's network · {_blocks_words(numbers)}{_left_out(rates)}",
        ["machines of the 1980s", *numbers["machine"]],
        ["0.1 to 10 MFLOP/s", *words],
    )
    axes.set_xscale("log")
    axes.set_xlim(3e4, 3 * max(TOLD, float(numbers[["flops_per_second", "ceiling"]].max().max())))
    axes.barh(0, OLD[1] - OLD[0], left=OLD[0], height=0.5, color=FAINT)
    for y, row in enumerate(numbers.itertuples(), 1):
        axes.barh(y, row.flops_per_second - 1e6, left=1e6, height=0.5, color=_colour(row.device), zorder=2)
        _error_bar(axes, y, row.flops_per_second_low, row.flops_per_second_high)
        if row.ceiling > 0:
            axes.plot(
                [row.ceiling] * 2, [y - 0.34, y + 0.34], color=INK, lw=1.8, solid_capstyle="butt", zorder=3
            )
    axes.axvspan(*(1e6 * end for end in MILLION), color=COLOURS[2], alpha=0.13, lw=0, zorder=0)
    _line(axes, 1e12, "a million times, within\nhalf a power of ten", COLOURS[2], "right")
    _line(axes, TOLD, "told:\n10 TFLOP/s", MUTED, "left")
    ticks = 10.0 ** np.arange(5, int(np.log10(axes.get_xlim()[1])) + 1)
    _ticks(axes, ticks, [_rate_words(tick).removesuffix("FLOP/s") for tick in ticks])
    axes.set_xlabel(
        "sustained rate, floating-point operations per second\n"
        "upright stroke: the rate of a matrix product on the same device"
    )
    return figure, numbers


@styled
def draw_times(study: Study, tables: Tables) -> tuple[Figure, pd.DataFrame]:
    """A point per machine, with its time in words; behind them what turns months into hours."""
    numbers = tables["times"].sort_values("flops_per_second", kind="stable").reset_index(drop=True)
    first = numbers.iloc[0]
    figure, axes = _rows(
        f"{study.title}: how long would the same trainings take?",
        f"{first['n_runs']:,.0f} trainings of the factorial, tuning included: "
        f"{_power_words(first['flops'])} floating-point operations, at each machine's sustained rate",
        list(numbers["machine"]),
        [f"{row.duration}; {_pace_words(row.runs_per_day)}" for row in numbers.itertuples()],
    )
    low, high, label = numbers["seconds"].min(), numbers["seconds"].max(), "time of all of them"
    axes.set_xscale("log")
    thread = fastest(tables, gpu=False)
    if thread is not None:
        seconds = float(numbers.loc[numbers["machine"] == thread, "seconds"].iloc[0])
        low = min(low, seconds / MONTH_TO_HOUR)
        axes.axvspan(low / 10, seconds / HOURS, color=COLOURS[2], alpha=0.13, lw=0, zorder=0)
        _line(axes, seconds / DAYS, f"1/{DAYS}", COLOURS[3], "center")
        _line(axes, seconds / HOURS, f"1/{HOURS}", COLOURS[2], "center")
        _line(axes, seconds / MONTH_TO_HOUR, f"told:\n1/{MONTH_TO_HOUR}", MUTED, "center")
        label += (
            f"; lines: parts of the time on one CPU thread\nat 1/{DAYS} months stay days, below 1/{HOURS} (shaded) "
            f"they become hours, 1/{MONTH_TO_HOUR} is a month to an hour"
        )
    axes.set_xlim(low / 10, high * 10)
    for y, row in enumerate(numbers.itertuples()):
        told = row.kind == "reference"
        axes.hlines(y, low / 10, row.seconds, color="#e4e4e4", lw=1, zorder=1)
        if not told:
            _error_bar(axes, y, row.seconds_low, row.seconds_high)
        colour = MUTED if told else _colour(row.device)
        axes.plot(row.seconds, y, "o", ms=7, color=colour, mfc="white" if told else colour, zorder=4)
    _time_ticks(axes)
    axes.set_xlabel(label)
    return figure, numbers


@styled
def draw_search(study: Study, tables: Tables) -> tuple[Figure, pd.DataFrame]:
    """A curve per machine: the same search, moved along the axis by its rate."""
    numbers = tables["search"].copy()
    for end in ("", "_low", "_high"):
        numbers[f"best_validation_accuracy_percent{end}"] = 100 * numbers.pop(
            f"best_validation_accuracy{end}"
        )
    runs = int(numbers["n_runs"].max())
    figure = new_figure(
        8.6,
        4.4,
        f"{study.title}: what does a search find, by hours?",
        f"the best validation accuracy of k of the factorial's {runs:,} trainings in random order, tuning included · "
        "mean, and range of 90% of orders",
    )
    axes = figure.subplots()
    shown = [name for name in numbers["machine"].unique() if name not in {"0.1 MFLOP/s", "10 MFLOP/s"}]
    fast = numbers.groupby("machine")["hours"].max().sort_values(ascending=False)
    for i, machine in enumerate(name for name in fast.index if name in shown):
        curve = numbers[numbers["machine"] == machine]
        told = curve["kind"].iloc[0] == "reference"
        colour, x = MUTED if told else COLOURS[i % 10], curve["hours"] * 3600
        axes.fill_between(
            x,
            curve["best_validation_accuracy_percent_low"],
            curve["best_validation_accuracy_percent_high"],
            color=colour,
            alpha=0.12,
            lw=0,
        )
        axes.plot(
            x,
            curve["best_validation_accuracy_percent"],
            color=colour,
            lw=1.7,
            ls=(0, (4, 1.5)) if told else "-",
            marker="osD^vPX*"[i % 8],
            ms=4,
            markevery=[0, len(curve) - 1],
            label=machine,
        )
    axes.set_xscale("log")
    _time_ticks(axes)
    axes.set_xlabel("time")
    axes.set_ylabel("best validation accuracy, %")
    axes.set_ylim(max(axes.get_ylim()[0], 0), min(axes.get_ylim()[1], 100.5))
    figure.legend(loc="outside right center", title="slowest first", alignment="left", fontsize=8.5)
    return figure, numbers


def _rows(title: str, subtitle: str, labels: list[str], words: list[str]) -> tuple[Figure, Axes]:
    """A figure with a row per label, the first on top, and words at the right of each."""
    left, right = (max(map(text_width, texts)) + 0.1 for texts in (labels, words))
    width, height = LEFT + left + PLOT + right + RIGHT, TOP + LINE * len(labels) + BOTTOM
    figure = new_figure(width, height, title, subtitle, constrained=False)
    width = figure.get_figwidth()
    axes = figure.add_axes(
        (
            (LEFT + left) / width,
            BOTTOM / height,
            1 - (LEFT + left + right + RIGHT) / width,
            LINE * len(labels) / height,
        )
    )
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    for y, text in enumerate(words):
        axes.annotate(
            text, (1, y), (6, 0), xycoords=("axes fraction", "data"), textcoords="offset points", va="center"
        )
    return figure, axes


def _line(axes: Axes, x: float, words: str, colour: str, side: str) -> None:
    """An upright line, dashed where it is what is told, with words above it."""
    axes.axvline(x, color=colour, lw=1.1, ls=(0, (4, 2)) if colour == MUTED else "-", zorder=1)
    shift = {"left": 3, "right": -3, "center": 0}[side]
    axes.annotate(
        words,
        (x, 1),
        (shift, 3),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha=side,
        va="bottom",
        size=8,
        color=colour,
    )


def _error_bar(axes: Axes, y: float, low: float, high: float) -> None:
    if low > 0 and np.isfinite(high):
        axes.plot([low, high], [y, y], color=INK, lw=1.2, zorder=3, solid_capstyle="butt")


def _ticks(axes: Axes, ticks: "np.ndarray", words: list[str]) -> None:
    axes.xaxis.set_major_locator(FixedLocator(list(ticks)))
    axes.xaxis.set_major_formatter(FixedFormatter(words))
    axes.xaxis.set_minor_locator(NullLocator())


def _time_ticks(axes: Axes) -> None:
    """Seconds on a log axis as what people count in."""
    low, high = axes.get_xlim()
    sizes = [(f"1 {name}", size) for name, size in reversed(UNITS)]
    sizes = [
        ("1 ms", 1e-3),
        *sizes,
        ("10,000 years", 1e4 * UNITS[1][1]),
        ("1 million years", 1e6 * UNITS[1][1]),
    ]
    shown = [(words, size) for words, size in sizes if low <= size <= high]
    _ticks(axes, np.array([size for _, size in shown]), [words.replace(" ", "\n", 1) for words, _ in shown])
    axes.set_xlim(low, high)


def _blocks_words(numbers: pd.DataFrame) -> str:
    blocks = int(numbers["n_blocks"].min())
    return f"95% t intervals over {blocks} interleaved blocks" if blocks > 1 else "one block, no interval"


def _left_out(rates: pd.DataFrame) -> str:
    absent = rates[rates["n_blocks"] == 0]
    return (
        f" · left out, as only emulated: {', '.join(sorted(set(absent['precision'])))}" if len(absent) else ""
    )


def _colour(device: str) -> str:
    return COLOURS[9] if device == "cpu" else COLOURS[0]


def _rate_words(rate: float) -> str:
    """As in `44.8 GFLOP/s`."""
    for size, letter in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if rate >= 0.9995 * size:
            return f"{rate / size:.3g} {letter}FLOP/s"
    return f"{rate:.3g} FLOP/s"


def _speed_words(row: Any) -> str:
    """A row of `rates`, as in `45 GFLOP/s, 45,000 times 1 MFLOP/s; half of the product's`."""
    words = f"{_rate_words(row.flops_per_second)}, {times_words(row.over_1_mflops)} 1 MFLOP/s"
    return f"{words}; {row.share:.0%} of the product" if row.share > 0 else words


def _pace_words(runs_per_day: float) -> str:
    """Trainings, as in `1,200 a day` and `one in 3.1 months`."""
    if runs_per_day < 1:
        return f"one in {duration_words(DAY / runs_per_day)}"
    return f"{two_digits(runs_per_day)} a day"


def _power_words(number: float) -> str:
    """As in `1.3 × 10¹²`, which is easier to read than 1.3e+12."""
    power = int(np.floor(np.log10(number)))
    return f"{number / 10.0**power:.1f} × 10{str(power).translate(str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹'))}"
