"""Is any one of data, computation and algorithms enough? All eight combinations of little and much, beside the best
older method.
"""

from functools import cached_property
from itertools import product
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from takeoff.common.errors import TakeoffError
from takeoff.experiments.base import Experiment
from takeoff.experiments.scaling.methods import Method, pair
from takeoff.study.arms import AnyArm, Arm, ClassicalArm, first_seeds, make_arm, make_classical
from takeoff.study.model import Level
from takeoff.study.settings import Count, Settings
from takeoff.study.sizes import full_size, part_of, presented

MODERN: dict[str, Level] = {"activation": "relu", "norm": "batch", "dropout": 0.5}
"""The algorithms of the 2010s."""
OLDER: tuple[Method, ...] = ("hog-rbf-svm", "pixels-rbf-svm", "fisher-linear-svm", "kmeans-linear-svm")
"""The rivals; the best is chosen on validation images."""
Plain = Literal["tanh", "sigmoid"]
AMOUNTS = ("little", "much")


class Options(Settings):
    """What a study may set below `synergy`."""

    little_share: Annotated[float, Field(gt=0, lt=1)] = 0.125
    """Little data, as a share of the study's training images."""
    little_epochs_share: Annotated[float, Field(gt=0, le=1)] = 0.125
    """Little computation, as a share of the study's epochs, rounded, at least one."""
    little_width: Annotated[float, Field(gt=0, le=16)] | None = None
    """The width of networks with little computation; None: the study's."""
    plain: Annotated[tuple[Plain, ...], Field(min_length=1, max_length=2)] = ("tanh", "sigmoid")
    """Activations of the plain networks, the algorithms before; claims are judged against the first."""
    seeds: Count | None = None
    """How many of the study's seeds run; None: all."""
    tuned: bool = True
    """Whether every network is tuned itself, as the older methods are; if not, all take the rate of the one with much
    data and computation, which saves runs and favours that one."""


class Place(NamedTuple):
    """Where an arm stands in the design."""

    data: str
    computation: str
    algorithms: str
    """`tanh`, `sigmoid`, `modern`; or `older`."""


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
        A TakeoffError says that little is not less than much, or that the size of the full set is not known.
        """
        algorithms: list[str] = [*dict.fromkeys(self.options.plain), "modern"]
        found = {Place("much", "much", name): self._network("much", "much", name) for name in algorithms}
        for data, computation, name in product(AMOUNTS, AMOUNTS, algorithms):
            place = Place(data, computation, name)
            if place not in found:
                chooser = None if self.options.tuned else found[Place("much", "much", name)].name
                found[place] = self._network(data, computation, name, chooser)
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

    def _network(self, data: str, computation: str, algorithms: str, chooser: str | None = None) -> Arm:
        study, options = self.study, self.options
        plain: dict[str, Level] = {"activation": algorithms, "norm": "none", "dropout": 0}
        levels = dict(MODERN) if algorithms == "modern" else plain
        recipe: dict[str, Any] = {}
        if data == "little":
            levels["train_samples"] = self._little_data
            recipe = {"epoch_images": presented(study, full_size(study, "synergy")), "keep": "best"}
        if computation == "little":
            much, epochs = study.recipe.epochs, self._little_epochs()
            warmup = round(study.recipe.warmup_epochs * epochs / much, 3)
            recipe |= {"epochs": epochs, "warmup_epochs": warmup}
            if options.little_width is not None:
                levels["width"] = options.little_width
        seeds = first_seeds(study, options.seeds)
        return make_arm(study, levels, recipe=recipe, seeds=seeds, choice_from=chooser)

    @cached_property
    def _little_data(self) -> int:
        return part_of(self.study, self.options.little_share, "synergy.little_share")

    def _little_epochs(self) -> int:
        much, widest = self.study.recipe.epochs, self.study.network.width
        width = self.options.little_width or widest
        epochs = max(1, round(self.options.little_epochs_share * much))
        if width > widest or (width == widest and epochs >= much):
            raise TakeoffError(
                f"synergy: little computation is {epochs} of {much} epochs at width {width:g} of {widest:g}, "
                "no less than much; valid: a smaller little_epochs_share or little_width"
            )
        return epochs
