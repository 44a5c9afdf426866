"""The figures of `stability`: the map of what trains, and its limits."""

from collections.abc import Mapping

import pandas as pd
import seaborn as sns
from matplotlib.patches import Rectangle

from takeoff.experiments.base import Drawing, FixedCriterion, Tables
from takeoff.experiments.stability.design import Design
from takeoff.figures.curves import value_ticks
from takeoff.figures.rows import draw_rows
from takeoff.figures.style import COLOURS, new_figure, styled

NORMS = {"none": "without norm", "batch": "with batch norm"}


@styled
def draw(stability: Design, tables: Tables, criteria: Mapping[str, FixedCriterion]) -> list[Drawing]:
    """The map, and the limits."""
    return [_map(stability, tables["map"]), _limits(stability, tables["limits"])]


def _map(stability: Design, numbers: pd.DataFrame) -> Drawing:
    """Training accuracy by learning rate and depth, a panel per norm; cells where runs collapsed say so."""
    rates, depths = sorted(numbers["learning_rate"].unique()), sorted(numbers["depth"].unique(), reverse=True)
    subtitle = f"training accuracy in %, mean of {numbers['runs'].max()} runs · framed: every run ends at "
    subtitle += f"{stability.options.trains:.0%} or above · ×: runs that collapsed"
    question = f"{stability.study.title}: what trains, by learning rate and depth?"
    figure = new_figure(max(6.4, 2.4 + 1.6 * len(rates)), 2.1 + 0.55 * len(depths), question, subtitle)
    lost = [f"\n× {row.collapsed} of {row.runs}" * bool(row.collapsed) for row in numbers.itertuples()]
    percent = 100 * numbers["train_accuracy"]
    table = numbers.assign(percent=percent, words=percent.map("{:.0f}".format) + lost)
    table["framed"] = table["trained"] == table["runs"]
    for axes, (norm, title) in zip(figure.subplots(1, 2, sharey=True), NORMS.items(), strict=True):
        cells = table[table["norm"] == norm].pivot(index="depth", columns="learning_rate")
        values, words, framed = (cells[name].reindex(depths, columns=rates) for name in ("percent", "words", "framed"))
        bar = {"cbar": norm == "batch", "cbar_kws": {"label": "training accuracy, %"}}
        how = {"vmin": 0, "vmax": 100, "cmap": "cividis", "fmt": "", "annot_kws": {"size": 8.5}}
        sns.heatmap(values.rename(columns="{:g}".format), ax=axes, annot=words, **bar, **how)
        for text in axes.texts:
            x, y = (int(place) for place in text.get_position())
            if framed.iat[y, x]:
                axes.add_patch(Rectangle((x + 0.04, y + 0.04), 0.92, 0.92, fill=False, ec=text.get_color(), lw=1.6))
        axes.tick_params(length=0, rotation=0)
        axes.set(title=title, xlabel="learning rate", ylabel="hidden layers" if norm == "none" else "")
    return Drawing("map", figure, numbers)


def _limits(stability: Design, limits: pd.DataFrame) -> Drawing:
    """Each tuning seed's largest learning rate and greatest depth that train: from a grid point to the next."""
    subtitle = f"from the last point of the grid that trains ({stability.options.trains:.0%} training accuracy) to the "
    subtitle += "next, for each tuning seed · arrows: beyond the grid · hollow: nothing trains"
    question = f"{stability.study.title}: how far does training go?"
    figure = new_figure(8.6, 1.6 + 0.13 * len(limits), question, subtitle)
    panels = {
        "rate": ("learning rate", f"largest learning rate, at {limits['at_depth'].max()} hidden layers"),
        "depth": ("hidden layers", "greatest depth, any learning rate"),
    }
    for axes, (limit, (label, title)) in zip(figure.subplots(1, 2, sharey=True), panels.items(), strict=True):
        own = limits[limits["limit"] == limit].sort_values(["norm", "seed"])
        within, seed = own["censored"] == "no", own["seed"].rank(method="dense")
        rows = own.assign(
            label=own["norm"].map(NORMS) + seed.map(", seed {:.0f}".format),
            estimate=own["value"],
            ci_low=own["value"].where(within),
            ci_high=own["next"].where(within),
            colour=own["norm"].map({"batch": COLOURS[0], "none": COLOURS[1]}),
            hollow=own["censored"] == "below",
            text="",
            open=own["censored"].map({"below": -1, "no": 0, "above": 1}),
        )
        draw_rows(axes, rows, xlabel=label, log=True)
        value_ticks(axes, [*own["value"], *own.loc[within, "next"]])
        axes.set_title(title)
        axes.label_outer()
    return Drawing("limits", figure, limits)
