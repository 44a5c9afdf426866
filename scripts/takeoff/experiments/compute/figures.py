"""The compute experiment's figures: rates, the trainings' time on each machine, and what a search finds by hours."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from takeoff.experiments.base import Drawing, FixedCriterion, Tables
from takeoff.experiments.compute.design import MILLION, MONTHS, Design
from takeoff.experiments.compute.measured import fastest
from takeoff.experiments.compute.tables import DAY, OFTEN_SAID, RATE, UNITS, duration_words, two_digits
from takeoff.figures.curves import DASHES, Look, draw_curves, in_percent, limit_values, look
from takeoff.figures.rows import AGAINST, DOTTED, FOR, Line, draw_rows
from takeoff.figures.style import COLOURS, MUTED, PUBLISHED, new_figure, styled
from takeoff.figures.words import power_words
from takeoff.statistics.criterion import Criterion

BEST = "best_validation_accuracy"
MONTH_TO_HOUR = 730
"""Hours in a month."""
EIGHTIES = pd.DataFrame(
    [("machines of the 1980s", 1e6, 1e5, 1e7, MUTED, "", "0.1 to 10 MFLOP/s")],
    columns=["label", "estimate", "ci_low", "ci_high", "colour", "text", "mark"],
)
TICKS = {"1 ms": 1e-3, **{f"1 {name}": size for name, size in reversed(UNITS.items())}}
TICKS |= {"10,000 years": 1e4 * UNITS["year"], "1 million years": 1e6 * UNITS["year"]}
rate_words = EngFormatter("FLOP/s", places=1)


@styled
def draw(compute: Design, tables: Tables, criteria: Mapping[str, FixedCriterion]) -> list[Drawing]:
    """Rates with their ceilings, the trainings' time on each machine, and what a search finds by hours."""
    title = compute.study.title
    rates = _rates(title, tables["rates"], criteria.get(MILLION))
    return [rates, _times(title, tables, criteria.get(MONTHS)), _search(title, tables["search"])]


def _rates(title: str, rates: pd.DataFrame, fixed: FixedCriterion | None) -> Drawing:
    """A row per measured machine; an upright stroke is its ceiling."""
    numbers = rates[rates["n_blocks"] > 0].reset_index(drop=True)
    text = numbers[RATE].map(rate_words) + ", " + numbers["over_1_mflops"].map(two_digits)
    text += numbers["share"].map(" times 1 MFLOP/s; {:.0%} of the product".format)
    own = _rows(numbers, RATE).assign(mark=text)
    rows = pd.concat([EIGHTIES, own[EIGHTIES.columns]], ignore_index=True)
    blocks = int(numbers["n_blocks"].min())
    spread = f"95% t intervals over {blocks} interleaved blocks" if blocks > 1 else "one block, no interval"
    words = "forward and backward pass of the study's network"
    subtitle = f"{words} · {spread} · upright strokes: a matrix product"
    if absent := sorted(set(rates.loc[rates["n_blocks"] == 0, "precision"])):
        subtitle += f" · left out, as only emulated: {', '.join(absent)}"
    figure = new_figure(11, 1.75 + 0.36 * len(rows), f"{title}: how fast do machines train?", subtitle)
    axes = figure.subplots()
    lines, shade = [Line(OFTEN_SAID, "often said: 10 TFLOP/s", PUBLISHED, DOTTED)], None
    if fixed:
        low, high = (1e6 * end for end in fixed.parts["rate"].supports)
        words = f"criterion: above {two_digits(low / 1e6)} times"
        lines, shade = [*lines, Line(low, words)], Criterion((low, high), ())
    label, ceilings = "sustained rate, floating-point operations per second", numbers["ceiling"]
    draw_rows(axes, rows, xlabel=label, log=True, lines=lines, shade=shade, include=ceilings)
    axes.scatter(ceilings, ceilings.index + 1, marker="|", s=220, lw=1.8, color=MUTED, zorder=3)
    axes.xaxis.set(major_locator=LogLocator(numticks=30), major_formatter=EngFormatter())
    return Drawing("rates", figure, numbers)


