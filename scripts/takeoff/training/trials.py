"""Short trials of ways to train an arm: how fast each is, and whether it goes where one run after another goes."""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from takeoff.models import architecture
from takeoff.study.arms import Arm, Run
from takeoff.training.hardware import Hardware, first_line, out_of_memory
from takeoff.training.resident import Resident
from takeoff.training.state import Training
from takeoff.training.ways import ONE_AFTER_ANOTHER, Way

CHECKED, STEPS = 5, {"cpu": 30, "cuda": 150}
"""Steps whose outcome is compared, before those that are timed: so many that an epoch's start counts little."""
RATES = (0.01, 0.02, 0.005)
"""Of the first runs of a trial, from the first step: a schedule's warm-up would hide what a step does. Further ones
have the last, as most runs of a job share theirs, and are changed at once.
"""
GAIN = 1.05
"""A doubling of the runs at a time that makes training less than so much faster gains nothing; two end a search."""
LONG = 3e16
"""Floating-point operations of a job that may be worth compiling for, a minute or so: ten minutes at 5e13 a second."""
AGREE = 0.25
"""How far, relative to the way from its start, a run may end from where it ends alone: rounding brings it about a
hundredth of that way off, other masks or another rate more than half."""


def measured(
    data: Resident, arm: Arm, runs: Sequence[Run], hardware: Hardware, say: Callable[[str], None] = print
) -> dict[Way, float]:
    """Images per second of one run after another, and of more at a time while that helps, fused and overlapped; of a
    long job the fastest of them also compiled, what compiling takes spread over the job's images.

    A way that fails here, or whose runs end elsewhere, counts as 0: a GPU or a driver may not do what another does.
    """
    images = images_of(data, arm, runs)
    compiles = is_long(data, arm, runs)
    arm, runs = _trial(arm, runs)
    rates: dict[Way, float] = {}
    try:
        expected = reference(data, arm, runs, hardware)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        return {ONE_AFTER_ANOTHER: 0.0}

    def measure(way: Way) -> float:
        rates[way] = 0.0
        try:
            rate, moves = timed(way, data, arm, runs, hardware)
        except Exception as error:
            # A compiler fails in many ways: none is installed, no disk is left, a limit is hit.
            if not (way.compiled or isinstance(error, RuntimeError)):
                raise
            # cuDNN tells alike of a lack of memory and of convolutions that it has no algorithm for.
            if not isinstance(error, torch.OutOfMemoryError):
                say(f"{arm.name}: {way.name} does not run here: {first_line(error)}")
        else:
            off = max(distance(*pair) for pair in zip(moves, expected, strict=False))
            if off > AGREE:
                say(f"{arm.name}: {way.name} is left out: a run's first steps are {off:.0%} off")
            else:
                rates[way] = rate
        if hardware.device.type == "cuda":
            gc.collect()
            torch.cuda.empty_cache()
        return rates[way]

    alone = measure(ONE_AFTER_ANOTHER)
    graph = measure(Way(graph=True)) > 0
    start = max(rates.values())
    # Where nothing ran, for lack of memory perhaps, more at a time will not.
    for family in _families(len(runs), graph) if alone or graph else ():
        # Each from where both start: two overlapped may well be slower than the best fused way.
        most, misses = start, 0
        for way in family:
            if measure(way) >= GAIN * most:
                most, misses = rates[way], 0
            elif (misses := misses + 1) == 2:
                break
    best = max(rates, key=lambda way: rates[way])
    if compiles and rates[best]:
        began = time.perf_counter()
        if rate := measure(compiled := replace(best, compiled=True)):
            rates[compiled] = images / (images / rate + time.perf_counter() - began)
    return rates


def images_of(data: Resident, arm: Arm, runs: Sequence[Run]) -> int:
    """Images that a job presents to all its runs together, about."""
    each = arm.recipe.epoch_images or len(data.split(arm.train_samples, seed=0)[0])
    return len(runs) * arm.recipe.epochs * each


def is_long(data: Resident, arm: Arm, runs: Sequence[Run]) -> bool:
    """Whether a job is so long that compiling may pay back."""
    layers = architecture.layers(arm.network, data.resolution, data.channels, data.classes)
    return architecture.training_flops(layers) * images_of(data, arm, runs) >= LONG


def _trial(arm: Arm, runs: Sequence[Run]) -> tuple[Arm, list[Run]]:
    """The arm and its runs at moderate rates, so that the outcome does not depend on which rates are asked for."""
    recipe = arm.recipe.model_copy(update={"schedule": "constant", "warmup_epochs": 0})
    rated = [
        replace(run, learning_rate=RATES[min(number, len(RATES) - 1)]) for number, run in enumerate(runs)
    ]
    return arm.model_copy(update={"recipe": recipe}), rated


def reference(data: Resident, arm: Arm, runs: Sequence[Run], hardware: Hardware) -> list[Tensor]:
    """How far each run's weights go in its first steps, made one by one."""
    return [timed(ONE_AFTER_ANOTHER, data, arm, [run], hardware, steps=0)[1][0] for run in runs]


def timed(
    way: Way, data: Resident, arm: Arm, runs: Sequence[Run], hardware: Hardware, steps: int | None = None
) -> tuple[float, list[Tensor]]:
    """Images per second over so many steps, and how far each run's weights went in the steps before."""
    steps = STEPS[hardware.device.type] if steps is None else steps
    trainings = [Training(data, arm, run, hardware) for run in runs[: way.at_once]]
    starts = [_weights(training) for training in trainings]
    stepper = way.stepper(trainings)
    stepper.epoch(CHECKED)
    moves = [_weights(training) - start for training, start in zip(trainings, starts, strict=True)]
    if not steps:
        return 0.0, moves
    began = time.perf_counter()
    stepper.epoch(steps)
    seconds = time.perf_counter() - began
    made = min(steps, trainings[0].steps_per_epoch)
    return len(trainings) * made * trainings[0].batch_size / seconds, moves


def _weights(training: Training) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in training.model.parameters()])


def distance(move: Tensor, expected: Tensor) -> float:
    """How far a run ended from where it should, relative to its way there; two that are no numbers end alike."""
    if not (move.isfinite().all() and expected.isfinite().all()):
        return 0.0 if move.isfinite().all() == expected.isfinite().all() else float("inf")
    return float((move - expected).norm() / expected.norm().clamp(min=1e-12))


def _families(most: int, graph: bool) -> Iterator[list[Way]]:
    """Ways with more and more runs at a time, up to `most`; where graphs do not run, without."""
    numbers = [2**power for power in range(1, most.bit_length()) if 2**power < most] + [most] * (most > 1)
    for fused in (True, False) if graph else (True,):
        yield [Way(number, fused=fused, graph=graph) for number in numbers]
