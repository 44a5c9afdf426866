"""Which way trains an arm fastest: on a GPU a short measurement, remembered for each device; on a CPU a rule.

A CPU's core gains from fused runs only where a step is so small that calls cost more than products, and what is
small there does not depend much on the CPU; so a rule gives the same groups each time, and the same bits.
`scripts/benchmark.py` measures it.
"""

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import torch

from takeoff.common.digests import ENGINE, code_digest
from takeoff.common.files import digest_of, write_json
from takeoff.engine import architecture
from takeoff.engine.dataset import Dataset
from takeoff.engine.hardware import Hardware
from takeoff.jobs.trials import Report, is_long, tried
from takeoff.jobs.ways import ONE_AFTER_ANOTHER, Way
from takeoff.study.arms import Arm, Run

SMALL_SIDE, SMALL_STEP = 8, 3e8
"""Pixels of the images, and floating-point operations of a run's step, up to which a CPU trains runs fused. Measured on
AVX2 with 8 px: 1.9 times as fast at 2e7, 1.4 at 7e7, 1.5 at 2.7e8, 1.0 to 1.3 for 20 plain layers; none with 32."""
CPU_RUNS = 8
"""Runs fused there, at most."""


def choose_way(
    data: Dataset,
    arm: Arm,
    runs: Sequence[Run],
    hardware: Hardware,
    memory: Path,
    report: Report = print,
    compiling: bool = True,
) -> Way:
    """The fastest way to train `runs` of `arm`, at most all of them at a time; without `compiling` no way is compiled,
    however long the job. What is measured on a GPU is kept in the folder `memory`, a file per choice, and `report`
    takes a line of it; jobs that need the same one wait for it.
    """
    if not runs or hardware.ranks > 1:
        return ONE_AFTER_ANOTHER
    if hardware.device.type == "cpu":
        flops = architecture.training_flops(architecture.layers(arm.network, *data.shape))
        small = data.shape[0] <= SMALL_SIDE and flops * arm.recipe.batch_size <= SMALL_STEP
        at_once = min(len(runs), CPU_RUNS) if small else 1
        return Way(at_once, fused=at_once > 1)
    images = images_of(data, arm, runs) if compiling else 0
    if is_long(data.shape, arm, images):  # what torch compiles is kept beside the choices, for the next job
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(memory.absolute() / "compiled"))
    path = memory / f"{_key(data, arm, runs, hardware, images)}.json"
    with _alone(path):
        with suppress(OSError, KeyError, TypeError, ValueError):  # there is none, or it is damaged
            return Way(**json.loads(path.read_text(encoding="utf-8"))["way"])
        batch = batch_of(data, arm)
        whole = arm.model_copy(update={"recipe": arm.recipe.model_copy(update={"batch_size": batch})})
        # Nobody else's trial beside this one on the GPU, where jobs share it.
        with _alone(Path(tempfile.gettempdir()) / f"takeoff-{os.getuid()}-trial-{hardware.device.index or 0}"):
            rates = tried(data.shape, whole, len(runs), images, hardware, report)
        best = max(rates, key=lambda way: rates[way], default=ONE_AFTER_ANOTHER)
        if not rates.get(best):
            return ONE_AFTER_ANOTHER  # nothing ran, for lack of memory perhaps: that is not worth remembering
        write_json(path, {"way": asdict(best), "images_per_second": {way.name: rates[way] for way in rates}})
    measurements = ", ".join(f"{way.name} {rate:,.0f}" for way, rate in rates.items())
    report(f"{arm.name}: images per second {measurements}; so {best.name}")
    return best


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """While no other job measures the same, or on the same GPU; where no lock can be had, beside it."""
    import fcntl  # Linux and macOS, as GPUs' own locks

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("a") as lock:
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def batch_of(data: Dataset, arm: Arm) -> int:
    """The images of a step: the recipe's, or all that are trained on where a small set has less than a batch."""
    return min(arm.recipe.batch_size, len(data.split(arm.train_samples, seed=0)[0]))


def _key(data: Dataset, arm: Arm, runs: Sequence[Run], hardware: Hardware, images: int) -> str:
    """What speed depends on, and whether so many images make compiling worth a try; activations cost the same, and so
    does any rate of dropout.
    """
    network = arm.network.model_dump(exclude={"activation", "initialisation", "dropout"})
    batch = batch_of(data, arm)
    return digest_of(
        {
            "engine": [code_digest(ENGINE), torch.__version__],
            "network": network | {"dropout": arm.network.dropout > 0},
            "batch": [batch, arm.recipe.augmentation],
            "images": data.shape,
            "runs": [len(runs), is_long(data.shape, arm, images)],
            "hardware": [hardware.name, hardware.precision],
        }
    )


def images_of(data: Dataset, arm: Arm, runs: Sequence[Run]) -> int:
    """Images that a job presents to all its runs together, about."""
    each = arm.recipe.epoch_images or len(data.split(arm.train_samples, seed=0)[0])
    return len(runs) * arm.recipe.epochs * each
