"""The figures of `stability`: the map of what trains, and its limits."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import NullLocator

from takeoff.experiments.plotting import COLOURS, INK, MUTED, new_figure, styled
from takeoff.study.model import Study

NORMS = {"none": "without norm", "batch": "with batch norm"}


@styled
def draw_map(study: Study, table: pd.DataFrame, trains: float) -> tuple[Figure, pd.DataFrame]:
    """Training accuracy by rate and depth, a panel per norm; cells where runs collapsed say so."""
    rates, depths = (sorted(table[name].unique()) for name in ("learning_rate", "depth"))
    runs = int(table["runs"].max())
    figure = new_figure(
        max(6.4, 2 * (1.2 + 0.8 * len(rates))),
        1.7 + 0.55 * len(depths) + 0.4,
        f"{study.title}: what trains, by rate and depth?",
        f"training accuracy in %, mean of {runs} runs · framed: every run ends at {trains:.0%} or above · ×: runs that "
        "collapsed",
    )
    panels = figure.subplots(1, len(NORMS), sharey=True)
    image: Any = None
    for axes, (norm, words) in zip(panels, NORMS.items(), strict=True):
        own = table[table["norm"] == norm].pivot(
            index="depth", columns="learning_rate", values="train_accuracy"
        )
        grid = own.reindex(index=depths, columns=rates).to_numpy(dtype=float)
        image = axes.imshow(100 * grid, cmap="cividis", vmin=0, vmax=100, origin="lower", aspect="auto")
        for row in table[table["norm"] == norm].itertuples():
            x, y = rates.index(row.learning_rate), depths.index(row.depth)
            dark = row.train_accuracy < 0.55
            text = f"{100 * row.train_accuracy:.0f}"
            if row.collapsed:
                text += f"\n× {row.collapsed} of {row.runs}"
            axes.text(x, y, text, ha="center", va="center", color="white" if dark else INK, fontsize=8.5)
            if row.trained == row.runs:
                colour = "white" if dark else INK
                axes.add_patch(Rectangle((x - 0.46, y - 0.46), 0.92, 0.92, fill=False, ec=colour, lw=1.6))
        axes.set_xticks(range(len(rates)), [f"{rate:g}" for rate in rates])
        axes.set_yticks(range(len(depths)), [str(depth) for depth in depths])
        axes.grid(visible=False)
        axes.set_title(words)
        axes.set_xlabel("learning rate")
    panels[0].set_ylabel("hidden layers")
    bar = figure.colorbar(image, ax=panels, shrink=0.9, pad=0.02)
    bar.set_label("training accuracy, %")
    bar.outline.set_visible(False)
    return figure, table


@styled
def draw_limits(study: Study, limits: pd.DataFrame, trains: float) -> tuple[Figure, pd.DataFrame]:
    """Each tuning seed's largest rate and greatest depth that train: from a grid point to the next."""
    seeds = sorted(limits["seed"].unique())
    figure = new_figure(
        8.2,
        2.6,
        f"{study.title}: how far does training go?",
        f"a line per tuning seed, from the last point of the grid that trains ({trains:.0%} training accuracy) to the "
        "next · arrows: beyond the grid",
    )
    panels = figure.subplots(1, 2, sharey=True)
    titles = {
        "rate": f"largest rate, at {int(limits['at_depth'].max())} hidden layers",
        "depth": "greatest depth, any rate",
    }
    for axes, (limit, title) in zip(panels, titles.items(), strict=True):
        own = limits[limits["limit"] == limit]
        points = sorted({*own["value"], *own.loc[np.isfinite(own["next"]), "next"]})
        factor = (points[-1] / points[0]) ** 0.12 if len(points) > 1 else 1.5
        for row in own.itertuples():
            y = list(NORMS).index(row.norm) + 0.18 * (seeds.index(row.seed) - (len(seeds) - 1) / 2)
            colour = COLOURS[0] if row.norm == "batch" else COLOURS[1]
            end = {"above": row.value * factor, "below": row.value / factor}.get(row.censored, row.next)
            arrow = {
                "arrowstyle": "-" if row.censored == "no" else "-|>",
                "color": colour,
                "lw": 1.6,
                "shrinkA": 0,
                "shrinkB": 0,
            }
            axes.annotate("", (end, y), (row.value, y), arrowprops=arrow)
            axes.plot(
                row.value, y, "o", ms=5, color=colour, mfc="white" if row.censored == "below" else colour
            )
        axes.set_xscale("log")
        axes.set_xlim(points[0] / factor**1.4, points[-1] * factor**1.4)
        axes.set_xticks(points, [f"{point:g}" for point in points])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_yticks(range(len(NORMS)), list(NORMS.values()))
        axes.set_ylim(-0.6, len(NORMS) - 0.4)
        axes.set_title(title)
    panels[0].set_xlabel("learning rate")
    panels[1].set_xlabel("hidden layers")
    panels[0].tick_params(axis="y", colors=MUTED)
    return figure, limits
