"""The figures of `depth`: gradients, saturation and change of weights by layer, accuracy, and what mends it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from takeoff.experiments.depth_tables import STILL
from takeoff.experiments.plotting import (
    ACTIVATION_COLOURS,
    COLOURS,
    INK,
    MUTED,
    level_words,
    new_figure,
    styled,
)
from takeoff.study.model import Study

Tables = Mapping[str, pd.DataFrame]
COLOUR = ACTIVATION_COLOURS
MARKER = {"sigmoid": "D", "tanh": "s", "relu": "o", "gelu": "^"}
LINE: dict[str, Any] = {"none": "-", "batch": (0, (4, 1.5))}
DRAWN: dict[str, dict[str, Any]] = {"gaussian-0.01": {"marker": "X", "ls": ":"}}
"""What tells the draw of 2012 from the other one of its activation."""
MOMENTS = {"start": "before training", "end": "after training"}
CHANGES = {
    "batch norm": "batch norm",
    "ReLU for sigmoid": "ReLU (He) for sigmoid (Xavier)",
    "ReLU for tanh": "ReLU (He) for tanh (Xavier)",
    "He for N(0, 0.01)": "ReLU: He for N(0, 0.01)",
}
"""The changes of `mends`, in the figure's order and words."""
QUARTER = 0.25
"""The greatest derivative of the sigmoid."""


@styled
def draw_gradients(study: Study, tables: Tables) -> tuple[Figure, pd.DataFrame]:
    """The norm of gradients by layer, before and after training; a column per activation."""
    table, slopes = tables["layers"], tables["slopes"]
    kinds = _kinds(table)
    depth, seeds = int(table["depth"].max()), int(table["n_seeds"].max())
    figure = new_figure(
        max(3.1 * len(kinds), 5.5),
        5.4,
        f"{study.title}: do gradients vanish on their way to the images?",
        f"{depth} hidden layers · geometric mean of {seeds} seed{'s' * (seeds > 1)} · solid: no norm, "
        "dashed: batch norm · slope: change of ln gradient per layer towards the images",
    )
    grid = figure.subplots(2, max(1, len(kinds)), sharex=True, sharey=True, squeeze=False)
    for row, moment in zip(grid, MOMENTS, strict=True):
        for axes, kind in zip(row, kinds, strict=False):
            own = table[_of(table, kind) & (table["moment"] == moment) & table["hidden"].astype(bool)]
            words = [_panel_words(kind) if moment == "start" else ""]
            for norm, line in own.groupby("norm", sort=False):
                _line(axes, line, "gradient_norm", kind, str(norm))
                slope = slopes[_of(slopes, kind) & (slopes["norm"] == norm) & (slopes["moment"] == moment)][
                    "slope"
                ]
                words.append(
                    f"{'batch norm' if norm == 'batch' else 'no norm'}: slope {slope.mean():+.2f}".replace(
                        "-", "−"
                    )
                )
            if kind[0] == "sigmoid" and moment == "start":
                _activation_alone(axes, own[own["norm"] == "none"])
            axes.set_title("\n".join(filter(None, words)), fontsize=8.5)
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(numticks=8))
            axes.yaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=2))
        row[0].set_ylabel(f"gradient norm {MOMENTS[moment]}")
    for axes in grid[-1]:
        axes.set_xlabel("hidden layer, images left")
    return figure, table


def _activation_alone(axes: Axes, line: pd.DataFrame) -> None:
    """What the sigmoid's derivative alone would do, a factor of a quarter per layer, from the last layer down."""
    if line.empty:
        return
    layer = np.sort(line["layer"].to_numpy(dtype=float))
    top = float(line.loc[line["layer"].idxmax(), "gradient_norm"])
    axes.plot(layer, top * QUARTER ** (layer[-1] - layer), color=MUTED, lw=1, ls=":", zorder=1)
    middle = len(layer) // 3
    axes.annotate(
        "0.25ⁿ: activation\nfactor only",
        (layer[middle], top * QUARTER ** (layer[-1] - layer[middle])),
        (6, -8),
        textcoords="offset points",
        color=MUTED,
        fontsize=7.5,
        va="top",
    )


