"""What is measured of each run: a column of the table, or derived from its columns."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from takeoff.common.errors import TakeoffError
from takeoff.common.tables import check_rows, columns_named, flags, numbers
from takeoff.statistics.contrasts import Floats

GAP = "generalisation_gap"
LOG_ODDS = "_log_odds"
NEAREST = 5e-5
"""The nearest to 0 and 1 that accuracies are taken to be where the number of images is unknown: half of 1 / 10,000."""


def log_odds(accuracy: ArrayLike, images: int | None = None) -> Floats:
    """ln(p / (1 − p)) of accuracies p, fractions of `images`, in which floors and ceilings bend effects less.

    Accuracies nearer to 0 or 1 than half an image, which no other count of images gives, are pulled in to it. A value
    that is not between 0 and 1 is a ValueError.
    """
    p = np.asarray(accuracy, dtype=float)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("accuracies are fractions between 0 and 1")
    nearest = NEAREST if images is None else 0.5 / images
    p = np.clip(p, nearest, 1 - nearest)
    return np.asarray(np.log(p / (1 - p)))


def is_accuracy(name: str) -> bool:
    """Whether a response is called an accuracy: `test_accuracy`, `Val Acc`, `metrics.acc1`; not its log-odds.

    >>> [is_accuracy(name) for name in ("test_accuracy", "eval/acc@1", "accuracy_log_odds", "acceleration")]
    [True, True, False, False]
    """
    text = name.lower()
    return bool(re.search(r"accuracy|(?<![a-z])acc(?![a-z])", text)) and not text.endswith(LOG_ODDS)


def with_log_odds(names: Sequence[str]) -> list[str]:
    """`names`, and after each accuracy among them its log-odds; a TakeoffError where there is none among them."""
    accuracies = [name for name in names if is_accuracy(name)]
    if not accuracies:
        raise TakeoffError(
            f"log-odds: none of the responses {', '.join(names)} is called an accuracy; valid: a name "
            f"with accuracy or acc in it, or COLUMN{LOG_ODDS} for accuracies with another name"
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

    A name is a column's, or `generalisation_gap` (train_accuracy − test_accuracy), or `COLUMN_log_odds`, of accuracies
    that are fractions of `images`. Diverged runs without a finite accuracy count as `chance`. A column that is absent,
    or holds something that is no finite number, or no fraction though it is called an accuracy, is a TakeoffError,
    which names the `source` of the table.
    """
    return {name: _response(runs, name, images, chance, source) for name in dict.fromkeys(names)}


def _response(runs: pd.DataFrame, name: str, images: int | None, chance: float | None, source: str) -> Floats:
    if name == GAP and not columns_named(runs, name):
        train, test = (_finite(runs, f"{part}_accuracy", chance, source) for part in ("train", "test"))
        return train - test
    if columns_named(runs, name) or not name.endswith(LOG_ODDS):
        return _finite(runs, name, chance, source)
    column = name.removesuffix(LOG_ODDS)
    accuracy = _finite(runs, column, chance, source)
    _check_fractions(accuracy, f"{source}: column {column}")
    return log_odds(accuracy, images)


def _check_fractions(accuracy: Floats, where: str) -> None:
    wrong = "is no accuracy; valid: fractions from 0 to 1, not percent"
    check_rows((accuracy >= 0) & (accuracy <= 1), accuracy, where, wrong)


def _finite(runs: pd.DataFrame, name: str, chance: float | None, source: str) -> Floats:
    values = numbers(runs, name, source)
    if chance is not None and is_accuracy(name):
        values = np.where(~np.isfinite(values) & flags(runs, "diverged", source), chance, values)
    wrong = (
        f"is no result ({(~np.isfinite(values)).sum()} of {len(values)} rows have none); valid: a finite number in "
        "every row (--chance says what the accuracy counts as of a run that a column diverged marks)"
    )
    check_rows(np.isfinite(values), values, f"{source}: column {name}", wrong)
    if is_accuracy(name):
        _check_fractions(values, f"{source}: column {name}")
    return values
