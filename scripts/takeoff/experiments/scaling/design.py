"""Do older methods plateau with data while larger networks go on? Every method at sizes over 1.5 decades."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from takeoff.common.errors import TakeoffError
from takeoff.data.catalogue import entries
from takeoff.data.splits import van_der_corput
from takeoff.experiments.base import Experiment
from takeoff.experiments.scaling.methods import Method, hand_made, network_method, pair
from takeoff.study.arms import AnyArm, Arm, make_arm, make_classical, seeds_of
from takeoff.study.bounds import Seeds
from takeoff.study.model import Level
from takeoff.study.settings import Settings
from takeoff.study.sizes import full_size, presented

PER_CLASS = 5
"""Images of each class that the smallest set holds, unless the sizes then span less than `DECADES`."""
DECADES = 1.5
"""As `statistics.scaling.DECADES`: over a shorter range a law's parameters cannot be separated."""
WIDEST = 16
"""The greatest width of a network."""
MODERN: dict[str, Level] = {"activation": "relu", "norm": "batch", "dropout": 0}
"""What every network has."""
PLATEAU, ORDER = "older-methods-plateau", "order-unsettled-with-little-data"
HAND_MADE = "hand-made-features-matter-with-little-data"
Width = Annotated[float, Field(gt=0)]
Draws = Seeds | Annotated[tuple[Seeds, ...], Field(min_length=3, max_length=20)]


