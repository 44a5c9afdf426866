"""Is any one of data, computation and algorithms enough? All eight combinations of little and much, beside the best
older method.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from takeoff.errors import TakeoffError
from takeoff.experiments.chance import chance_of
from takeoff.experiments.claims import Finding
from takeoff.experiments.set_sizes import full_size, part_of, presented
from takeoff.experiments.synergy_claims import CLAIMS, findings, same_images
from takeoff.study.arms import (
    AnyArm,
    Arm,
    ClassicalArm,
    Features,
    Learner,
    first_seeds,
    make_arm,
    make_classical,
)
from takeoff.study.model import Study
from takeoff.study.settings import Count, Settings

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from takeoff.experiments.registry import Results

__all__ = ["CLAIMS", "FIGURES", "TABLES", "TITLE", "Options", "analyse", "arms", "draw", "judge"]

RESTS_ON = ("little_share", "little_epochs_share", "plain")
"""Options that decide a claim, beside the study's margin."""
TITLE = "Was any one of data, computation and algorithms enough?"
TABLES = ("cells", "runs", "effects", "alone")
FIGURES = {"cube": "Little and much of each", "shares": "Shapley shares, and each one alone"}
MODERN = {"activation": "relu", "norm": "batch", "dropout": 0.5}
"""The algorithms of the 2010s."""
OLDER: tuple[tuple[Features, Learner], ...] = (
    ("hog", "rbf-svm"),
    ("pixels", "rbf-svm"),
    ("fisher", "linear-svm"),
    ("kmeans", "linear-svm"),
)
"""The rivals, features and learner; the best is chosen on validation images."""
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


@dataclass(frozen=True)
class Place:
    """Where an arm stands in the design."""

    data: str
    computation: str
    algorithms: str
    """`tanh`, `sigmoid`, `modern`; or `older`."""


def arms(study: Study, options: Options) -> list[AnyArm]:
    """The networks, and the older methods at both sizes."""
    return [*networks(study, options).values(), *(arm for _, arm in rivals(study, options))]


def networks(study: Study, options: Options) -> dict[Place, Arm]:
    """Every combination of data, computation and algorithms; those with much of both first, which tune their rates
    and lend them to the rest. They are the factorial's own arms where it has them.

    Little data are presented as often as much data are, so that computation, images × FLOPs, is the same. Networks
    on little data end with the weights of their best validation epoch: as they see each image many times, the last
    ones would charge data with too long a training. On much data the last epoch, with the rate gone down, stays: it is
    the factorial's. Where computation is little, warm-up is shortened with the epochs.

    Raises:
        TakeoffError: little is not less than much; the size of the full set is not known.

    """
    found: dict[Place, Arm] = {}
    algorithms: list[str] = [*dict.fromkeys(options.plain), "modern"]
    for algorithm in algorithms:
        much = _network(study, options, Place("much", "much", algorithm), None)
        found[Place("much", "much", algorithm)] = much
    for data, computation, algorithm in product(AMOUNTS, AMOUNTS, algorithms):
        place = Place(data, computation, algorithm)
        if place not in found:
            lender = None if options.tuned else found[Place("much", "much", algorithm)].name
            found[place] = _network(study, options, place, lender)
    return found


def _network(study: Study, options: Options, place: Place, lender: str | None) -> Arm:
    levels: dict[str, Any] = dict(MODERN)
    if place.algorithms != "modern":
        levels = {"activation": place.algorithms, "norm": "none", "dropout": 0}
    recipe: dict[str, Any] = {}
    if place.data == "little":
        levels["train_samples"] = part_of(study, options.little_share, "synergy.little_share")
        recipe = {"epoch_images": presented(study, full_size(study, "synergy")), "keep": "best"}
    if place.computation == "little":
        much, epochs = study.recipe.epochs, _little_epochs(study, options)
        recipe |= {"epochs": epochs, "warmup_epochs": round(study.recipe.warmup_epochs * epochs / much, 3)}
        if options.little_width is not None:
            levels["width"] = options.little_width
    return make_arm(study, levels, recipe=recipe, seeds=first_seeds(study, options.seeds), lender=lender)


def _little_epochs(study: Study, options: Options) -> int:
    much, width = study.recipe.epochs, options.little_width
    epochs = max(1, round(options.little_epochs_share * much))
    wide = width is None or width >= study.network.width
    if (epochs >= much and wide) or (width is not None and width > study.network.width):
        raise TakeoffError(
            f"synergy: little computation is {epochs} of {much} epochs at width {width or study.network.width:g} of "
            f"{study.network.width:g}, no less than much; valid: a smaller little_epochs_share or little_width"
        )
    return epochs


def rivals(study: Study, options: Options) -> list[tuple[Place, ClassicalArm]]:
    """The older methods on little and on much data, each tuned itself."""
    seeds = first_seeds(study, options.seeds)
    sizes = {"little": part_of(study, options.little_share, "synergy.little_share"), "much": None}
    return [
        (Place(data, "", "older"), make_classical(study, features, learner, samples, seeds=seeds))
        for data, samples in sizes.items()
        for features, learner in OLDER
    ]


def analyse(study: Study, options: Options, results: "Results") -> "dict[str, pd.DataFrame]":
    """The tables of the experiment; accuracies are fractions.

    - `runs`: a row per run, of networks and of older methods: `data`, `computation`, `algorithms`, accuracies,
      `flops` of its training, `chance`. `chosen` marks, at each size, the older method with the best mean validation
      accuracy.
    - `cells`: a row per arm: counts, mean and t interval of test accuracy, validation accuracy, mean flops.
    - `effects`: the columns of `statistics.effects.COLUMNS` for the 2^3 design from all little to all much, on test
      accuracy and its log-odds; by the activation of the `plain` networks.
    - `alone`: by `plain` activation, from all little with each factor `alone`, and with `all`: test accuracy, its
      gain, and its lead over the best `older` method on the same data, each with its t interval over paired seeds.

    Raises:
        TakeoffError: runs or card do not fit the study.

    """
    from takeoff.experiments.synergy_tables import analysed

    places = {arm.name: place for place, arm in networks(study, options).items()}
    places |= {arm.name: place for place, arm in rivals(study, options)}
    return analysed(places, tuple(dict.fromkeys(options.plain)), results, chance_of(results.card, study))


def draw(
    study: Study, options: Options, tables: "dict[str, pd.DataFrame]"
) -> "Iterator[tuple[str, Figure, pd.DataFrame]]":
    """The cells, and the shares beside each factor alone; both say where networks borrow their rates."""
    from takeoff.experiments.synergy_cube import draw_cube
    from takeoff.experiments.synergy_shares import draw_shares

    borrowed = "" if options.tuned else "rates: tuned with much of both alone"
    yield "cube", *draw_cube(study, tables, borrowed)
    yield "shares", *draw_shares(study, tables, borrowed)


def judge(
    study: Study, options: Options, tables: "dict[str, pd.DataFrame]", card: dict[str, Any]
) -> list[Finding]:
    """Data alone against half of the whole gain; each factor alone, and all, against the best older method."""
    borrowed = "" if options.tuned else "networks take the rate tuned with much data and computation"
    return findings(tables["runs"], options.plain[0], borrowed, same=same_images(study, card))
