"""Which factor mattered, and do they need each other? A 2^k factorial over the study's factors."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from takeoff.errors import TakeoffError
from takeoff.experiments.chance import chance_of
from takeoff.experiments.factorial_cells import Options, cells, fixed_arms, fraction, tuned_arms
from takeoff.experiments.factorial_claims import CLAIMS, judge, quartet, speed_pair
from takeoff.study.arms import Arm
from takeoff.study.model import Study

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from takeoff.experiments.registry import Results

TITLE = "Which factor mattered?"
TABLES = (
    "effects",
    "cells",
    "collapse",
    "pairing",
    "curves",
    "runs",
    "equivalence",
    "pooled",
    "speed_up",
    "step_seconds",
    "fixed_effects",
    "fixed_cells",
    "fixed",
    "aliases",
)
"""All that there can be; `tables` says which a study makes."""
FIGURES = {
    "effects": "Effects and Shapley shares",
    "log-odds": "Effects in log-odds",
    "cells": "Every combination",
    "curves": "Learning curves",
    "rates": "Tuned rates against one rate",
    "speed-up": "Does batch norm speed training?",
    "interaction": "Do dropout and batch norm add up?",
}
"""All that there can be; `figures` says which a study draws."""


def arms(study: Study, options: Options) -> list[Arm]:
    """Every cell tuned, and, where asked, every cell at one rate."""
    return tuned_arms(study, options) + fixed_arms(study, options)


def timed(study: Study, options: Options) -> list[Arm]:
    """The plain arm and the one with batch norm, whose steps are timed against each other."""
    pair = speed_pair(study, tuned_arms(study, options))
    return [] if isinstance(pair, str) else list(pair)


def tables(study: Study, options: Options) -> tuple[str, ...]:
    """The tables of a study: those at a fixed rate, and aliases, only where it has these."""
    absent = set() if options.fixed_rate is not None else {"fixed_effects", "fixed_cells", "fixed"}
    absent |= {"aliases"} if fraction(study, options) is None else set()
    return tuple(name for name in TABLES if name not in absent)


def figures(study: Study, options: Options) -> dict[str, str]:
    """The figures of a study: those of a claim only where its factors let it be judged."""
    wanted = {"effects", "log-odds", "cells", "curves"}
    wanted |= set() if options.fixed_rate is None else {"rates"}
    wanted |= {"speed-up"} if timed(study, options) else set()
    wanted |= set() if isinstance(quartet(study, tuned_arms(study, options)), str) else {"interaction"}
    return {name: label for name, label in FIGURES.items() if name in wanted}


def notes(study: Study, options: Options) -> list[str]:
    """Of a fraction: its resolution, and what each effect takes in besides its own."""
    part = fraction(study, options)
    if part is None:
        return []
    from takeoff.statistics.fractional import aliases_table, resolution_of

    table = aliases_table(list(study.factors), part)
    width = int(table["term"].str.len().max())
    lines = [f"  {row.term:{width}}  {row.aliases}" for row in table.itertuples()]
    head = f"{len(part)} of {2 ** len(study.factors)} combinations, a fraction of resolution {resolution_of(part)}"
    return [f"factorial: {head}; an effect estimates itself and", *lines]


def analyse(study: Study, options: Options, results: "Results") -> "dict[str, pd.DataFrame]":
    """The tables of the experiment; accuracies and their differences are fractions.

    - `effects`: the columns of `statistics.effects.COLUMNS`, for every one of `RESPONSES`; of a fraction, main
      effects and interactions of two factors alone.
    - `cells`: a row per arm: levels, `n_seeds`, `n_diverged`, `collapsed`, `censored` (runs that never
      reached the threshold, so that `epochs_to_threshold` is a lower bound), rate, and mean and t interval of
      every response.
    - `collapse`: a row per arm: how many `runs` collapsed, the rate's Clopper–Pearson interval, test accuracy
      over all runs and over the rest. A run collapsed if it diverged, or if its test accuracy is not above
      `line`: chance (the rate of the test images' most frequent class) plus two binomial standard errors of
      the test images.
    - `pairing`: the mean correlation of arms over seeds, and for each main effect its variance over what it
      would be without common seeds (below 1, pairing helped).
    - `curves`: a row per arm and epoch: mean and t interval over `n_seeds`.
    - `runs`: a row per run: levels, seed, what was measured of it.
    - `equivalence`: which main and simple effects on accuracy are shown to lie within the study's margin: the
      columns of `statistics.equivalence.COLUMNS`.
    - `pooled`: each effect with the interval from the pooled error of all cells, which takes all cells as equally
      noisy: a check of the t intervals, never the result; none on epochs where a run never got there.
    - `speed_up`, `step_seconds`: batch norm against none, see `factorial_speed`.
    - `fixed_effects`, `fixed_cells`, `fixed`: at the one rate, and against tuned rates, see `factorial_fixed`.
    - `aliases`: of a fraction, see `statistics.fractional.aliases_table`.

    A diverged run's accuracy counts as chance wherever it has none, on its curve from where that stops.

    Raises:
        TakeoffError: runs, curves or card do not fit the study.

    """
    from takeoff.experiments import factorial_tables as made
    from takeoff.experiments.factorial_fixed import fixed_tables
    from takeoff.experiments.factorial_speed import speed_tables
    from takeoff.statistics.chance import chance_line, collapse_table
    from takeoff.statistics.fractional import aliases_table

    chance, images = test = chance_of(results.card, study)
    if options.threshold <= chance_line(chance, images):
        raise TakeoffError(
            f"factorial.threshold {options.threshold:g} is no better than guessing; "
            f"valid: above {chance_line(chance, images):.3f}, for {images} test images"
        )
    tuned, part = tuned_arms(study, options), fraction(study, options)
    levels = {arm.name: levels for arm, levels in zip(tuned, cells(study, options), strict=True)}
    found = made.of_arms(results.runs, list(levels))
    curves = made.complete_curves(found, results.curves, chance)
    runs = made.measured_runs(found, levels, test)
    runs = made.with_crossings(runs, curves["validation_accuracy"], options.threshold, study.recipe.epochs)
    design, contrasts = made.design_and_contrasts(study, runs, part)
    analysed = {
        "effects": made.effects(design, contrasts, runs),
        "cells": made.cells(study, runs),
        "collapse": collapse_table(
            runs["arm"], runs["test_accuracy"], runs["diverged"], chance, images
        ).rename(columns={"group": "arm"}),
        "pairing": made.pairing(design, contrasts, runs),
        "curves": made.mean_curves(runs, curves),
        "runs": runs,
        "equivalence": made.equivalence(design, contrasts, runs, study.margin),
        "pooled": made.pooled(design, contrasts, runs),
        **speed_tables(study, speed_pair(study, tuned), results, curves["validation_accuracy"], chance),
    }
    if options.fixed_rate is not None:
        fixed = {arm.name: levels[arm.lender] for arm in fixed_arms(study, options) if arm.lender}
        at_rate = made.measured_runs(made.of_arms(results.runs, list(fixed)), fixed, test)
        analysed |= fixed_tables(study, options.fixed_rate, runs, at_rate, part)
    if part is not None:
        analysed["aliases"] = aliases_table(list(study.factors), part)
    return analysed


def draw(
    study: Study, options: Options, tables: "dict[str, pd.DataFrame]"
) -> "Iterator[tuple[str, Figure, pd.DataFrame]]":
    """The forest plots of effects, the cells, the curves per arm, and what the claims are judged by."""
    from takeoff.experiments import factorial_claim_figures as claimed
    from takeoff.experiments.factorial_effects import draw_effects, draw_log_odds
    from takeoff.experiments.factorial_figures import draw_cells, draw_curves
    from takeoff.experiments.factorial_rates import draw_rates

    drawn: dict[str, Any] = {
        "effects": lambda: draw_effects(study, tables),
        "log-odds": lambda: draw_log_odds(study, tables),
        "cells": lambda: draw_cells(study, tables),
        "curves": lambda: draw_curves(study, tables, options.threshold),
        "rates": lambda: draw_rates(study, tables),
        "speed-up": lambda: claimed.draw_speed_up(study, tables),
        "interaction": lambda: claimed.draw_interaction(study, options, tables),
    }
    for name in figures(study, options):
        yield name, *drawn[name]()


__all__ = [
    "CLAIMS",
    "FIGURES",
    "TABLES",
    "TITLE",
    "Options",
    "analyse",
    "arms",
    "draw",
    "figures",
    "judge",
    "notes",
]
