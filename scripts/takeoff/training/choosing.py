"""Which way trains an arm fastest: on a GPU a short measurement, remembered for each device; on a CPU a rule.

A CPU's core gains from fused runs only where a step is so small that calls cost more than products, and what is
small there does not depend much on the CPU; so a rule gives the same groups each time, and the same bits.
`scripts/benchmark.py` measures it.
"""

import gc
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from math import isfinite
from pathlib import Path

import torch

from takeoff.digests import ENGINE, code_digest
from takeoff.files import digest_of, write_json
from takeoff.models import architecture
from takeoff.study.arms import Arm, Run
from takeoff.training.hardware import Hardware, out_of_memory
from takeoff.training.resident import Resident
from takeoff.training.state import Training
from takeoff.training.ways import ONE_AFTER_ANOTHER, Way

SMALL_SIDE, SMALL_STEP = 8, 3e8
"""Pixels of the images, and floating-point operations of a run's step, up to which a CPU trains runs fused. Measured on
AVX2 with 8 px: 1.9 times as fast at 2e7, 1.4 at 7e7, 1.5 at 2.7e8, 1.0 to 1.3 for 20 plain layers; none with 32."""
CPU_RUNS = 8
"""Runs fused there, at most."""
WARM_UP, STEPS = 5, 30
"""Steps before, and of, a measurement."""
GAIN = 1.05
"""Twice as many runs at a time are tried as long as each doubling makes training so much faster."""
AGREE = 0.05
"""By how much, relatively, a run's mean loss over the steps before may differ from one run after another."""


def choose_way(
    data: Resident,
    arm: Arm,
    runs: Sequence[Run],
    hardware: Hardware,
    memory: Path,
    say: Callable[[str], None] = print,
) -> Way:
    """The fastest way to train `runs` of `arm`.

    Args:
        data: the images.
        arm: what is trained.
        runs: how many there are bounds how many are trained at a time.
        hardware: on a CPU nothing is measured.
        memory: the folder where choices are kept, a file each.
        say: takes a line with what was measured.

    """
    if not runs:
        return ONE_AFTER_ANOTHER
    if hardware.device.type == "cpu":
        return _on_a_cpu(data, arm, len(runs))
    path = memory / f"{_key(data, arm, len(runs), hardware)}.json"
    if known := _remembered(path):
        return known
    rates = measured(data, arm, runs, hardware, say)
    best = max(rates, key=lambda way: rates[way])
    if not rates[best]:
        return ONE_AFTER_ANOTHER  # nothing ran, for lack of memory perhaps: that is not worth remembering
    write_json(path, asdict(best) | {"images_per_second": {way.name: rates[way] for way in rates}})
    told = ", ".join(f"{way.name} {rate:,.0f}" for way, rate in rates.items())
    say(f"{arm.name}: images per second {told}; so {best.name}")
    return best


def _on_a_cpu(data: Resident, arm: Arm, runs: int) -> Way:
    """Fused where a step is small."""
    layers = architecture.layers(arm.network, data.resolution, data.channels, data.classes)
    step = architecture.training_flops(layers) * arm.recipe.batch_size
    small = data.resolution <= SMALL_SIDE and step <= SMALL_STEP
    at_once = min(runs, CPU_RUNS) if small else 1
    return Way(at_once, fused=at_once > 1)


def measured(
    data: Resident, arm: Arm, runs: Sequence[Run], hardware: Hardware, say: Callable[[str], None] = print
) -> dict[Way, float]:
    """Images per second of one run after another, and of more at a time while that helps, fused and overlapped.

    A way that fails here, or whose losses are others, counts as 0: a GPU or a driver may not do what another does.
    """
    rates: dict[Way, float] = {}
    try:
        expected = _first_losses(data, arm, runs, hardware)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        return {ONE_AFTER_ANOTHER: 0.0}

    def measure(way: Way) -> float:
        rates[way] = 0.0
        try:
            rate, losses = _timed(way, data, arm, runs, hardware)
        except RuntimeError as error:
            if not out_of_memory(error):
                say(f"{arm.name}: {way.name} does not run here: {str(error).splitlines()[0]}")
        else:
            wrong = [pair for pair in zip(losses, expected, strict=False) if not _agree(*pair)]
            if wrong:
                say(
                    f"{arm.name}: {way.name} is left out: a run's first losses are {wrong[0][0]:.4f}, "
                    f"not {wrong[0][1]:.4f}"
                )
            else:
                rates[way] = rate
        if hardware.device.type == "cuda":
            gc.collect()
            torch.cuda.empty_cache()
        return rates[way]

    measure(ONE_AFTER_ANOTHER)
    single = measure(Way(graph=True))
    for more in _families(len(runs)) if single else ():
        best = single
        for way in more:
            if measure(way) < GAIN * best:
                break
            best = rates[way]
    return rates


def _first_losses(data: Resident, arm: Arm, runs: Sequence[Run], hardware: Hardware) -> list[float]:
    """Each run's mean loss over its first steps, made one by one."""
    return [ONE_AFTER_ANOTHER.stepper([Training(data, arm, run, hardware)]).epoch(WARM_UP)[0] for run in runs]


def _agree(loss: float, expected: float) -> bool:
    """Whether two mean losses differ by rounding; one that is no number agrees with another such alone."""
    if not (isfinite(loss) and isfinite(expected)):
        return isfinite(loss) == isfinite(expected)
    return abs(loss - expected) <= AGREE * abs(expected)


def _families(most: int) -> Iterator[list[Way]]:
    """Ways with more and more runs at a time, up to `most`."""
    numbers = [2**power for power in range(1, most.bit_length()) if 2**power < most] + [most] * (most > 1)
    for fused in (True, False):
        yield [Way(number, fused=fused, graph=True) for number in numbers]


def _timed(
    way: Way, data: Resident, arm: Arm, runs: Sequence[Run], hardware: Hardware
) -> tuple[float, list[float]]:
    """Images per second, and each run's mean loss over the steps before."""
    trainings = [Training(data, arm, run, hardware) for run in runs[: way.at_once]]
    stepper = way.stepper(trainings)
    losses = stepper.epoch(WARM_UP)
    began = time.perf_counter()
    stepper.epoch(STEPS)
    seconds = time.perf_counter() - began
    steps = min(STEPS, trainings[0].steps_per_epoch)
    return len(trainings) * steps * trainings[0].batch_size / seconds, losses


def _key(data: Resident, arm: Arm, runs: int, hardware: Hardware) -> str:
    """What speed depends on; activations cost the same, and so does any rate of dropout."""
    network = arm.network.model_dump(exclude={"activation", "initialisation", "dropout"})
    batch = min(arm.recipe.batch_size, len(data.split(arm.train_samples, seed=0)[0]))
    return digest_of(
        {
            "engine": [code_digest(*ENGINE), torch.__version__],
            "network": network | {"dropout": arm.network.dropout > 0},
            "batch": [batch, arm.recipe.augmentation],
            "images": [data.resolution, data.channels, data.classes],
            "runs": runs,
            "hardware": [hardware.name, hardware.precision],
        }
    )


def _remembered(path: Path) -> Way | None:
    """A choice kept; None where there is none, or it is damaged."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return Way(int(kept["at_once"]), fused=bool(kept["fused"]), graph=bool(kept["graph"]))
    except (OSError, KeyError, TypeError, ValueError):
        return None
