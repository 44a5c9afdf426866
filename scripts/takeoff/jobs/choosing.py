"""Which way trains an arm fastest: on a GPU a short measurement, remembered for each device; on a CPU a rule.

A CPU's core gains from fused runs only where a step is so small that calls cost more than products, and what is
small there does not depend much on the CPU; so a rule gives the same groups each time, and the same bits.
`scripts/benchmark.py` measures it.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from itertools import chain, repeat
from pathlib import Path

import torch
from torch import Tensor

from takeoff.common.digests import ENGINE, code_digest
from takeoff.common.files import digest_of, write_json
from takeoff.engine import architecture
from takeoff.engine.hardware import Hardware
from takeoff.engine.resident import Resident
from takeoff.engine.state import Training
from takeoff.jobs.hardware import first_line, free_gpu_memory
from takeoff.jobs.ways import ONE_AFTER_ANOTHER, Way
from takeoff.study.arms import Arm, Run

SMALL_SIDE, SMALL_STEP = 8, 3e8
"""Pixels of the images, and floating-point operations of a run's step, up to which a CPU trains runs fused. Measured on
AVX2 with 8 px: 1.9 times as fast at 2e7, 1.4 at 7e7, 1.5 at 2.7e8, 1.0 to 1.3 for 20 plain layers; none with 32."""
CPU_RUNS = 8
"""Runs fused there, at most."""
CHECKED, STEPS = 5, {"cpu": 30, "cuda": 150}
"""Steps whose outcome is compared, before those that are timed: so many that an epoch's start counts little."""
RATES = (0.01, 0.02, 0.005)
"""Learning rates of the first runs of a trial, from the first step: a schedule's warm-up would hide what a step does.
Further runs have the last, as most runs of a job share theirs, and are changed at once."""
GAIN = 1.05
"""A doubling of the runs at a time that makes training less than so much faster gains nothing; two end a search."""
LONG = 3e16
"""Floating-point operations of a job that may be worth compiling for, a minute or so: ten minutes at 5e13 a second."""
AGREE = 0.25
"""How far, relative to the way from its start, a run may end from where it ends alone: rounding brings it about a
hundredth of that way off, other masks or another rate more than half."""

Report = Callable[[str], None]


def choose_way(
    data: Resident, arm: Arm, runs: Sequence[Run], hardware: Hardware, memory: Path, report: Report = print
) -> Way:
    """The fastest way to train `runs` of `arm`, at most all of them at a time. What is measured on a GPU is kept in the
    folder `memory`, a file per choice, and `report` takes a line of it.
    """
    if not runs:
        return ONE_AFTER_ANOTHER
    if hardware.device.type == "cpu":
        small = data.shape[0] <= SMALL_SIDE
        small &= _flops_per_image(data, arm) * arm.recipe.batch_size <= SMALL_STEP
        at_once = min(len(runs), CPU_RUNS) if small else 1
        return Way(at_once, fused=at_once > 1)
    if is_long(data, arm, runs):  # what torch compiles is kept beside the choices, for the next job
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(memory.absolute() / "compiled"))
    path = memory / f"{_key(data, arm, runs, hardware)}.json"
    with suppress(OSError, KeyError, TypeError, ValueError):  # there is none, or it is damaged
        return Way(**json.loads(path.read_text(encoding="utf-8"))["way"])
    rates = measured(data, arm, runs, hardware, report)
    best = max(rates, key=lambda way: rates[way])
    if not rates[best]:
        return ONE_AFTER_ANOTHER  # nothing ran, for lack of memory perhaps: that is not worth remembering
    write_json(path, {"way": asdict(best), "images_per_second": {way.name: rates[way] for way in rates}})
    measurements = ", ".join(f"{way.name} {rate:,.0f}" for way, rate in rates.items())
    report(f"{arm.name}: images per second {measurements}; so {best.name}")
    return best


def _key(data: Resident, arm: Arm, runs: Sequence[Run], hardware: Hardware) -> str:
    """What speed depends on; activations cost the same, and so does any rate of dropout."""
    network = arm.network.model_dump(exclude={"activation", "initialisation", "dropout"})
    batch = min(arm.recipe.batch_size, len(data.split(arm.train_samples, seed=0)[0]))
    return digest_of(
        {
            "engine": [code_digest(ENGINE), torch.__version__],
            "network": network | {"dropout": arm.network.dropout > 0},
            "batch": [batch, arm.recipe.augmentation],
            "images": data.shape,
            "runs": [len(runs), is_long(data, arm, runs)],
            "hardware": [hardware.name, hardware.precision],
        }
    )


def measured(
    data: Resident, arm: Arm, runs: Sequence[Run], hardware: Hardware, report: Report = print
) -> dict[Way, float]:
    """Images per second of one run after another, and of more at a time while that helps, fused and overlapped; of a
    long job the fastest of them also compiled, what compiling takes spread over the job's images.

    A way that fails here, or whose runs end elsewhere, counts as 0: a GPU or a driver may not do what another does.
    """
    images, compiles = images_of(data, arm, runs), is_long(data, arm, runs)
    # At moderate rates the outcome does not depend on the runs' own.
    recipe = arm.recipe.model_copy(update={"schedule": "constant", "warmup_epochs": 0})
    arm, every = arm.model_copy(update={"recipe": recipe}), chain(RATES, repeat(RATES[-1]))
    runs = [replace(run, learning_rate=rate) for run, rate in zip(runs, every, strict=False)]
    rates: dict[Way, float] = {}
    expected: list[Tensor] = []

    def measure(way: Way) -> float:
        rates[way] = 0.0
        try:
            if not expected:
                expected.extend(reference(data, arm, runs, hardware))
            rate, moves = timed(way, data, arm, runs, hardware)
        except Exception as error:
            # A compiler fails in many ways: none is installed, no disk is left, a limit is hit.
            if not (way.compiled or isinstance(error, RuntimeError)):
                raise
            # cuDNN has one error for a lack of memory and for convolutions that it has no algorithm for.
            if not isinstance(error, torch.OutOfMemoryError):
                report(f"{arm.name}: {way.name} does not run here: {first_line(error)}")
        else:
            off = max(distance(*pair) for pair in zip(moves, expected, strict=False))
            if off > AGREE:
                report(f"{arm.name}: {way.name} is left out: a run's first steps are {off:.0%} off")
            else:
                rates[way] = rate
        free_gpu_memory(hardware)
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
    return _flops_per_image(data, arm) * images_of(data, arm, runs) >= LONG


def _flops_per_image(data: Resident, arm: Arm) -> int:
    return architecture.training_flops(architecture.layers(arm.network, *data.shape))


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
