"""Coverage: how often the intervals of the effects of a 2^k design hold the truth, by simulation."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import special

from takeoff.statistics.contrasts import Floats, all_cells
from takeoff.statistics.effects import contrasts_of
from takeoff.statistics.intervals import mean_band

COLUMNS = ("errors", "interval", "kind", "contrasts", "lowest", "mean", "highest")
SPREAD = 10.0  # how many times as noisy as the quietest cell the noisiest one is, where they are unequal
COLLAPSE = 0.05  # how often a run collapses, in the scenarios with collapses
CHANCE = 0.1  # the accuracy of a collapsed run
NOISE = 0.01  # the standard deviation of the accuracy of runs that do not collapse
LEARNED = (0.6, 0.8)
"""The accuracy of the cells with all baselines and with all treatments, if no run collapses; the others lie between
them in proportion to their treatments."""


class Scenario(NamedTuple):
    """Simulated responses and their true means."""

    responses: Floats
    """(simulations, seeds, cells)."""
    truth: Floats
    """(cells,)."""


def scenarios(factors: int, seeds: int, simulations: int, rng: np.random.Generator) -> Iterator[tuple[str, Scenario]]:
    """The ways in which runs may scatter, one after the other, independent between runs.

    `equal`: normal, the same standard deviation in every cell. `unequal`: normal, from 1 to `SPREAD` between cells, in
    geometric steps in a shuffled order. `collapses`: normal, but each run collapses to `CHANCE` with probability
    `COLLAPSE`. `collapses of one cell`: only those of the cell with all baselines do. A collapse is part of the truth:
    a cell's mean is over runs that collapsed and that did not.
    """
    shape = (simulations, seeds, 2**factors)
    yield "equal", Scenario(rng.normal(size=shape), np.zeros(2**factors))
    spread = rng.permutation(np.geomspace(1, SPREAD, 2**factors))
    yield "unequal", Scenario(rng.normal(size=shape) * spread, np.zeros(2**factors))
    learned = np.interp(all_cells(factors).mean(axis=1), (0, 1), LEARNED)
    for name, share in (
        ("collapses", np.full(2**factors, COLLAPSE)),
        ("collapses of one cell", COLLAPSE * (np.arange(2**factors) == 0)),
    ):
        lost = rng.random(shape) < share
        accuracy = np.where(lost, CHANCE, learned + NOISE * rng.normal(size=shape))
        yield name, Scenario(accuracy, (1 - share) * learned + share * CHANCE)


def coverages(scenario: Scenario, weights: ArrayLike) -> Floats:
    """The shares of simulations whose 95% interval of a contrast holds its truth, (contrasts, 2): paired t, and pooled
    error; `weights` are (contrasts, cells).
    """
    seeds, cells = scenario.responses.shape[1:]
    variance = scenario.responses.var(axis=1, ddof=1).mean(axis=1)
    half = special.stdtrit(cells * (seeds - 1), 0.975) * np.sqrt(variance / seeds)
    found = []
    for weight in np.asarray(weights):
        true, band = scenario.truth @ weight, mean_band(scenario.responses @ weight)
        pooled = np.abs(band.mean - true) <= half * np.sqrt((weight**2).sum())
        found.append((((band.low <= true) & (true <= band.high)).mean(), pooled.mean()))
    return np.array(found)


def coverage_table(factors: int = 3, seeds: int = 6, simulations: int = 20000) -> pd.DataFrame:
    """The coverage of 95% intervals, by scenario, interval and kind of effect; columns `COLUMNS`.

    Of the 2^`factors` design with two `seeds` or more in each cell, always of the same random numbers. The lowest, mean
    and highest share over the contrasts of a kind. `paired t` is what `effects` reports, `pooled` the ANOVA error of
    all cells. Of 20,000 `simulations` of each scenario a share of 0.95 has a standard error of 0.0015.
    """
    contrasts = contrasts_of({f"f{i}": ("0", "1") for i in range(factors)})
    rows = []
    for name, scenario in scenarios(factors, seeds, simulations, np.random.default_rng(0)):
        for kind in dict.fromkeys(contrast.kind for contrast in contrasts):
            shares = coverages(scenario, [c.weights for c in contrasts if c.kind == kind])
            for interval, share in zip(("paired t", "pooled"), shares.T, strict=True):
                rows.append((name, interval, kind, len(share), share.min(), share.mean(), share.max()))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def summary(table: pd.DataFrame) -> str:
    """`coverage_table` as text: a line per scenario and interval, the lowest–highest percentage per kind."""
    lowest, highest = 100 * table["lowest"], 100 * table["highest"]
    words = [f"{low:.1f}–{high:.1f}" for low, high in zip(lowest, highest, strict=True)]
    wide = table.assign(words=words).pivot(index=["errors", "interval"], columns="kind", values="words")
    ordered = wide.loc[table["errors"].unique(), table["kind"].unique()]
    return str(ordered.rename_axis(columns=None).to_string())
