"""The figure of a hidden factor, the learning rate: every effect with rates tuned per cell, and at one rate for all."""

import pandas as pd
from matplotlib.figure import Figure

from takeoff.experiments.factorial_effects import setting_words
from takeoff.experiments.factorial_forest import RESPONSE, Panel, Row, Tables, Words, draw_forest, switch
from takeoff.experiments.plotting import COLOURS, styled
from takeoff.study.model import Study

ENDS = ("", "_low", "_high")


@styled
def draw_rates(study: Study, tables: Tables) -> tuple[Figure, pd.DataFrame]:
    """Main effects, Shapley shares and, of up to three factors, simple effects: tuned above fixed, in points."""
    table = tables["fixed"]
    numbers = table[(table["response"] == RESPONSE) & (table["kind"] != "interaction")].copy()
    scaled = [side + end for side in ("tuned", "fixed", "difference") for end in ENDS]
    numbers[scaled] *= 100
    numbers["response"] = f"{RESPONSE}_points"
    columns = [[_panel(study, numbers, "main", "Main effects")]]
    if (numbers["kind"] == "shapley").any() and len(study.factors) > 1:
        columns[0].append(_panel(study, numbers, "shapley", "Shapley shares"))
    if (numbers["kind"] == "simple").any() and len(study.factors) < 4:
        columns.append([_simple_panel(study, numbers)])
    rate = float(table["rate"].iloc[0])
    fewest, most = int(numbers["n_seeds"].min()), int(numbers["n_seeds"].max())
    seeds = f"{most} seed{'s' * (most > 1)}" if fewest == most else f"{fewest} to {most} seeds"
    spread = "95% Student t intervals" if most > 1 else "so no intervals"
    notes = [
        f"filled: the rate tuned for each cell · hollow: {rate:g} for all{_collapsed(tables['fixed_cells'])}"
    ]
    title = f"{study.title}: does the learning rate decide which factor matters?"
    return draw_forest(columns, Words(title, f"{seeds}, {spread}", notes=notes)), numbers


def _collapsed(cells: pd.DataFrame) -> str:
    """How many runs collapsed at either rate."""
    tuned, fixed = (int(cells[f"{side}_collapsed"].sum()) for side in ("tuned", "fixed"))
    if not tuned + fixed:
        return ""
    return (
        f" · collapsed: {tuned} of {cells['tuned_runs'].sum()} runs, {fixed} of {cells['fixed_runs'].sum()}"
    )


def _panel(study: Study, numbers: pd.DataFrame, kind: str, heading: str) -> Panel:
    rows = [Row(heading)]
    for number, (term, effect) in enumerate(numbers[numbers["kind"] == kind].groupby("term", sort=False)):
        rows.append(_row(switch(study, str(term)), COLOURS[number % 10], effect))
    return Panel(rows)


def _simple_panel(study: Study, numbers: pd.DataFrame) -> Panel:
    """A row for each simple effect, below its factor's name."""
    simple, rows = numbers[numbers["kind"] == "simple"], []
    groups = simple.groupby(simple["term"].str.split("@").str[0], sort=False)
    for number, (factor, group) in enumerate(groups):
        rows.append(Row(f"{switch(study, str(factor))}, with"))
        for term, effect in group.groupby("term", sort=False):
            rows.append(_row(setting_words(str(term)), COLOURS[number], effect))
    return Panel(rows)


def _row(label: str, colour: str, effect: pd.DataFrame) -> Row:
    sides = []
    for side in ("tuned", "fixed"):
        names = {side: "estimate", f"{side}_low": "ci_low", f"{side}_high": "ci_high"}
        sides.append(effect[list(names)].rename(columns=names))
    return Row(label, colour, sides[0], beside=sides[1])
