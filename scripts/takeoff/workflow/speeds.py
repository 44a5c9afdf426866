"""How fast this machine trains each network, as plans count: measured once and kept, or else estimated from the rate of
a matrix product.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from takeoff.common.digests import ENGINE, code_digest
from takeoff.common.files import digest_of, write_json
from takeoff.common.machine import cpu_name
from takeoff.common.places import SCRIPTS
from takeoff.engine import architecture
from takeoff.study.arms import Arm
from takeoff.study.configuration import FULL_PRECISION_SIDE, SMALL_SIDE, Configuration
from takeoff.study.planned import PlannedArm
from takeoff.workflow.images import Shape

EFFICIENCY, BFLOAT16 = 0.7, 2.5
"""Where nothing is measured: the share of a float32 matrix product's rate that training reaches on a CPU, and how many
times that where it trains in bfloat16, on CIFAR-10 at width 0.25."""
STEP_SECONDS, FUSED_STEP_SECONDS = 0.004, 0.001
"""What a step of a run costs besides: alone and, as with images of 8 px, beside others in one network. Good to a factor
of two."""
FLAGS = Path("/proc/cpuinfo")
TOGETHER = 8
"""Runs of an arm of small images that share a network, where it has so many."""


class Speed(NamedTuple):
    """Seconds on one thread."""

    step: float
    """Of one run."""
    image: float
    """Of its score."""


Speeds = Callable[[PlannedArm, Shape], Speed]


def estimated(flops_per_second: float) -> Speeds:
    """By the floating-point operations per second of a matrix product."""

    def speed(arm: PlannedArm, shape: Shape) -> Speed:
        layers = architecture.layers(arm.network, arm.images.resolution, shape.channels, shape.classes)
        once = FUSED_STEP_SECONDS if arm.images.resolution <= SMALL_SIDE else STEP_SECONDS
        rate = EFFICIENCY * flops_per_second
        step = once + arm.recipe.batch_size * architecture.training_flops(layers) / rate
        return Speed(step, architecture.forward_flops(layers) / rate)

    return speed


def kept() -> Path:
    """The file of what was measured on this machine, for all studies."""
    folder = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(folder) / "takeoff" / "speeds.json"


def known(machine: Configuration, file: Path | None = None) -> Speeds:
    """What was measured here, where it was, and an estimate elsewhere."""
    found = _read(file or kept())
    rest: list[Speeds] = []

    def speed(arm: PlannedArm, shape: Shape) -> Speed:
        if (own := found.get(_key(arm, shape, machine))) is not None:
            return Speed(*own)
        if not rest:  # a third of a second
            rest.append(estimated(expected_rate(arm.images.resolution)))
        return rest[0](arm, shape)

    return speed


def measure(
    arms: Iterable[PlannedArm],
    shape: Shape,
    machine: Configuration,
    file: Path | None = None,
    longest: float | None = None,
) -> Speeds:
    """What was measured here, all of it: networks that are not known yet are trained for a moment, on noise, and kept.

    Where nothing can be measured, for lack of torch perhaps, or not in the `longest` seconds, the rest is estimated.
    """
    place = file or kept()
    found = _read(place)
    wanted = {key: arm for arm in arms if (key := _key(arm, shape, machine)) not in found}
    rows = [
        {
            "key": key,
            "arm": arm.model_dump(mode="json", include={*Arm.model_fields}),
            "shape": [arm.images.resolution, shape.channels, shape.classes],
            "runs": min(TOGETHER, max(len(arm.seeds), len(arm.grid) * len(arm.blocks))),
        }
        for key, arm in wanted.items()
    ]
    if rows:
        given = {"arms": rows, "precision": machine.precision, "threads": machine.threads}
        words = [sys.executable, "-c", "from takeoff.speed.expected import main; main()"]
        try:
            done = subprocess.run(
                words, input=json.dumps(given).encode(), capture_output=True, cwd=SCRIPTS, timeout=longest, check=False
            )
            said = done.stdout
        except subprocess.TimeoutExpired as late:
            said = (late.stdout or b"").rpartition(b"\n")[0]
        lines = [json.loads(line) for line in said.splitlines()]
        found |= {line["key"]: line["speed"] for line in lines}
        with suppress(OSError):  # no home, or one that is read-only: measured again next time
            write_json(place, {**_read(place), **found})
    rest = known(machine, place)

    def speed(arm: PlannedArm, shape: Shape) -> Speed:
        own = found.get(_key(arm, shape, machine))
        return rest(arm, shape) if own is None else Speed(*own)

    return speed


def _read(file: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        found = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(found, Mapping):
            return {key: own for key, own in found.items() if isinstance(own, list) and len(own) == len(Speed._fields)}
    return {}


@cache
def _torch() -> str:
    """Its version, which takes milliseconds to read; empty where it is not installed."""
    try:
        return version("torch")
    except PackageNotFoundError:
        return ""


def _key(arm: PlannedArm, shape: Shape, machine: Configuration) -> str:
    """What the speed of a step depends on."""
    return digest_of(
        {
            "engine": [code_digest(ENGINE), _torch()],
            "cpu": [cpu_name(), machine.precision, machine.threads],
            "network": arm.network.model_dump(exclude={"initialisation"}),
            "step": [arm.recipe.batch_size, arm.recipe.augmentation],
            "images": [arm.images.resolution, shape.channels, shape.classes],
        }
    )


def expected_rate(resolution: int) -> float:
    """Floating-point operations per second of a product on one thread here, in the precision in which images of that
    side are trained on.
    """
    return matrix_rate() * (BFLOAT16 if trains_in_bfloat16(resolution) else 1.0)


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


def trains_in_bfloat16(resolution: int) -> bool:
    """Whether the precision `auto` is bfloat16 on this CPU, by the flags that Linux names, for images of that side."""
    flags = FLAGS.read_text(encoding="utf-8") if FLAGS.exists() else ""
    return resolution > FULL_PRECISION_SIDE and any(flag in flags for flag in ("amx_bf16", "avx512_bf16"))
