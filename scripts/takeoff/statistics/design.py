"""A table of runs as a 2^k design: its levels, cells and seeds, and its responses as seeds × cells."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from takeoff.common.errors import TakeoffError
from takeoff.common.spelling import choices, one_line
from takeoff.common.tables import check_once, columns_named, level_text, level_texts
from takeoff.statistics.contrasts import Floats, all_cells, places_of

Responses = Mapping[str, ArrayLike]
"""By name, the values of the rows of a design's table, (rows,), finite."""
MOST_FACTORS = 10
"""Of a design with every cell: its effects take seconds, and four times as long with each factor more."""
MOST_OF_A_FRACTION = 15
"""What 16 runs screen at most; finding aliases takes seconds, and twice as long with each factor more."""


@dataclass(frozen=True)
class Design:
    """Where each row of a table of runs stands in a 2^k design."""

    levels: dict[str, tuple[str, str]]
    """Factor → its baseline and its treatment, as `tables.level_text` writes them."""
    seeds: tuple[str, ...]
    """Every seed met, sorted; a single one where the table has no seeds. Of runs that are not paired, their places in
    their cells."""
    cell_of_row: np.ndarray
    """(rows,): the place of the run's cell in `contrasts.all_cells`."""
    seed_of_row: np.ndarray
    """(rows,): the place of the run's seed in `seeds`."""
    source: str
    """Where the table was read from, for messages."""
    paired: bool = True
    """Whether the same seed pairs the runs of several cells; else all runs are independent."""

    @property
    def present(self) -> list[int]:
        """The places of the cells that have runs: all 2^k, but for a fraction."""
        return np.unique(self.cell_of_row).tolist()

    @property
    def cells(self) -> NDArray[np.int_]:
        """The cells that have runs, (cells, k): 0 for a factor's baseline, 1 for its treatment."""
        return all_cells(len(self.levels))[self.present]

    def cell_name(self, place: int) -> str:
        """The cell at a place as `activation=tanh,norm=none`."""
        levels = zip(self.levels.items(), all_cells(len(self.levels))[place], strict=True)
        return ",".join(f"{factor}={one_line(pair[level])}" for (factor, pair), level in levels)

    def matrix(self, values: ArrayLike) -> Floats:
        """Values of the rows, (rows,) or one for all, as (seeds, cells), NaN where there is no run."""
        matrix = np.full((len(self.seeds), 2 ** len(self.levels)), np.nan)
        matrix[self.seed_of_row, self.cell_of_row] = np.asarray(values, dtype=float)
        return matrix

    def unpaired(self) -> list[str]:
        """A sentence per cell that lacks seeds which other cells have: what its contrasts leave out; none where runs
        are not paired.
        """
        if not self.paired:
            return []
        absent = np.isnan(self.matrix(0))
        return [
            f"{self.source}: {self.cell_name(place)} has no run with seed "
            f"{', '.join(np.array(self.seeds)[absent[:, place]])}: left out of every contrast with this cell"
            for place in self.present
            if absent[:, place].any()
        ]


def design_of(
    runs: pd.DataFrame,
    factors: Sequence[str],
    baseline: Mapping[str, object] | None = None,
    source: str = "runs",
    wanted: Sequence[Sequence[int]] | None = None,
    seed: str = "seed",
    paired: bool = True,
) -> Design:
    """The design of a table with a row per run: the columns `factors`, of two levels each, and `seed`, which may be
    absent where each cell has one run, or where runs are not `paired`.

    `baseline` is factor → baseline level; elsewhere it is the level that the table has first. `wanted` are the cells
    that must have runs, as those of a fraction, each a zero (baseline) or one per factor; left out, all 2^k. A
    TakeoffError, which names the `source` of the table, says that there are too many factors; that one is absent, or
    has not two levels; that a baseline is not among them; that a cell is empty; or that two runs share a cell and a
    seed.
    """
    twice = [factor for factor, times in Counter(factors).items() if times > 1]
    if twice or not factors:
        raise TakeoffError(f"factors: {f'{twice[0]} stands twice' if twice else 'there is none'}; name each once")
    most = MOST_FACTORS if wanted is None else MOST_OF_A_FRACTION
    if len(factors) > most:
        more = f", or up to {MOST_OF_A_FRACTION} of a fraction (--fraction)" if wanted is None else " of a fraction"
        raise TakeoffError(f"{source}: {len(factors)} factors are too many; valid: up to {most}{more}")
    for factor in baseline or {}:
        if factor not in factors:
            raise TakeoffError(f"baseline: {factor} is not among the factors; {choices(factor, factors)}")
    texts = {factor: level_texts(runs, factor, source) for factor in factors}
    levels = {factor: _levels(factor, found, baseline or {}, source) for factor, found in texts.items()}
    treated = np.array([[text == levels[factor][1] for text in texts[factor]] for factor in factors]).T
    cell_of_row = places_of(treated)
    seeds_known = bool(columns_named(runs, seed))
    seed_texts = level_texts(runs, seed, source) if seeds_known else ["0"] * len(runs)
    if paired or seeds_known:
        one = "one run per cell and seed, the seed in a column seed, or in --seed COLUMN; --unpaired takes runs without"
        check_once(pd.DataFrame(texts | ({seed: seed_texts} if seeds_known else {})), source, one)
    if not paired:
        seed_texts = pd.Series(cell_of_row).groupby(cell_of_row).cumcount().map("{:06d}".format).tolist()
    seeds, seed_of_row = np.unique(seed_texts, return_inverse=True)
    design = Design(levels, tuple(seeds.tolist()), cell_of_row, seed_of_row, source, paired)
    present, k = set(design.present), len(levels)
    cells = all_cells(k) if wanted is None else np.reshape(wanted, (-1, k))
    for place in places_of(cells):
        if place not in present:
            whole = "every combination of the factors' levels"
            raise TakeoffError(
                f"{source}: no run with {design.cell_name(place)}; valid: "
                f"{whole if len(cells) == 2**k else 'every cell of the fraction'} "
                f"({len(present)} of {len(cells)} are there)"
            )
    return design


def _levels(factor: str, column: Sequence[str], baseline: Mapping[str, object], source: str) -> tuple[str, str]:
    """A factor's baseline and its treatment, given its level in every row."""
    found = list(dict.fromkeys(column))
    if len(found) != 2:
        some = ", ".join(map(one_line, found[:5])) + (", …" if len(found) > 5 else "")
        remedy = "keep the rows of two" if len(found) > 2 else "add the other's rows, or leave it out"
        raise TakeoffError(
            f"{source}: column {factor} has {len(found)} level{'s' * (len(found) > 1)} ({some}); "
            f"valid: two, a baseline and a treatment: {remedy}"
        )
    first = level_text(baseline.get(factor, found[0]))
    if first not in found:
        raise TakeoffError(
            f"{source}: column {factor}: baseline {one_line(first)} is not in it; "
            f"{choices(first, map(one_line, found))}"
        )
    return first, found[1 - found.index(first)]
