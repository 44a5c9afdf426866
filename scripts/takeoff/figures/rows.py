"""Rows: a label, a point with its interval, the number beside it; lines across them for what it is compared with."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from takeoff.figures.style import COLOURS, INK, MUTED, PUBLISHED, text_width
from takeoff.figures.words import signed, times_words
from takeoff.statistics.criterion import Criterion

TICKS = "1 2 6 0.01 0.02 0.05 0.1 0.2 0.5 0.7 0.8 0.9 1.1 1.2 1.5 3 4 9 15 30 60 100 200 500 1000".split()
"""Of a logarithmic axis of ratios; the first ones to find room stand."""
FOR, AGAINST = COLOURS[0], COLOURS[3]
"""What speaks for a claim, and what against it."""
ESTIMATE = ["estimate", "ci_low", "ci_high"]
NUMBERS = [*ESTIMATE, "published", "beside", "beside_low", "beside_high"]
FLAGS = ["heading", "bold", "hollow", "bar"]
DEFAULTS = {"colour": INK, "open": 0, "note": "", "mark": ""} | dict.fromkeys(FLAGS, False)
DASHED, DOTTED, SOLID = (0, (4, 3)), (0, (1, 1.5)), (0, ())


@dataclass(frozen=True)
class Line:
    """A line across the rows, with its words on top."""

    at: float
    words: str
    colour: str = INK
    dashes: tuple[float, tuple[float, ...]] = DASHED


ZERO = Line(0, "", MUTED, SOLID)


def criterion_lines(criterion: Criterion | None, unit: str = "") -> list[Line]:
    """The ends of where a claim says that its quantity lies, of a ratio (`×`) but 0; none without a claim."""
    ends = zip(criterion.supports, ("above", "below"), strict=True) if criterion else ()
    known = [(end, side) for end, side in ends if np.isfinite(end) and (end or not unit)]
    return [Line(end, f"criterion: {side} {end:g}{unit}") for end, side in known]


def ratio_lines(criterion: Criterion | None, published: float | None) -> list[Line]:
    """The lines of a ratio's criterion, and of its published value; those that there are."""
    known = [] if published is None else [Line(published, f"published: {published:.2g}×", PUBLISHED, DOTTED)]
    return criterion_lines(criterion, "×") + known


