"""What each way of training gives on this device: whether it gives the same numbers, and how fast it is.

Images are noise of the study's shape, and the trial has a process of its own, with a CUDA context of its own: a capture
that fails takes nothing else with it. Where a GPU lets one process in at a time, the trial is made in that, and gives
its memory back.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from takeoff.common.gpus import lets_one_in
from takeoff.engine import architecture
from takeoff.engine.dataset import Dataset, on_device
from takeoff.engine.hardware import Hardware
from takeoff.engine.images import Resident
from takeoff.engine.state import Training
from takeoff.jobs.hardware import first_line, free_gpu_memory
from takeoff.jobs.ways import ONE_AFTER_ANOTHER, Way
from takeoff.study.arms import Arm, Run

CHECKED, STEPS = 5, {"cpu": 30, "cuda": 150}
"""Steps whose outcome is compared, and those that are timed: so many that an epoch's start counts little."""
RATES = (0.01, 0.02, 0.005)
"""Learning rates of the first runs of a trial, from the first step: a schedule's warm-up would hide what a step does.
Further runs have the last, as most runs of a job share theirs, and are changed at once."""
GAIN = 1.05
"""A doubling of the runs at a time that makes training less than so much faster gains nothing; two end a search."""
LONG = 3e15
"""Floating-point operations of a job that may be worth compiling for, a minute or so: one minute at 5e13 a second. What
is compiled is kept, so that a study pays once for each of its networks."""
AGREE = 0.25
"""How far, relative to the way from its start, a run may end in float32 from where it ends alone: another order of sums
brings it up to a tenth of that way off, other masks, crops or rates 0.28 and more. In bfloat16 two right computations
can be a third apart."""
IMAGES = 4096
"""Of noise, unless classes or a batch need more."""

Report = Callable[[str], None]


def noise(shape: tuple[int, int, int], batch: int, device: torch.device) -> Dataset:
    """Images of a side, channels and classes that train as any others do: speed does not depend on what they show."""
    side, channels, classes = shape
    count = max(IMAGES, 4 * classes, 2 * batch)
    pixels = np.random.default_rng(0).integers(0, 256, (count, side, side, channels), dtype=np.uint8)
    labels = np.arange(count, dtype=np.int64) % classes
    images, few = (Resident(torch.from_numpy(own).to(device)) for own in (pixels, pixels[:classes]))
    return on_device(
        images,
        labels,
        few,
        labels[:classes],
        mean=[0.5] * channels,
        std=[0.29] * channels,
        colours=(0.2 * np.eye(channels)).tolist(),
        classes=classes,
        validation_fraction=0.1,
        digest="noise",
        device=device,
    )


