"""The figures of `depth`: gradients, saturation and change of weights by layer, accuracy, and what learns."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from takeoff.experiments.base import Drawing, FixedCriterion, Tables
from takeoff.experiments.depth.design import GRADIENTS, LEARNING, Design
from takeoff.experiments.depth.tables import STILL
from takeoff.figures.curves import ACTIVATION_LOOKS, Look, draw_curves, value_ticks
from takeoff.figures.rows import ZERO, criterion_lines, draw_rows
from takeoff.figures.style import ACTIVATION_COLOURS, MUTED, new_figure, styled
from takeoff.figures.words import level_words, seeds_words, signed

SUITED = {"sigmoid": "Xavier", "tanh": "Xavier", "relu": "He", "gelu": "He"}
GAUSSIAN = "N(0, 0.01)"
Row = tuple[str, str, str, Mapping[str, str]]


@styled
def draw(depth: Design, tables: Tables, criteria: Mapping[str, FixedCriterion]) -> list[Drawing]:
    """Gradients by layer, saturation and change by layer, accuracy against depth, and which networks learn."""
    gradients = _gradients(depth, tables, criteria.get(GRADIENTS))
    learning = _learning(depth, tables["learning"], criteria.get(LEARNING))
    return [gradients, _layers(depth, tables), _accuracy(depth, tables), learning]


def _named(table: pd.DataFrame) -> pd.DataFrame:
    """With each row's `network`, its activation and initialisation in words, and with its norm: its `line`."""
    suits = table["initialisation"] == "by-activation"
    activations, norms = (table[name].map(partial(level_words, name)) for name in ("activation", "norm"))
    networks = activations + ", " + table["activation"].map(SUITED).where(suits, GAUSSIAN)
    return table.assign(network=networks, line=networks + ", " + norms)


def _looks(table: pd.DataFrame) -> dict[str, Look]:
    """By line: dashed and hollow with batch norm, dotted from N(0, 0.01)."""
    looks = {}
    for row in table.drop_duplicates("line").itertuples():
        look = ACTIVATION_LOOKS[row.activation]
        batch, drawn = row.norm == "batch", GAUSSIAN in row.network
        dashes = (0, (4, 1.5)) if batch else ":" if drawn else "-"
        looks[row.line] = Look(look.colour, dashes, "X" if drawn else look.marker, hollow=batch)
    return looks


def _by_layer(
    depth: Design, question: str, hint: str, layers: pd.DataFrame, rows: Sequence[Row]
) -> tuple[Figure, dict[str, Sequence[Axes]]]:
    """Panels of the hidden layers with a line per norm: a column per network of `layers`, returned by its name.

    Each of the two `rows` is a column of `layers`, the moment, the axis' label, and what the legend adds, by line.
    """
    networks = list(layers["network"].unique())
    title, subtitle = f"{depth.study.title}: {question}", f"{depth.deepest} hidden layers · {hint}"
    figure = new_figure(max(3.1 * len(networks), 5.5), 5.4, title, subtitle)
    same = rows[0][0] == rows[1][0]
    panels = figure.subplots(2, len(networks), sharex=True, sharey=True if same else "row", squeeze=False)
    for (row, column), axes in np.ndenumerate(panels):
        (response, moment, label, words), network = rows[row], networks[column]
        own = layers[layers["hidden"] & layers["network"].eq(network) & layers["moment"].eq(moment)]
        said = {name: name.removeprefix(f"{network}, ") + words.get(name, "") for name in own["line"].unique()}
        draw_curves(axes, own, "layer", response, "line", _looks(own), said, markers=True)
        for number, line in enumerate(axes.lines):
            line.set_markevery((0.07 * number, 0.14))  # few, and apart where two lines coincide
        legend = axes.legend(loc="lower left", bbox_to_anchor=(-0.03, 1), borderaxespad=0.2, alignment="left")
        legend.set_title("" if row else network, {"weight": "bold"})
        axes.set(xlabel="hidden layer, images left", ylabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=2))
        axes.label_outer()
        if same or row:
            axes.set_yscale("log")
    return figure, dict(zip(networks, panels.T, strict=True))


def _gradients(depth: Design, tables: Tables, claim: FixedCriterion | None) -> Drawing:
    """The norm of gradients by layer, before and after training."""
    layers, slopes = _named(tables["layers"]), _named(tables["slopes"])
    seeds, rows = seeds_words(int(layers["n_seeds"].max()), "bands"), []
    hint = f"geometric means of {seeds} · slope: change of ln gradient per layer towards the images"
    for moment, when in {"start": "before", "end": "after"}.items():
        means = slopes[slopes["moment"] == moment].groupby("line")["slope"].mean()
        words = {line: f": slope {signed(mean, 2)}" for line, mean in means.items()}
        rows.append(("gradient_norm", moment, f"gradient norm {when} training", words))
    question = "do gradients vanish on their way to the images?"
    figure, columns = _by_layer(depth, question, hint, layers, rows)
    start = layers.query("line == 'sigmoid, Xavier, no norm' and moment == 'start' and hidden")
    if claim and claim.published is not None and len(start):
        # What the activation's derivative alone would do, from the last hidden layer towards the images.
        layer, axes, third = start["layer"].to_numpy(), columns["sigmoid, Xavier"][0], len(start) // 3
        alone = start["gradient_norm"].iloc[-1] * np.exp(claim.published * (layer[-1] - layer))
        axes.plot(layer, alone, color=MUTED, lw=1, ls=":", zorder=1)
        note = f"\n {np.exp(claim.published):.2g}ⁿ: activation\n factor only"
        axes.text(layer[third], alone[third], note, color=MUTED, va="top", size=7.5)
    return Drawing("gradients", figure, tables["layers"])


