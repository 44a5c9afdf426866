"""Coverage: how often the intervals of the effects of a 2^k design hold the truth, by simulation."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from takeoff.statistics import student
from takeoff.statistics.contrasts import Floats, cells
from takeoff.statistics.effects import contrasts_of
from takeoff.statistics.intervals import mean_band

COLUMNS = ("errors", "interval", "kind", "contrasts", "lowest", "mean", "highest")
CONFIDENCE = 0.95
SPREAD = 10.0
"""How many times as noisy as the quietest cell the noisiest one is, where they are unequal."""
COLLAPSE = 0.05
"""How often a run collapses, in the scenarios with collapses."""
CHANCE = 0.1
"""The accuracy of a collapsed run."""
NOISE = 0.01
"""The standard deviation of the accuracy of runs that do not collapse."""
LEARNED = (0.6, 0.8)
"""The accuracy of the cells with all baselines and with all treatments, if no run collapses; the others lie
between them in proportion to their treatments."""


@dataclass(frozen=True)
class Scenario:
    """Simulated responses and their true means."""

    responses: Floats
    """(simulations, seeds, cells)."""
    truth: Floats
    """(cells,)."""


def scenarios(
    factors: int, seeds: int, simulations: int, rng: np.random.Generator
) -> Iterator[tuple[str, Scenario]]:
    """The ways in which runs may scatter, one after the other, independent between runs.

    `equal`: normal, the same standard deviation in every cell. `unequal`: normal, from 1 to `SPREAD` between
    cells, in geometric steps in a shuffled order. `collapses`: normal, but each run collapses to `CHANCE` with
    probability `COLLAPSE`. `collapses of one cell`: only those of the cell with all baselines do. A collapse
    is part of the truth: a cell's mean is over runs that collapsed and that did not.
    """
    shape = (simulations, seeds, 2**factors)
    yield "equal", Scenario(rng.normal(size=shape), np.zeros(2**factors))
    spread = rng.permutation(np.geomspace(1, SPREAD, 2**factors))
    yield "unequal", Scenario(rng.normal(size=shape) * spread, np.zeros(2**factors))
    learned = np.interp(cells(factors).mean(axis=1), (0, 1), LEARNED)
    for name, rate in (
        ("collapses", np.full(2**factors, COLLAPSE)),
        ("collapses of one cell", COLLAPSE * (np.arange(2**factors) == 0)),
    ):
        lost = rng.random(shape) < rate
        accuracy = np.where(lost, CHANCE, learned + NOISE * rng.normal(size=shape))
        yield name, Scenario(accuracy, (1 - rate) * learned + rate * CHANCE)


def coverages(scenario: Scenario, contrasts: Mapping[str, Floats]) -> dict[str, tuple[float, float]]:
    """The shares of simulations whose interval of a contrast holds its truth: paired t, and pooled error.

    Args:
        scenario: the simulated responses.
        contrasts: term → weights, (cells,).

    """
    seeds, number = scenario.responses.shape[1:]
    freedom = number * (seeds - 1)
    variance = scenario.responses.var(axis=1, ddof=1).mean(axis=1)
    margin = student.quantile((1 + CONFIDENCE) / 2, freedom) * np.sqrt(variance / seeds)
    found = {}
    for term, weights in contrasts.items():
        true = scenario.truth @ weights
        band = mean_band(scenario.responses @ weights, CONFIDENCE)
        paired = (band.low <= true) & (true <= band.high)
        pooled = np.abs(band.mean - true) <= margin * np.sqrt((weights**2).sum())
        found[term] = (float(paired.mean()), float(pooled.mean()))
    return found


def coverage_table(
    factors: int = 3, seeds: int = 6, simulations: int = 20000, random_seed: int = 0
) -> pd.DataFrame:
    """The coverage of 95% intervals, by scenario, interval and kind of effect; columns `COLUMNS`.

    The lowest, mean and highest share over the contrasts of a kind. `paired t` is what `effects` reports,
    `pooled` the ANOVA error of all cells. Of 20,000 simulations a share of 0.95 has a standard error of 0.0015.

    Args:
        factors: k of the 2^k design.
        seeds: runs in each cell, two or more.
        simulations: of each scenario.
        random_seed: of the simulated errors; the same gives the same table.

    Raises:
        ValueError: there are fewer than one factor, two seeds or one simulation.

    """
    if factors < 1 or seeds < 2 or simulations < 1:
        raise ValueError(f"no coverage of {factors} factors, {seeds} seeds, {simulations} simulations")
    contrasts = contrasts_of({f"f{i}": ("0", "1") for i in range(factors)})
    kinds = {
        kind: [c for c in contrasts if c.kind == kind] for kind in dict.fromkeys(c.kind for c in contrasts)
    }
    rows = []
    for name, scenario in scenarios(factors, seeds, simulations, np.random.default_rng(random_seed)):
        for kind, members in kinds.items():
            shares = np.array(list(coverages(scenario, {c.term: c.weights for c in members}).values()))
            for interval, share in zip(("paired t", "pooled"), shares.T, strict=True):
                rows.append((name, interval, kind, len(share), share.min(), share.mean(), share.max()))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def summary(table: pd.DataFrame) -> str:
    """`coverage_table` as text: a line per scenario and interval, the lowest–highest percentage per kind."""
    lowest, highest = 100 * table["lowest"], 100 * table["highest"]
    words = [f"{low:.1f}–{high:.1f}" for low, high in zip(lowest, highest, strict=True)]
    wide = table.assign(words=words).pivot(index=["errors", "interval"], columns="kind", values="words")
    return str(
        wide.loc[table["errors"].unique(), table["kind"].unique()].rename_axis(columns=None).to_string()
    )
