"""Does batch norm allow larger rates and deeper networks? A map of what trains, over rate and depth."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from takeoff.experiments.claims import Finding
from takeoff.experiments.plain_networks import NORMS, Grid, plain_arm
from takeoff.experiments.stability_claims import CLAIMS, findings
from takeoff.study.arms import Arm, first_seeds
from takeoff.study.model import Study
from takeoff.study.settings import Activation

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from takeoff.experiments.registry import Results

TITLE = "Does batch norm allow larger rates and deeper networks?"
TABLES = ("map", "limits")
FIGURES = {
    "map": "What trains, by rate and depth",
    "limits": "The largest rate and the greatest depth that train",
}
RESTS_ON = ("trains", "depths", "rates")
"""Options that decide a claim, beside the study's margin."""


class Options(Grid):
    """What a study may set below `stability`."""

    activation: Activation = "relu"
    """Of the hidden layers."""
    trains: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """A run trains if its training accuracy ends at or above this."""


def arms(study: Study, options: Options) -> list[Arm]:
    """Depth × norm; the tuning runs of each, at every rate, are the map."""
    seeds = first_seeds(study, options.shallow_seeds)
    return [
        plain_arm(
            study,
            options.activation,
            norm,
            depth,
            rates=options.rates,
            seeds=seeds,
            tuning_seeds=options.tuning_seeds,
        )
        for depth in sorted(set(options.depths))
        for norm in NORMS
    ]


def analyse(study: Study, options: Options, results: "Results") -> "dict[str, pd.DataFrame]":
    """The tables of the experiment; accuracies are fractions.

    - `map`: a row per norm, depth and rate: over the tuning seeds mean training and validation accuracy, how many
      runs `trained` and how many `collapsed` (diverged, or at chance on the training images), the collapse rate's
      Clopper–Pearson interval.
    - `limits`: a row per tuning seed, norm and `limit`: the largest `rate` that trains `at_depth`, the greatest depth
      where both norms train at some rate in most seeds, and the greatest `depth` that trains at any rate; where none
      does, the grid's least, flagged `below`; where the grid's greatest does, flagged `above`; `next`, the next point
      of the grid.

    Raises:
        TakeoffError: the line of `trains` is no better than chance.

    """
    from takeoff.errors import TakeoffError
    from takeoff.experiments.depth_tables import described, training_chance
    from takeoff.experiments.stability_tables import limits_table, map_table
    from takeoff.statistics.chance import chance_line

    majority, images = training_chance(study, results.card)
    line = chance_line(majority, images)
    if options.trains <= line:
        raise TakeoffError(
            f"stability.trains {options.trains:g} is no better than guessing; valid: above {line:.3f}"
        )
    networks = described(arms(study, options))
    return {
        "map": map_table(networks, results.tuning, options.trains, line),
        "limits": limits_table(networks, results.tuning, options.trains),
    }


def judge(
    study: Study, options: Options, tables: "dict[str, pd.DataFrame]", card: dict[str, Any]
) -> list[Finding]:
    """Batch norm's limits over those without it."""
    return findings(tables["limits"])


def draw(
    study: Study, options: Options, tables: "dict[str, pd.DataFrame]"
) -> "Iterator[tuple[str, Figure, pd.DataFrame]]":
    """The map, and the limits."""
    from takeoff.experiments import stability_figures as drawn

    yield "map", *drawn.draw_map(study, tables["map"], options.trains)
    yield "limits", *drawn.draw_limits(study, tables["limits"], options.trains)


__all__ = ["CLAIMS", "FIGURES", "TABLES", "TITLE", "Options", "analyse", "arms", "draw", "judge"]