def _layers(depth: Design, tables: Tables) -> Drawing:
    """After training: the share of saturated units, and the relative change of weights, by layer."""
    layers, change = _named(tables["layers"]), _named(tables["change"])
    still = change.groupby("line")[["first_still", "last_still"]].any()
    ratio = np.exp(np.log(change["ratio"]).groupby(change["line"]).mean())
    words = {
        line: f": first/last {'≤ ' * first}{'≥ ' * last}{ratio[line]:.2g}×" for line, first, last in still.itertuples()
    }
    words |= dict.fromkeys(still.index[still.all(axis=1)], ": neither first nor last changes")
    saturated: Row = ("saturated", "end", "saturated (of ReLU: inactive)", {})
    changed = ("weight_change", "end", "relative change of weights", words)
    hint = "after training · first/last: change of the first over that of the last"
    question = "which layers are saturated, and which learn?"
    figure, columns = _by_layer(depth, question, hint, layers, [saturated, changed])
    table = tables["layers"][layers["hidden"] & layers["moment"].eq("end")]
    for network, (top, bottom) in columns.items():
        top.set_ylim(-0.03, 1.03)
        bottom.set_ylim(bottom=STILL)
        if (table.loc[layers["network"] == network, "weight_change"] < STILL).all():
            note = "below 10⁻⁷ in every layer:\nless than float32 can store"
            bottom.text(0.5, 0.5, note, size=8, color=MUTED, ha="center", transform=bottom.transAxes)
    return Drawing("layers", figure, table)


def _accuracy(depth: Design, tables: Tables) -> Drawing:
    """Training and validation accuracy against depth, each network at its own learning rate; and the final runs."""
    tuning, runs = (_named(table[table["times"] == 1]) for table in (tables["accuracy"], tables["runs"]))
    seeds = " to ".join(dict.fromkeys(f"{tuning['n_seeds'].agg(end):.0f}" for end in ("min", "max")))
    subtitle = f"lines: {seeds} tuning runs at each network's own learning rate · points beside: final runs"
    figure = new_figure(8.2, 4.4, f"{depth.study.title}: which deep networks still learn?", subtitle)
    panels, looks = figure.subplots(1, 2, sharey=True), _looks(tuning)
    said = {line: line for line in looks}
    chance, depths = 100 * tuning["majority"].iloc[0], sorted(tuning["depth"].unique())
    pairs = [("train_accuracy", "train_accuracy"), ("validation_accuracy", "test_accuracy")]
    for axes, (tuned, final) in zip(panels, pairs, strict=True):
        axes.axhline(chance, color=MUTED, lw=1)
        axes.text(depths[0], chance + 2.5, "chance", color=MUTED, size=7.5)
        lines = tuning.assign(percent=100 * tuning[tuned]).sort_values("depth", kind="stable")
        draw_curves(axes, lines, "depth", "percent", "line", looks, said, markers=True)
        for place, (line, look) in enumerate(looks.items()):
            own = runs[runs["line"] == line]
            aside = 1.05 + 0.055 * place + 0.006 * (np.arange(len(own)) - len(own) / 2)
            style = {"c": "white" if look.hollow else look.colour, "ec": look.colour, "alpha": 0.8}
            axes.scatter(own["depth"] * aside, 100 * own[final], 20, marker=look.marker, **style)
        value_ticks(axes, depths)
        axes.set(xlabel="hidden layers", xlim=(depths[0] / 1.15, depths[-1] * (1.15 + 0.055 * len(looks))))
    panels[0].set(title="training images", ylabel="accuracy, %", ylim=(0, 102))
    panels[1].set_title("validation images (points: test)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    numbers = [tables["accuracy"].assign(of="tuning"), tables["runs"].assign(of="final")]
    return Drawing("accuracy", figure, pd.concat(numbers, ignore_index=True))


def _learning(depth: Design, learning: pd.DataFrame, claim: FixedCriterion | None) -> Drawing:
    """By how much training brings each network's loss below that of guessing, with its interval."""
    longer = learning["times"].map(lambda times: f", {times}× the steps" * (times > 1))
    rows = _named(learning).rename(columns={"gained": "estimate"})
    rows = rows.assign(label=rows["line"] + longer, colour=rows["activation"].map(ACTIVATION_COLOURS))
    rows["hollow"] = rows["norm"] == "batch"
    lines = [line for part in ("sigmoid", "relu") for line in criterion_lines(claim.parts[part])] if claim else []
    subtitle = f"{depth.deepest} hidden layers, each network at its own learning rate · 95% Student t intervals"
    question = f"{depth.study.title}: which deep networks learn?"
    figure = new_figure(7.2, 1.5 + 0.32 * len(rows), question, subtitle)
    label = "training loss below that of guessing, nats · hollow: with batch norm"
    draw_rows(figure.subplots(), rows, xlabel=label, lines=[ZERO, *lines], decimals=3)
    return Drawing("learning", figure, learning)
