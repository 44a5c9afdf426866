"""The factorial experiment's effects, in points and in log-odds: main, interaction, simple, and Shapley shares."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from takeoff.experiments.factorial_forest import (
    POINTS,
    RESPONSE,
    SMALL,
    Panel,
    Row,
    Tables,
    Words,
    draw_forest,
    seeds_words,
    signed,
    switch,
)
from takeoff.experiments.plotting import COLOURS, INK, level_words, styled
from takeoff.statistics.tables import level_text
from takeoff.study.model import Study

MOST_INTERACTIONS = 15
"""Of more interactions only the largest are drawn; the table has all of them."""
MISHKIN = {
    frozenset({("activation", "tanh", "relu")}): 6.05,
    frozenset({("norm", "none", "batch")}): 3.75,
    frozenset({("activation", "tanh", "relu"), ("norm", "none", "batch")}): -0.95,
}
"""Points of test accuracy in the published 2 × 2 (Mishkin, Sergievskiy & Matas 2017): .401 tanh, .448 tanh with batch
norm, .471 ReLU, .499 ReLU with batch norm; by the switches that a term stands for."""
MISHKIN_NOTE = (
    "◇ Mishkin 2017: CaffeNet, ImageNet at 128 px, one run a cell of a 2 × 2; ours: mean over other factors"
)


@styled
def draw_effects(study: Study, tables: Tables) -> tuple[Figure, pd.DataFrame]:
    """Main, interaction and simple effects with intervals, and Shapley shares, in percentage points.

    Beside ours stand published effects of the same switches; a mark says which main and simple effects are shown to
    be smaller than the study's margin.
    """
    effects = _on(tables["effects"], RESPONSE).assign(response=f"{RESPONSE}_points")
    effects[POINTS] *= 100
    effects["published"] = [
        published(study, *pair) for pair in zip(effects["term"], effects["kind"], strict=True)
    ]
    small = _on(tables["equivalence"], RESPONSE).query("equivalent == 'equivalent'")
    pairs = set(zip(small["term"], small["kind"], strict=True))
    effects["small"] = [pair in pairs for pair in zip(effects["term"], effects["kind"], strict=True)]
    panels = Panels(study, tables, effects)
    columns = panels.columns()
    if 1 < len(study.factors) < 4:
        columns.append([panels.simple()])
    elif len(panels.of("simple")):
        columns[1].insert(0, panels.strips())
    notes = [MISHKIN_NOTE] if effects["published"].notna().any() else []
    drawn = effects["kind"].eq("main") | (effects["kind"].eq("simple") & (len(study.factors) < 4))
    if effects.loc[drawn, "small"].any():
        margin = f"{100 * study.margin:g} point{'s' * (study.margin != 0.01)}"
        notes.append(
            f"{SMALL} shown to be smaller than {margin} (two one-sided tests, p < 0.05 each, unadjusted)"
        )
    return draw_forest(columns, panels.words("which factor mattered?", "points", notes)), effects


@styled
def draw_log_odds(study: Study, tables: Tables) -> tuple[Figure, pd.DataFrame]:
    """Main effects, interactions and Shapley shares in log-odds, which floors and ceilings bend less."""
    effects = _on(tables["effects"], f"{RESPONSE}_log_odds")
    effects = effects[effects["kind"] != "simple"]
    panels = Panels(study, tables, effects)
    return draw_forest(panels.columns(), panels.words("and in log-odds?", "log-odds", [])), effects


def published(study: Study, term: str, kind: str) -> float:
    """What Mishkin 2017 found for the very switches of a main effect or interaction, in points; NaN elsewhere."""
    if kind not in {"main", "interaction"}:
        return float("nan")
    switches = set()
    for name in term.split(":"):
        factor = study.factors[name]
        switches.add((name, level_text(factor.baseline), level_text(factor.treatment)))
    return MISHKIN.get(frozenset(switches), float("nan"))


def _on(table: pd.DataFrame, response: str) -> pd.DataFrame:
    return table[table["response"] == response].copy()


class Panels:
    """The panels of one response's effects."""

    def __init__(self, study: Study, tables: Tables, effects: pd.DataFrame) -> None:
        self.study, self.tables, self.effects = study, tables, effects
        self.colours: Mapping[str, str] = dict(zip(study.factors, COLOURS, strict=False))

    def of(self, kind: str) -> pd.DataFrame:
        """The effects of one kind."""
        return self.effects[self.effects["kind"] == kind]

    def words(self, question: str, unit: str, notes: list[str]) -> Words:
        """Title, subtitle and notes."""
        subtitle = seeds_words(self.tables)
        if self.effects["p_adjusted"].notna().any():
            subtitle += " · grey: adjusted p ≥ 0.05"
        if "aliases" in self.tables:
            notes = [*fraction_words(self.study, self.tables), *notes]
        return Words(f"{self.study.title}: {question}", subtitle, unit, notes)

    def columns(self) -> list[list[Panel]]:
        """Main effects and interactions, and Shapley shares where there are any, side by side where they are many."""
        if "aliases" in self.tables:
            return [[Panel(self.main())], [Panel(self.interactions())]]
        whole = Panel(self.main() + self.interactions())
        if len(self.study.factors) == 1:
            return [[whole]]
        return [[whole, self.shares()]] if len(self.study.factors) < 4 else [[whole], [self.shares()]]

    def main(self) -> list[Row]:
        """A row for each main effect."""
        rows = [Row("Main effects")]
        for term, effect in self.of("main").groupby("term", sort=False):
            rows.append(self._row(switch(self.study, str(term)), self.colours[str(term)], effect))
        return rows

    def interactions(self) -> list[Row]:
        """A row for each interaction, for the largest of them where there are many."""
        interactions = shown = self.of("interaction")
        rows = [Row("Interactions")] if len(shown) else []
        if len(interactions) > MOST_INTERACTIONS:
            shown = interactions.loc[interactions["estimate"].abs().nlargest(MOST_INTERACTIONS).index]
            rows = [Row(f"Interactions, the {len(shown)} largest of {len(interactions)}")]
        for term, effect in shown.groupby("term", sort=False):
            rows.append(self._row(self._interaction(str(term)), INK, effect))
        return rows

    def simple(self) -> Panel:
        """A row for each simple effect, below its factor's name."""
        rows = []
        for factor, group in self._simple().groupby("factor", sort=False):
            rows.append(Row(f"{switch(self.study, str(factor))}, with"))
            for term, effect in group.groupby("term", sort=False):
                rows.append(self._row(setting_words(str(term)), self.colours[str(factor)], effect))
        return Panel(rows)

    def strips(self) -> Panel:
        """A row for each factor, with a dot for each of its simple effects."""
        rows = [Row(f"Simple effects, {2 ** (len(self.study.factors) - 1)} each")]
        for factor, group in self._simple().groupby("factor", sort=False):
            rows.append(Row(switch(self.study, str(factor)), self.colours[str(factor)], group))
        return Panel(rows)

    def shares(self) -> Panel:
        """Shapley shares, and what they sum to: all treatments − all baselines."""
        shares = self.of("shapley")
        unit = "points" if "published" in self.effects else "log-odds"
        rows = [Row(f"Shapley shares, sum {signed(shares['estimate'].sum(), unit)}")]
        for term, share in shares.groupby("term", sort=False):
            rows.append(Row(switch(self.study, str(term)), self.colours[str(term)], share))
        return Panel(rows, bars=True)

    def _simple(self) -> pd.DataFrame:
        simple = self.of("simple")
        return simple.assign(factor=simple["term"].str.split("@").str[0])

    def _row(self, label: str, colour: str, effect: pd.DataFrame) -> Row:
        other = float(effect["published"].iloc[0]) if "published" in effect else float("nan")
        small = bool(effect["small"].iloc[0]) if "small" in effect else False
        return Row(label, colour, effect, published=None if pd.isna(other) else other, small=small)

    def _interaction(self, term: str) -> str:
        """Its treatments; where interactions of as few factors are mixed up with it, those too."""
        words = " × ".join(level_words(f, self.study.factors[f].treatment) for f in term.split(":"))
        for alias in self._aliases(term):
            if alias.count(":") == 1:
                words += " ± " + alias.replace(":", "×").replace("_", " ")
        return words

    def _aliases(self, term: str) -> list[str]:
        if "aliases" not in self.tables:
            return []
        table = self.tables["aliases"].set_index("term")
        return [word for word in str(table.loc[term, "aliases"]).split() if word not in "+-"]


def setting_words(term: str) -> str:
    """Where a simple effect is taken: `dropout@norm=batch` is `batch norm`."""
    setting = [part.split("=") for part in term.split("@")[1].split(",")]
    return ", ".join(level_words(name, level) for name, level in setting)


def fraction_words(study: Study, tables: Tables) -> list[str]:
    """Two lines: which fraction was trained, and what its effects are mixed up with."""
    aliases, k = tables["aliases"], len(study.factors)
    trained = f"{len(tables['cells'])} of the {2**k:,} combinations are trained"
    mixed = []
    for kind, words in (("main", "main effects"), ("interaction", "those of two")):
        lowest = aliases.loc[aliases["kind"] == kind, "lowest_order"].min()
        if pd.notna(lowest):
            more = "or more " if lowest < k else ""
            mixed.append(f"{words} are mixed up with interactions of {int(lowest)} {more}factors")
    return [f"{trained}, so no simple effects, no Shapley shares", f"{', '.join(mixed)} (see aliases.csv)"]
