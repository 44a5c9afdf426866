"""The synergy experiment's figure of Shapley shares, as a waterfall, and of each factor alone beside all three."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from takeoff.experiments.plotting import COLOURS, INK, MUTED, new_figure, styled
from takeoff.experiments.synergy_cube import name_of
from takeoff.study.model import Study

Tables = Mapping[str, pd.DataFrame]
COLOUR = {"none": MUTED, "data": COLOURS[2], "computation": COLOURS[4], "algorithms": COLOURS[0], "all": INK}
WORDS = {
    "none": "all\nlittle",
    "data": "data\n",
    "computation": "compu-\ntation",
    "algorithms": "algo-\nrithms",
    "all": "all\nmuch",
}
ENDS = ("", "_low", "_high")
TOP, MOST = 100.0, 130.0
"""Percent: where the axis of accuracies ends, and how far a bar of the waterfall or its interval may stretch it."""


@styled
def draw_shares(study: Study, tables: Tables, borrowed: str = "") -> tuple[Figure, pd.DataFrame]:
    """A row for each plain network: left the waterfall, right each factor alone; `borrowed`: what the
    subtitle must say of the networks' rates.
    """
    alone, effects = tables["alone"], tables["effects"]
    shares = effects[(effects["kind"] == "shapley") & (effects["response"] == "test_accuracy")]
    plains = list(dict.fromkeys(alone["plain"]))
    seeds = int(alone["n_seeds"].max())
    spread = "95% Student t intervals" if seeds > 1 else "so no intervals"
    subtitle = (
        f"{seeds} seed{'s' * (seeds > 1)}, {spread} · short lines: the best older method on the same data"
    )
    subtitle += f" · {borrowed}" * bool(borrowed)
    title = f"{study.title}: was any one of data, computation and algorithms enough?"
    figure = new_figure(9.0, 3.2 * len(plains) + 1.1, title, subtitle)
    grid = figure.subplots(len(plains), 2, sharey="row", squeeze=False)
    numbers = []
    for row, plain in zip(grid, plains, strict=True):
        own = alone[alone["plain"] == plain].set_index("alone")
        share = shares[shares["plain"] == plain].set_index("term")
        _draw_waterfall(row[0], own, share)
        _draw_alone(row[1], own)
        title = f"from {name_of(plain)}: Shapley shares in points\n{whole_words(own, share)}"
        row[0].set_title(title, pad=14)  # room for the number of a bar that ends at the top
        row[1].set_title("one alone, and all together", pad=14)
        row[0].set_ylabel("test accuracy, %")
        low, high = row[0].get_ylim()
        top = max(TOP, 1.06 * _highest(own, share))
        row[0].set_ylim(max(0, low), min(high + 0.06 * (high - max(0, low)), top))
        if top > TOP:
            row[0].axhline(TOP, color=MUTED, lw=0.8, ls=(0, (1, 2)), zorder=1)
        numbers += _numbers(plain, own, share)
    figure.legend(*grid[0][1].get_legend_handles_labels(), loc="outside lower right", ncols=3)
    return figure, pd.DataFrame(numbers)


def whole_words(own: pd.DataFrame, share: pd.DataFrame) -> str:
    """The whole gain in points, and the shares of it in percent, where its interval lies above 0 and each of them is
    a part of it: between nothing and all.
    """
    whole = float(own.loc["all", "gain"])
    words = f"whole gain {100 * whole:+.1f}".replace("-", "−")
    if not own.loc["all", "gain_low"] > 0:
        return words
    parts = share["estimate"] / share["estimate"].sum()
    if not parts.between(0, 1).all():
        return words
    return f"{words}, of which {' + '.join(f'{part:.0%}' for part in parts)}"


def _draw_waterfall(axes: Axes, own: pd.DataFrame, share: pd.DataFrame) -> None:
    """Bars from all little, up or down by each share, to all much."""
    level = float(own.loc["none", "test_accuracy"]) * 100
    _draw_bar(axes, 0, 0, level, "none", f"{level:.1f}")
    for x, (factor, row) in enumerate(share.iterrows(), start=1):
        points = float(row["estimate"]) * 100
        _draw_bar(axes, x, level, points, str(factor), f"{points:+.1f}".replace("-", "−"), row)
        axes.plot([x - 1.35, x + 0.35], [level, level], color=MUTED, lw=0.8, zorder=1)
        level += points
    axes.plot([len(share) - 0.35, len(share) + 1.35], [level, level], color=MUTED, lw=0.8, zorder=1)
    _draw_bar(axes, len(share) + 1, 0, level, "all", f"{level:.1f}")
    names = ["none", *map(str, share.index), "all"]
    axes.set_xticks(range(len(names)), [WORDS[name] for name in names])
    axes.grid(axis="x", visible=False)


def _highest(own: pd.DataFrame, share: pd.DataFrame) -> float:
    """Percent: where the shares, added one after the other, or their intervals end at most, up to `MOST`."""
    first = float(own.loc["none", "test_accuracy"])
    levels = first + share["estimate"].cumsum()
    ends = levels - share["estimate"] + share["ci_high"]
    return min(MOST, 100 * float(np.nanmax([first, *levels, *ends])))


def _draw_bar(
    axes: Axes, x: int, base: float, height: float, name: str, text: str, share: pd.Series | None = None
) -> None:
    """A bar, its number above it, and of a share its interval."""
    axes.bar(x, height, 0.7, bottom=base, color=COLOUR[name], alpha=0.75, zorder=2, lw=0)
    top = max(base, base + height)
    if share is not None and np.isfinite(share["ci_low"]):
        low, high = base + share["ci_low"] * 100, base + share["ci_high"] * 100
        axes.vlines(x, low, high, color=INK, lw=1.3, zorder=3)
        top = max(top, high)
    # A box behind a number that stands on an interval which leaves the axes, or on the line at 100%.
    boxed = top > MOST or 0 < TOP - top < 6
    box = {"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.85} if boxed else None
    axes.annotate(
        text,
        (x, min(top, MOST)),
        (0, 3),
        textcoords="offset points",
        size=8.5,
        ha="center",
        bbox=box,
        zorder=5,
    )


def _draw_alone(axes: Axes, own: pd.DataFrame) -> None:
    """A dot for none, each alone and all; the criteria: half the whole gain, and the older methods."""
    none, whole = own.loc["none", "test_accuracy"] * 100, own.loc["all", "gain"] * 100
    half = axes.axhline(none + whole / 2, color=COLOURS[3], lw=1.1, ls=(0, (1, 1.5)), zorder=1)
    half.set_label("criterion: half the whole gain")
    for x, (factor, row) in enumerate(own.iterrows()):
        colour = COLOUR[str(factor)]
        axes.vlines(
            x, row["test_accuracy_low"] * 100, row["test_accuracy_high"] * 100, color=colour, lw=1.9, zorder=3
        )
        axes.plot(x, row["test_accuracy"] * 100, "o", color=colour, ms=7, zorder=4, clip_on=False)
        words = "criterion: best older method" if x == 0 else None
        axes.plot([x - 0.33, x + 0.33], [row["older"] * 100] * 2, color=INK, lw=1.6, label=words, zorder=2)
    axes.set_xticks(range(len(own)), [WORDS[str(name)] for name in own.index])
    axes.set_xlim(-0.6, len(own) - 0.4)
    axes.grid(axis="x", visible=False)
    axes.tick_params(labelleft=True)


def _numbers(plain: str, own: pd.DataFrame, share: pd.DataFrame) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for name, row in own.iterrows():
        drawn: dict[str, object] = {"plain": plain, "alone": name, "older_method": row["older_method"]}
        for column in ("test_accuracy", "gain", "lead", "older"):
            unit = "percent" if column in {"test_accuracy", "older"} else "points"
            drawn |= {f"{column}_{unit}{end}": row[column + end] * 100 for end in ENDS}
        if name in share.index:
            of = share.loc[name]
            drawn |= {f"shapley_points{end}": of[f"ci{end}" if end else "estimate"] * 100 for end in ENDS}
        rows.append(drawn)
    return rows