def _times(title: str, tables: Tables, fixed: FixedCriterion | None) -> Drawing:
    """A row per machine; lines are what turns months into hours, or leaves them days."""
    numbers = tables["times"].sort_values(RATE, kind="stable", ignore_index=True)
    paces = [
        f"{two_digits(runs)} a day" if runs >= 1 else f"one in {duration_words(DAY / runs)}"
        for runs in numbers["runs_per_day"]
    ]
    reference = numbers["kind"] == "reference"
    rows = _rows(numbers, "seconds").assign(mark=numbers["duration"] + "; " + paces, hollow=reference)
    rows.loc[reference, "colour"] = MUTED
    made = f"{numbers['n_runs'].iloc[0]:,} trainings of the factorial, tuning included"
    flops = f"{power_words(numbers['flops'].iloc[0])} operations, at each machine's sustained rate"
    subtitle = f"{made}: {flops} · hollow: not measured here"
    title = f"{title}: how long would the same trainings take?"
    figure = new_figure(11, 1.9 + 0.36 * len(rows), title, subtitle)
    axes, label, lines, shade = figure.subplots(), "time of all of them", [], None
    if thread := fastest(tables, gpu=False):
        seconds = float(numbers.loc[numbers["machine"] == thread, "seconds"].iloc[0])
        label += "; lines: parts of the time on one CPU thread"
        words = f"often said: a month to an hour, 1/{MONTH_TO_HOUR}"
        lines = [Line(seconds / MONTH_TO_HOUR, words, PUBLISHED, DOTTED)]
        if fixed:
            hours, days = fixed.parts["time"].supports[0], fixed.parts["time"].against[-1][1]
            lines += [Line(seconds / hours, f"1/{hours:g}", FOR), Line(seconds / days, f"1/{days:g}", AGAINST)]
            shade = Criterion((0, seconds / hours), ())
            label += f"\nbelow 1/{hours:g} (shaded) months become hours, above 1/{days:g} they stay days"
    draw_rows(axes, rows, xlabel=label, log=True, lines=lines, shade=shade)
    _time_ticks(axes)
    return Drawing("times", figure, numbers)


def _search(title: str, search: pd.DataFrame) -> Drawing:
    """A curve per machine: the same search, moved along the axis by its rate."""
    numbers = in_percent(search, ["machine", "kind", "n_runs", "hours"], [BEST])
    subtitle = f"the best validation accuracy of k of the factorial's {numbers['n_runs'].max():,} trainings in random "
    subtitle += "order, tuning included · mean, and range of 90% of orders"
    figure = new_figure(8.6, 4.4, f"{title}: what does a search find, by hours?", subtitle)
    axes, shown = figure.subplots(), numbers.assign(seconds=numbers["hours"] * 3600)
    last = numbers.drop_duplicates("machine", keep="last").set_index("machine")
    last = last.drop(index=["0.1 MFLOP/s", "10 MFLOP/s"]).sort_values("hours", ascending=False)
    looks = {name: look(number) for number, name in enumerate(last.index)}
    references = last.index[last["kind"] == "reference"]
    looks |= {name: Look(MUTED, dashes) for name, dashes in zip(references, DASHES[2:], strict=False)}
    draw_curves(axes, shown, "seconds", f"{BEST}_percent", "machine", looks, {name: name for name in looks})
    axes.set_xscale("log")
    _time_ticks(axes)
    axes.set(xlabel="time", ylabel="best validation accuracy, %")
    limit_values(axes, 0, 100.5)
    figure.legend(loc="outside right center", title="slowest first", alignment="left", fontsize=8.5)
    return Drawing("search", figure, numbers)


def _rows(numbers: pd.DataFrame, x: str) -> pd.DataFrame:
    """The machines as `draw_rows` takes them."""
    colours = np.where(numbers["device"] == "cpu", COLOURS[9], COLOURS[0])
    ends = {"estimate": numbers[x], "ci_low": numbers[f"{x}_low"], "ci_high": numbers[f"{x}_high"]}
    return numbers.assign(label=numbers["machine"], colour=colours, text="", **ends)


def _time_ticks(axes: Axes) -> None:
    """Seconds on a log axis as what people count in."""
    low, high = axes.get_xlim()
    shown = {words.replace(" ", "\n", 1): size for words, size in TICKS.items() if low <= size <= high}
    axes.set_xticks(list(shown.values()), list(shown))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(low, high)