def headed(blocks: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Rows below their headings, one table of all; no heading without rows."""
    parts = [pd.DataFrame({"label": []})]
    for heading, rows in blocks.items():
        if len(rows):
            parts += [pd.DataFrame({"label": [heading], "heading": True}), rows.assign(heading=False)]
    return pd.concat(parts, ignore_index=True)


def draw_rows(
    axes: Axes,
    rows: pd.DataFrame,
    *,
    xlabel: str,
    log: bool = False,
    lines: Collection[Line] = (),
    decimals: int = 1,
    shade: Criterion | None = None,
    include: Sequence[float] = (),
    points: pd.DataFrame | None = None,
) -> None:
    """Draw a row each, the first on top, on an axis of the quantity and unit `xlabel`; with `log` it is of ratios.

    `rows` have `label`, `estimate`, `ci_low` and `ci_high` (NaN: no interval; infinite: open). They may have `text`,
    the number as it is written right of the axes (else a ratio, or signed, with so many `decimals`); `colour`; `hollow`
    (the estimate is only a bound); `open` (the side, −1 or 1, on which an arrow says that the value may lie farther; 0:
    none); `note` (words in place of a point, or beside a heading); `heading` (a label alone); `bold` (the label is);
    `published` (a diamond); `bar` (a bar from 0, for what adds up); `mark` (after the number); and of a second
    estimate, hollow below the first, `beside`, `beside_low` and `beside_high`.

    `lines` cross all rows. `shade` is where a claim says that its quantity lies, and where it would be wrong. The axis
    reaches the values `include`. `points` are single values, small, below their row's estimate, or a little larger in
    its place: `row` (its place from the top, from 0), `value`, `hollow` (it is a bound), and `colour` where it is not
    the row's.
    """
    table = _complete(rows, times_words if log else partial(signed, decimals=decimals))
    singles = [] if points is None else points["value"].tolist()
    ends = [end for end in (shade.supports if shade else ()) if np.isfinite(end) and (end or not log)]
    limits = _limits(table, log, [*(line.at for line in lines), *ends, *include, *singles])
    shown = _parted(table[~table["heading"] & (table["note"] == "")])
    _draw_estimates(axes, shown.assign(low=shown["ci_low"].clip(*limits), high=shown["ci_high"].clip(*limits)))
    if points is not None:
        below = points["row"].isin(shown.dropna(subset="estimate")["row"])
        places, sizes = points["row"] + 0.25 * below, np.where(below, 10, 24)
        colours = points.get("colour", points["row"].map(table["colour"]))
        hollow = points["hollow"].to_numpy(dtype=bool) if "hollow" in points else np.zeros(len(points), dtype=bool)
        axes.scatter(
            points["value"][~hollow], places[~hollow], s=sizes[~hollow], color=colours[~hollow], alpha=0.8, lw=0
        )
        axes.scatter(points["value"][hollow], places[hollow], s=sizes[hollow], fc="white", ec=colours[hollow], lw=0.8)
    if log:
        axes.set_xscale("log")
    published = table.dropna(subset="published")
    axes.scatter(published["published"], published.index, marker="D", s=34, fc="none", ec=PUBLISHED, lw=1.3, zorder=4)
    width = max((text_width(text, 8.5, "normal") for text in shown["text"]), default=0)
    for _, row in pd.concat([shown, table[table["note"] != ""]]).iterrows():
        _write(axes, row, limits, 72 * width)
    for region, colour in [(shade.supports, FOR), *((region, AGAINST) for region in shade.against)] if shade else ():
        axes.axvspan(*np.clip(region, *limits), color=colour, alpha=0.09, lw=0, zorder=0)
    _draw_lines(axes, lines)
    _finish(axes, table, limits, xlabel, log)


def _draw_estimates(axes: Axes, rows: pd.DataFrame) -> None:
    """A point or a bar each, with its interval, `low` to `high`."""
    bars, dots = rows[rows["bar"]], rows[~rows["bar"]]
    axes.barh(bars["row"], bars["estimate"], 0.62, color=bars["colour"], alpha=0.8, zorder=1)
    axes.hlines(bars["row"], bars["low"], bars["high"], color=INK, lw=1.3, zorder=3)
    axes.hlines(dots["row"], dots["low"], dots["high"], color=dots["colour"], lw=1.8, zorder=2)
    for hollow, own in dots.groupby("hollow"):
        faces = "white" if hollow else own["colour"]
        axes.scatter(own["estimate"], own["row"], s=36, c=faces, edgecolors=own["colour"], linewidths=1.3, zorder=3)


def ratio_rows(table: pd.DataFrame, unknown: str) -> pd.DataFrame:
    """Ratios as `draw_rows` takes them: `ratio`, and `bound`: none, lower, upper, or unknown, which is a note."""
    bound = table["bound"]
    return table.assign(
        estimate=table["ratio"],
        hollow=bound.isin(["lower", "upper"]),
        open=bound.map({"lower": 1, "upper": -1}).fillna(0),
        note=bound.map({"unknown": unknown}).fillna(""),
        text=[times_words(*pair) for pair in zip(table["ratio"], bound, strict=True)],
    )


def _complete(rows: pd.DataFrame, words: Callable[[float], str]) -> pd.DataFrame:
    """The rows with every column, numbered from 0; numbers in `words`."""
    table = rows.reset_index(drop=True)
    table = table.assign(**{name: table.get(name, np.nan) for name in NUMBERS}, row=table.index.astype(float))
    for name, value in DEFAULTS.items():
        table[name] = table[name].fillna(value) if name in table else value
    table = table.astype(dict.fromkeys(NUMBERS, float) | dict.fromkeys(FLAGS, bool))
    for name, values in (("text", table["estimate"].fillna(table["published"])), ("beside_text", table["beside"])):
        written = pd.Series(["" if np.isnan(value) else words(value) for value in values], dtype=str)
        table[name] = table[name].fillna(written) if name in table else written
    return table


def _parted(table: pd.DataFrame) -> pd.DataFrame:
    """A row per estimate: the two of one row stand a little apart, in smaller type."""
    two = table["beside"].notna()
    first = table.assign(row=table["row"] - 0.2 * two, size=np.where(two, 7.5, 8.5))
    second = {"estimate": table["beside"], "ci_low": table["beside_low"], "ci_high": table["beside_high"]}
    second |= {"text": table["beside_text"], "mark": "", "hollow": True, "published": np.nan}
    return pd.concat([first, first.assign(row=table["row"] + 0.2, **second)[two]], ignore_index=True)


def _limits(table: pd.DataFrame, log: bool, others: Sequence[float]) -> tuple[float, float]:
    """The axis' ends: whatever is finite, with a margin."""
    values = table.loc[~table["heading"], NUMBERS].to_numpy().ravel()
    values = np.append(values[np.isfinite(values) & ((values > 0) | (not log))], others)
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    if log:
        margin = max((high / low) ** 0.1, 1.06)
        return low / margin, high * margin
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin


def _write(axes: Axes, row: pd.Series, limits: tuple[float, float], width: float) -> None:
    """The row's note, or its arrow and number, which ends so many points right of the axes."""
    y = row["row"]
    if row["note"]:
        note = axes.text(0.01, y, row["note"], transform=axes.get_yaxis_transform(), size=8, va="center")
        note.set(color=MUTED, style="italic", backgroundcolor="white")
        return
    if side := int(row["open"]):
        end = limits[side > 0]
        axes.plot([row["estimate"], end], [y, y], color=row["colour"], lw=1.8, zorder=1.5)
        axes.plot(end, y, ">" if side > 0 else "<", color=row["colour"], ms=6, zorder=4, clip_on=False)
    for text, align in ((row["text"], "right"), (row["mark"], "left")):
        if text:
            where = (1, y), (8 + width, 0), ("axes fraction", "data"), "offset points"
            axes.annotate(text, *where, size=row["size"], va="center", ha=align)


def _draw_lines(axes: Axes, lines: Collection[Line]) -> None:
    """Each with its words on top, right of it, but left of it where another one follows."""
    ordered = sorted(lines, key=lambda line: line.at)
    for number, line in enumerate(ordered):
        axes.axvline(line.at, color=line.colour, lw=1.1, ls=line.dashes, zorder=1)
        side = "center" if len(ordered) == 1 else ("right" if number < len(ordered) - 1 else "left")
        where = (line.at, 1), (0, 3), ("data", "axes fraction"), "offset points"
        axes.annotate(line.words, *where, size=8, color=line.colour, ha=side, va="bottom")


def _finish(axes: Axes, table: pd.DataFrame, limits: tuple[float, float], xlabel: str, log: bool) -> None:
    axes.set_xlim(*limits)
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.set_yticks(range(len(table)), list(table["label"]))
    for tick, row in zip(axes.yaxis.get_major_ticks(), table.itertuples(), strict=True):
        weight = "bold" if row.heading or row.bold else "normal"
        tick.label1.set(fontweight=weight, color=row.colour if row.heading else INK)
    axes.tick_params(axis="y", length=0)
    if (table["open"] < 0).any():  # an arrow's head stands half outside
        axes.tick_params(axis="y", pad=8)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.set(xlabel=xlabel, ylabel="")
    if log:
        ratio_ticks(axes, limits)


def ratio_ticks(axes: Axes, limits: tuple[float, float]) -> None:
    """Ticks of a logarithmic axis of ratios, as many as have room: `0.5×`, `1×`, `2×`."""
    low, high = limits
    ticks: list[float] = []
    for tick in map(float, TICKS):
        room = all(abs(np.log(tick / other)) > 0.09 * np.log(high / low) for other in ticks)
        ticks += [tick] * bool(low <= tick <= high and room)
    axes.set_xticks(ticks, [f"{tick:g}×" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
