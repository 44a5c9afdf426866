"""A study in a page of Markdown: what was found, what was decided, where to look, and how to do it again."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from takeoff.common.markdown import markdown_table
from takeoff.data.catalogue import entries
from takeoff.reporting.card import card_rows
from takeoff.reporting.found import TESTED, Found, effect_table, number_words, read_found, untested_words
from takeoff.study.model import Study

NEXT = {
    "factorial": "- [Effects and interactions](figures/factorial-effects.svg), and [every combination of the factors]"
    "(figures/factorial-cells.svg)",
    "gain": "- [Computation saved](figures/gain-gains.svg), at every budget",
}
"""By experiment, what to read next where it was analysed: a partial study lacks some."""


def summary(folder: Path, study: Study, images: Mapping[str, Any]) -> str:
    """The page; `images` is their `card.json`."""
    found = read_found(folder, study)
    card = [f"## How to do it again\n\n{markdown_table(['', ''], card_rows(folder, study, images))}"]
    parts = [f"# {study.title}", *_first(found), *_effects(found), *_verdicts(found, study), *_next(folder), *card]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _first(found: Found) -> Iterator[str]:
    if found.counts:
        yield f"Of {len(found.claims)} claims: {found.counts}."
    if len(found.cells):
        best = found.cells.loc[found.cells["test_accuracy"].idxmax()]
        score = f"{100 * best['test_accuracy']:.1f}% of the test images, over {int(best['n_seeds'])} seeds"
        yield f"The best network of the factorial is `{best['arm']}`: {score}."


def _effects(found: Found) -> Iterator[str]:
    if not found.effects:
        return
    head, *rows = effect_table(found)
    yield "## What each factor does"
    yield markdown_table(head, rows)
    words = f"Points are the mean over all settings of the other factors, paired over seeds. {found.warning}".strip()
    for budget in {gain.epochs for gain in found.gains.values()}:  # one, of every factor
        words += f" Less computation is read at {budget} epochs of the network with the factor."
    yield words


def _verdicts(found: Found, study: Study) -> Iterator[str]:
    if found.claims.empty:
        return
    yield "## Verdicts"
    tested = found.judged(*TESTED).fillna({"published": "–"})
    if len(tested):
        why = tested["reason"].where(tested["verdict"] == "undecided").fillna("")
        columns = {
            "verdict": tested["verdict"],
            "claim": tested["statement"],
            "estimate (interval), values": [number_words(row) for row in tested.itertuples()],
            "published": tested["published"],
            "why undecided": why,
        }
        if study.dataset.name not in entries():  # no published figure of others beside a user's own images
            del columns["published"]
        yield markdown_table([*columns], [list(row) for row in zip(*columns.values(), strict=True)])
        yield "Intervals of verdicts are widened for the number of claims; n is how many values one rests on."
    untested = [["<br>".join(statements), reason] for reason, statements in untested_words(found)]
    if untested:
        yield markdown_table(["not tested", "why"], untested)


def _next(folder: Path) -> Iterator[str]:
    lines = ["- [Every claim](figures/claims.svg): estimate, interval, criterion, published figure"]
    lines += [words for name, words in NEXT.items() if (folder / name / "measured.csv").exists()]
    lines += ["- [Curves, effects and tables to explore](explore.html)"]
    lines += ["- `report.html` has all figures with captions (`make report`); `make ui` opens every run in MLflow"]
    yield "## What to read next"
    yield "\n".join(lines)
