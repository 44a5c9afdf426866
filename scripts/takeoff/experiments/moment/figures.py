"""The moment experiment's figures: errors of every method, and the network's over the best hand-made one's."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from takeoff.experiments.base import Drawing, FixedCriterion, Tables
from takeoff.experiments.moment.design import Design
from takeoff.experiments.moment.measured import CLAIM, TOP1_PUBLISHED
from takeoff.experiments.moment.tables import RESPONSES, words_of
from takeoff.figures.rows import DOTTED, Line, criterion_lines, draw_rows
from takeoff.figures.style import COLOURS, MUTED, new_figure, styled
from takeoff.figures.words import seeds_words
from takeoff.statistics.criterion import Criterion

KINDS = {"network": COLOURS[0], "older": COLOURS[1]}
PUBLISHED_ERRORS = {
    "top5": {
        "2012: seven networks, more images": 15.3,
        "2012: five networks": 16.4,
        "2012: the best hand-made, several": 26.2,
        "2010: one network": 17.0,
        "2010: Fisher vectors": 25.7,
    },
    "top1": {"2010: one network": 37.5, "2010: Fisher vectors": 45.7},
}
"""ILSVRC, year and method: errors in percent (Krizhevsky 2012, tables 1 and 2)."""
PUBLISHED_RATIOS = {
    "ILSVRC-2012, top-5: seven networks, more images": 15.3 / 26.2,
    "ILSVRC-2012, top-5: several against several": 16.4 / 26.2,
    "ILSVRC-2010, top-5: one against one": 17.0 / 25.7,
    "ILSVRC-2010, top-1: one against one": TOP1_PUBLISHED,
}


@styled
def draw(moment: Design, tables: Tables, criteria: Mapping[str, FixedCriterion]) -> list[Drawing]:
    """Errors of every method beside the published ones, and the ratio beside the published ones."""
    fixed = criteria.get(CLAIM)
    criterion = fixed.parts["ratio"] if fixed else None
    return [_errors(moment, tables["methods"]), _ratio(moment, tables["ratio"], criterion)]


def _errors(moment: Design, methods: pd.DataFrame) -> Drawing:
    """Top-1 and top-5 error of this study's methods, and below them the published ones."""
    top1 = methods[methods["response"] == "top1"]
    order = top1.sort_values(["kind", "error"], kind="stable")["method"]
    numbers = methods.set_index("method").loc[order].reset_index()
    percent = 100 * numbers[["error", "ci_low", "ci_high", "guess"]]
    rows = numbers.assign(
        **percent,
        estimate=percent["error"],
        label=numbers["method"].map(words_of),
        colour=numbers["kind"].map(KINDS),
        bold=numbers["chosen"],
        text=percent["error"].map("{:.1f}".format),
    )
    numbers = numbers.drop(columns=list(percent)).assign(**percent.add_suffix("_percent"))
    seeds, images = int(numbers["n_seeds"].max()), int(numbers["n_images"].max())
    spread = seeds_words(seeds, "intervals over seeds and images")
    subtitle = f"{images:,} test images · {spread} · bold: the best of its kind on validation"
    title = f"{moment.study.title}: the network against hand-made pipelines"
    published = pd.DataFrame(PUBLISHED_ERRORS).rename_axis("label").reset_index()
    heights = (len(order), *[len(published)] * moment.beside_published)
    subtitle += " · diamonds: published" * moment.beside_published
    figure = new_figure(9.8, 1.5 + 0.35 * len(heights) + 0.31 * sum(heights), title, subtitle)
    grid = figure.subplots(len(heights), 2, squeeze=False, sharey="row", height_ratios=heights)
    for (above, *below), (name, response) in zip(grid.T, RESPONSES.items(), strict=True):
        own, known = rows[rows["response"] == name], published[name]
        guess = float(own["guess"].iloc[0])
        near = guess <= 2 * own[["estimate", "ci_high"]].max(axis=None)
        lines = [Line(guess, "guessing", MUTED, DOTTED)] * bool(near)
        draw_rows(above, own, xlabel="error, %", lines=lines, include=[0])
        above.set_title(f"this study, {response.words}", pad=14 if near else None)
        text = known.map("{:.1f}".format, na_action="ignore")
        note = np.where(known.isna(), "none for test images", "")
        for axes in below:
            draw_rows(axes, published.assign(published=known, text=text, note=note), xlabel="error, %", include=[0])
            axes.set_title(f"published: ILSVRC, 1,000 classes, {response.words}")
    for axes in grid[:, 1]:
        axes.tick_params(labelleft=False)
    return Drawing("errors", figure, numbers)


def _ratio(moment: Design, numbers: pd.DataFrame, criterion: Criterion | None) -> Drawing:
    """The ratio of errors with its interval, top-1 and top-5, and the published ones."""
    first, seeds = numbers.iloc[0], int(numbers["n_seeds"].iloc[0])
    judged = numbers["judged"].astype(bool)
    words = numbers["response"].map(lambda name: f"this study, {RESPONSES[name].words}")
    own = numbers.assign(
        label=words + np.where(judged, ", the claim", ""),
        estimate=numbers["ratio"],
        colour=np.where(judged, KINDS["network"], MUTED),
        bold=judged,
        note=np.where(numbers["ratio"].isna(), "no ratio: one of the two made no error", ""),
    )
    rows = own
    if moment.beside_published:
        published = pd.DataFrame(PUBLISHED_RATIOS.items(), columns=["label", "published"])
        rows = pd.concat([own, published], ignore_index=True)
    subtitle = f"{words_of(first['network'])}, over {words_of(first['rival'])} · {int(first['n_images']):,} test images"
    subtitle += f" · {seeds_words(seeds, 'intervals, paired over both')} · log axis"
    subtitle += " · diamonds: published" * moment.beside_published
    title = f"{moment.study.title}: did the network nearly halve the error?"
    figure = new_figure(8.6, 1.75 + 0.36 * len(rows), title, subtitle)
    label = "network's error over the best hand-made error"
    lines = [*criterion_lines(criterion, "×"), Line(1, "", MUTED, DOTTED)]
    draw_rows(figure.subplots(), rows, xlabel=label, log=True, lines=lines, shade=criterion)
    return Drawing("ratio", figure, numbers)