@styled
def draw_layers(study: Study, tables: Tables) -> tuple[Figure, pd.DataFrame]:
    """After training: the share of saturated units, and the relative change of weights, by layer."""
    table, change = tables["layers"], tables["change"]
    table = table[(table["moment"] == "end") & table["hidden"].astype(bool)]
    kinds = _kinds(table)
    depth = int(table["depth"].max()) if len(table) else 0
    figure = new_figure(
        max(3.1 * len(kinds), 5.5),
        5.2,
        f"{study.title}: which layers are saturated, and which learn?",
        f"{depth} hidden layers, after training · solid: no norm, dashed: batch norm · first/last: how much more the "
        "first layer's weights changed",
    )
    grid = figure.subplots(2, max(1, len(kinds)), sharex=True, sharey="row", squeeze=False)
    for column, kind in zip(grid.T, kinds, strict=False):
        own = table[_of(table, kind)]
        words = [_panel_words(kind)]
        for norm, line in own.groupby("norm", sort=False):
            _line(column[0], line, "saturated", kind, str(norm))
            _line(column[1], line, "weight_change", kind, str(norm))
            words.append(_ratio_words(str(norm), change[_of(change, kind) & (change["norm"] == norm)]))
        if (own["weight_change"] < STILL).all():
            column[1].text(
                0.5, 0.5, "below 10⁻⁷ in every layer:\nfloat32 sees no change", color=MUTED, fontsize=8,
                ha="center", transform=column[1].transAxes,
            )  # fmt: skip
        column[0].set_title(words[0])
        column[1].set_title("\n".join(words[1:]), fontsize=8.5, fontweight="normal")
        column[0].set_ylim(-0.03, 1.03)
        column[1].set_yscale("log")
        column[1].set_xlabel("hidden layer, images left")
        column[1].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=2))
    grid[1, 0].set_ylim(bottom=STILL)  # below it float32 sees no change
    grid[0, 0].set_ylabel("saturated (of ReLU: inactive)")
    grid[1, 0].set_ylabel("relative change of weights")
    return figure, table


def _ratio_words(norm: str, change: pd.DataFrame) -> str:
    """How much more the first hidden layer's weights changed than the last one's, as far as one can tell."""
    name = "batch norm" if norm == "batch" else "no norm"
    first, last = (bool(change[f"{layer}_still"].astype(bool).any()) for layer in ("first", "last"))
    if first and last:
        return f"{name}: neither first nor last changes"
    bound = "≤ " * first + "≥ " * last
    return f"{name}: first/last {bound}{np.exp(np.log(change['ratio']).mean()):.2g}×"


@styled
def draw_accuracy(study: Study, tables: Tables) -> tuple[Figure, pd.DataFrame]:
    """Training and validation accuracy against depth, each network at its rate; final runs at the deepest."""
    table, runs = tables["accuracy"], tables["runs"]
    majority = float(table["majority"].iloc[0])
    few, many = int(table["n_seeds"].min()), int(table["n_seeds"].max())
    seeds = f"{few} to {many}" if few < many else str(many)
    figure = new_figure(
        8.2,
        4.2,
        f"{study.title}: which networks still learn when they are deep?",
        f"lines: {seeds} tuning runs at the rate that each network chose · points: final runs at the greatest depth · "
        "solid: no norm; dashed, hollow: batch norm",
    )
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (name, final) in zip(
        panels, (("train_accuracy", "train_accuracy"), ("validation_accuracy", "test_accuracy")), strict=True
    ):
        axes.axhspan(100 * (majority - study.margin), 100 * (majority + study.margin), color="#e4e4e4", lw=0)
        axes.axhline(100 * majority, color=MUTED, lw=1)
        axes.text(
            0.12, 100 * majority + 1.5, "chance ± margin", color=MUTED, fontsize=7.5,
            transform=axes.get_yaxis_transform(),
        )  # fmt: skip
        networks = table.groupby(["activation", "norm", "initialisation"], sort=False)
        for place, ((activation, norm, drawn), line) in enumerate(networks):
            kind = (str(activation), str(drawn))
            ordered = line.sort_values("depth")
            look = {"marker": MARKER[kind[0]], "ls": LINE[str(norm)], "color": COLOUR[kind[0]]}
            look |= DRAWN.get(kind[1], {})
            look["mfc"] = "white" if norm == "batch" else COLOUR[kind[0]]
            axes.plot(
                ordered["depth"], 100 * ordered[name], **look, ms=3.5, lw=1.4, label=_legend(kind, str(norm))
            )
            own = runs[_of(runs, kind) & (runs["norm"] == norm)]
            # Networks side by side, right of their lines' ends, each network's runs a little apart.
            aside = 1.05 + 0.055 * place + 0.006 * (np.arange(len(own)) - len(own) / 2)
            axes.plot(own["depth"] * aside, 100 * own[final], **look | {"ls": "none"}, ms=4.5, alpha=0.8)
        axes.set_xlabel("hidden layers")
        axes.set_xscale("log")
        depths = sorted(table["depth"].unique())
        axes.set_xticks(depths, [str(depth) for depth in depths])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(depths[0] / 1.15, depths[-1] * (1.15 + 0.055 * networks.ngroups))
        axes.set_ylim(0, 102)
    panels[0].set_title("training images")
    panels[1].set_title("validation images (points: test)")
    panels[0].set_ylabel("accuracy, %")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure, pd.concat([table.assign(of="tuning"), runs.assign(of="final")], ignore_index=True)