class Options(Settings):
    """What a study may set below `scaling`."""

    sizes: Annotated[int, Field(ge=3, le=20, strict=True)] = 6
    """How many sizes of the training set there are, evenly spaced in their logarithms; the largest is all images."""
    smallest_share: Annotated[float, Field(gt=0, le=0.25)] = 1 / 32
    """The smallest size as a share of the largest; more where that leaves fewer than 5 images of a class and the
    sizes still span 1.5 decades."""
    draws: Draws = 8
    """On how many draws of images networks are trained: one number, or one for each size, upwards. A draw has a seed:
    one of the study's, or a further one as long as no two share an image at that size."""
    classical_draws: Draws = 16
    """On how many draws older methods are fitted, likewise."""
    widths: Annotated[tuple[Width, ...], Field(min_length=2, max_length=20)] = (0.5, 1.0, 2.0)
    """Networks' widths, as multiples of the study's."""
    tuned: Annotated[int, Field(ge=0, le=3, strict=True)] = 3
    """At how many sizes networks are tuned: 1, the largest; 2, the smallest too; 3, the middle one too. The other
    sizes take the choice of the nearest of these. 0, at none: every network takes the rate of the study's own with
    ReLU and batch norm on all images, which saves runs and favours that one."""
    classical_tuned: Annotated[int, Field(ge=1, le=3, strict=True)] = 3
    """At how many sizes older methods are, likewise."""
    plateau: Annotated[int, Field(ge=2, le=100, strict=True)] | None = None
    """How many times as long the widest network is trained besides, at every size, to reach the plateau of its
    validation accuracy; None: it is not."""
    methods: Annotated[tuple[Method, ...], Field(min_length=1, max_length=20)] = (
        "pixels-logistic",
        "pixels-linear-svm",
        "hog-linear-svm",
        "pixels-rbf-svm",
        "hog-rbf-svm",
        "kmeans-linear-svm",
        "fisher-linear-svm",
    )
    """The older methods, as features and learner."""

    @field_validator("widths", "methods")
    @classmethod
    def _once(cls, given: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
        if len(set(given)) < len(given):
            raise ValueError(f"one of the {info.field_name} stands twice in the list")
        return tuple(sorted(given)) if info.field_name == "widths" else given

    @field_validator("draws", "classical_draws")
    @classmethod
    def _one_for_each_size(cls, given: Draws, info: ValidationInfo) -> Draws:
        if not isinstance(given, int) and len(given) != (sizes := info.data.get("sizes")):
            raise ValueError(f"{len(given)} numbers for {sizes} sizes; valid: one number, or one for each size")
        return given


@dataclass(frozen=True)
class Member:
    """An arm of the experiment, and its place in it."""

    arm: AnyArm
    method: str
    """`hog-linear-svm`, `network-0.5x`, or `network-2x-3x`, which is trained three times as long."""
    kind: Literal["older", "network"]
    size: int
    """Images that the arm may see, validation included."""
    width: float | None = None
    """A network's, as a multiple of the study's."""


class Design(Experiment[Options]):
    """Older methods and networks of several widths, each at every size.

    Networks have ReLU and batch norm. They train for as many steps at every size, so that the effect of data is not
    that of computation. As that many would overfit a small set, the best validation epoch is kept.
    """

    title = "Do older methods plateau with data while larger networks go on?"
    Options = Options

    def tables(self) -> tuple[str, ...]:
        """Runs, fits, gains per doubling, differences, agreement of orders, and what longer training brings."""
        return ("runs", "fits", "gains", "differences", "agreement", "order", "plateau")

    def figures(self) -> dict[str, str]:
        """Errors, gains, differences, and agreement."""
        return {
            "curves": "Error by training images",
            "gains": "What twice the data brings",
            "differences": "Width, features and networks, by data",
            "agreement": "Do other images order the methods alike?",
        }

    def untestable(self) -> dict[str, str]:
        """The claim on hand-made features without any."""
        none = "the study has no older method with features other than pixels: list one in scaling.methods"
        return {} if any(map(hand_made, self.options.methods)) else {HAND_MADE: none}

    def values(self, claim: str) -> int:
        """As many as draws that each method has: at every size for gains, at the smallest for the order of methods,
        else at the smallest and at the largest.
        """
        sizes = {PLATEAU: self.sizes, ORDER: self.sizes[:1]}.get(claim, [self.sizes[0], self.sizes[-1]])
        return min(len(seeds_of(self.study, member.arm)) for member in self.members if member.size in sizes)

    def arms(self) -> list[AnyArm]:
        """Every method at every size, and the network whose rate the others take where none of them is tuned."""
        chooser = self.shared_chooser
        return [*([chooser] if chooser else []), *(member.arm for member in self.members)]

    @cached_property
    def sizes(self) -> list[int]:
        """The sizes of the training sets, ascending, validation images included.

        A TakeoffError says that the number of images is not known, or too small for so many or so small sets.
        """
        study, number, share = self.study, self.options.sizes, self.options.smallest_share
        full, entry = full_size(study, "scaling"), entries().get(study.dataset.name)
        classes = len(study.dataset.classes or ()) or (entry.classes if entry else 0)
        smallest = int(share * full)
        if smallest < PER_CLASS * classes <= full / 10**DECADES:
            smallest = PER_CLASS * classes
        enough = (size for size in range(3, full) if 1 <= size - presented(study, size) <= size - 2)
        if smallest < (least := next(enough, full)):
            raise TakeoffError(
                f"scaling.smallest_share {share:g}: {smallest} of {full} images are too few to hold out "
                f"{study.dataset.validation_fraction:.0%} and train on two; valid: {least / full:.3g} or more"
            )
        step = (full / smallest) ** (1 / (number - 1))
        # Rounded down, so that a size of a half or a quarter leaves as many draws that share no image.
        found = [int(smallest * step**place + 1e-6) for place in range(number - 1)] + [full]
        if len(set(found)) < number:
            raise TakeoffError(
                f"scaling.sizes {number}: from {smallest} to {full} images two sizes are the same; valid: fewer sizes"
            )
        return found

    @cached_property
    def members(self) -> list[Member]:
        """Every arm with its place: first the older methods, then the networks, those of a method together."""
        options, found = self.options, []
        wanted: list[tuple[Method | float, int, int]] = [(one, options.classical_tuned, 1) for one in options.methods]
        wanted += [(width, options.tuned, 1) for width in options.widths]
        wanted += [(options.widths[-1], options.tuned, options.plateau)] if options.plateau else []
        for method, tuned, times in wanted:
            kind: Literal["older", "network"] = "older" if isinstance(method, str) else "network"
            name, width = (method, None) if isinstance(method, str) else (network_method(method, times), method)
            for size, place in zip(self.sizes, choosing_places(self.sizes, tuned), strict=True):
                arm = self._arm(method, size, times)
                chooser = self._arm(method, self.sizes[place]) if tuned else self.shared_chooser
                choice_from = None if chooser is None or chooser.name == arm.name else chooser.name
                found.append(Member(arm.model_copy(update={"choice_from": choice_from}), name, kind, size, width))
        return found

    @property
    def widest(self) -> str:
        """The widest network, as a method."""
        return network_method(self.options.widths[-1])

    @property
    def longest(self) -> str:
        """The same, trained to its plateau; empty where the study does not want it."""
        return network_method(self.options.widths[-1], self.options.plateau) if self.options.plateau else ""

    @property
    def shared_chooser(self) -> Arm | None:
        """The network on all images whose learning rate every other one takes; None where they are tuned themselves.

        It is the factorial's arm where that has just these levels.
        """
        study, options = self.study, self.options
        return None if options.tuned else make_arm(study, MODERN, seeds=self._seeds(self.sizes[-1], options.draws))

    def _arm(self, method: Method | float, size: int, times: int = 1) -> AnyArm:
        """An older method, or a network of a multiple of the study's width and steps, on `size` images."""
        study, full, options = self.study, self.sizes[-1], self.options
        if isinstance(method, str):
            seeds = self._seeds(size, options.classical_draws)
            return make_classical(study, *pair(method), None if size == full else size, seeds)
        width = method * study.network.width
        if width > WIDEST:
            raise TakeoffError(
                f"scaling.widths: {method:g} times the study's width {study.network.width:g} is {width:g}; "
                f"valid: up to {WIDEST / study.network.width:g}"
            )
        levels = MODERN | {"width": width} | ({} if size == full else {"train_samples": size})
        recipe = {"epoch_images": presented(study, full), "keep": "best", "epochs": times * study.recipe.epochs}
        return make_arm(study, levels, recipe=recipe, seeds=self._seeds(size, options.draws))

    def _seeds(self, size: int, wanted: Draws) -> tuple[int, ...]:
        """Those of the draws at a size."""
        study, own = self.study, self.study.seed_list
        number = wanted if isinstance(wanted, int) else wanted[self.sizes.index(size)]
        seeds = [*own, *(seed for seed in range(number + len(own)) if seed not in own)][:number]
        entry = None if study.dataset.classes else entries().get(study.dataset.name)
        there = presented(study, entry.train if entry else self.sizes[-1])
        apart = disjoint_seeds(seeds, presented(study, size), there)
        return tuple(seeds[: max(len(apart), min(number, len(own)))])


def disjoint_seeds(seeds: Sequence[int], window: int, pool: int) -> list[int]:
    """The first of `seeds`, as many as share no image where each trains on `window` of `pool` images.

    As `data.splits.split` draws them: each a window of one order, which starts where the seed says. Of the seeds
    0, 1, 2, … the first 2^k where a window takes up to 1/2^k of the pool.

    >>> disjoint_seeds([0, 1, 2, 3], 25, 100), disjoint_seeds([0, 1, 2, 3], 30, 100)
    ([0, 1, 2, 3], [0, 1])
    """
    kept: list[tuple[int, int]] = []
    for seed in seeds:
        start = int(van_der_corput(seed) * pool)
        if any(min((start - other) % pool, (other - start) % pool) < window for _, other in kept):
            break
        kept.append((seed, start))
    return [seed for seed, _ in kept]


def choosing_places(sizes: Sequence[int], tuned: int) -> list[int]:
    """For each size, the place of the tuned one that is nearest in log size, the larger of two as near.

    >>> [choosing_places([1, 2, 4, 8, 16, 32], tuned) for tuned in (1, 2, 3)]
    [[5, 5, 5, 5, 5, 5], [0, 0, 0, 5, 5, 5], [0, 0, 3, 3, 5, 5]]
    """
    last = len(sizes) - 1
    places = [last, *([0] * (tuned > 1)), *([len(sizes) // 2] * (tuned > 2))]
    return [min(places, key=lambda place: (round(abs(log(sizes[place] / size)), 2), -place)) for size in sizes]
