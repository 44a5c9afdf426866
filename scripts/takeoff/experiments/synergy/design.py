"""Is any one of data, computation and algorithms enough? All eight combinations of little and much, beside the best
older method.
"""

from functools import cached_property
from itertools import product
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, Field

from takeoff.common.errors import TakeoffError
from takeoff.experiments.base import Experiment
from takeoff.experiments.scaling.methods import Method, pair
from takeoff.study.arms import AnyArm, Arm, ClassicalArm, first_seeds, make_arm, make_classical
from takeoff.study.bounds import Seeds, once
from takeoff.study.model import Level
from takeoff.study.settings import Settings
from takeoff.study.sizes import full_size, part_of, presented

MODERN: dict[str, Level] = {"activation": "relu", "norm": "batch"}
"""The algorithms of the 2010s."""
DROPOUT = (0.0, 0.5)
"""With which rate of it: the better one is chosen on validation images, wherever modern networks stand."""
OLDER: tuple[Method, ...] = ("hog-rbf-svm", "pixels-rbf-svm", "fisher-linear-svm", "kmeans-linear-svm")
"""The rivals; the best is chosen on validation images."""
Plain = Literal["tanh", "sigmoid"]
AMOUNTS = ("little", "much")


class Options(Settings):
    """What a study may set below `synergy`."""

    little_share: Annotated[float, Field(gt=0, lt=1)] = 0.125
    """Little data, as a share of the study's training images."""
    little_epochs_share: Annotated[float, Field(gt=0, le=0.5)] = 0.125
    """Little computation, as a share of the study's epochs, to within 5%: an epoch may be shortened to get there."""
    plain: Annotated[tuple[Plain, ...], Field(min_length=1, max_length=2), AfterValidator(once)] = ("tanh", "sigmoid")
    """Activations of the plain networks, the algorithms before; claims are judged against the first."""
    least_gain: Annotated[float, Field(ge=0, le=100)] = 5.0
    """What the whole gain must exceed, in points, with its 95% interval, for data alone to be judged by half of it."""
    seeds: Seeds | None = None
    """How many of the study's seeds run; None: all."""
    tuned: bool = True
    """Whether every network is tuned itself, as the older methods are; if not, all take the rate of the same one with
    much data and computation, which saves runs and favours that one."""


class Place(NamedTuple):
    """Where an arm stands in the design."""

    data: str
    computation: str
    algorithms: str
    """`tanh`, `sigmoid`, `modern`; or `older`."""
    dropout: float | None = None
    """Of a network."""


class Design(Experiment[Options]):
    """Networks with little and much of each, and the older methods at both sizes."""

    title = "Was any one of data, computation and algorithms enough?"
    Options = Options

    def tables(self) -> tuple[str, ...]:
        """The cells and their runs, the effects of each factor, and each factor alone."""
        return ("cells", "runs", "effects", "alone")

    def figures(self) -> dict[str, str]:
        """The cells, and the shares."""
        return {"cube": "Little and much of each", "shares": "Shapley shares, and each one alone"}

    def arms(self) -> list[AnyArm]:
        """The networks, and the older methods."""
        return [*self.networks.values(), *(arm for _, arm in self.rivals)]

    @cached_property
    def networks(self) -> dict[Place, Arm]:
        """Every combination of data, computation and algorithms; those with much of both first, whose rates the rest
        take where they are not tuned. They are the factorial's own arms where it has them.

        Little data are presented as often as much data are, so that computation, images × FLOPs, is the same. Networks
        on little data end with the weights of their best validation epoch: as they see each image many times, the last
        ones would charge data with too long a training. On much data the last epoch, with the rate gone down, stays: it
        is the factorial's. Where computation is little, warm-up is shortened with the epochs.
        A TakeoffError says that little computation cannot be had, or that the size of the full set is not known.
        """
        recipes = [*product(self.options.plain, [0.0]), *product(["modern"], DROPOUT)]
        found: dict[Place, Arm] = {}
        for data, computation, recipe in product(reversed(AMOUNTS), reversed(AMOUNTS), recipes):
            first = found.get(Place("much", "much", *recipe))
            chooser = None if first is None or self.options.tuned else first.name
            place = Place(data, computation, *recipe)
            found[place] = self._network(place, chooser)
        return found

    @cached_property
    def rivals(self) -> list[tuple[Place, ClassicalArm]]:
        """The older methods on little and on much data, each tuned itself."""
        seeds = first_seeds(self.study, self.options.seeds)
        return [
            (Place(data, "", "older"), make_classical(self.study, *pair(method), samples, seeds=seeds))
            for data, samples in (("little", self._little_data), ("much", None))
            for method in OLDER
        ]

    def _network(self, place: Place, chooser: str | None = None) -> Arm:
        study = self.study
        plain: dict[str, Level] = {"activation": place.algorithms, "norm": "none"}
        levels = {**(MODERN if place.algorithms == "modern" else plain), "dropout": place.dropout or 0.0}
        recipe: dict[str, Any] = {}
        if place.data == "little":
            levels["train_samples"] = self._little_data
            recipe = {"epoch_images": self._epoch_images, "keep": "best"}
        if place.computation == "little":
            recipe |= self._little_computation
        return make_arm(study, levels, recipe=recipe, seeds=first_seeds(study, self.options.seeds), choice_from=chooser)

    @cached_property
    def _little_data(self) -> int:
        return part_of(self.study, self.options.little_share, "synergy.little_share")

    @cached_property
    def _epoch_images(self) -> int:
        return self.study.recipe.epoch_images or presented(self.study, full_size(self.study, "synergy"))

    @cached_property
    def _little_computation(self) -> dict[str, Any]:
        """As many epochs as come near the share, and in each as many steps; the study's own where that is all."""
        recipe, share = self.study.recipe, self.options.little_epochs_share
        each, epochs = max(1, self._epoch_images // recipe.batch_size), max(1, round(share * recipe.epochs))
        much = each * recipe.epochs
        steps = max(1, round(share * much / epochs))
        if abs(epochs * steps - share * much) > 0.05 * share * much:
            raise TakeoffError(
                f"synergy.little_epochs_share: {share:g} of {much} steps cannot be had within 5%; "
                f"valid: {epochs * steps / much:.3g}, which is {epochs * steps}"
            )
        warmup = round(recipe.warmup_epochs * epochs / recipe.epochs, 3)
        parts = {} if steps == each else {"epoch_images": steps * recipe.batch_size}
        return {"epochs": epochs, "warmup_epochs": warmup, **parts}
