"""How much sooner does ReLU reach a training error than tanh and sigmoid do? The race of Krizhevsky 2012, figure 1."""

from functools import cached_property
from typing import Annotated

from pydantic import Field

from takeoff.common.errors import TakeoffError
from takeoff.experiments.base import Experiment
from takeoff.experiments.scoring import Scoring, scoring
from takeoff.study.arms import AnyArm, Arm, first_seeds, make_arm
from takeoff.study.bounds import Epochs, Rates, Scores, Seeds
from takeoff.study.model import Level
from takeoff.study.settings import Settings

ACTIVATIONS = ("relu", "tanh", "sigmoid")
EPOCHS = 15
"""Of a race, at least, unless it says otherwise."""


class Options(Settings):
    """What a study may set below `race`."""

    error: Annotated[float, Field(gt=0, lt=1)] = 0.25
    """The training error to reach (a fraction); Krizhevsky 2012 took 25% of CIFAR-10."""
    epochs: Epochs | None = None
    """How long each network has for it; None: as long as the study trains, 15 epochs at least."""
    scores: Scores = 1
    """How often an epoch training error is measured. What is crossed before 2 epochs or 8 scores is not judged. In the
    runs' own curves each part of an epoch is one; this experiment's tables count whole ones."""
    width: Annotated[float, Field(gt=0, le=16)] = 1.0
    """Multiplies the channels of the four-layer network."""
    rates: Rates | None = None
    """The grid of learning rates; None: the study's, which may be too high for a constant rate without norm."""
    seeds: Seeds | None = None
    """How many of the study's seeds run; None: all."""


class Design(Experiment[Options]):
    """The four-layer network with each activation: no regularisation, and a constant rate, tuned to cross soonest."""

    title = "How much sooner does ReLU learn?"
    Options = Options

    def check(self, test: float, training: float) -> None:
        """The error lies below that of guessing."""
        if 1 - self.options.error <= test:
            raise TakeoffError(
                f"race.error {self.options.error:g} is no better than guessing; valid: below {1 - test:.3f}"
            )

    def tables(self) -> tuple[str, ...]:
        """Curves, crossings, their ratios, and the price of steps."""
        return ("curves", "crossings", "ratios", "steps")

    def figures(self) -> dict[str, str]:
        """The race, and its ratios."""
        return {"curves": "Training error against epochs and seconds", "ratios": "How many times as long"}

    def arms(self) -> list[AnyArm]:
        """An arm per activation."""
        return [*self.networks.values()]

    def timed(self) -> list[Arm]:
        """The same arms: their seconds per step are reported, too."""
        return [*self.networks.values()]

    @cached_property
    def networks(self) -> dict[str, Arm]:
        """The arms, by activation."""
        plain: dict[str, Level] = {"norm": "none", "dropout": 0, "response_norm": "none", "augmentation": "none"}
        training = {"schedule": "constant", "warmup_epochs": 0, "weight_decay": 0, **self.scoring.recipe}
        return {
            activation: make_arm(
                self.study,
                {"activation": activation, "width": self.options.width, **plain},
                network={"family": "four-layer", "depth": None},
                recipe=training,
                seeds=first_seeds(self.study, self.options.seeds),
                learning_rates=self.options.rates,
                target=round(1 - self.options.error, 6),
            )
            for activation in ACTIVATIONS
        }

    @cached_property
    def scoring(self) -> Scoring:
        """How scores part the epochs that a network has."""
        epochs = self.options.epochs or max(EPOCHS, self.study.recipe.epochs)
        return scoring(self.study, epochs, self.options.scores, "race.scores")
