"""How much sooner does ReLU reach a training error than tanh and sigmoid do? The race of Krizhevsky 2012, figure 1."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from takeoff.errors import TakeoffError
from takeoff.experiments.chance import chance_of
from takeoff.experiments.claims import Finding
from takeoff.experiments.race_claims import CLAIMS, findings
from takeoff.experiments.set_sizes import full_size, presented
from takeoff.study.arms import AnyArm, Arm, first_seeds, make_arm
from takeoff.study.model import Level, Study
from takeoff.study.settings import Count, Rates, Settings

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from takeoff.experiments.registry import Results

__all__ = ["CLAIMS", "FIGURES", "TABLES", "TITLE", "Options", "analyse", "arms", "draw", "judge", "timed"]

TITLE = "How much sooner does ReLU learn?"
TABLES = ("curves", "crossings", "ratios", "steps")
FIGURES = {"curves": "Training error against epochs and seconds", "ratios": "How many times as long"}
ACTIVATIONS = ("relu", "tanh", "sigmoid")
RESTS_ON = ("error", "rates", "epochs", "scores")
"""Options that decide a claim, beside the study's margin."""


class Options(Settings):
    """What a study may set below `race`."""

    error: Annotated[float, Field(gt=0, lt=1)] = 0.25
    """The training error to reach (a fraction); Krizhevsky 2012 took 25% of CIFAR-10."""
    epochs: Count | None = None
    """How long each network has for it; None: as long as the study trains."""
    scores: Count = 1
    """How often an epoch training error is measured: more often where it falls within few epochs. It parts an epoch's
    steps evenly. In the runs' own curves each part is an epoch; this experiment's tables count whole ones.
    """
    width: Annotated[float, Field(gt=0, le=16)] = 1.0
    """Multiplies the channels of the four-layer network."""
    rates: Rates | None = None
    """The grid of learning rates; None: the study's, which may be too high for a constant rate without norm."""
    seeds: Count | None = None
    """How many of the study's seeds run; None: all."""


def arms(study: Study, options: Options) -> list[AnyArm]:
    """The four-layer network with each activation: no regularisation, and a constant rate, tuned to cross soonest."""
    return list(timed(study, options))


def timed(study: Study, options: Options) -> list[Arm]:
    """The same arms: their seconds per step are told of, too."""
    plain: dict[str, Level] = {"norm": "none", "dropout": 0, "response_norm": "none", "augmentation": "none"}
    training: dict[str, Any] = {"schedule": "constant", "warmup_epochs": 0, "weight_decay": 0}
    training |= _parts(study, options)
    return [
        make_arm(
            study,
            {"activation": activation, "width": options.width, **plain},
            network={"family": "four-layer", "depth": None},
            recipe=training,
            seeds=first_seeds(study, options.seeds),
            rates=options.rates,
            target=round(1 - options.error, 6),
        )
        for activation in ACTIVATIONS
    ]


def _horizon(study: Study, options: Options) -> int:
    """The epochs that a network has."""
    return options.epochs or study.recipe.epochs


def _parts(study: Study, options: Options) -> dict[str, Any]:
    """The parts of an epoch that are scored, as the recipe's own epochs.

    Raises:
        TakeoffError: an epoch has fewer steps, or a number of them that cannot be parted so.

    """
    if options.scores == 1:
        return {"epochs": _horizon(study, options)}
    batch, images = study.recipe.batch_size, study.recipe.epoch_images
    try:
        images = images or presented(study, full_size(study, f"race.scores {options.scores}"))
    except TakeoffError as error:
        raise TakeoffError(f"{error}; or recipe.epoch_images as a number, or race.scores: 1") from None
    steps = images // batch
    if steps % options.scores or not steps:
        valid = [str(number) for number in range(1, max(1, steps) + 1) if steps % number == 0]
        raise TakeoffError(
            f"race.scores {options.scores}: an epoch has {steps} steps of {batch} images, which leave no equal parts; "
            f"valid: {', '.join(valid)}"
        )
    part = steps // options.scores * batch
    return {"epochs": _horizon(study, options) * options.scores, "epoch_images": part}


def analyse(study: Study, options: Options, results: "Results") -> "dict[str, pd.DataFrame]":
    """The tables of the experiment; errors are fractions.

    - `curves`: a row per arm and score, with its `epoch`: mean training error and its t interval over `n_seeds` that
      have one, and mean `seconds` of training to there.
    - `crossings`: a row per run: `epochs` and `seconds` to the training error, interpolated; `censored` where it was
      not reached, so that both are lower bounds. Seconds are epochs × steps per epoch × the arm's seconds per step,
      the geometric mean over the blocks of `steps`; empty where steps were not timed.
    - `ratios`: how many times as long (`epochs`, `seconds`) an arm takes as another: `censoring.crossing_ratio` over
      the seeds of both. The intervals are over seeds: in `seconds` they leave out the noise of the timing.
    - `steps`: a row per block and arm: seconds per step, and `ratio` to tanh's in the same block; no row where
      steps were not timed.

    Raises:
        TakeoffError: the error is no better than guessing, or a curve does not fit.

    """
    from takeoff.experiments.race_tables import analysed
    from takeoff.statistics.chance import chance_line

    chance, images = chance_of(results.card, study)
    if 1 - options.error <= chance_line(chance, images):
        raise TakeoffError(
            f"race.error {options.error:g} is no better than guessing; "
            f"valid: below {1 - chance_line(chance, images):.3f}, for {images} test images"
        )
    named: dict[str, Arm] = {arm.network.activation: arm for arm in timed(study, options)}
    curves = results.curves.assign(epoch=results.curves["epoch"] / options.scores)
    return analysed(named, 1 - options.error, _horizon(study, options), curves, results.speed)


def draw(
    study: Study, options: Options, tables: "dict[str, pd.DataFrame]"
) -> "Iterator[tuple[str, Figure, pd.DataFrame]]":
    """The curves with their crossings, and the ratios."""
    from takeoff.experiments.race_figures import draw_curves, draw_ratios

    yield "curves", *draw_curves(study, tables, options.error)
    yield "ratios", *draw_ratios(study, tables, options.error)


def judge(
    study: Study, options: Options, tables: "dict[str, pd.DataFrame]", card: dict[str, Any]
) -> list[Finding]:
    """ReLU against tanh: epochs to the training error, and seconds per step."""
    from takeoff.experiments.registry import CHOICES

    arms: dict[str, str] = {arm.network.activation: arm.name for arm in timed(study, options)}
    untuned = []
    if CHOICES in tables:
        choices = tables[CHOICES]
        lost = set(choices.loc[choices["untuned"].astype(bool), "arm"])
        untuned = [activation for activation, name in arms.items() if name in lost]
    return findings(tables, options.error, arms, untuned)
