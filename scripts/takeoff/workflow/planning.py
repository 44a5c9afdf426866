"""What a study will train, counted before it does: every run with its parameters, images, FLOPs and time."""

import csv
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from takeoff.common.files import atomic_path
from takeoff.data.splits import sizes
from takeoff.engine import architecture
from takeoff.study.configuration import FULL_PRECISION_SIDE
from takeoff.study.model import Budget
from takeoff.study.planned import AnyPlannedArm, PlannedArm
from takeoff.workflow.images import Shape

EFFICIENCY, BFLOAT16 = 0.7, 2.5
"""The share of a float32 matrix product's rate that training reaches on a CPU; and how many times that where it trains
in bfloat16, measured on CIFAR-10 at width 0.25."""
FLAGS = Path("/proc/cpuinfo")
STEP_SECONDS, FUSED_STEP_SECONDS = 0.004, 0.001
"""What a step of a run costs besides: alone and, as with images of 8 px, beside others in one network. Measured on the
default study and on CIFAR-10 at width 0.125, good to a factor of two."""


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
    expected_seconds: float | None


def plan_runs(arms: Iterable[AnyPlannedArm], shape: Shape, flops_per_second: float) -> list[PlannedRun]:
    """Every run of the arms, tuning first, arm by arm; FLOPs per second are of a matrix product on one thread.

    Raises TakeoffError where an arm wants more images than there are, or too few to hold any out.
    """
    return [run for arm in arms for run in _runs_of(arm, shape, flops_per_second)]


def expected_seconds(arm: AnyPlannedArm, shape: Shape, flops_per_second: float) -> float:
    """About what all runs of an arm of networks take on one thread."""
    return sum(run.expected_seconds or 0 for run in _runs_of(arm, shape, flops_per_second))


def _runs_of(arm: AnyPlannedArm, shape: Shape, flops_per_second: float) -> Iterator[PlannedRun]:
    samples, held_out = sizes(shape.train, arm.train_samples, arm.images.validation_fraction)
    experiments = "+".join(arm.experiments)
    if not isinstance(arm, PlannedArm):
        of = [None, None, None, samples, *[None] * 5]
        yield from (PlannedRun(arm.name, experiments, "fit", seed, *of) for seed in arm.seeds)  # type: ignore[arg-type]
        return
    layers = architecture.layers(arm.network, arm.images.resolution, shape.channels, shape.classes)
    batch = min(arm.recipe.batch_size, samples - held_out)
    presented = arm.recipe.epoch_images
    per_epoch = (samples - held_out) // batch if presented is None else presented // arm.recipe.batch_size
    per_step = FUSED_STEP_SECONDS if arm.images.resolution == 8 else STEP_SECONDS
    parameters = architecture.parameters(layers)
    training, forward = architecture.training_flops(layers), architecture.forward_flops(layers)

    def run(purpose: str, epochs: int, seed: int, rate: float | None, decay: float | None) -> PlannedRun:
        steps = max(1, per_epoch) * epochs
        # A run whose end alone chooses a learning rate is scored at both its ends alone.
        watched = purpose == "final" or arm.target is not None or arm.recipe.keep == "best"
        scored = 2 * held_out * (epochs + 1 if watched else 2)
        flops = steps * batch * training + scored * forward
        expected = round(steps * per_step + flops / (EFFICIENCY * flops_per_second), 3)
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


def matrix_rate(side: int = 768, seconds: float = 0.3) -> float:
    """Floating-point operations per second of a float32 matrix product here, per core in use: a short measurement."""
    import numpy as np

    a = np.random.default_rng(0).standard_normal((side, side), dtype=np.float32)
    a @ a
    began, products = time.process_time(), 0
    while (spent := time.process_time() - began) < seconds:
        a @ a
        products += 1
    return products * 2 * side**3 / spent


def expected_rate(resolution: int) -> float:
    """Floating-point operations per second of a product on one thread here, in the precision in which images of that
    side are trained on: what `plan_runs` takes.
    """
    return matrix_rate() * (BFLOAT16 if trains_in_bfloat16(resolution) else 1.0)


def trains_in_bfloat16(resolution: int) -> bool:
    """Whether the precision `auto` is bfloat16 on this CPU, by the flags that Linux names, for images of that side."""
    flags = FLAGS.read_text(encoding="utf-8") if FLAGS.exists() else ""
    return resolution > FULL_PRECISION_SIDE and any(flag in flags for flag in ("amx_bf16", "avx512_bf16"))


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
    """The processor time that training is expected to take."""
    return sum(run.expected_seconds or 0 for run in runs) / 3600


def trainings(runs: list[PlannedRun]) -> int:
    """How many of the runs train a network."""
    return sum(run.purpose != "fit" for run in runs)


def write_plan(path: Path, runs: list[PlannedRun]) -> None:
    """Write `plan.csv`, a row per run."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(PlannedRun.__dataclass_fields__)
        writer.writerows(tuple(vars(run).values()) for run in runs)
