"""A table of runs as a 2^k design: its levels, cells and seeds, and its responses as seeds × cells."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from takeoff.errors import TakeoffError, choices
from takeoff.statistics.contrasts import Floats, cells
from takeoff.statistics.tables import level_text, level_texts


@dataclass(frozen=True)
class Design:
    """Where each row of a table of runs stands in a 2^k design."""

    levels: dict[str, tuple[str, str]]
    """Factor → its baseline and its treatment, as `tables.level_text` writes them."""
    seeds: tuple[str, ...]
    """Every seed met, sorted; a single one where the table has no seeds."""
    cell: np.ndarray
    """(rows,): the run's cell, in the order of `contrasts.cells`."""
    seed: np.ndarray
    """(rows,): the place of the run's seed in `seeds`."""
    source: str
    """Where the table was read from, for messages."""

    @property
    def k(self) -> int:
        """How many factors there are."""
        return len(self.levels)

    def cell_name(self, cell: int) -> str:
        """A cell as `activation=tanh,norm=none`."""
        levels = zip(self.levels.items(), cells(self.k)[cell], strict=True)
        return ",".join(f"{factor}={pair[level]}" for (factor, pair), level in levels)

    def matrix(self, values: ArrayLike) -> Floats:
        """Values of the rows, (rows,), as (seeds, cells), NaN where there is no run."""
        matrix = np.full((len(self.seeds), 2**self.k), np.nan)
        matrix[self.seed, self.cell] = np.asarray(values, dtype=float)
        return matrix

    @property
    def present(self) -> list[int]:
        """The cells that have runs: all 2^k, but for a fraction."""
        return np.unique(self.cell).tolist()

    @property
    def rows(self) -> NDArray[np.int_]:
        """The cells that have runs, (cells, k): 0 for a factor's baseline, 1 for its treatment."""
        return cells(self.k)[self.present]

    def unpaired(self) -> list[str]:
        """A sentence per cell that lacks seeds which other cells have: what its contrasts leave out."""
        absent = np.isnan(self.matrix(np.zeros(len(self.cell))))
        return [
            f"{self.source}: {self.cell_name(cell)} has no run with seed "
            f"{', '.join(np.array(self.seeds)[absent[:, cell]])}: left out of every contrast with this cell"
            for cell in self.present
            if absent[:, cell].any()
        ]


def design_of(
    runs: pd.DataFrame,
    factors: Sequence[str],
    baseline: Mapping[str, object] | None = None,
    source: str = "runs",
    wanted: Sequence[Sequence[int]] | None = None,
) -> Design:
    """The design of a table with a row per run.

    Args:
        runs: the columns `factors` and, where there is more than one run in a cell, `seed`.
        factors: columns with two levels each.
        baseline: factor → baseline level; elsewhere it is the level that the table has first.
        source: where the table was read from, for messages.
        wanted: cells that must have runs, as those of a fraction, each a zero (baseline) or one per factor; left out,
            all 2^k.

    Raises:
        TakeoffError: a factor is absent, or has not two levels; a baseline is not among them; a cell is
            empty; two runs share a cell and a seed.

    """
    twice = [factor for factor, times in Counter(factors).items() if times > 1]
    if twice or not factors:
        raise TakeoffError(
            f"factors: {f'{twice[0]} stands twice' if twice else 'there is none'}; name each once"
        )
    texts = {factor: level_texts(runs, factor, source) for factor in factors}
    levels = _levels(texts, baseline or {}, source)
    treated = np.array([[text == levels[f][1] for text in texts[f]] for f in factors], dtype=int)
    cell = (treated * 2 ** np.arange(len(factors))[::-1, None]).sum(axis=0)
    seed_texts = level_texts(runs, "seed", source) if "seed" in runs else ["0"] * len(runs)
    seeds, seed = np.unique(seed_texts, return_inverse=True)
    design = Design(levels, tuple(seeds.tolist()), cell, seed, source)
    asked = cells(len(factors)) if wanted is None else np.asarray(wanted, dtype=int).reshape(-1, len(factors))
    _check_rows(design, "seed" in runs, (asked * 2 ** np.arange(len(factors))[::-1]).sum(axis=1).tolist())
    return design


def _levels(
    texts: Mapping[str, list[str]], baseline: Mapping[str, object], source: str
) -> dict[str, tuple[str, str]]:
    for factor in baseline:
        if factor not in texts:
            raise TakeoffError(f"baseline: {factor} is not among the factors; {choices(factor, texts)}")
    levels = {}
    for factor, column_texts in texts.items():
        found = list(dict.fromkeys(column_texts))
        if len(found) != 2:
            remedy = "keep the rows of two" if len(found) > 2 else "add the other's rows, or leave it out"
            raise TakeoffError(
                f"{source}: column {factor} has {len(found)} level{'s' * (len(found) > 1)} ({_some(found)}); "
                f"valid: two, a baseline and a treatment: {remedy}"
            )
        first = level_text(baseline.get(factor, found[0]))
        if first not in found:
            raise TakeoffError(
                f"{source}: column {factor}: baseline {first} is not in it; {choices(first, found)}"
            )
        levels[factor] = (first, found[1 - found.index(first)])
    return levels


def _some(found: Sequence[str], most: int = 5) -> str:
    return ", ".join(found[:most]) + (", …" if len(found) > most else "")


def _check_rows(design: Design, has_seeds: bool, wanted: Sequence[int]) -> None:
    rows = Counter(zip(design.cell.tolist(), design.seed.tolist(), strict=True))
    for (cell, seed), times in sorted(rows.items()):
        if times > 1 and has_seeds:
            raise TakeoffError(
                f"{design.source}: {times} rows with {design.cell_name(cell)} and seed {design.seeds[seed]}; "
                "valid: one run per cell and seed"
            )
        if times > 1:
            raise TakeoffError(
                f"{design.source}: {times} rows with {design.cell_name(cell)} and no column seed; valid: one "
                "run per cell, or a column seed that tells the runs of a cell apart"
            )
    present = {cell for cell, _ in rows}
    whole = "every combination of the factors' levels"
    for cell in wanted:
        if cell not in present:
            raise TakeoffError(
                f"{design.source}: no run with {design.cell_name(cell)}; valid: "
                f"{whole if len(wanted) == 2**design.k else 'every cell of the fraction'} "
                f"({len(present)} of {len(wanted)} are there)"
            )
