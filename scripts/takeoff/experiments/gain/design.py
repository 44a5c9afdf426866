"""How many times less computation reaches the same test error with each factor? Its compute-equivalent gain."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from math import ceil
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, Field, model_validator

from takeoff.common.errors import TakeoffError
from takeoff.experiments.base import Experiment, Tables
from takeoff.experiments.factorial.design import MOST_FACTORS
from takeoff.experiments.factorial.design import Design as Factorial
from takeoff.experiments.factorial.design import Options as FactorialOptions
from takeoff.study.arms import AnyArm, Arm, first_seeds, make_arm
from takeoff.study.bounds import Epochs, Seeds
from takeoff.study.model import Level
from takeoff.study.settings import Settings, ascending
from takeoff.study.sizes import full_size, part_of, presented

WIDTH, DATA = "width", "train_samples"
"""What the comparisons of a narrow network, and of fewer images, with the study's are called, as the factors are."""
Budgets = Annotated[tuple[Epochs, ...], Field(min_length=2, max_length=20), AfterValidator(ascending)]


class Options(Settings):
    """What a study may set below `gain`."""

    epochs: Budgets = (2, 5, 10)
    """Budgets, in epochs, that every cell is trained for besides the study's own `recipe.epochs`, each with a schedule
    of its own; not shorter than the warm-up."""
    seeds: Seeds | None = None
    """How many of the study's seeds run; None: all."""
    width: Annotated[float, Field(gt=0, lt=1)] | None = None
    """A narrower network, as a multiple of the study's width, that ReLU networks without dropout are compared with;
    left out, none is."""
    width_epochs: Budgets | None = None
    """Budgets of the narrow network, in epochs, besides `recipe.epochs`. An epoch of it takes less computation, so they
    may be more. None: those of `epochs`."""

    data: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Fewer images, as a share of the study's, that ReLU networks without dropout are trained on for as many steps,
    with the learning rates of the same networks on all images; left out, none are."""

    @model_validator(mode="after")
    def _width_given(self) -> "Options":
        if self.width_epochs is not None and self.width is None:
            raise ValueError("width_epochs: it is given with width alone")
        return self


class Pair(NamedTuple):
    """The networks compared in one context: an arm per budget each, the fewest epochs first."""

    baseline: tuple[Arm, ...]
    treatment: tuple[Arm, ...]


class Design(Experiment[Options]):
    """The cells of the factorial, trained for several budgets; learning rate and weight decay are chosen at the study's
    own budget, and taken at the others. So are those of narrow networks.
    """

    title = "How much computation does each factor save?"
    Options = Options

    def tables(self) -> tuple[str, ...]:
        """Runs, gains at each budget, their growth, a line per factor, effects in points at each budget, and what more
        computation brings.
        """
        return ("points", "gains", "growth", "summary", "effects_by_budget", "computation")

    def figures(self) -> dict[str, str]:
        """Test error over computation, gains, and effects in points."""
        return {
            "curves": "Test error against computation",
            "gains": "Compute-equivalent gains",
            "effects": "Effects by training budget",
        }

    def arms(self) -> list[AnyArm]:
        """Every network at every budget of its own."""
        return [*self.networks.values()]

    def notes(self) -> list[str]:
        """At which budget settings are chosen."""
        tuning = self.study.tuning_epochs(self.study.recipe)
        return [f"gain: learning rates are chosen by runs of {tuning} epochs; networks of every budget take them"]

    def measure(self, tables: Tables, card: dict[str, Any]) -> tuple[()]:
        """Nothing: no claim is about gains."""
        return ()

    @cached_property
    def networks(self) -> dict[str, Arm]:
        """Every arm, by its name."""
        pairs = [pair for contexts in self.comparisons.values() for pair in contexts.values()]
        return {arm.name: arm for pair in pairs for side in pair for arm in side}

    @cached_property
    def levels(self) -> dict[str, tuple[Level, Level]]:
        """Baseline and treatment of each factor, of `width` where a narrow network is compared, and of `train_samples`
        where fewer images are.
        """
        study, own = self.study, dict(self._factorial.levels)
        if self.options.width is not None:
            self._check_no_factor(WIDTH, "gain.width")
            own[WIDTH] = (self.options.width * study.network.width, study.network.width)
        if self.options.data is not None:
            self._check_no_factor(DATA, "gain.data")
            own[DATA] = (part_of(study, self.options.data, "gain.data"), full_size(study, "gain.data"))
        return own

    def _check_no_factor(self, name: str, key: str) -> None:
        if name in self.study.factors:
            raise TakeoffError(f"{key}: {name} is a factor of the study; valid: to leave {key} out")

    @cached_property
    def comparisons(self) -> dict[str, dict[str, Pair]]:
        """By factor, and then by context, which is the levels of the other factors (`norm=batch,dropout=0`), the
        networks compared.

        A TakeoffError says that the study has too many factors for a full factorial, or that an option does not fit it.
        """
        factors, given = self._factorial.levels, self.options
        if (number := len(factors)) > MOST_FACTORS:
            raise TakeoffError(
                f"gain: {number} factors are too many for every combination; valid: up to {MOST_FACTORS}"
            )
        budgets = self._budgets("epochs", given.epochs)
        narrow = self._budgets("width_epochs", given.width_epochs or given.epochs)
        found: dict[str, dict[str, Pair]] = {}
        for name, (baseline, treatment) in self.levels.items():
            cells = [cell for cell in self._factorial.cells if name in factors and cell[name] == baseline]
            cells = cells or self._relu_cells()
            for cell in cells:
                others = ",".join(f"{other}={level}" for other, level in cell.items() if other != name)
                after = self._arms(cell if name == DATA else cell | {name: treatment}, budgets)
                if name == DATA:
                    before = tuple(self._with_fewer(cell, int(baseline), arm) for arm in after)
                else:
                    before = self._arms(cell | {name: baseline}, narrow if name == WIDTH else budgets)
                found.setdefault(name, {})[others] = Pair(before, after)
        return found

    @cached_property
    def _factorial(self) -> Factorial:
        # Its cells follow from the study's factors alone, as long as they are all trained.
        return Factorial(self.study, FactorialOptions())

    def _relu_cells(self) -> list[dict[str, Level]]:
        """ReLU without dropout, with each norm that the factors have, all other factors at their baselines."""
        factors = self._factorial.levels
        levels = {name: baseline for name, (baseline, _) in factors.items()} | {"activation": "relu", "dropout": 0}
        return [levels | {"norm": norm} for norm in factors.get("norm", (self.study.network.norm,))]

    def _arms(self, levels: Mapping[str, Level], budgets: Sequence[int]) -> tuple[Arm, ...]:
        """A network at each budget; at the study's it is tuned, and the others take its choice."""
        study, seeds, name = self.study, first_seeds(self.study, self.options.seeds), make_arm(self.study, levels).name
        choosers = [None if epochs == study.recipe.epochs else name for epochs in budgets]
        return tuple(
            make_arm(study, levels, recipe={"epochs": epochs}, choice_from=chooser, seeds=seeds)
            for epochs, chooser in zip(budgets, choosers, strict=True)
        )

    def _with_fewer(self, levels: Mapping[str, Level], images: int, arm: Arm) -> Arm:
        """The same network and as many steps, on fewer images, with its learning rate."""
        study = self.study
        steps = study.recipe.epoch_images or presented(study, full_size(study, "gain.data"))
        recipe = {"epochs": arm.recipe.epochs, "epoch_images": steps}
        chooser = arm.choice_from or arm.name
        return make_arm(study, {**levels, DATA: images}, recipe=recipe, choice_from=chooser, seeds=arm.seeds)

    def _budgets(self, key: str, given: Sequence[int]) -> tuple[int, ...]:
        """The epochs of an option and the study's, ascending."""
        own, warmup = self.study.recipe.epochs, self.study.recipe.warmup_epochs
        if key == "epochs" and own in given:
            raise TakeoffError(f"gain.epochs: {own} is recipe.epochs, which is a budget anyway; valid: other numbers")
        if given[0] < warmup:
            least = f"recipe.warmup_epochs is {warmup:g}; valid: {ceil(warmup)} or more"
            raise TakeoffError(f"gain.{key}: {given[0]}: {least}")
        return tuple(sorted({*given, own}))
