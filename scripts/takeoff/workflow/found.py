"""What a study found, in a few lines, and where to look: what the workflow ends with."""

from collections import Counter
from collections.abc import Iterator
from math import isfinite
from pathlib import Path

import pandas as pd

from takeoff.figures.words import signed, term_words
from takeoff.study.model import Study

VERDICTS = ("supported", "contradicted", "undecided", "not tested")


def found(folder: Path, study: Study) -> Iterator[str]:
    """Lines of plain text from the tables in the study's folder; of those that are not there, nothing."""
    claims = folder / "claims.csv"
    if claims.is_file():
        counts = Counter(pd.read_csv(claims)["verdict"])
        yield "claims: " + ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
    effects = folder / "factorial" / "effects.csv"
    if effects.is_file():
        yield "what each factor does to test accuracy, in points, with its 95% interval:"
        yield from _effects(pd.read_csv(effects), study)


def _effects(table: pd.DataFrame, study: Study) -> Iterator[str]:
    levels = {name: (factor.baseline, factor.treatment) for name, factor in study.factors.items()}
    main = table[(table["kind"] == "main") & (table["response"] == "test_accuracy")]
    names = {row.term: term_words(row.term, levels) for row in main.itertuples()}
    width = max(map(len, names.values()), default=0)
    for row in main.itertuples():
        between = f"{signed(100 * row.ci_low)} to {signed(100 * row.ci_high)}" if isfinite(row.ci_low) else "one seed"
        yield f"  {names[row.term]:{width}}  {signed(100 * row.estimate):>5}  ({between})"
