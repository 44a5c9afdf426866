"""What a study will train, counted before it does: every run with its parameters, images, FLOPs and time."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from takeoff.common.errors import TakeoffError
from takeoff.common.files import atomic_path
from takeoff.data.splits import sizes
from takeoff.engine import architecture
from takeoff.study.model import Budget
from takeoff.study.planned import AnyPlannedArm, PlannedArm
from takeoff.workflow.fit_times import fit_seconds
from takeoff.workflow.images import Shape
from takeoff.workflow.speeds import Speeds


@dataclass(frozen=True)
class PlannedRun:
    """One training, or one fit of an older method: which, how large, how long."""

    arm: str
    experiments: str
    purpose: str
    """`tune`, `final`, or `fit`, which is an older method's and counts in no budget."""
    seed: int
    learning_rate: float | None
    weight_decay: float | None
    parameters: int | None
    train_samples: int
    epochs: int | None
    steps: int | None
    images: int | None
    flops: int | None
    expected_seconds: float
    """Of a fit, a share of its arm's tuning as well."""


def plan_runs(arms: Iterable[AnyPlannedArm], shape: Shape, speeds: Speeds) -> list[PlannedRun]:
    """Every run of the arms, tuning first, arm by arm, as long as the machine's speeds say.

    Raises TakeoffError where an arm wants more images than there are, or too few to hold any out.
    """
    return [run for arm in arms for run in _runs_of(arm, shape, speeds)]


def check_distinct(arms: Iterable[AnyPlannedArm], shape: Shape, source: str) -> None:
    """Refuse, with a TakeoffError, two arms that train one network alike: levels or options that make no difference."""
    found: dict[str, str] = {}
    for arm in arms:
        if isinstance(arm, PlannedArm):
            layers = architecture.layers(arm.network, arm.images.resolution, shape.channels, shape.classes)
            drawn = arm.network.initialisation
            if drawn == "by-activation":  # as the engine draws, which takes torch
                drawn = "xavier" if arm.network.activation in {"sigmoid", "tanh"} else "he"
            samples = shape.train if arm.train_samples is None else arm.train_samples
            same = repr((layers, drawn, arm.recipe, samples, arm.learning_rate, arm.target))
            if (other := found.setdefault(same, arm.name)) != arm.name:
                raise TakeoffError(
                    f"{source}: {other} and {arm.name} are one network, recipe and number of images under two names; "
                    "valid: levels and options that make a difference"
                )


def expected_seconds(arm: AnyPlannedArm, shape: Shape, speeds: Speeds) -> float:
    """About what all runs of an arm take on one thread."""
    return sum(run.expected_seconds for run in _runs_of(arm, shape, speeds))


def _runs_of(arm: AnyPlannedArm, shape: Shape, speeds: Speeds) -> Iterator[PlannedRun]:
    samples, held_out = sizes(shape.train, arm.train_samples, arm.images.validation_fraction)
    experiments = "+".join(arm.experiments)
    if not isinstance(arm, PlannedArm):
        expected = round(fit_seconds(arm, shape.train) / len(arm.seeds), 3)
        of = [None, None, None, samples, *[None] * 4, expected]
        yield from (PlannedRun(arm.name, experiments, "fit", seed, *of) for seed in arm.seeds)  # type: ignore[arg-type]
        return
    layers = architecture.layers(arm.network, arm.images.resolution, shape.channels, shape.classes)
    batch = min(arm.recipe.batch_size, samples - held_out)
    presented = arm.recipe.epoch_images
    per_epoch = (samples - held_out) // batch if presented is None else presented // arm.recipe.batch_size
    parameters = architecture.parameters(layers)
    training, forward = architecture.training_flops(layers), architecture.forward_flops(layers)
    speed = speeds(arm, shape)
    # A step of a set that fills no batch is shorter.
    each = speed.step * batch / arm.recipe.batch_size

    def run(purpose: str, epochs: int, seed: int, rate: float | None, decay: float | None) -> PlannedRun:
        steps = max(1, per_epoch) * epochs
        # A run whose end alone chooses a learning rate is scored at both its ends alone.
        watched = purpose == "final" or arm.target is not None or arm.recipe.keep == "best"
        scored = 2 * held_out * (epochs + 1 if watched else 2)
        flops = steps * batch * training + scored * forward
        expected = round(steps * each + scored * speed.image, 3)
        counts = (parameters, samples, epochs, steps, steps * batch)
        return PlannedRun(arm.name, experiments, purpose, seed, rate, decay, *counts, flops, expected)

    if arm.tuned and len(arm.grid) > 1:
        first: list[tuple[int, float | None, float]] = [(arm.tuning_epochs, *point) for point in arm.grid]
        later = [(arm.decay_epochs, None, decay) for decay in arm.later_decays]
        tried = product(arm.blocks, [*first, *later])
        yield from (run("tune", n, seed, rate, wd) for block, (n, rate, wd) in tried for seed in block.tuning_seeds)
    open_choice = (None, None) if arm.choice_from or len(arm.grid) > 1 else arm.grid[0]
    fixed = (arm.learning_rate, arm.recipe.weight_decay) if arm.learning_rate else open_choice
    yield from (run("final", arm.recipe.epochs, seed, *fixed) for seed in arm.seeds)


def over_budget(source: str, runs: list[PlannedRun], budget: Budget) -> str | None:
    """The line that refuses a study, whose file is `source`, for what of its budget the runs exceed; None where they do
    not.
    """
    hours, trained = core_hours(runs), trainings(runs)
    excess = []
    if trained > budget.runs:
        excess.append(f"{trained} runs, budget.runs is {budget.runs}")
    if hours > budget.core_hours:
        excess.append(f"about {hours:.2f} core-hours, budget.core_hours is {budget.core_hours:g}")
    words = "the study exceeds its budget: {}; valid: a larger budget, a smaller study"
    return f"{source}: {words.format('; '.join(excess))}" if excess else None


def core_hours(runs: list[PlannedRun]) -> float:
    """The processor time that training networks is expected to take."""
    return sum(run.expected_seconds for run in runs if run.purpose != "fit") / 3600


def fit_hours(runs: list[PlannedRun]) -> float:
    """The processor time that fits of older methods are expected to take."""
    return sum(run.expected_seconds for run in runs if run.purpose == "fit") / 3600


def trainings(runs: list[PlannedRun]) -> int:
    """How many of the runs train a network."""
    return sum(run.purpose != "fit" for run in runs)


def write_plan(path: Path, runs: list[PlannedRun]) -> None:
    """Write `plan.csv`, a row per run."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(PlannedRun.__dataclass_fields__)
        writer.writerows(tuple(vars(run).values()) for run in runs)
