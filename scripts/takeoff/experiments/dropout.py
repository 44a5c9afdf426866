"""Does dropout reduce overfitting? Its rate against the size of the training set, at one and at two times the steps."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, field_validator

from takeoff.experiments.chance import chance_of
from takeoff.experiments.claims import MUCH_DATA, Finding
from takeoff.experiments.dropout_claims import CLAIMS, findings
from takeoff.experiments.set_sizes import full_size, part_of, presented
from takeoff.study.arms import AnyArm, Arm, first_seeds, make_arm
from takeoff.study.model import Study
from takeoff.study.settings import Count, Settings

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from takeoff.experiments.registry import Results

__all__ = ["CLAIMS", "FIGURES", "TABLES", "TITLE", "Options", "analyse", "arms", "draw", "judge"]

RESTS_ON = ("rates", "steps")
"""Options that decide a claim, beside the study's margin."""
TITLE = "Does dropout reduce overfitting?"
TABLES = ("cells", "runs", "differences", "longer")
FIGURES = {"sizes": "Gap and errors against set size and steps"}
Cell = tuple[float, int, int]
"""A rate of dropout, a number of training images, and by how much the study's epochs are multiplied."""


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
    def _ascending(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(values)) < len(values):
            raise ValueError("a value stands twice in the list")
        return tuple(sorted(values))

    @field_validator("steps")
    @classmethod
    def _with_one(cls, steps: tuple[int, ...]) -> tuple[int, ...]:
        if 1 not in steps:
            raise ValueError(f"{list(steps)}: 1 must be among them")
        return steps


def arms(study: Study, options: Options) -> list[AnyArm]:
    """ReLU networks without norm: the factorial's own at the full size, and what differs in size or steps.

    A smaller set is trained for as many steps as the full one, to the last of them: to take its best validation epoch
    would hide the overfitting that is asked about.
    """
    return list(cells(study, options).values())


def cells(study: Study, options: Options) -> dict[Cell, Arm]:
    """The arms by rate, images and multiple of the epochs; those that lend their learning rate first."""
    full = full_size(study, "dropout")
    ends = [options.rates[0], options.rates[-1]]
    lenders = {rate: _arm(study, options, rate, None, 1, None) for rate in ends}
    every = full >= MUCH_DATA if options.every_rate is None else options.every_rate
    wanted: list[Cell] = [(rate, full, 1) for rate in (*ends, *options.rates[1:-1])]
    for share in reversed(options.shares):
        smaller = part_of(study, share, "dropout.shares")
        wanted += [(rate, smaller, 1) for rate in (options.rates if every else ends)]
    wanted += [(rate, full, times) for times in options.steps if times != 1 for rate in ends]
    found: dict[Cell, Arm] = {}
    for rate, images, times in wanted:
        nearest = lenders[min(ends, key=lambda end: abs(end - rate))]
        size: int | None = None if images == full else images
        arm = _arm(study, options, rate, size, times, None if options.tuned else nearest.name)
        found[rate, images, times] = nearest if arm.name == nearest.name else arm
    return found


def _arm(
    study: Study, options: Options, rate: float, images: int | None, times: int, lender: str | None
) -> Arm:
    """One arm; without `images` the study's own."""
    levels: dict[str, Any] = {"activation": "relu", "norm": "none", "dropout": rate}
    recipe: dict[str, Any] = {}
    if images is not None:
        levels["train_samples"] = images
        recipe["epoch_images"] = presented(study, full_size(study, "dropout"))
    if times != 1:
        recipe["epochs"] = times * study.recipe.epochs
    return make_arm(study, levels, recipe=recipe, seeds=first_seeds(study, options.seeds), lender=lender)


def analyse(study: Study, options: Options, results: "Results") -> "dict[str, pd.DataFrame]":
    """The tables of the experiment; accuracies, errors and gaps are fractions.

    - `runs`: a row per run: `dropout`, `images` (validation included), `steps` (multiple of the epochs), errors,
      `gap` (training − test accuracy), and `loss_change`: training loss after the last epoch − before it, below 0
      where it still falls; empty for a run that diverged.
    - `cells`: a row per arm: counts, rate, and mean and t interval over seeds of every measure in `runs`.
    - `differences`: what each rate of dropout does to gap and test error against the least one, paired by seed, at each
      size and number of steps: t interval, p, and p after Benjamini–Hochberg within each response.
    - `longer`: what more steps change in training and test error of each rate at the full size, paired by seed.

    Raises:
        TakeoffError: runs, curves or card do not fit the study.

    """
    from takeoff.experiments.dropout_tables import analysed

    return analysed(cells(study, options), results, chance_of(results.card, study))


def draw(
    study: Study, options: Options, tables: "dict[str, pd.DataFrame]"
) -> "Iterator[tuple[str, Figure, pd.DataFrame]]":
    """Gap, test and training error against set size and number of steps, and what dropout and more steps change."""
    from takeoff.experiments.dropout_figures import draw_sizes

    yield "sizes", *draw_sizes(study, tables)


def judge(
    study: Study, options: Options, tables: "dict[str, pd.DataFrame]", card: dict[str, Any]
) -> list[Finding]:
    """The greatest rate against the least, at the full size, at one and at two times the steps."""
    return findings(tables["runs"], tables["longer"], study.margin)
