"""The race's figures: training error against epochs and seconds, and how many times as long each network takes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from takeoff.experiments.plotting import COLOURS, INK, MUTED, level_words, new_figure, styled
from takeoff.experiments.race_claims import NEAR, PUBLISHED, SEVERAL
from takeoff.statistics.intervals import mean_interval
from takeoff.study.model import Study

Tables = Mapping[str, pd.DataFrame]
LOOK = {"relu": (COLOURS[0], "o"), "tanh": (COLOURS[1], "s"), "sigmoid": (COLOURS[2], "D")}
DASHES: dict[str, Any] = {"relu": "-", "tanh": (0, (5, 1.5)), "sigmoid": (0, (5, 1.5, 1, 1.5))}
Mark = tuple[float, str, Any, str]
"""A line across the rows: where, its colour, dashes, words."""
TICKS = (0.1, 0.2, 0.5, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.5, 2, 3, 4, 6, 9, 15, 30, 60, 100, 200, 500, 1000)


def _words(activation: str) -> str:
    return level_words("activation", activation)


@styled
def draw_curves(study: Study, tables: Tables, error: float) -> tuple[Figure, pd.DataFrame]:
    """Training error by epoch and, where steps were timed, by second; where each run crosses the line."""
    curves, crossings = tables["curves"], tables["crossings"]
    numbers = curves.copy()
    for end in ("", "_low", "_high"):
        numbers[f"train_error_percent{end}"] = numbers.pop(f"train_error{end}") * 100
    units = ["epochs"] + ["seconds"] * bool(crossings["seconds"].notna().any())
    seeds = int(crossings.groupby("activation")["seed"].nunique().max())
    spread = "95% Student t bands" if seeds > 1 else "so no bands"
    subtitle = f"{seeds} seed{'s' * (seeds > 1)}, {spread} · points: where single runs reach {error:.0%}"
    if len(units) == 1:
        subtitle += " · the time of steps was not measured"
    title = f"{study.title}: how soon does each network reach {error:.0%} training error?"
    figure = new_figure(4.6 * len(units) + 0.4, 4.3, title, subtitle)
    grid = figure.subplots(1, len(units), sharey=True, squeeze=False)[0]
    for axes, unit in zip(grid, units, strict=True):
        _draw_race(axes, numbers, crossings, unit, error * 100)
    grid[0].set_ylabel("training error, %")
    grid[0].set_ylim(bottom=min(0, error * 50), top=min(100, grid[0].get_ylim()[1]) + 1)
    handles = grid[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=3)
    return figure, numbers


def _draw_race(axes: Axes, numbers: pd.DataFrame, crossings: pd.DataFrame, unit: str, line: float) -> None:
    axes.axhline(line, color=MUTED, lw=1, ls=(0, (4, 3)), zorder=1)
    x = "epoch" if unit == "epochs" else unit
    for i, (activation, (colour, marker)) in enumerate(LOOK.items()):
        own = numbers[numbers["activation"] == activation]
        low, high = (own[f"train_error_percent_{end}"].astype(float) for end in ("low", "high"))
        axes.fill_between(own[x], low.clip(0, 100), high.clip(0, 100), color=colour, alpha=0.18, lw=0)
        runs = crossings[crossings["activation"] == activation]
        lost = int(runs["censored"].sum())
        words = _words(activation) + (f" (not reached in {lost} of {len(runs)})" if lost else "")
        axes.plot(own[x], own["train_error_percent"], color=colour, lw=1.8, label=words, zorder=3 - 0.1 * i)
        axes.lines[-1].set_linestyle(DASHES[activation])
        seen = runs[~runs["censored"].astype(bool)]
        axes.scatter(
            seen[unit], [line] * len(seen), s=22, color=colour, marker=marker, ec="white", lw=0.6, zorder=5
        )
        if lost:
            # Where the curve ends, an arrow: the crossing lies further right. Arms are a little apart in height.
            end = float(runs.loc[runs["censored"].astype(bool), unit].max())
            axes.plot(
                end, line + 3.2 * (i - 1), ">", color=colour, mfc="white", ms=6.5, zorder=6, clip_on=False
            )
    axes.set_xlabel("epochs" if unit == "epochs" else "seconds (epochs × measured time of steps)")
    axes.set_xlim(left=0)
    if unit == "epochs":
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


@styled
def draw_ratios(study: Study, tables: Tables, error: float) -> tuple[Figure, pd.DataFrame]:
    """How many times as long an arm takes as another, in epochs and seconds; and what a step costs."""
    rows = [_ratio_row(row) for _, row in tables["ratios"].iterrows()]
    steps = _step_rows(tables["steps"])
    numbers = pd.DataFrame([*rows, *steps])
    seeds = int(tables["ratios"]["n_seeds"].max())
    interval = "95% Student t intervals" if seeds > 1 else "so no intervals"
    subtitle = f"{seeds} seed{'s' * (seeds > 1)}, {interval} · log axes"
    if any(row["bound"] != "none" for row in rows):
        subtitle += f" · hollow, arrow: a bound, as a network does not reach {error:.0%}"
    heights = [len(rows)] + [len(steps)] * bool(steps)
    title = f"{study.title}: how many times as long to {error:.0%} training error?"
    figure = new_figure(7.4, 1.5 + 0.32 * sum(heights) + 0.55 * len(heights), title, subtitle)
    panels = figure.subplots(len(heights), 1, squeeze=False, height_ratios=[h + 0.6 for h in heights])[:, 0]
    marks: list[Mark] = [
        (SEVERAL, INK, (0, (4, 3)), f"criterion: {SEVERAL:g}×"),
        (PUBLISHED, COLOURS[3], (0, (1, 1.5)), f"published: {PUBLISHED:g}×"),
    ]
    _draw_rows(panels[0], rows, marks, NEAR)
    panels[0].set_xlabel("times as long")
    if steps:
        _draw_rows(panels[1], steps, [(1.0, INK, (0, (4, 3)), "criterion: 1×")])
        panels[1].set_xlabel("times as many seconds per step")
    return figure, numbers


def _ratio_row(row: pd.Series) -> dict[str, object]:
    kept = {name: row[name] for name in ("unit", "arm", "over", "ratio", "ci_low", "ci_high", "bound")}
    label = f"{_words(row['arm'])} over {_words(row['over'])}, {row['unit']}"
    return {"label": label, **kept, "n": int(row["n_seeds"])}


def _step_rows(steps: pd.DataFrame) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for activation in ("relu", "sigmoid"):
        ratios = steps.loc[steps["activation"] == activation, "ratio"].astype(float).dropna()
        if ratios.empty:
            continue
        mean, low, high, _ = mean_interval(np.log(ratios), size=1)
        label = f"{_words(activation)} over tanh, {len(ratios)} blocks"
        row: dict[str, object] = {"label": label, "unit": "seconds per step", "arm": activation}
        row |= {"over": "tanh", "ratio": np.exp(mean), "ci_low": np.exp(low), "ci_high": np.exp(high)}
        rows.append(row | {"bound": "none", "n": len(ratios)})
    return rows


def _draw_rows(
    axes: Axes,
    rows: list[dict[str, object]],
    marks: list[Mark],
    shade: tuple[float, float] | None = None,
) -> None:
    """A row each: a point with its interval; a bound is hollow, and its arrow leaves the axes."""
    table = pd.DataFrame(rows)
    values = table[["ratio", "ci_low", "ci_high"]].to_numpy(dtype=float)
    values = np.append(values[np.isfinite(values) & (values > 0)], [mark[0] for mark in marks])
    values = np.append(values, shade or [])
    low, high = float(values.min()), float(values.max())
    margin = max((high / low) ** 0.1, 1.06)
    low, high = low / margin, high * margin
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    ticks: list[float] = []
    for tick in (1, 2, 6, *TICKS):
        room = all(abs(np.log(tick / other)) > 0.07 * np.log(high / low) for other in ticks)
        ticks += [tick] * bool(low <= tick <= high and room)
    axes.set_xticks(ticks, [f"{tick:g}×" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    if shade:
        axes.axvspan(*shade, color=COLOURS[3], alpha=0.07, lw=0, zorder=0)
    for x, colour, dashes, words in marks:
        axes.axvline(x, color=colour, lw=1.1, ls=dashes, zorder=1)
        side = "center" if len(marks) == 1 else ("right" if x == marks[0][0] else "left")
        place = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        axes.annotate(words, (x, 1), (0, 3), size=8, color=colour, ha=side, va="bottom", **place)  # type: ignore[arg-type]
    for y, row in table.iterrows():
        _draw_bound(axes, int(str(y)), row, (low, high))
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.set_yticks(range(len(table)), table["label"])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)


def _draw_bound(axes: Axes, y: int, row: pd.Series, limits: tuple[float, float]) -> None:
    colour, _ = LOOK[row["arm"]]
    bound = row["bound"]
    if bound == "unknown":
        axes.annotate(
            "neither bounded: both do not reach it in some runs",
            (0.01, y),
            xycoords=("axes fraction", "data"),
        ).set(size=8, color=MUTED, va="center", style="italic", backgroundcolor="white")
        return
    ends = [float(np.clip(row[end], *limits)) for end in ("ci_low", "ci_high")]
    if np.isfinite(ends).all():
        axes.plot(ends, [y, y], color=colour, lw=1.8, zorder=3)
    elif bound != "none":
        known = float(row["ratio"])
        axes.plot([known, limits[1 if bound == "lower" else 0]], [y, y], color=colour, lw=1.8, zorder=3)
    if bound != "none":
        side = 1 if bound == "lower" else 0
        axes.plot(limits[side], y, "<>"[side], color=colour, ms=6, zorder=4, clip_on=False)
    axes.plot(row["ratio"], y, "o", color=colour, ms=6, mfc="white" if bound != "none" else colour, zorder=5)
    sign = {"none": "", "lower": "≥ ", "upper": "≤ "}[bound]
    text = f"{sign}{row['ratio']:.2f}×"
    axes.annotate(text, (1.02, y), xycoords=("axes fraction", "data")).set(size=8.5, va="center", ha="left")
