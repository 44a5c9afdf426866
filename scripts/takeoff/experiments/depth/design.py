"""Do gradients vanish in deep networks, and what cures it: ReLU, initialisation, batch norm?"""

from collections.abc import Mapping
from functools import cached_property
from math import ceil
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from takeoff.experiments.base import Experiment
from takeoff.study.arms import AnyArm, Arm, first_seeds, make_arm
from takeoff.study.bounds import Epochs, Rates, Seeds, TuningSeeds, once
from takeoff.study.model import Level, Study
from takeoff.study.settings import Activation, Settings

Layers = Annotated[int, Field(gt=0, le=100, strict=True)]
Activations = Annotated[tuple[Activation, ...], Field(min_length=1), AfterValidator(once)]
Depths = Annotated[tuple[Layers, ...], Field(min_length=1, max_length=100), AfterValidator(once)]
NORMS = ("none", "batch")
COMPARED = ["sigmoid", "relu"]
GRADIENTS, CHANGES = "sigmoid-gradients-shrink", "early-sigmoid-layers-learn-slowly"
LEARNING, NORM = "deep-sigmoid-networks-do-not-learn", "batch-norm-makes-deep-sigmoid-networks-learn"
"""The claims."""


class Grid(Settings):
    """What a study may set of the grid of plain networks, which `stability` has too; those that both want are trained
    once.
    """

    depths: Depths = (2, 5, 10, 20)
    """Hidden layers."""
    rates: Rates = (0.01, 0.1, 1.0)
    """The grid of learning rates, wider and coarser than that of other arms: here the map is the result."""
    tuning_seeds: TuningSeeds = 4
    """Seeds that each rate is tried on, those of the study at least: what is said of shallow networks, and of rates,
    rests on them."""
    epochs: Epochs | None = None
    """Passes over the training images; None: as many as the study's."""


class Options(Grid):
    """What a study may set below `depth`."""

    activations: Activations = ("sigmoid", "tanh", "relu")
    """Of the hidden layers, each with Xavier's or He's initialisation as suits it."""
    gaussian: bool = False
    """Whether ReLU without batch norm at the greatest depth is also drawn from N(0, 0.01), as in 2012."""
    seeds: Seeds | None = None
    """How many of the study's seeds run at the greatest depth; None: all."""
    longer: Annotated[int, Field(ge=2, le=100, strict=True)] = 4
    """How many times as long the deepest plain sigmoid network is trained, too: does it not learn, or not yet?"""


class Design(Experiment[Options]):
    """Depth × activation × norm; the deepest networks are measured layer by layer."""

    title = "Do gradients vanish with depth?"
    Options = Options

    def tables(self) -> tuple[str, ...]:
        """Gradients and weights by layer, accuracy by depth, and which networks learn."""
        return ("layers", "slopes", "change", "accuracy", "runs", "learning")

    def figures(self) -> dict[str, str]:
        """Two by layer, one by depth, one by network."""
        return {
            "gradients": "Gradients, layer by layer",
            "layers": "Saturated units and the change of weights, layer by layer",
            "accuracy": "Accuracy against depth",
            "learning": "Which deep networks learn",
        }

    def untestable(self) -> dict[str, str]:
        """All of them without both networks."""
        if {*COMPARED} <= {*self.options.activations}:
            return {}
        reason = "sigmoid and ReLU networks are compared; list both sigmoid and relu below depth.activations"
        return dict.fromkeys((GRADIENTS, CHANGES, LEARNING, NORM), reason)

    @property
    def deepest(self) -> int:
        """The greatest number of hidden layers."""
        return max(self.options.depths)

    def arms(self) -> list[AnyArm]:
        """An arm per network."""
        return [*self.networks]

    @cached_property
    def networks(self) -> list[Arm]:
        """The arms, those of few layers first."""
        study, options = self.study, self.options
        found: list[Arm] = []
        for depth in sorted(options.depths):
            last = depth == self.deepest
            # What is said of networks of fewer layers comes from their tuning runs.
            seeds = first_seeds(study, options.seeds if last else study.tuning.blocks)
            kinds: list[dict[str, Level]] = [
                {"activation": activation, "norm": norm} for activation in options.activations for norm in NORMS
            ]
            if last and options.gaussian:
                kinds.append({"activation": "relu", "norm": "none", "initialisation": "gaussian-0.01"})
            found += [plain_arm(study, options, depth, kind, seeds=seeds, probed=last) for kind in kinds]
            if last and "sigmoid" in options.activations:
                kind = {"activation": "sigmoid", "norm": "none"}
                found.append(plain_arm(study, options, depth, kind, times=options.longer, seeds=seeds))
        return found


def plain_arm(study: Study, grid: Grid, depth: int, levels: Mapping[str, Level], times: int = 1, **more: Any) -> Arm:
    """A network of `depth` fully connected hidden layers with these `levels`, its own grid of rates, and no dropout,
    trained `times` as long as the grid says; `more` are other fields of the arm.

    It has no weight decay either. Decay changes the weights of a layer that learns nothing, and how weights change is
    what is measured.
    """
    plain: dict[str, Level] = {"dropout": 0, "response_norm": "none", "initialisation": "by-activation"}
    # In all blocks together; a final seed of each makes it choose.
    per_block = max(ceil(grid.tuning_seeds / study.tuning.blocks), study.tuning.seeds)
    tuning = {"learning_rates": grid.rates, "tuning_seeds": per_block}
    return make_arm(
        study,
        {**plain, **levels},
        network={"family": "plain", "depth": depth},
        recipe={"weight_decay": 0.0, "epochs": times * (grid.epochs or study.recipe.epochs)},
        **tuning | more,
    )
