"""Does dropout reduce overfitting? Its rate against the size of the training set, at one and at two times the steps."""

from functools import cached_property
from itertools import product
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from takeoff.experiments.base import Experiment
from takeoff.study.arms import AnyArm, Arm, first_seeds, make_arm
from takeoff.study.bounds import Epochs, Seeds, Times
from takeoff.study.model import Level
from takeoff.study.settings import Settings
from takeoff.study.sizes import full_size, part_of, presented

Cell = tuple[float, int, int]
CLAIM = "dropout-reduces-overfitting"
Rate = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(gt=0, le=1)]


class Options(Settings):
    """What a study may set below `dropout`."""

    rates: Annotated[tuple[Rate, ...], Field(min_length=2, max_length=20)] = (0.0, 0.2, 0.5)
    """Rates of dropout, 0 among them; the claim compares the best of the others, on validation images, with 0."""
    shares: Annotated[tuple[Share, ...], Field(min_length=1, max_length=20)] = (0.1, 0.3, 1.0)
    """Sizes of the training set, as shares of the study's; the claim is judged at the greatest. All are trained for as
    many steps, so that a small one is trained to its end sooner."""
    steps: Annotated[tuple[Times, ...], Field(min_length=1, max_length=20)] = (1, 2)
    """By how much the epochs are multiplied, at the greatest size; 1 must be among them, and 2 for the claim."""
    epochs: Epochs | None = None
    """Epochs at 1 times the steps, enough to train every rate to its end; None: the study's."""
    tuned: bool = False
    """Whether every arm tunes its own learning rate. Otherwise each rate of dropout tunes its own at the greatest size
    and 1 times the steps, and its other arms take that."""
    seeds: Seeds | None = None
    """How many of the study's seeds run; None: all."""

    @field_validator("rates", "shares", "steps")
    @classmethod
    def _ascending(cls, values: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
        if len(set(values)) < len(values):
            raise ValueError("a value stands twice in the list")
        needed = {"rates": 0, "steps": 1}.get(info.field_name or "", values[0])
        if needed not in values:
            raise ValueError(f"{list(values)}: {needed} must be among them")
        return tuple(sorted(values))


class Design(Experiment[Options]):
    """ReLU networks without norm: the factorial's own at the full size, and what differs in size or steps.

    A smaller set is trained for as many steps as the full one, to the last of them: the best validation epoch would
    hide the overfitting that is measured.
    """

    title = "Does dropout reduce overfitting?"
    Options = Options

    def tables(self) -> tuple[str, ...]:
        """Each arm, each run, what each rate, the chosen one and more steps change."""
        return ("cells", "runs", "differences", "chosen", "longer")

    def figures(self) -> dict[str, str]:
        """One, of everything."""
        return {"sizes": "Gap and errors against set size and steps"}

    def untestable(self) -> dict[str, str]:
        """The claim without twice the steps."""
        return {} if 2 in self.options.steps else {CLAIM: "no networks trained for 2 times the steps (dropout.steps)"}

    def arms(self) -> list[AnyArm]:
        """An arm per cell."""
        return [*self.cells.values()]

    @cached_property
    def cells(self) -> dict[Cell, Arm]:
        """The arms by rate, training images and multiple of the epochs; those whose learning rate others take first."""
        options = self.options
        largest, *smaller = (part_of(self.study, share, "dropout.shares") for share in reversed(options.shares))
        places = [(largest, 1), *((size, 1) for size in smaller), *((largest, n) for n in options.steps if n != 1)]
        found: dict[Cell, Arm] = {}
        for (images, times), rate in product(places, options.rates):
            first = found.get((rate, largest, 1))
            chooser = None if first is None or options.tuned else first.name
            found.setdefault((rate, images, times), self._arm(rate, images, times, chooser))
        return found

    def _arm(self, rate: float, images: int, times: int, chooser: str | None) -> Arm:
        study, full = self.study, full_size(self.study, "dropout")
        levels: dict[str, Level] = {"activation": "relu", "norm": "none", "dropout": rate}
        recipe: dict[str, Any] = {"epochs": times * (self.options.epochs or study.recipe.epochs)}
        if images != full:
            levels["train_samples"] = images
            recipe["epoch_images"] = study.recipe.epoch_images or presented(study, full)
        return make_arm(study, levels, recipe=recipe, seeds=first_seeds(study, self.options.seeds), choice_from=chooser)
