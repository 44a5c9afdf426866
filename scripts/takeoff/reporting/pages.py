"""What the report's pages say, in reStructuredText, read from the tables as the report is made: the first page, and the
sentence with which a figure's caption begins.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from takeoff.common.files import load_json
from takeoff.figures.words import signed
from takeoff.reporting.card import card_rows
from takeoff.reporting.found import Found, effect_table, gain_words, interval_words, number_words, read_found
from takeoff.study.model import Study

FIRST = ("study", "trained", "images", "how they were read", "splits", "final seeds", "trained on", "code")
"""Rows of the card that the first page has; the others are in `summary.md`."""

STYLE = (
    ".. raw:: html",
    "",
    "   <style>.h-screen.items-center { align-items: flex-start; } .items-start.gap-3 { flex-wrap: wrap; }",
    "   .prose { overflow-wrap: anywhere; }</style>",
    "",
)
"""Snakemake centres a page, so that nobody could reach the beginning of one that is longer than the window. In a narrow
window the graph goes below the words."""


@dataclass(frozen=True)
class Pages:
    """Of a study's folder; nothing is read before it is asked for."""

    folder: Path
    study: Study
    card: Path
    """The images' `card.json`."""

    @cached_property
    def _found(self) -> Found:
        return read_found(self.folder, self.study)

    @property
    def first(self) -> str:
        """The answer in numbers, the verdicts, and what the study is."""
        images = load_json(self.card) if self.card.is_file() else {}
        rows = [row for row in card_rows(self.folder, self.study, images) if row[0] in FIRST]
        head, *effects = effect_table(self._found)
        parts = [
            *(["What each factor does", "", *_table(head, effects)] if effects else []),
            *_verdicts(self._found),
            *["What this study is", "", *_table(["", ""], rows), ""],
        ]
        return "\n".join([*STYLE, *parts])

    def caption(self, figure: str) -> str:
        """What a figure shows, in sentences: its claims with their numbers, or effects; nothing where no table says."""
        found, words = self._found, list[str]()
        if figure == "claims":
            words = [f"Of {len(found.claims)} claims: {found.counts}."] if found.counts else []
        elif figure == "factorial-effects":
            words = [
                f"{one.words}: {signed(one.estimate)} points ({interval_words(one.low, one.high)})."
                for one in found.effects
            ]
        elif figure == "gain-gains":
            names = {one.factor: one.words for one in found.effects}
            known = [(names.get(factor, factor), gain) for factor, gain in found.gains.items()]
            words = [f"{name}: {gain_words(gain)} times less computation." for name, gain in known]
        elif len(found.claims):
            own = found.claims[found.claims["figure"] == figure]
            words = [f"{row.verdict.capitalize()}: {row.statement} {number_words(row)}" for row in own.itertuples()]
        return "\n".join(f"**{_escaped(sentence)}**" for sentence in words) + "\n\n" * bool(words)


def _verdicts(found: Found) -> Iterator[str]:
    if found.claims.empty:
        return
    decided = found.judged("supported", "contradicted")
    yield from (f"Verdicts on {len(found.claims)} claims: {found.counts}", "")
    if len(decided):
        rows = [[row.verdict, row.statement, number_words(row)] for row in decided.itertuples()]
        yield from (*_table(["verdict", "claim", "estimate (interval)"], rows), "")
    for verdict in ("undecided", "not tested"):
        names = found.judged(verdict)["claim"]
        if len(names):
            yield from (f"{verdict.capitalize()}: {_escaped(', '.join(names))}.", "")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield from (".. list-table::", f"   :header-rows: {int(any(head))}", "")
    for row in [head, *rows] if any(head) else rows:
        for place, cell in enumerate(row):
            yield f"   {'* -' if place == 0 else '  -'} {_escaped(cell)}"
    yield ""


def _escaped(text: object) -> str:
    """Words without meaning to reStructuredText, on one line."""
    words = " ".join(str(text).replace("`", "").split())
    return "".join(f"\\{letter}" if letter in "*|_\\" else letter for letter in words)