@styled
def draw_mends(study: Study, mends: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """What each change adds to training accuracy at the greatest depth, with its interval."""
    table = mends.sort_values("change", kind="stable", key=lambda names: names.map(list(CHANGES).index))
    figure = new_figure(
        7.2,
        1.5 + 0.32 * len(table),
        f"{study.title}: what mends a deep network?",
        "points of training accuracy that a change adds at the greatest depth, each network at its own rate · 95% t "
        "interval over paired seeds",
    )
    axes = figure.subplots()
    gains = 100 * table[["gain", "ci_low", "ci_high"]].astype(float)
    for place, (row, gain) in enumerate(zip(table.itertuples(), gains.itertuples(), strict=True)):
        colour = COLOURS[list(CHANGES).index(row.change)]
        axes.plot([gain.ci_low, gain.ci_high], [place, place], color=colour, lw=1.6, solid_capstyle="butt")
        axes.plot(gain.gain, place, "o", color=colour, ms=5)
        axes.annotate(
            f"{gain.gain:+.1f}".replace("-", "−"), (1.01, place), xycoords=axes.get_yaxis_transform(),
            va="center", color=INK, fontsize=8.5,
        )  # fmt: skip
    axes.axvline(0, color=MUTED, lw=1)
    axes.set_yticks(range(len(table)), [_change_words(row) for row in table.to_dict("records")])
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.set_xlabel("training accuracy, points")
    axes.grid(visible=False, axis="y")
    return figure, table


def _change_words(row: Mapping[str, Any]) -> str:
    """`batch norm, with sigmoid, Xavier`, or `ReLU (He) for sigmoid (Xavier), with batch norm`."""
    if row["change"] == "batch norm":
        return f"batch norm, with {_panel_words((row['activation'], row['initialisation']))}"
    return f"{CHANGES[row['change']]}, {'with batch norm' if row['norm'] == 'batch' else 'no norm'}"


def _kinds(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Activation and initialisation, in the order met."""
    return list(dict.fromkeys(zip(table["activation"], table["initialisation"], strict=True)))


def _of(table: pd.DataFrame, kind: tuple[str, str]) -> pd.Series:
    return (table["activation"] == kind[0]) & (table["initialisation"] == kind[1])


def _panel_words(kind: tuple[str, str]) -> str:
    activation = level_words("activation", kind[0])
    if kind[1] != "by-activation":
        return f"{activation}, N(0, 0.01)"
    return f"{activation}, {'Xavier' if kind[0] in {'sigmoid', 'tanh'} else 'He'}"


def _legend(kind: tuple[str, str], norm: str) -> str:
    return f"{_panel_words(kind)}{', batch norm' if norm == 'batch' else ''}"


def _line(axes: Axes, line: pd.DataFrame, column: str, kind: tuple[str, str], norm: str) -> None:
    """One network's values by layer, with a band where there is one."""
    ordered = line.sort_values("layer")
    colour = COLOUR[kind[0]]
    axes.plot(
        ordered["layer"], ordered[column], color=colour, ls=LINE[norm], lw=1.5, marker=MARKER[kind[0]], ms=2.5,
        mec=colour, mfc=INK if norm == "batch" else colour,
    )  # fmt: skip
    if f"{column}_low" in ordered:
        low, high = (ordered[f"{column}_{end}"].astype(float) for end in ("low", "high"))
        axes.fill_between(ordered["layer"], low, high, color=colour, alpha=0.18, lw=0)
