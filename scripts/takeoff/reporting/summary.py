"""A study in a page of Markdown: what was found, what was decided, where to look, and how to do it again."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from takeoff.figures.words import signed
from takeoff.reporting.card import card_rows
from takeoff.reporting.found import Found, gain_words, interval_words, number_words, read_found
from takeoff.study.model import Study


def summary(folder: Path, study: Study, images: Mapping[str, Any]) -> str:
    """The page; `images` is their `card.json`."""
    found, card = read_found(folder, study), card_rows(folder, study, images)
    parts = [[f"# {study.title}"], _first(found), _effects(found), _verdicts(found), _next(folder)]
    return (
        "\n\n".join("\n".join(part) for part in [*map(list, parts), ["## How to do it again", "", *_rows(card)]]) + "\n"
    )


def _first(found: Found) -> Iterator[str]:
    counts = [f"{count} {verdict}" for verdict, count in found.verdicts.items() if count]
    if counts:
        yield f"Of {len(found.claims)} claims: {', '.join(counts)}."
    if len(found.cells):
        best = found.cells.loc[found.cells["test_accuracy"].idxmax()]
        score = f"{100 * best['test_accuracy']:.1f}% of the test images, over {int(best['n_seeds'])} seeds"
        yield f"The best network of the factorial is `{best['arm']}`: {score}."


def _effects(found: Found) -> Iterator[str]:
    if not found.effects:
        return
    yield "## What each factor does"
    yield ""
    gains = bool(found.gains)
    budget = next(iter(found.gains.values())).epochs if gains else 0
    head = ["factor", "test accuracy, points", "95% interval", "seeds"]
    rows = [
        [effect.words, signed(effect.estimate), interval_words(effect.low, effect.high), str(effect.n_seeds)]
        + [gain_words(found.gains.get(effect.factor))] * gains
        for effect in found.effects
    ]
    yield from _table([*head, *["times less computation for the same error (95%)"] * gains], rows)
    yield ""
    words = "Points are the mean over all settings of the other factors, paired over seeds."
    yield words + f" Less computation is read at {budget} epochs of the network with the factor." * gains


def _verdicts(found: Found) -> Iterator[str]:
    if not len(found.claims):
        return
    tested = found.claims[found.claims["verdict"] != "not tested"]
    yield "## Verdicts"
    yield ""
    if len(tested):
        order = ["supported", "contradicted", "undecided"]
        sorted_claims = tested.assign(place=tested["verdict"].map(order.index)).sort_values("place", kind="stable")
        published = sorted_claims["published"].fillna("–")
        claims = zip(sorted_claims.itertuples(), published, strict=True)
        rows = [[row.verdict, row.statement, number_words(row), said] for row, said in claims]
        yield from _table(["verdict", "claim", "estimate (interval)", "published"], rows)
    untested = found.claims[found.claims["verdict"] == "not tested"]["claim"]
    if len(untested):
        yield ""
        yield f"Not tested: {', '.join(untested)}. `claims.csv` says why."


def _next(folder: Path) -> Iterator[str]:
    yield "## What to read next"
    yield ""
    figures = folder / "figures"
    if (figures / "claims.svg").is_file():
        yield "- [Every claim](figures/claims.svg): estimate, interval, criterion, published figure"
    if (figures / "factorial-effects.svg").is_file():
        yield "- [Effects and interactions](figures/factorial-effects.svg)"
        yield "- [Every combination of the factors](figures/factorial-cells.svg)"
    if (figures / "gain-gains.svg").is_file():
        yield "- [Computation saved](figures/gain-gains.svg), at every budget"
    yield "- `report.html` has all figures with captions (`make report`); `make ui` opens every run in MLflow"


def _rows(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    return _table(["", ""], [list(row) for row in rows])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield _line(head)
    yield _line(["---"] * len(head))
    yield from map(_line, rows)


def _line(cells: Sequence[str]) -> str:
    # A bar would end a cell, and a line break the table.
    return "| " + " | ".join(" ".join(str(cell).replace("|", "\\|").split()) for cell in cells) + " |"
