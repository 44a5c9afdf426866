"""The scaling experiment's options, the sizes of its training sets, and its arms: which are tuned, which borrow."""

from dataclasses import dataclass
from math import log
from typing import Annotated, Literal

from pydantic import Field, field_validator

from takeoff.data.catalogue import entries
from takeoff.errors import TakeoffError
from takeoff.experiments.scaling_methods import Method, network_method, pair
from takeoff.experiments.set_sizes import full_size, presented
from takeoff.study.arms import AnyArm, Arm, first_seeds, make_arm, make_classical
from takeoff.study.model import Level, Study
from takeoff.study.settings import Count, Settings

PER_CLASS = 5
"""Images of each class that the smallest set holds, unless the sizes then span less than `DECADES`."""
DECADES = 1.5
"""As `statistics.scaling.DECADES`: over a shorter range a law's parameters are not told apart."""
WIDEST = 16
"""The greatest width of a network."""
MODERN: dict[str, Level] = {"activation": "relu", "norm": "batch", "dropout": 0}
"""What every network has."""


class Options(Settings):
    """What a study may set below `scaling`."""

    sizes: Annotated[int, Field(ge=3, le=20, strict=True)] = 6
    """How many sizes of the training set there are, evenly spaced in their logarithms; the largest is all images."""
    smallest_share: Annotated[float, Field(gt=0, le=0.25)] = 1 / 32
    """The smallest size as a share of the largest; more where that leaves fewer than 5 images of a class and the
    sizes still span 1.5 decades."""
    draws: Count = 4
    """How many of the study's seeds networks are trained with, the first ones; each draws its own images."""
    classical_draws: Count = 4
    """How many of the study's seeds older methods are fitted with, the first ones."""
    widths: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=2)] = (0.5, 1.0, 2.0)
    """Networks' widths, as multiples of the study's."""
    tuned: Annotated[int, Field(ge=0, le=3, strict=True)] = 3
    """At how many sizes networks are tuned: 1, the largest; 2, the smallest too; 3, the middle one too. The other
    sizes take the choice of the nearest of these. 0, at none: every network takes the rate of the study's own with
    ReLU and batch norm on all images, which saves runs and favours that one."""
    classical_tuned: Annotated[int, Field(ge=1, le=3, strict=True)] = 3
    """At how many sizes older methods are, likewise."""
    methods: Annotated[tuple[Method, ...], Field(min_length=1)] = (
        "pixels-logistic",
        "pixels-linear-svm",
        "hog-linear-svm",
        "pixels-rbf-svm",
        "hog-rbf-svm",
        "kmeans-linear-svm",
        "fisher-linear-svm",
    )
    """The older methods, as features and learner."""

    @field_validator("widths")
    @classmethod
    def _ascending(cls, widths: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(widths)) < len(widths):
            raise ValueError("a width stands twice in the list")
        return tuple(sorted(widths))

    @field_validator("methods")
    @classmethod
    def _once(cls, methods: tuple[Method, ...]) -> tuple[Method, ...]:
        if len(set(methods)) < len(methods):
            raise ValueError("a method stands twice in the list")
        return methods


@dataclass(frozen=True)
class Member:
    """An arm of the experiment, and its place in it."""

    arm: AnyArm
    method: str
    """`hog-linear-svm`, or `network-0.5x`."""
    kind: Literal["older", "network"]
    size: int
    """Images that the arm may see, validation included."""
    width: float | None = None
    """A network's, as a multiple of the study's."""


