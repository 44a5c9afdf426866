"""What the report's pages say, in reStructuredText, read from the tables as the report is made: the first page, and the
sentence with which a figure's caption begins.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from takeoff.common.files import load_json
from takeoff.data.catalogue import entries
from takeoff.reporting.captions import results_of
from takeoff.reporting.card import card_rows
from takeoff.reporting.found import TESTED, Found, effect_table, number_words, read_found
from takeoff.study.model import Study

ROWS = "study, trained, images, how they were read, splits, final seeds, trained on, analysed on, code"
"""Rows of the card that the first page has; the others are in `summary.md`."""
ABOUT = ("study", "images", "trained", "analysed on", "code")
"""Of these the ones that the page begins with."""

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
        rows = [row for row in card_rows(self.folder, self.study, images) if row[0] in ROWS.split(", ")]
        head, *effects = effect_table(self._found)
        known = dict(rows)
        about = [_escaped(known[name]) for name in ABOUT if name in known]
        parts = [
            *([f"**{about[0]}** · {' · '.join(about[1:])}"] if about else []),
            "",
            *(["What each factor does", "", *_table(head, effects)] if effects else []),
            *_verdicts(self._found),
            *["What this study is", "", *_table(["", ""], rows), ""],
        ]
        return "\n".join([*STYLE, *parts])

    @property
    def published(self) -> bool:
        """Whether figures show published values: not beside those of images that are the user's own."""
        return self.study.dataset.name in entries()

    def caption(self, figure: str) -> str:
        """What a figure shows, in sentences, read from the study's tables; nothing where no table says."""
        words = list(results_of(figure, self._found, self.folder))
        return "\n".join(f"**{_escaped(sentence)}**" for sentence in words) + "\n\n" * bool(words)


def _verdicts(found: Found) -> Iterator[str]:
    if found.claims.empty:
        return
    tested = found.judged(*TESTED)
    yield from (f"Verdicts on {len(found.claims)} claims: {found.counts}", "")
    if len(tested):
        rows = [[row.verdict, row.statement, number_words(row)] for row in tested.itertuples()]
        yield from (*_table(["verdict", "claim", "estimate (interval), values"], rows), "")
    untested = found.judged("not tested")
    if len(untested):
        experiments = ", ".join(dict.fromkeys(untested["experiment"]))
        yield from (f"Not tested are {len(untested)} claims of {_escaped(experiments)}; their table says why.", "")


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
