"""Do gradients vanish in deep networks, and what cures it: ReLU, initialisation, batch norm?"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from takeoff.experiments.claims import Finding
from takeoff.experiments.depth_claims import CLAIMS, findings
from takeoff.experiments.plain_networks import NORMS, Grid, plain_arm
from takeoff.study.arms import Arm, first_seeds
from takeoff.study.model import Study
from takeoff.study.settings import Activation, Count

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from takeoff.experiments.registry import Results

RESTS_ON = ("depths",)
"""Options that decide a claim, beside the study's margin."""
TITLE = "Do gradients vanish with depth?"
TABLES = ("layers", "slopes", "change", "accuracy", "runs", "mends")
FIGURES = {
    "gradients": "Gradients, layer by layer",
    "layers": "Saturated units and the change of weights, layer by layer",
    "accuracy": "Accuracy against depth",
    "mends": "What batch norm, ReLU and the initialisation each mend",
}


class Options(Grid):
    """What a study may set below `depth`."""

    activations: Annotated[tuple[Activation, ...], Field(min_length=1)] = ("sigmoid", "tanh", "relu")
    """Of the hidden layers, each with Xavier's or He's initialisation as suits it."""
    batch_everywhere: bool = True
    """Whether every depth has batch norm too; if not, the greatest has, and ReLU at every depth."""
    gaussian: bool = False
    """Whether ReLU without batch norm at the greatest depth is also drawn from N(0, 0.01), as in 2012."""
    seeds: Count | None = None
    """How many of the study's seeds run at the greatest depth; None: all."""


def arms(study: Study, options: Options) -> list[Arm]:
    """Depth × activation × norm; the deepest are looked at layer by layer."""
    deepest, found = max(options.depths), []
    grid: dict[str, Any] = {"rates": options.rates, "tuning_seeds": options.tuning_seeds}
    for depth in sorted(set(options.depths)):
        last = depth == deepest
        seeds = first_seeds(study, options.seeds if last else options.shallow_seeds)
        for activation in dict.fromkeys(options.activations):
            norms = NORMS if last or options.batch_everywhere or activation == "relu" else NORMS[:1]
            found += [
                plain_arm(study, activation, norm, depth, **grid, seeds=seeds, probed=last) for norm in norms
            ]
        if last and options.gaussian:
            drawn: dict[str, Any] = {"probed": True, "initialisation": "gaussian-0.01"}
            found.append(plain_arm(study, "relu", "none", depth, **grid, seeds=seeds, **drawn))
    return found


def analyse(study: Study, options: Options, results: "Results") -> "dict[str, pd.DataFrame]":
    """The tables of the experiment; accuracies are fractions, `majority` is that of the training images.

    - `layers`: a row per arm of the greatest depth, moment (`start`, `end` of training) and layer: over seeds the
      geometric mean and t interval of `gradient_norm`, the means of `saturated`, `dead` and `weight_change`.
    - `slopes`: a row per such arm, seed and moment: `slope`, by how much the logarithm of the gradient's norm changes
      per hidden layer on the way from the output towards the images (least squares).
    - `change`: a row per such arm and seed: the relative change of the weights of the `first` and the `last` hidden
      layer, and their `ratio`.
    - `accuracy`: a row per arm: the rate that it chose, and there the tuning runs' mean training and
      validation accuracy, and how many of them are at chance.
    - `runs`: a row per final run of the greatest depth.
    - `mends`: what batch norm, ReLU and the initialisation each add to training accuracy there, paired by seed.
    """
    from takeoff.experiments import depth_tables as made

    described = made.described(arms(study, options))
    majority, images = made.training_chance(study, results.card)
    runs = made.final_runs(described, results.runs, max(options.depths), majority)
    return {
        "layers": made.layers(described, results.probes),
        "slopes": made.slopes(described, results.probes),
        "change": made.changes(described, results.probes),
        "accuracy": made.accuracies(described, results.tuning, results.runs, majority, images),
        "runs": runs,
        "mends": made.mends(runs),
    }


def judge(
    study: Study, options: Options, tables: "dict[str, pd.DataFrame]", card: dict[str, Any]
) -> list[Finding]:
    """Gradients and the change of weights of sigmoid and ReLU networks, and whether these learn at all."""
    return findings(tables, study.margin)


def draw(
    study: Study, options: Options, tables: "dict[str, pd.DataFrame]"
) -> "Iterator[tuple[str, Figure, pd.DataFrame]]":
    """Gradients by layer, saturation and change by layer, accuracy against depth, and what mends it."""
    from takeoff.experiments import depth_figures as drawn

    yield "gradients", *drawn.draw_gradients(study, tables)
    yield "layers", *drawn.draw_layers(study, tables)
    yield "accuracy", *drawn.draw_accuracy(study, tables)
    yield "mends", *drawn.draw_mends(study, tables["mends"])


__all__ = ["CLAIMS", "FIGURES", "TABLES", "TITLE", "Options", "analyse", "arms", "draw", "judge"]
