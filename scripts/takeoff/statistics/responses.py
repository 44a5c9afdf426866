"""What is measured of each run: a column of the table, or derived from its columns."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from takeoff.errors import TakeoffError
from takeoff.statistics.contrasts import Floats
from takeoff.statistics.tables import first_rows, flags, numbers
from takeoff.statistics.transforms import log_odds

GAP = "generalisation_gap"
LOG_ODDS = "_log_odds"


def with_log_odds(names: Sequence[str]) -> list[str]:
    """`names`, and after each accuracy among them its log-odds.

    Raises:
        TakeoffError: there is no accuracy among them.

    """
    accuracies = [name for name in names if name.endswith("accuracy")]
    if not accuracies:
        raise TakeoffError(
            f"log-odds: none of the responses {', '.join(names)} is called an accuracy; valid: a name "
            f"that ends in accuracy, or COLUMN{LOG_ODDS} for accuracies with another name"
        )
    return [n for name in names for n in ([name, name + LOG_ODDS] if name in accuracies else [name])]


def responses_of(
    runs: pd.DataFrame,
    names: Sequence[str],
    images: int | None = None,
    chance: float | None = None,
    source: str = "runs",
) -> dict[str, Floats]:
    """The responses `names` of every row of `runs`, each (rows,).

    A name is a column's, or `generalisation_gap` (train_accuracy − test_accuracy), or `COLUMN_log_odds`.

    Args:
        runs: a row per run.
        names: which responses.
        images: of how many images accuracies are fractions, for their log-odds.
        chance: the accuracy that diverged runs without a finite one count as.
        source: where the table was read from, for messages.

    Raises:
        TakeoffError: a column is absent, or holds something that is no finite number.

    """
    return {name: _response(runs, name, images, chance, source) for name in dict.fromkeys(names)}


def _response(runs: pd.DataFrame, name: str, images: int | None, chance: float | None, source: str) -> Floats:
    if name in runs:
        return _finite(runs, name, chance, source)
    if name == GAP:
        return _finite(runs, "train_accuracy", chance, source) - _finite(
            runs, "test_accuracy", chance, source
        )
    if name.endswith(LOG_ODDS):
        column = name.removesuffix(LOG_ODDS)
        accuracy = _finite(runs, column, chance, source)
        outside = np.flatnonzero((accuracy < 0) | (accuracy > 1))
        if outside.size:
            raise TakeoffError(
                f"{source}: column {column}: {first_rows(outside)}: {accuracy[outside[0]]:g} has no "
                "log-odds; valid: accuracies as fractions between 0 and 1"
            )
        return log_odds(accuracy, images)
    return _finite(runs, name, chance, source)


def _finite(runs: pd.DataFrame, name: str, chance: float | None, source: str) -> Floats:
    values = numbers(runs, name, source)
    bad = ~np.isfinite(values)
    if chance is not None and name.endswith("accuracy"):
        diverged = flags(runs, "diverged", source)
        values = np.where(bad & diverged, chance, values)
        bad &= ~diverged
    if bad.any():
        rows = np.flatnonzero(bad)
        raise TakeoffError(
            f"{source}: column {name}: {first_rows(rows)}: {values[rows[0]]} is no result; valid: a finite "
            "number in every row (a diverged run's accuracy counts as chance: --chance says what that is)"
        )
    return values
