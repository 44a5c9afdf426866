"""Regular fractions of 2^k designs: their cells, defining relation, resolution, aliases and contrasts."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from takeoff.statistics.contrasts import Floats
from takeoff.statistics.effects import Contrast, Kind

Word = tuple[int, ...]
"""Factors, by their places from 0 up, ascending."""
COLUMNS = ("term", "kind", "aliases", "lowest_order")
ORDER = 2
"""Main effects and interactions of two factors are estimated, none of higher order."""


@lru_cache(maxsize=32)
def fraction_rows(k: int, resolution: int) -> tuple[tuple[int, ...], ...]:
    """The cells of the smallest regular fraction of a 2^k design with `resolution` or more, each k zeros (baseline)
    and ones (treatment), in ascending order; all 2^k where no fraction has that resolution.

    The columns are pydoe's. Each is turned so that the cell with all baselines is in the fraction: effects and
    resolution stay, only aliases' signs change.

    Raises:
        ValueError: fewer than two factors, or a resolution below 3.

    """
    from pydoe import fracfact_by_res

    signs = np.asarray(fracfact_by_res(k, resolution))
    treated = (signs * -signs[0] > 0).astype(int)
    return tuple(sorted(tuple(row) for row in treated.tolist()))


def defining_relation(rows: ArrayLike) -> dict[Word, int]:
    """The words whose columns multiply to the same sign in every cell, each with that sign, shorter words first.

    Found by trying all 2^k words; `rows` are (cells, k) zeros and ones.
    """
    signs = _signs(rows)
    found = {}
    for length in range(1, signs.shape[1] + 1):
        for word in combinations(range(signs.shape[1]), length):
            product = signs[:, word].prod(axis=1)
            if (product == product[0]).all():
                found[word] = int(product[0])
    return found


def is_regular(rows: ArrayLike) -> bool:
    """Whether these cells are a regular fraction, or all: each word halves them, so that 2^k / cells words make one."""
    cells = np.asarray(rows, dtype=int)
    words = len(defining_relation(cells)) + 1
    return len(np.unique(cells, axis=0)) == len(cells) and words * len(cells) == 2 ** cells.shape[1]


def resolution_of(rows: ArrayLike) -> int | None:
    """The length of the shortest word of the defining relation (Box & Hunter 1961); None for a full design."""
    return min(map(len, defining_relation(rows)), default=None)


def confounded(rows: ArrayLike) -> Word | None:
    """Factors whose effects no cell tells apart: one that never changes, or two that change together; None where the
    resolution is III or more.
    """
    return next((word for word in defining_relation(rows) if len(word) < 3), None)


def aliases_of(relation: dict[Word, int], members: Iterable[int]) -> dict[Word, int]:
    """What the contrast of the factors `members` takes in besides their own effect, each with its sign.

    The contrast estimates the effect plus the sum of these, sign × effect, effects as `contrasts` defines them on
    all 2^k cells. The lowest orders come first.
    """
    term = set(members)
    found = {tuple(sorted(term.symmetric_difference(word))): sign for word, sign in relation.items()}
    return dict(sorted(found.items(), key=lambda pair: (len(pair[0]), pair[0])))


def fraction_contrasts(factors: Sequence[str], rows: ArrayLike) -> list[Contrast]:
    """The main effects and two-factor interactions of a fraction, as weights on all 2^k cells (0 outside of it).

    Of terms that are aliases of each other only the first is there: they are one number.
    """
    signs, relation = _signs(rows), defining_relation(rows)
    cells, k = signs.shape
    places = (np.asarray(rows, dtype=int) * 2 ** np.arange(k)[::-1]).sum(axis=1)
    found, seen = [], set()
    for order in range(1, ORDER + 1):
        kind: Kind = "main" if order == 1 else "interaction"
        for members in combinations(range(k), order):
            if members not in seen:
                seen |= {members, *aliases_of(relation, members)}
                weights: Floats = np.zeros(2**k)
                weights[places] = signs[:, members].prod(axis=1) / (cells / 2)
                found.append(Contrast(_term(factors, members), kind, weights))
    return found


def aliases_table(factors: Sequence[str], rows: ArrayLike) -> pd.DataFrame:
    """A row per contrast of `fraction_contrasts`, with the columns `COLUMNS`.

    `aliases` reads `+ dropout:width - norm:pooling:width`: what is added to the term's own effect; `lowest_order` is
    how many factors the shortest of them has.
    """
    relation, table = defining_relation(rows), []
    for contrast in fraction_contrasts(factors, rows):
        members = [list(factors).index(name) for name in contrast.term.split(":")]
        others = aliases_of(relation, members)
        text = " ".join(f"{'+' if sign > 0 else '-'} {_term(factors, word)}" for word, sign in others.items())
        table.append((contrast.term, contrast.kind, text, min(map(len, others), default=None)))
    return pd.DataFrame(table, columns=list(COLUMNS))


def _term(factors: Sequence[str], word: Iterable[int]) -> str:
    return ":".join(factors[place] for place in word)


def _signs(rows: ArrayLike) -> NDArray[np.int_]:
    return 2 * np.asarray(rows, dtype=int) - 1
