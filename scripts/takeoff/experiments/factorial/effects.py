"""The factorial's effects as forest plots: in points, in log-odds, and with tuned rates above one rate for all."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from takeoff.experiments.base import Tables
from takeoff.experiments.factorial.design import Design
from takeoff.figures.curves import ENDS
from takeoff.figures.rows import ESTIMATE, ZERO, draw_rows, headed
from takeoff.figures.style import COLOURS, FAINT, INK, MUTED, new_figure, text_width
from takeoff.figures.words import seeds_words, signed, term_words

RESPONSE = "test_accuracy"
Drawn = tuple[Figure, pd.DataFrame]
"""A figure, and the numbers drawn in it."""
MOST_INTERACTIONS = 15
"""Of more interactions only the largest are drawn; the table has all of them."""
SMALL = " ≈"
"""Stands after the number of an effect that is shown to be smaller than the margin."""
UNCLEAR = "#a6a6a6"
COLUMN = 4.1
"""In inches: the width of a column of rows, without their labels."""
AXES = {"points": ("test accuracy, percentage points", 1.0, 1), "log-odds": ("test accuracy, log-odds", 0.1, 2)}
"""By unit: what stands below an axis, the least that it spans on either side, and the decimals of its numbers."""


def draw_effects(factorial: Design, tables: Tables) -> Drawn:
    """Main, interaction and simple effects with intervals, and Shapley shares, in percentage points; a mark says which
    main and simple effects are shown to be smaller than the study's margin.
    """
    numbers = tables["effects"].query("response == @RESPONSE").copy()
    small = tables["equivalence"].query("response == @RESPONSE and equivalent == 'equivalent'")
    numbers["response"] = f"{RESPONSE}_points"
    numbers[ESTIMATE] *= 100
    pairs = pd.MultiIndex.from_frame(numbers[["term", "kind"]])
    numbers["small"] = pairs.isin(small.set_index(["term", "kind"]).index)
    notes = []
    if numbers.loc[numbers["kind"].eq("main") | (len(factorial.levels) < 4), "small"].any():
        margin = 100 * factorial.study.margin
        words = f"shown to be smaller than {margin:g} point{'s' * (margin != 1)}"
        notes.append(f"{SMALL.strip()} {words} (two one-sided tests, p < 0.05 each, unadjusted)")
    rows = numbers.assign(mark=np.where(numbers["small"], SMALL, ""))
    return _forest(factorial, tables, rows, "points", "which factor mattered?", runs_words(tables), notes), numbers


def draw_log_odds(factorial: Design, tables: Tables) -> Drawn:
    """Main effects, interactions and Shapley shares in log-odds, which floors and ceilings bend less."""
    numbers = tables["effects"].query(f"response == '{RESPONSE}_log_odds' and kind != 'simple'")
    return _forest(factorial, tables, numbers, "log-odds", "and in log-odds?", runs_words(tables), ()), numbers


def draw_rates(factorial: Design, tables: Tables) -> Drawn:
    """Main effects, Shapley shares and, of up to three factors, simple effects: tuned above fixed, in points."""
    numbers = tables["fixed"].query("response == @RESPONSE and kind != 'interaction'").copy()
    numbers["response"] = f"{RESPONSE}_points"
    numbers[[side + end for side in ("tuned", "fixed", "difference") for end in ENDS]] *= 100
    names = dict(zip((f"tuned{end}" for end in ENDS), ESTIMATE, strict=True))
    rows = numbers.rename(columns=names | {f"fixed{end}": f"beside{end}" for end in ENDS})
    rows = rows[rows["kind"].ne("simple") | (len(factorial.levels) < 4)]
    note = f"filled: the rate tuned for each cell · hollow: {factorial.options.fixed_rate:g} for all"
    runs = tables["fixed_cells"].filter(regex="_runs|_collapsed").sum()
    if runs["tuned_collapsed"] or runs["fixed_collapsed"]:
        lost = [f"{runs[f'{side}_collapsed']} of {runs[f'{side}_runs']}" for side in ("tuned", "fixed")]
        note += f" · collapsed: {lost[0]} runs, {lost[1]}"
    seeds = seeds_words(int(numbers["n_seeds"].max()), fewest=int(numbers["n_seeds"].min()))
    question = "does the learning rate decide which factor matters?"
    return _forest(factorial, tables, rows, "points", question, seeds, [note]), numbers


def runs_words(tables: Tables, spread: str = "intervals") -> str:
    """How many seeds there are, how many runs diverged, and in how many arms the rate was chosen at the edge."""
    cells = tables["cells"]
    words = seeds_words(int(cells["n_seeds"].max()), spread, int(cells["n_seeds"].min()))
    if diverged := int(cells["n_diverged"].sum()):
        words += f" · {diverged} of {cells['n_seeds'].sum()} runs diverged"
    if "at_edge" in cells and (edge := cells["at_edge"].map(str).eq("True").sum()):
        words += f" · rate at the grid's edge in {edge} of {len(cells)} arms"
    return words


def _forest(
    factorial: Design, tables: Tables, rows: pd.DataFrame, unit: str, question: str, subtitle: str, notes: Sequence[str]
) -> Figure:
    """Main effects and interactions left, simple effects right, and Shapley shares below either: as bars, unless two
    stand beside each other. All on one axis.
    """
    xlabel, least, decimals = AXES[unit]
    levels, bar = factorial.levels, rows["kind"].eq("shapley") & ("beside" not in rows)
    factors = rows["term"].str.split("@").str[0]
    colours = factors.map(dict(zip(levels, COLOURS, strict=False))).fillna(INK)
    if "p_adjusted" in rows and rows["p_adjusted"].notna().any():
        subtitle += " · grey: adjusted p ≥ 0.05"
        colours = colours.mask(rows["p_adjusted"] >= 0.05, bar.map({True: FAINT, False: UNCLEAR}))
    labels = rows["term"].map(lambda term: term_words(term, levels))
    if "aliases" in tables:
        labels += rows["term"].map(tables["aliases"].set_index("term")["aliases"]).map(_alias_words)
        notes = [*_fraction_words(factorial, tables), *notes]
    rows = rows.assign(factor=factors, label=labels, colour=colours, bar=bar)
    columns, points = _arranged(levels, rows, "aliases" in tables, decimals)
    longest, tall = max(map(len, columns)), 0.34 if "beside" in rows else 0.25
    width = sum(max(map(text_width, column["label"])) + COLUMN for column in columns)
    width = max(width, *(0.93 * text_width(note) + 0.25 for note in ("", *notes)))
    height = 1.25 + tall * longest + 0.19 * len(notes)
    figure = new_figure(width, height, f"{factorial.study.title}: {question}", subtitle)
    figure.supxlabel("\n".join(notes), x=0.1 / width, ha="left", size=8.5, color=MUTED)
    # A column's labels stand a little away from the numbers of the one before.
    grid, span = figure.subplots(1, len(columns), squeeze=False, gridspec_kw={"wspace": 0.1})[0], (-least, least)
    for axes, column in zip(grid, columns, strict=True):
        single = points if column is columns[-1] else None
        draw_rows(axes, column, xlabel=xlabel, lines=[ZERO], decimals=decimals, include=span, points=single)
    ends = [axes.get_xlim() for axes in grid]
    for axes in grid:
        axes.set(xlim=(np.min(ends), np.max(ends)), ylim=(longest - 0.5, -0.5))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
    return figure


def _arranged(
    levels: Mapping[str, tuple[object, object]], rows: pd.DataFrame, fraction: bool, decimals: int
) -> tuple[list[pd.DataFrame], pd.DataFrame | None]:
    """The columns of rows, and single points of the last one.

    A row for each simple effect, below its factor's name; of four factors or more a row for each factor, with a point
    for each of its simple effects.
    """
    main, pairs, simple, shares = (rows[rows["kind"] == kind] for kind in ("main", "interaction", "simple", "shapley"))
    heading, few, names = "Interactions", len(levels) < 4, {name: term_words(name, levels) for name in levels}
    if len(pairs) > MOST_INTERACTIONS:
        heading += f", the {MOST_INTERACTIONS} largest of {len(pairs)}"
        pairs = pairs.loc[pairs["estimate"].abs().nlargest(MOST_INTERACTIONS).index]
    blocks: list[dict[str, pd.DataFrame]] = [{"Main effects": main}, {}]
    blocks[fraction][heading], points = pairs, None
    if few:
        blocks[1] |= {f"{words}, with": simple[simple["factor"] == name] for name, words in names.items()}
    elif len(simple):
        blocks[1][f"Simple effects, {2 ** (len(levels) - 1)} each"] = pd.DataFrame({"label": names.values()})
        points = simple.assign(row=simple["factor"].map([*names].index) + 1, value=simple["estimate"])
    total = f", sum {signed(shares['estimate'].sum(), decimals)}" if shares["bar"].all() else ""
    blocks[not few][f"Shapley shares{total}"] = shares if len(levels) > 1 else shares[:0]
    return [column for column in map(headed, blocks) if len(column)], points


def _alias_words(aliases: object) -> str:
    """The interactions of two factors that are mixed up with an effect."""
    pairs = [word for word in str(aliases).split() if word.count(":") == 1]
    return "".join(f" ± {pair.replace(':', '×').replace('_', ' ')}" for pair in pairs)


def _fraction_words(factorial: Design, tables: Tables) -> list[str]:
    """Of a fraction, two lines: how much was trained, and what its effects are mixed up with."""
    lowest = tables["aliases"].groupby("kind")["lowest_order"].min().astype(int)
    trained = f"{len(tables['cells'])} of the {2 ** len(factorial.levels):,} combinations are trained"
    return [
        f"{trained}, so no simple effects, no Shapley shares",
        f"main effects are mixed up with interactions of {lowest['main']} or more factors, "
        f"those of two are mixed up with interactions of {lowest['interaction']} or more (see aliases.csv)",
    ]
