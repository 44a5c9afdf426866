"""The factorial experiment's cells: its options, which combinations of levels are trained, and at which rates."""

from itertools import product
from typing import Annotated, Literal

from pydantic import Field

from takeoff.study.arms import Arm, first_seeds, make_arm
from takeoff.study.model import Level, Study
from takeoff.study.settings import Count, LearningRate, Settings

MOST_FACTORS = 6
"""Of more factors, a fraction of the cells is trained."""


class Options(Settings):
    """What a study may set below `factorial`."""

    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """The validation accuracy of which the epoch that first reaches it is measured (a fraction)."""
    fixed_rate: LearningRate | None = None
    """A learning rate at which every cell is trained too, to show what tuning the rate hides or brings; left out,
    none is."""
    fixed_seeds: Count | None = None
    """How many of the study's seeds are trained at `fixed_rate`, the first ones; left out, all."""
    resolution: Literal[3, 4, 5] = 5
    """Of the fraction that is trained of more than six factors. At 5 neither main effects nor interactions of two
    factors are mixed up with each other; at 4 such interactions are; at 3 main effects are, with interactions."""


def cells(study: Study, options: Options) -> list[dict[str, Level]]:
    """The levels of every cell that is trained, the baselines first: all 2^k, of more than six factors a fraction."""
    factors = study.factors
    pairs = [(factor.baseline, factor.treatment) for factor in factors.values()]
    rows = fraction(study, options) or tuple(product((0, 1), repeat=len(factors)))
    return [{name: pairs[i][row[i]] for i, name in enumerate(factors)} for row in rows]


def fraction(study: Study, options: Options) -> tuple[tuple[int, ...], ...] | None:
    """The cells of the fraction, each a zero (baseline) or one per factor; None where all cells are trained."""
    if len(study.factors) <= MOST_FACTORS:
        return None
    from takeoff.statistics.fractional import fraction_rows

    return fraction_rows(len(study.factors), options.resolution)


def tuned_arms(study: Study, options: Options) -> list[Arm]:
    """An arm per cell, its rate tuned."""
    return [make_arm(study, levels) for levels in cells(study, options)]


def fixed_arms(study: Study, options: Options) -> list[Arm]:
    """An arm per cell at the fixed rate; none where there is no such rate."""
    if options.fixed_rate is None:
        return []
    seeds = first_seeds(study, options.fixed_seeds)
    return [
        make_arm(study, levels, learning_rate=options.fixed_rate, lender=tuned.name, seeds=seeds)
        for levels, tuned in zip(cells(study, options), tuned_arms(study, options), strict=True)
    ]
