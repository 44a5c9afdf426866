"""Does batch norm allow larger rates and deeper networks? A map of what trains, over rate and depth."""

from functools import cached_property
from typing import Annotated

from pydantic import Field

from takeoff.common.errors import TakeoffError
from takeoff.experiments.base import Experiment
from takeoff.experiments.depth.design import NORMS, Depths, Grid, Layers, plain_arm
from takeoff.study.arms import AnyArm, Arm, first_seeds
from takeoff.study.bounds import Rates, TuningSeeds

ACTIVATIONS = ("sigmoid", "relu")


class Options(Grid):
    """What a study may set below `stability`."""

    depths: Depths = (2, 5, 10, 20, 50, 100)
    """Hidden layers: the grid of the greatest depth that trains."""
    rates: Rates = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
    """The grid of the largest learning rate that trains, about √10 apart, tried on networks of `rates_at` layers."""
    rates_at: Layers = 2
    """Hidden layers of the networks whose largest learning rate is sought: so few that both norms train."""
    deep_rates: Rates = (0.001, 0.01, 0.1)
    """Learning rates that networks of any other depth are tried with; they train if they do at one of them."""
    tuning_seeds: TuningSeeds = 10
    """Seeds that each rate is tried on: limits are compared seed by seed."""
    trains: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """A run trains if its training accuracy ends at or above this."""


class Design(Experiment[Options]):
    """Activation × depth × norm; the tuning runs of each network, at every learning rate, are the map."""

    title = "Does batch norm allow larger rates and deeper networks?"
    Options = Options
    seeded = "tune"

    def check(self, test: float, training: float) -> None:
        """What counts as trained is more than guessing."""
        if self.options.trains <= training:
            raise TakeoffError(
                f"stability.trains {self.options.trains:g} is no better than guessing; valid: above {training:.3f}"
            )

    def tables(self) -> tuple[str, ...]:
        """The map, and its limits."""
        return ("map", "limits")

    def figures(self) -> dict[str, str]:
        """The map."""
        return {"map": "What trains, by rate and depth"}

    def values(self, claim: str) -> int:
        """As many as tuning seeds."""
        return (self.networks[0].tuning_seeds or 0) * self.study.tuning.blocks

    def arms(self) -> list[AnyArm]:
        """An arm per network."""
        return [*self.networks]

    @cached_property
    def networks(self) -> list[Arm]:
        """The arms, those of few layers first."""
        study, options = self.study, self.options
        return [
            plain_arm(
                study,
                options,
                depth,
                {"activation": activation, "norm": norm},
                seeds=first_seeds(study, study.tuning.blocks),
                learning_rates=options.rates if depth == options.rates_at else options.deep_rates,
            )
            for depth in sorted({*options.depths, options.rates_at})
            for activation in ACTIVATIONS
            for norm in NORMS
        ]
