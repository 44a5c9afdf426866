"""The figure of `stability`: the map of what trains."""

from collections.abc import Mapping
from itertools import product

import seaborn as sns
from matplotlib.patches import Rectangle

from takeoff.experiments.base import Drawing, FixedCriterion, Tables
from takeoff.experiments.depth.design import NORMS
from takeoff.experiments.stability.design import ACTIVATIONS, Design
from takeoff.figures.style import new_figure, styled
from takeoff.figures.words import level_words


@styled
def draw(stability: Design, tables: Tables, criteria: Mapping[str, FixedCriterion]) -> list[Drawing]:
    """Training accuracy by learning rate and depth, a panel per activation and norm; cells say how many runs train."""
    numbers = tables["map"]
    rates, depths = sorted(numbers["learning_rate"].unique()), sorted(numbers["depth"].unique(), reverse=True)
    subtitle = f"training accuracy in %, mean of {numbers['runs'].max()} runs · framed: every run trains "
    subtitle += f"({stability.options.trains:.0%} or above), else how many do · empty: not tried"
    question = f"{stability.study.title}: what trains, by learning rate and depth?"
    figure = new_figure(max(6.4, 2.4 + 1.6 * len(rates)), 2.6 + 1.1 * len(depths), question, subtitle)
    table = numbers.assign(percent=100 * numbers["train_accuracy"], framed=numbers["trained"] == numbers["runs"])
    parts = [f"\n{row.trained} of {row.runs}" * (not row.framed) for row in table.itertuples()]
    table["words"] = table["percent"].map("{:.0f}".format) + parts
    panels = figure.subplots(2, 2, sharex=True, sharey=True).flat
    for axes, (activation, norm) in zip(panels, product(ACTIVATIONS, NORMS), strict=True):
        own = table[table["activation"].eq(activation) & table["norm"].eq(norm)]
        cells = own.pivot(index="depth", columns="learning_rate")
        values, words, framed = (cells[name].reindex(depths, columns=rates) for name in ("percent", "words", "framed"))
        bar = {"cbar": norm == "batch", "cbar_kws": {"label": "training accuracy, %"}}
        how = {"vmin": 0, "vmax": 100, "cmap": "cividis", "fmt": "", "annot_kws": {"size": 8.5}}
        sns.heatmap(values.rename(columns="{:g}".format), ax=axes, annot=words, **bar, **how)
        for text in axes.texts:
            x, y = (int(place) for place in text.get_position())
            if framed.iat[y, x]:
                axes.add_patch(Rectangle((x + 0.04, y + 0.04), 0.92, 0.92, fill=False, ec=text.get_color(), lw=1.6))
        axes.tick_params(length=0, rotation=0)
        title = f"{level_words('activation', activation)}, {level_words('norm', norm)}"
        axes.set(title=title, xlabel="learning rate", ylabel="hidden layers")
        axes.label_outer()
    return [Drawing("map", figure, numbers)]
