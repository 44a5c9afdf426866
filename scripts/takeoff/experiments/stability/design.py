"""Does batch norm allow larger rates and deeper networks? A map of what trains, over rate and depth."""

from functools import cached_property
from typing import Annotated

from pydantic import Field

from takeoff.experiments.base import Experiment
from takeoff.experiments.depth.design import NORMS, Grid, plain_arm
from takeoff.study.arms import AnyArm, Arm, first_seeds
from takeoff.study.settings import Activation


class Options(Grid):
    """What a study may set below `stability`."""

    activation: Activation = "relu"
    """Of the hidden layers."""
    trains: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """A run trains if its training accuracy ends at or above this."""


class Design(Experiment[Options]):
    """Depth × norm; the tuning runs of each network, at every learning rate, are the map."""

    title = "Does batch norm allow larger rates and deeper networks?"
    Options = Options

    def tables(self) -> tuple[str, ...]:
        """The map, and its limits."""
        return ("map", "limits")

    def figures(self) -> dict[str, str]:
        """A figure of each table."""
        return {"map": "What trains, by rate and depth", "limits": "The largest rate and the greatest depth that train"}

    def arms(self) -> list[AnyArm]:
        """An arm per network."""
        return [*self.networks]

    @cached_property
    def networks(self) -> list[Arm]:
        """The arms, those of few layers first."""
        study, options = self.study, self.options
        seeds = first_seeds(study, options.shallow_seeds)
        return [
            plain_arm(study, options, depth, seeds, activation=options.activation, norm=norm)
            for depth in sorted(set(options.depths))
            for norm in NORMS
        ]
