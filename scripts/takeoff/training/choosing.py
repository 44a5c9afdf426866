"""Which way trains an arm fastest: on a GPU a short measurement, remembered for each device; on a CPU a rule.

A CPU's core gains from fused runs only where a step is so small that calls cost more than products, and what is
small there does not depend much on the CPU; so a rule gives the same groups each time, and the same bits.
`scripts/benchmark.py` measures it.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from takeoff.digests import ENGINE, code_digest
from takeoff.files import digest_of, write_json
from takeoff.models import architecture
from takeoff.study.arms import Arm, Run
from takeoff.training.hardware import Hardware
from takeoff.training.resident import Resident
from takeoff.training.trials import is_long, measured
from takeoff.training.ways import ONE_AFTER_ANOTHER, Way

SMALL_SIDE, SMALL_STEP = 8, 3e8
"""Pixels of the images, and floating-point operations of a run's step, up to which a CPU trains runs fused. Measured on
AVX2 with 8 px: 1.9 times as fast at 2e7, 1.4 at 7e7, 1.5 at 2.7e8, 1.0 to 1.3 for 20 plain layers; none with 32."""
CPU_RUNS = 8
"""Runs fused there, at most."""


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
    if is_long(data, arm, runs):  # what torch compiles is kept beside the choices, for the next job
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(memory.absolute() / "compiled"))
    path = memory / f"{_key(data, arm, runs, hardware)}.json"
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


def _key(data: Resident, arm: Arm, runs: Sequence[Run], hardware: Hardware) -> str:
    """What speed depends on; activations cost the same, and so does any rate of dropout."""
    network = arm.network.model_dump(exclude={"activation", "initialisation", "dropout"})
    batch = min(arm.recipe.batch_size, len(data.split(arm.train_samples, seed=0)[0]))
    return digest_of(
        {
            "engine": [code_digest(*ENGINE), torch.__version__],
            "network": network | {"dropout": arm.network.dropout > 0},
            "batch": [batch, arm.recipe.augmentation],
            "images": [data.resolution, data.channels, data.classes],
            "runs": [len(runs), is_long(data, arm, runs)],
            "hardware": [hardware.name, hardware.precision],
        }
    )


def _remembered(path: Path) -> Way | None:
    """A choice kept; None where there is none, or it is damaged."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        flags = {flag: bool(kept[flag]) for flag in ("fused", "graph", "compiled")}
        return Way(int(kept["at_once"]), **flags)
    except (OSError, KeyError, TypeError, ValueError):
        return None
