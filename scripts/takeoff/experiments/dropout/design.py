"""Does dropout reduce overfitting? Its rate against the size of the training set, at one and at two times the steps."""

from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from takeoff.experiments.base import Experiment
from takeoff.study.arms import AnyArm, Arm, first_seeds, make_arm
from takeoff.study.model import Level
from takeoff.study.settings import Count, Settings
from takeoff.study.sizes import full_size, part_of, presented

Cell = tuple[float, int, int]
LARGE = 40_000
"""Training images from which on every rate of dropout is tried at the smaller sizes, too."""


class Options(Settings):
    """What a study may set below `dropout`."""

    rates: Annotated[tuple[Annotated[float, Field(ge=0, lt=1)], ...], Field(min_length=2)] = (0.0, 0.2, 0.5)
    """Rates of dropout; the claim compares the greatest with the least."""
    shares: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (0.1, 0.3)
    """Smaller training sets besides the full one, as shares of it."""
    steps: Annotated[tuple[Count, ...], Field(min_length=1)] = (1, 2)
    """By how much the study's epochs are multiplied, at the full size; 1 must be among them."""
    every_rate: bool | None = None
    """Whether all rates are tried at the smaller sizes, not only the least and the greatest; None: where the full
    set has 40,000 images or more."""
    tuned: bool = False
    """Whether every arm tunes its own learning rate. Otherwise the least and the greatest rate of dropout tune theirs
    at the full size, and each other arm takes that of the nearest rate of dropout, the lower where two are as near."""
    seeds: Count | None = None
    """How many of the study's seeds run; None: all."""

    @field_validator("rates", "shares", "steps")
    @classmethod
    def _ascending(cls, values: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
        if len(set(values)) < len(values):
            raise ValueError("a value stands twice in the list")
        if info.field_name == "steps" and 1 not in values:
            raise ValueError(f"{list(values)}: 1 must be among them")
        return tuple(sorted(values))


class Design(Experiment[Options]):
    """ReLU networks without norm: the factorial's own at the full size, and what differs in size or steps.

    A smaller set is trained for as many steps as the full one, to the last of them: the best validation epoch would
    hide the overfitting that is measured.
    """

    title = "Does dropout reduce overfitting?"
    Options = Options

    def tables(self) -> tuple[str, ...]:
        """Each arm, each run, and what dropout and more steps change."""
        return ("cells", "runs", "differences", "longer")

    def figures(self) -> dict[str, str]:
        """One, of everything."""
        return {"sizes": "Gap and errors against set size and steps"}

    def arms(self) -> list[AnyArm]:
        """An arm per cell."""
        return [*self.cells.values()]

    @cached_property
    def cells(self) -> dict[Cell, Arm]:
        """The arms by rate, training images and multiple of the study's epochs; those come first whose learning rate
        others take.
        """
        study, options = self.study, self.options
        full = full_size(study, "dropout")
        ends = [options.rates[0], options.rates[-1]]
        every = full >= LARGE if options.every_rate is None else options.every_rate
        wanted: list[Cell] = [(rate, full, 1) for rate in (*ends, *options.rates[1:-1])]
        for share in reversed(options.shares):
            smaller = part_of(study, share, "dropout.shares")
            wanted += [(rate, smaller, 1) for rate in (options.rates if every else ends)]
        wanted += [(rate, full, times) for times in options.steps if times != 1 for rate in ends]
        found: dict[Cell, Arm] = {}
        for rate, images, times in wanted:
            tuned = options.tuned or (rate in ends and (images, times) == (full, 1))
            nearest = self._arm(min(ends, key=lambda end: abs(end - rate)))
            part = None if images == full else images
            found[rate, images, times] = self._arm(rate, part, times, None if tuned else nearest.name)
        return found

    def _arm(self, rate: float, images: int | None = None, times: int = 1, chooser: str | None = None) -> Arm:
        """One arm; without `images` the study's own."""
        study, recipe = self.study, {}
        levels: dict[str, Level] = {"activation": "relu", "norm": "none", "dropout": rate}
        if images is not None:
            levels["train_samples"] = images
            recipe["epoch_images"] = presented(study, full_size(study, "dropout"))
        if times != 1:
            recipe["epochs"] = times * study.recipe.epochs
        seeds = first_seeds(study, self.options.seeds)
        return make_arm(study, levels, recipe=recipe, seeds=seeds, choice_from=chooser)
