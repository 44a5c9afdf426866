"""The moment experiment's figures: errors of every method, and the network's over the best hand-made one's."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from takeoff.experiments.factorial_forest import PUBLISHED
from takeoff.experiments.moment import HALVED, NOT_HALVED
from takeoff.experiments.moment_tables import RESPONSE_WORDS, TOP1_PUBLISHED, words_of
from takeoff.experiments.plotting import COLOURS, INK, MUTED, new_figure, styled
from takeoff.study.model import Study

Tables = Mapping[str, pd.DataFrame]
KINDS = {"network": COLOURS[0], "older": COLOURS[1]}
PUBLISHED_ERRORS = (
    ("2012: seven networks, more images *", "network", None, 15.3),
    ("2012: five networks", "network", None, 16.4),
    ("2012: the best hand-made, several", "older", None, 26.2),
    ("2010: one network", "network", 37.5, 17.0),
    ("2010: Fisher vectors", "older", 45.7, 25.7),
)
"""ILSVRC, year and method: kind, top-1 and top-5 error in percent (Krizhevsky 2012, tables 1 and 2)."""
PUBLISHED_RATIOS = {
    "2012, top-5: seven networks, more images *": 15.3 / 26.2,
    "2012, top-5: several against several": 16.4 / 26.2,
    "2010, top-5: one against one": 17.0 / 25.7,
    "2010, top-1: one against one": TOP1_PUBLISHED,
}
MORE_IMAGES = "* two of the seven saw ImageNet's images of 2011, too: not like for like"


@styled
def draw_errors(study: Study, tables: Tables) -> tuple[Figure, pd.DataFrame]:
    """Bars of top-1 and top-5 error, this study's above the published ones."""
    methods = tables["methods"]
    order = (
        methods[methods["response"] == "top1"]
        .sort_values(["kind", "error"], kind="stable")["method"]
        .tolist()
    )
    numbers = methods.set_index("method").loc[order].reset_index()
    for name in ("error", "ci_low", "ci_high", "guess"):
        numbers[f"{name}_percent"] = 100 * numbers.pop(name)
    seeds, images = int(numbers["n_seeds"].max()), int(numbers["n_images"].max())
    several = "95% intervals over seeds and images" if seeds > 1 else "so no intervals"
    figure = new_figure(
        9.2,
        1.9 + 0.31 * (len(order) + len(PUBLISHED_ERRORS)),
        f"{study.title}: the network against hand-made pipelines",
        f"test error · {seeds} seed{'s' * (seeds > 1)} and {images:,} test images, {several} · "
        "bold: the best of its kind on validation",
    )
    _pad(figure)
    grid = figure.subplots(2, 2, sharey="row", height_ratios=(len(order), len(PUBLISHED_ERRORS)))
    for place, response in enumerate(RESPONSE_WORDS):
        own = numbers[numbers["response"] == response]
        _draw_own(grid[0, place], own)
        grid[0, place].set_title(f"this study, {RESPONSE_WORDS[response]}")
        _draw_published(grid[1, place], 2 + place)
        grid[1, place].set_title(f"published: ILSVRC, 1,000 classes, {RESPONSE_WORDS[response]}")
        grid[1, place].set_xlabel("error, %")
    figure.supxlabel(MORE_IMAGES, x=0.99, ha="right", size=8, color=MUTED)
    chosen = set(numbers.loc[numbers["chosen"].astype(bool), "method"])
    grid[0, 0].set_yticks(range(len(order)), [words_of(method) for method in order])
    for tick, method in zip(grid[0, 0].get_yticklabels(), order, strict=True):
        tick.set_fontweight("bold" if method in chosen else "normal")
    grid[1, 0].set_yticks(range(len(PUBLISHED_ERRORS)), [row[0] for row in PUBLISHED_ERRORS])
    for axes in grid.ravel():
        axes.set_ylim(len(order) - 0.4 if axes in grid[0] else len(PUBLISHED_ERRORS) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
    return figure, numbers


def _draw_own(axes: Axes, rows: pd.DataFrame) -> None:
    colours = [KINDS[kind] for kind in rows["kind"]]
    axes.barh(range(len(rows)), rows["error_percent"], height=0.62, color=colours, alpha=0.75)
    guess = float(rows["guess_percent"].iloc[0])
    ends = rows["ci_high_percent"].fillna(rows["error_percent"])
    most = max(float(ends.max()), 1e-9)
    if guess <= 2 * most:
        axes.axvline(guess, color=MUTED, lw=1, ls=(0, (1, 2)))
        place: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        axes.annotate("guessing", (guess, 1), (0, 3), ha="right", size=8, color=MUTED, **place)
        most = max(most, guess)
    for y, (row, end) in enumerate(zip(rows.itertuples(), ends, strict=True)):
        axes.plot([row.ci_low_percent, row.ci_high_percent], [y, y], color=INK, lw=1.3)
        _number(axes, end, y, row.error_percent)
    axes.set_xlim(0, 1.16 * most)


def _draw_published(axes: Axes, place: int) -> None:
    for y, row in enumerate(PUBLISHED_ERRORS):
        value = row[place]
        if value is None:
            axes.text(0.6, y, "none for test images", va="center", size=8, color=MUTED)
            continue
        assert isinstance(value, float)
        axes.barh(y, value, height=0.62, color=KINDS[str(row[1])], alpha=0.4, hatch="///", ec="white", lw=0)
        _number(axes, value, y, value)
    axes.set_xlim(0, 55 if place == 2 else 32)


def _number(axes: Axes, end: float, y: float, value: float) -> None:
    axes.annotate(f"{value:.1f}", (end, y), (4, 0), textcoords="offset points", va="center", size=8.5)


@styled
def draw_ratio(study: Study, tables: Tables) -> tuple[Figure, pd.DataFrame]:
    """The ratio of errors with its interval, top-1 and top-5, and the published ones as diamonds."""
    numbers = tables["ratio"]
    first, seeds = numbers.iloc[0], int(numbers["n_seeds"].iloc[0])
    figure = new_figure(
        8.6,
        1.75 + 0.36 * (len(numbers) + len(PUBLISHED_RATIOS)),
        f"{study.title}: did the network nearly halve the error?",
        f"{words_of(first['network'])}, over {words_of(first['rival'])} · paired over {seeds} "
        f"seed{'s' * (seeds > 1)} and {int(first['n_images']):,} test images",
    )
    _pad(figure)
    axes, labels = figure.subplots(), []
    ends = numbers[["ratio", "ci_low", "ci_high"]].to_numpy(dtype=float).ravel()
    high = max(1.08, 1.06 * float(np.nanmax([*ends, 1.0])))
    # Left of the first line there is room for its words.
    low = min(0.42, 0.9 * float(np.nanmin([*ends, 1.0])), HALVED - 0.2 * (high - HALVED))
    axes.set_xlim(low, high)
    axes.axvspan(low, HALVED, color=COLOURS[2], alpha=0.1, lw=0, zorder=0)
    axes.axvspan(NOT_HALVED, high, color=COLOURS[3], alpha=0.08, lw=0, zorder=0)
    for value in (HALVED, NOT_HALVED):
        axes.axvline(value, color=INK, lw=1.1, zorder=1)
    axes.axvline(1, color=MUTED, lw=1, ls=(0, (1, 2)), zorder=1)
    for y, row in enumerate(numbers.itertuples()):
        judged = bool(row.judged)
        labels.append(f"this study, {RESPONSE_WORDS[row.response]}{', the claim' * judged}")
        if row.ratio != row.ratio:
            missing = axes.text(
                HALVED + 0.01, y, "no ratio: one of the two made no error", va="center", size=8
            )
            missing.set(color=MUTED, bbox={"fc": "white", "ec": "none", "pad": 1.5}, zorder=3)
            continue
        colour = COLOURS[0] if judged else MUTED
        axes.plot([row.ci_low, row.ci_high], [y, y], color=colour, lw=1.8, zorder=3)
        axes.plot(row.ratio, y, "o", color=colour, mfc=colour if judged else "white", mew=1.4, ms=7, zorder=4)
        axes.annotate(
            f"{row.ratio:.2f}", (1.01, y), xycoords=("axes fraction", "data"), va="center", size=8.5
        )
    for y, (name, value) in enumerate(PUBLISHED_RATIOS.items(), len(numbers)):
        labels.append(f"ILSVRC-{name}")
        axes.plot(value, y, "D", color=PUBLISHED, mfc="none", mew=1.4, ms=6, zorder=4)
        _beside(axes, y, value, PUBLISHED)
    axes.set_yticks(range(len(labels)), labels)
    for tick, judged in zip(axes.get_yticklabels(), numbers["judged"].astype(bool), strict=False):
        tick.set_fontweight("bold" if judged else "normal")
    axes.set_ylim(len(labels) - 0.4, -1.0)
    for value, words, side in ((HALVED, "nearly halved ", "right"), (NOT_HALVED, " not halved", "left")):
        axes.text(value, -0.9, words, ha=side, va="top", size=8, color=INK)
    # At the other end, where it is clear of the two.
    axes.text(1, len(labels) - 0.45, " equal", ha="left", va="bottom", size=8, color=MUTED)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("network's error over the best hand-made error")
    figure.supxlabel(MORE_IMAGES, x=0.99, ha="right", size=8, color=MUTED)
    return figure, numbers


def _beside(axes: Axes, y: float, ratio: float, colour: str) -> None:
    place: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "va": "center"}
    axes.annotate(f"{ratio:.2f}", (1.01, y), size=8.5, color=colour, **place)


def _pad(figure: Figure) -> None:
    """Row names stay a little away from the edge."""
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(w_pad=0.1)
