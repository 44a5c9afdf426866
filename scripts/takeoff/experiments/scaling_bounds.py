"""Cells of the scaling experiment at chance or near perfect, and which way these bend a difference in points.

Of such a cell only a bound is known: a method at chance may know less than it shows, one that errs on hardly a test
image may know more. So a difference of points is a bound too, as with censored times: from above or from below, by the
sign that the cell has in it; from both sides, and so without meaning, where cells of both signs sit at the same bound.
"""

from collections.abc import Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from takeoff.experiments.scaling_methods import listed, method_words
from takeoff.statistics.chance import chance_line, near_perfect
from takeoff.statistics.verdicts import Range

if TYPE_CHECKING:
    import pandas as pd

    Tables = Mapping[str, pd.DataFrame]

FLOOR, CEILING = -1, 1
_PLACES = {FLOOR: "at chance", CEILING: "within two standard errors of perfect"}


class Cell(NamedTuple):
    """A method at a size, and how its accuracy enters what is compared."""

    method: str
    size: int
    sign: int
    """1 where a higher accuracy raises the quantity, −1 where it lowers it."""


def bound_of(accuracy: float, test: tuple[float, int]) -> int:
    """`FLOOR` for an accuracy at chance, `CEILING` for one within two standard errors of perfect, else 0.

    Args:
        accuracy: a fraction.
        test: chance on the test images, and their number.

    """
    if accuracy <= chance_line(*test):
        return FLOOR
    return CEILING if near_perfect(accuracy, test[1]) else 0


def bounds(tables: "Tables", test: tuple[float, int]) -> dict[tuple[str, int], int]:
    """`bound_of` the mean accuracy of every method at every size."""
    means = tables["runs"].groupby(["method", "train_samples"])["test_accuracy"].mean()
    return {(str(method), int(size)): bound_of(mean, test) for (method, size), mean in means.items()}


def difference_slack(tables: "Tables", cells: Sequence[Cell], test: tuple[float, int]) -> tuple[Range, str]:
    """How far below and above its interval a difference of `cells` may lie (0 or infinite), and why, if at all."""
    found = bounds(tables, test)
    bent = [(cell, found[cell.method, cell.size]) for cell in cells]
    bent = [(cell, bound) for cell, bound in bent if bound]
    # At a floor the true place is lower: a positive cell's would lower the difference. A ceiling the other way round.
    below = inf if any(cell.sign * bound < 0 for cell, bound in bent) else 0.0
    above = inf if any(cell.sign * bound > 0 for cell, bound in bent) else 0.0
    words = [
        f"{_cell_words([cell for cell, other in bent if other == bound])} {place}"
        for bound, place in _PLACES.items()
        if any(other == bound for _, other in bent)
    ]
    if not words:
        return (0.0, 0.0), ""
    meaning = {(inf, inf): "means nothing", (inf, 0.0): "is at most this", (0.0, inf): "is at least this"}
    return (below, above), f"{' and '.join(words)}, so that in points the difference {meaning[below, above]}"


def order_slack(tables: "Tables", smallest: int, largest: int, test: tuple[float, int]) -> tuple[Range, str]:
    """How far below and above its interval the agreement at `smallest` less that at `largest` may lie, and why.

    Two methods at the same bound are told apart by luck alone, so that the order at this size agrees less than it
    would on harder or easier images.
    """
    found, words, slack = bounds(tables, test), [], {smallest: 0.0, largest: 0.0}
    for size in (smallest, largest):
        for bound, place in _PLACES.items():
            tied = [Cell(*key, 0) for key, other in found.items() if other == bound and key[1] == size]
            if len(tied) > 1:
                slack[size] = inf
                words.append(f"{_cell_words(tied)} {place}")
    reason = f"{' and '.join(words)}, so that their order there is luck" if words else ""
    return (slack[largest], slack[smallest]), reason


def _cell_words(cells: Sequence[Cell]) -> str:
    """As in `HOG + RBF SVM and network, width 1× at 40 images`; all methods of a size together."""
    sizes = sorted({cell.size for cell in cells})
    return " and ".join(
        f"{listed([method_words(cell.method) for cell in cells if cell.size == size])} at {size:,} images"
        for size in sizes
    )