def sizes(study: Study, options: Options) -> list[int]:
    """The sizes of the training sets, ascending, validation images included.

    Raises:
        TakeoffError: the number of images is not known, or they are too few for so many or so small sets.

    """
    full, entry = full_size(study, "scaling"), entries().get(study.dataset.name)
    classes = len(study.dataset.classes or ()) or (entry.classes if entry else 0)
    smallest = int(options.smallest_share * full)
    if smallest < PER_CLASS * classes <= full / 10**DECADES:
        smallest = PER_CLASS * classes
    fraction = study.dataset.validation_fraction
    validated = int(fraction * smallest)
    if validated < 1 or smallest - validated < 2:
        held_out = ((size, int(fraction * size)) for size in range(3, full + 3))
        least = next((size for size, held in held_out if held >= 1 and size - held > 1), full)
        raise TakeoffError(
            f"scaling.smallest_share {options.smallest_share:g}: {smallest} of {full} images are too few to hold out "
            f"{fraction:.0%} and train on two; valid: {least / full:.3g} or more"
        )
    step = (full / smallest) ** (1 / (options.sizes - 1))
    # Rounded down, so that a size of a half or a quarter leaves as many draws that share no image.
    found = [int(smallest * step**place + 1e-6) for place in range(options.sizes - 1)] + [full]
    if len(set(found)) < len(found):
        raise TakeoffError(
            f"scaling.sizes {options.sizes}: from {smallest} to {full} images two sizes are the same; "
            "valid: fewer sizes"
        )
    return found


def members(study: Study, options: Options) -> list[Member]:
    """Every arm: older methods and networks, each at every size, those of a method together."""
    at = sizes(study, options)
    return [*_older(study, options, at), *_networks(study, options, at)]


def tuned_places(number: int, tuned: int) -> list[int]:
    """Which of `number` sizes are tuned at.

    >>> [tuned_places(6, tuned) for tuned in (1, 2, 3)]
    [[5], [0, 5], [0, 3, 5]]
    """
    return sorted({number - 1, *([0] * (tuned > 1)), *([number // 2] * (tuned > 2))})


def lender_places(at: list[int], tuned: int) -> list[int]:
    """For each size, the place of the nearest tuned one in log size, the larger of two as near."""
    places = tuned_places(len(at), tuned)

    def away(place: int, size: int) -> tuple[float, int]:
        return round(abs(log(at[place] / size)), 2), -place

    return [min(places, key=lambda place: away(place, size)) for size in at]


def rate_lender(study: Study, options: Options) -> Arm | None:
    """The study's network with ReLU and batch norm, the factorial's where that has just these: all others take its
    rate where none of them is tuned.
    """
    return None if options.tuned else make_arm(study, MODERN, seeds=first_seeds(study, options.draws))


def _older(study: Study, options: Options, at: list[int]) -> list[Member]:
    seeds, found = first_seeds(study, options.classical_draws), []
    lenders = lender_places(at, options.classical_tuned)
    for method in options.methods:
        arms = [make_classical(study, *pair(method), None if size == at[-1] else size, seeds) for size in at]
        for place, (size, arm) in enumerate(zip(at, arms, strict=True)):
            lent = None if lenders[place] == place else arms[lenders[place]].name
            found.append(Member(arm.model_copy(update={"lender": lent}), method, "older", size))
    return found


def _networks(study: Study, options: Options, at: list[int]) -> list[Member]:
    """ReLU and batch norm; trained for as many steps at every size, so that data and computation are told apart,
    and as these would overfit a small set, with the best validation epoch kept.
    """
    seeds, lenders, found = first_seeds(study, options.draws), lender_places(at, options.tuned), []
    lender = rate_lender(study, options)
    recipe = {"epoch_images": presented(study, at[-1]), "keep": "best"}
    for multiple in options.widths:
        width = multiple * study.network.width
        if width > WIDEST:
            raise TakeoffError(
                f"scaling.widths: {multiple:g} times the study's width {study.network.width:g} is {width:g}; "
                f"valid: up to {WIDEST / study.network.width:g}"
            )
        levels = MODERN | {"width": width}
        arms = [
            make_arm(
                study,
                levels if size == at[-1] else levels | {"train_samples": size},
                recipe=recipe,
                seeds=seeds,
            )
            for size in at
        ]
        for place, (size, arm) in enumerate(zip(at, arms, strict=True)):
            nearest = None if lenders[place] == place else arms[lenders[place]].name
            lent = lender.name if lender is not None else nearest
            member = arm.model_copy(update={"lender": lent})
            found.append(Member(member, network_method(multiple), "network", size, multiple))
    return found
