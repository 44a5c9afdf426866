"""Two results of one study: each second estimate on an axis whose unit is half the first's interval."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from takeoff.across.results import StudyResults
from takeoff.figures.rows import AGAINST, ZERO, draw_rows, headed
from takeoff.figures.style import COLOURS, INK, new_figure, styled
from takeoff.figures.words import label_words, term_words
from takeoff.statistics.criterion import Criterion

LABEL = 75
"""Characters of a row's words, at most."""
FARTHEST = 4.0
"""Half-widths; what lies beyond stands there with an arrow."""


@styled
def draw_compared(table: pd.DataFrame, first: StudyResults, second: StudyResults) -> tuple[Figure, pd.DataFrame]:
    """Effects on test accuracy, whatever else lies outside both intervals, and claims, with the whole table."""
    known = table[table["distance"].notna()]
    effect, accuracy = known["what"] == "effect", known["name"] == "test_accuracy"
    blocks = {
        "effects on test accuracy, points": known[effect & accuracy],
        "other effects outside both intervals": known[effect & ~accuracy & known["outside_both"].astype(bool)],
        "parts of claims": known[~effect],
    }
    levels = {name: (own["baseline"], own["treatment"]) for name, own in first.study.get("factors", {}).items()}
    rows = headed({heading: _rows(own, levels) for heading, own in blocks.items()})
    inside = f"{int(known[effect]['inside'].sum())} of {int(effect.sum())} effects of the second inside"
    outside = int(table["outside_both"].astype(bool).sum())
    subtitle = f"{second.folder} against {first.folder} · {inside} · {outside} rows outside both intervals (✗)"
    figure = new_figure(10.5, 1.2 + 0.21 * len(rows), f"{first.title}: do two results agree?", subtitle)
    shade = Criterion((-1, 1), ())
    label = "the second's estimate and interval, in half-widths of the first's interval (shaded) from its estimate"
    draw_rows(figure.subplots(), rows, xlabel=label, lines=[ZERO], shade=shade, include=(-1.5, 1.5))
    return figure, table


def _rows(own: pd.DataFrame, levels: Mapping[str, tuple[object, object]]) -> pd.DataFrame:
    """As `draw_rows` takes them."""
    ratio, numbers = own["unit"] == "ratio", own[["estimate", "ci_low", "ci_high"]]
    its = own[["estimate_against", "ci_low_against", "ci_high_against"]].set_axis(list(numbers), axis="columns")
    with np.errstate(divide="ignore", invalid="ignore"):
        numbers, its = (one.where(~ratio, np.log(one.where(ratio, 1.0))) for one in (numbers, its))
        half = (numbers["ci_high"] - numbers["ci_low"]) / 2
        places = its.sub(numbers["estimate"], axis="index").div(half, axis="index").replace([np.inf, -np.inf], np.nan)
    shown = places.clip(-FARTHEST, FARTHEST)
    beyond = np.sign(places["estimate"]).where(own["distance"].abs() > FARTHEST, 0)
    effect = own["what"] == "effect"
    words = [_words(kind, term, levels) for kind, term in zip(own["kind"], own["part"], strict=True)]
    labels = own["part"].where(~effect, words)
    labels += (", " + own["name"].str.replace("_", " ")).where(effect & (own["name"] != "test_accuracy"), "")
    scale = np.where(effect & (own["name"] == "test_accuracy"), 100, 1)
    pairs = zip(own["estimate"] * scale, own["estimate_against"] * scale, strict=True)
    return shown.assign(
        label=[label_words(text, letters=LABEL) for text in labels],
        open=beyond,
        colour=np.select([own["outside_both"].astype(bool), ~own["inside"].astype(bool)], [AGAINST, COLOURS[1]], INK),
        text=[f"{one:.3g} → {other:.3g}".replace("-", "−") for one, other in pairs],
        mark=np.where(own["outside_both"].astype(bool), " ✗", ""),
    )


def _words(kind: str, term: str, levels: Mapping[str, tuple[object, object]]) -> str:
    """An effect: what is done, and for a simple one where; a factor that the study does not have keeps its name."""
    factor, *where = term.split("@")
    if not set(factor.split(":")) <= set(levels):
        return f"{kind}: {term}"
    words = term_words(factor, levels) + f" ({term_words(term, levels)})" * bool(where)
    return f"share of {words}" if kind == "shapley" else words
