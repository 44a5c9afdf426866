"""Regular fractions of 2^k designs: their cells, defining relation, resolution, aliases and contrasts.

`cells` are (cells, k), a zero (baseline) or one (treatment) per factor.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from takeoff.common.errors import TakeoffError
from takeoff.statistics.contrasts import places_of
from takeoff.statistics.design import Design
from takeoff.statistics.effects import Contrast, Kind

Word = tuple[int, ...]
"""Factors, by their places from 0 up, ascending."""
COLUMNS = ("term", "kind", "aliases", "lowest_order")
KINDS: dict[int, Kind] = {1: "main", 2: "interaction"}
"""By order: main effects and interactions of two factors are estimated, none of higher order."""


@lru_cache(maxsize=32)
def fraction_rows(k: int, resolution: int) -> tuple[tuple[int, ...], ...]:
    """The cells of the smallest regular fraction of a 2^k design with `resolution` or more, in ascending order; all 2^k
    where no fraction has that resolution.

    The columns are pydoe's. Each is turned so that the cell with all baselines is in the fraction: effects and
    resolution stay, only aliases' signs change. Fewer than two factors, or a resolution below 3, are a ValueError.
    """
    from pydoe import fracfact_by_res

    signs = np.asarray(fracfact_by_res(k, resolution))
    treated = (signs * -signs[0] > 0).astype(int)
    return tuple(sorted(tuple(cell) for cell in treated.tolist()))


def defining_relation(cells: ArrayLike) -> dict[Word, int]:
    """The words whose columns multiply to the same sign in every cell, each with that sign, shorter words first.

    Found by trying all 2^k words.
    """
    signs = _signs(cells)
    found = {}
    for length in range(1, signs.shape[1] + 1):
        for word in combinations(range(signs.shape[1]), length):
            product = signs[:, word].prod(axis=1)
            if (product == product[0]).all():
                found[word] = int(product[0])
    return found


def resolution_of(cells: ArrayLike) -> int | None:
    """The length of the shortest word of the defining relation (Box & Hunter 1961); None for a full design."""
    return min(map(len, defining_relation(cells)), default=None)


def check_regular(design: Design) -> None:
    """Check that the cells with runs are a regular fraction of resolution III or more, or all.

    Each word halves the cells, so that 2^k / cells words, the empty one included, make a fraction regular.
    """
    relation, n, source = defining_relation(design.cells), len(design.present), design.source
    short = next((word for word in relation if len(word) < 3), None)
    if short:
        names = " and ".join(list(design.levels)[place] for place in short)
        raise TakeoffError(
            f"{source}: {names} {'change only together' if len(short) > 1 else 'changes nowhere'}, so that no run "
            "separates their effects; valid: a fraction of resolution III or more"
        )
    whole = 2 ** len(design.levels)
    if (len(relation) + 1) * n != whole:
        raise TakeoffError(
            f"{source}: {n} of the {whole} combinations of levels are there, which are no regular fraction; "
            "valid: half of them, a quarter, …, as a fractional design chooses them"
        )


def aliases_of(relation: dict[Word, int], members: Iterable[int]) -> dict[Word, int]:
    """What the contrast of the factors `members` takes in besides their own effect, each with its sign.

    The contrast estimates the effect plus the sum of these, sign × effect, effects as `contrasts` defines them on all
    2^k cells. The lowest orders come first.
    """
    found = {tuple(sorted({*members} ^ {*word})): sign for word, sign in relation.items()}
    return dict(sorted(found.items(), key=lambda pair: (len(pair[0]), pair[0])))


def fraction_contrasts(factors: Sequence[str], cells: ArrayLike) -> list[Contrast]:
    """The main effects and two-factor interactions of a fraction, as weights on all 2^k cells (0 outside of it).

    Of terms that are aliases of each other only the first is there: they are one number.
    """
    signs, relation = _signs(cells), defining_relation(cells)
    n, k = signs.shape
    found, seen = [], set()
    for order, kind in KINDS.items():
        for members in combinations(range(k), order):
            if members not in seen:
                seen |= {members, *aliases_of(relation, members)}
                weights = np.zeros(2**k)
                weights[places_of(cells)] = signs[:, members].prod(axis=1) / (n / 2)
                found.append(Contrast(_term(factors, members), kind, weights))
    return found


def aliases_table(factors: Sequence[str], cells: ArrayLike) -> pd.DataFrame:
    """A row per contrast of `fraction_contrasts`, with the columns `COLUMNS`.

    `aliases` reads `+ dropout:width - norm:pooling:width`: what is added to the term's own effect; `lowest_order` is
    how many factors the shortest of them has.
    """
    relation, rows = defining_relation(cells), []
    for contrast in fraction_contrasts(factors, cells):
        members = [list(factors).index(name) for name in contrast.term.split(":")]
        others = aliases_of(relation, members)
        text = " ".join(f"{'+' if sign > 0 else '-'} {_term(factors, word)}" for word, sign in others.items())
        rows.append((contrast.term, contrast.kind, text, min(map(len, others), default=None)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _term(factors: Sequence[str], word: Iterable[int]) -> str:
    return ":".join(factors[place] for place in word)


def _signs(cells: ArrayLike) -> NDArray[np.int_]:
    return 2 * np.asarray(cells, dtype=int) - 1