def tried(
    shape: tuple[int, int, int], arm: Arm, runs: int, images: int, hardware: Hardware, report: Report = print
) -> dict[Way, float]:
    """Images per second of each way that is tried for so many runs of an arm, which present so many `images` together,
    measured in a process of its own (see `measured`).
    """
    if hardware.device.type == "cuda" and lets_one_in(hardware.device.index or 0):
        return _tried_here(shape, arm, runs, images, hardware, report)
    given = {
        "shape": shape,
        "arm": arm.model_dump(mode="json", include={*Arm.model_fields}),
        "runs": runs,
        "images": images,
        "hardware": [str(hardware.device), hardware.precision, hardware.name, hardware.threads],
    }
    words = [sys.executable, "-c", "from takeoff.jobs.trials import main; main()"]
    there = Path(__file__).parents[2].as_posix()
    done = subprocess.run(words, input=json.dumps(given), stdout=subprocess.PIPE, text=True, cwd=there, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    for line in lines:
        if "said" in line:
            report(line["said"])
    found: list[tuple[dict[str, Any], float]] = next((line["rates"] for line in lines if "rates" in line), [])
    if done.returncode or not found:
        report(f"{arm.name}: the trial of ways ended with status {done.returncode}; runs train one after another")
    return {Way(**way): rate for way, rate in found}


def main() -> None:
    """Measure what stands on standard input; lines of JSON on standard output."""
    given = json.load(sys.stdin)
    device, precision, name, threads = given["hardware"]
    hardware = Hardware(torch.device(device), precision, name, threads)
    if hardware.device.type == "cuda":
        torch.cuda.set_device(hardware.device)
    hardware.keep_to_precision()
    arm = Arm.model_validate(given["arm"])

    def say(line: str) -> None:
        print(json.dumps({"said": line}), flush=True)

    rates = _measured_as_noise(tuple(given["shape"]), arm, given["runs"], given["images"], hardware, say)
    print(json.dumps({"rates": [[asdict(way), rate] for way, rate in rates.items()]}), flush=True)


def _tried_here(
    shape: tuple[int, int, int], arm: Arm, runs: int, images: int, hardware: Hardware, report: Report
) -> dict[Way, float]:
    """The same in this process, which outlives a trial that fails, as for lack of memory for its images."""
    rates: dict[Way, float] = {}
    failed = ""
    try:
        rates = _measured_as_noise(shape, arm, runs, images, hardware, report)
    except RuntimeError as error:
        failed = first_line(error)
    # Outside the handler, which would keep what the trial made.
    free_gpu_memory(hardware)
    if failed:
        report(f"{arm.name}: the trial of ways failed: {failed}; runs train one after another")
    return rates


def _measured_as_noise(
    shape: tuple[int, int, int], arm: Arm, runs: int, images: int, hardware: Hardware, report: Report
) -> dict[Way, float]:
    """What each way gives with noise of that shape, for so many runs."""
    data = noise(shape, arm.recipe.batch_size, hardware.device)
    whole = arm.model_copy(update={"train_samples": None})
    return measured(data, whole, [Run(seed, RATES[-1]) for seed in range(runs)], hardware, report, images)


def measured(
    data: Dataset, arm: Arm, runs: Sequence[Run], hardware: Hardware, report: Report = print, images: int = 0
) -> dict[Way, float]:
    """Images per second of one run after another, and of more at a time while that helps, fused and overlapped; where
    the runs present so many `images` that it may pay, the fastest of them also compiled, what compiling takes spread
    over the job's images.

    A way that fails here, or whose runs end elsewhere in float32, counts as 0: a GPU or a driver may not do what
    another does.
    """
    # At moderate rates the outcome does not depend on the runs' own.
    recipe = arm.recipe.model_copy(update={"schedule": "constant", "warmup_epochs": 0})
    steps = STEPS[hardware.device.type]
    recipe = recipe.model_copy(update={"epoch_images": steps * recipe.batch_size})
    arm, every = arm.model_copy(update={"recipe": recipe}), chain(RATES, repeat(RATES[-1]))
    runs = [replace(run, learning_rate=rate) for run, rate in zip(runs, every, strict=False)]
    full = replace(hardware, precision="float32")
    rates: dict[Way, float] = {}
    expected: list[Tensor] = []

    def checked(way: Way) -> float:
        """How far a way's runs end from where they should, at most."""
        full.keep_to_precision()
        try:
            if not expected:
                expected.extend(moves(ONE_AFTER_ANOTHER, data, arm, [run], full)[0] for run in runs)
            own = moves(way, data, arm, runs, full)
            return max(distance(*pair) for pair in zip(own, expected, strict=False))
        finally:
            hardware.keep_to_precision()

    def measure(way: Way) -> float:
        rates[way] = 0.0
        try:
            off = checked(way)
            if off > AGREE:
                report(f"{arm.name}: {way.name} is left out: a run's first steps are {off:.0%} off")
            else:
                rates[way] = speed(way, data, arm, runs, hardware)
        except Exception as error:
            # A compiler fails in many ways: none is installed, no disk is left, a limit is hit.
            if not (way.compiled or isinstance(error, RuntimeError)):
                raise
            # cuDNN has one error for a lack of memory and for convolutions that it has no algorithm for.
            if not isinstance(error, torch.OutOfMemoryError):
                report(f"{arm.name}: {way.name} does not run here: {first_line(error)}")
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
    if rates[best] and is_long(data.shape, arm, images):
        began = time.perf_counter()
        if rate := measure(compiled := replace(best, compiled=True)):
            rates[compiled] = images / (images / rate + time.perf_counter() - began)
    return rates


def is_long(shape: tuple[int, int, int], arm: Arm, images: int) -> bool:
    """Whether a job of so many images is so long that compiling may pay back."""
    return architecture.training_flops(architecture.layers(arm.network, *shape)) * images >= LONG


def moves(way: Way, data: Dataset, arm: Arm, runs: Sequence[Run], hardware: Hardware) -> list[Tensor]:
    """How far each run's weights go in its first steps."""
    trainings = [Training(data, arm, run, hardware) for run in runs[: way.at_once]]
    starts = [_weights(training) for training in trainings]
    way.stepper(trainings).epoch(CHECKED)
    return [_weights(training) - start for training, start in zip(trainings, starts, strict=True)]


def speed(way: Way, data: Dataset, arm: Arm, runs: Sequence[Run], hardware: Hardware) -> float:
    """Images per second of a way, all its runs together."""
    trainings = [Training(data, arm, run, hardware) for run in runs[: way.at_once]]
    stepper, steps = way.stepper(trainings), trainings[0].steps_per_epoch
    stepper.epoch(CHECKED)
    began = time.perf_counter()
    stepper.epoch()
    return len(trainings) * steps * trainings[0].batch_size / (time.perf_counter() - began)


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
