"""Images per second of the plain loops and of the engine, side by side in interleaved blocks; and their ratios."""

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import torch

from takeoff.benchmark import plain_loops
from takeoff.benchmark.bounds import bandwidth, bytes_per_image, dense_convolution, roofline
from takeoff.benchmark.setting import Setting
from takeoff.benchmark.table import MEMORY, PLAIN, Speed, summarised
from takeoff.common.machine import cores_at_hand
from takeoff.engine import architecture
from takeoff.engine.dataset import Dataset
from takeoff.engine.hardware import Hardware
from takeoff.engine.state import Training
from takeoff.jobs.hardware import first_line, free_gpu_memory, hardware_of, keep_freed_memory
from takeoff.jobs.loading import dataset_of
from takeoff.jobs.ways import ONE_AFTER_ANOTHER, Way
from takeoff.speed.rates import fastest_product
from takeoff.speed.timing import Action, Timed, interleaved
from takeoff.study.arms import Arm, Run

LEARNING_RATE = 1e-3
"""Small, so that nothing diverges: infinite numbers can be slower than others."""
BLOCKS, QUICK_BLOCKS = 5, 3
"""Of every loop."""
STEPS = {"cpu": 4, "cuda": 64}
"""Of an epoch of the engine: so many that its start and its end take little of it; on a GPU four times as many of small
images, whose steps are short."""
MOST_WORKERS = 16
"""Of the DataLoader, which has some on a GPU alone: on a CPU they would take the loops' cores."""


def ways(device: str, setting: Setting) -> dict[str, Way]:
    """The ways of the engine that are measured, by their names in the table; a new way is a line here."""
    if device == "cpu":
        # A CPU trains runs fused where images are small, and elsewhere one after another.
        fused = {"engine, 8 fused": Way(8, fused=True)} if setting.resolution == 8 else {}
        return {"engine": ONE_AFTER_ANOTHER} | fused
    return {
        "engine": ONE_AFTER_ANOTHER,
        "engine, graph": Way(graph=True),
        "engine, 6 overlapped graphs": Way(6, graph=True),
        "engine, 6 fused, graph": Way(6, fused=True, graph=True),
        "engine, 24 fused, graph": Way(24, fused=True, graph=True),
    }


COMPILED = {
    "engine, 6 fused, graph": Way(6, fused=True, graph=True),
    "engine, 6 fused, graph, compiled": Way(6, fused=True, graph=True, compiled=True),
}
"""Ways that are measured apart, since a compiler takes a minute or so, and may fail."""


def engine(way: Way, arm: Arm, data: Dataset, hardware: Hardware) -> Generator[list[float], None, None]:
    """Train as many runs as the way takes at once, without end; yields each run's mean loss, an epoch at a time."""
    if hardware.device.type == "cpu":
        keep_freed_memory()
    runs = [Run(seed, LEARNING_RATE) for seed in range(way.at_once)]
    stepper = way.stepper([Training(data, arm, run, hardware) for run in runs])
    while True:
        yield stepper.epoch()


@dataclass
class Loop:
    """A loop in one setting, to be timed: a call is a step of a plain loop, or an epoch of the engine."""

    row: Speed
    """Of the table, before it is timed."""
    hardware: Hardware
    losses: Generator[Any, None, None]
    """Trains as far as it is read."""
    images_per_call: int

    @property
    def device(self) -> torch.device:
        """Where it trains."""
        return self.hardware.device

    def ready(self) -> None:
        """Set what torch holds for a whole process, and use up what workers prepared meanwhile.

        The engine keeps to algorithms that give the same bits each time, as a study requires. On a GPU plain loops
        train as torch comes, the one in memory with the algorithms that cuDNN finds fastest. On a CPU they gain from
        what the engine sets in their process: it keeps freed memory, and takes no denormal numbers.
        """
        plain = self.row.loop in {PLAIN, MEMORY}
        if self.hardware.threads is not None:
            torch.set_num_threads(self.hardware.threads)
        torch.backends.cudnn.deterministic = not plain
        torch.backends.cudnn.benchmark = self.row.loop == MEMORY
        torch.backends.cudnn.allow_tf32 = True
        if not plain:
            self.hardware.keep_to_precision()
        for _ in range(2 * self.row.workers):
            self()

    def __call__(self) -> Any:
        """Train a little; the loss, or each run's."""
        return next(self.losses)

    def release(self) -> None:
        """Let workers fill their queues, so that they do not compete with what is timed next."""
        if self.row.workers:
            time.sleep(0.1)

    def close(self) -> None:
        """Forget the network, give back its memory, and end the workers."""
        self.losses.close()
        free_gpu_memory(self.hardware)


def loops_of(setting: Setting, device: str, threads: int, chosen: Mapping[str, Way] | None = None) -> list[Loop]:
    """Every loop of a setting: the plain loop in float32, the one in memory in bfloat16 wherever that is fast, the
    engine in the precision of a study of such images, in all its ways or in those that are chosen.
    """
    images, batch = setting.images, setting.batch
    full, half = (hardware_of(device, precision, threads) for precision in ("float32", "auto"))
    own = hardware_of(device, "auto", threads, setting.resolution)
    workers = min(MOST_WORKERS, cores_at_hand() - 1) if device == "cuda" else 0
    note = "convolutions in TensorFloat-32, as torch comes" * (device == "cuda")
    task = plain_loops.Task(images, setting.network, batch, own.device, LEARNING_RATE)

    def row(loop: str, hardware: Hardware, **rest: Any) -> Speed:
        measured = {"resolution": setting.resolution, "device": hardware.name, **rest}
        return Speed(loop, setting.width, batch, threads, hardware.precision, **measured)

    plain, memory = row(PLAIN, full, workers=workers, note=note), row(MEMORY, half)
    loops = [
        Loop(plain, full, plain_loops.dataloader(task, workers), batch),
        Loop(memory, half, plain_loops.memory(task, half.half), batch),
    ]
    steps = STEPS[device] * (4 if device == "cuda" and setting.resolution == 8 else 1)
    data, presented = dataset_of(images, own.device), steps * batch
    for name, way in (chosen or ways(device, setting)).items():
        losses = engine(way, setting.arm(presented), data, own)
        loops.append(Loop(row(name, own, runs=way.at_once), own, losses, presented * way.at_once))
    return loops


def measure(
    setting: Setting,
    device: str,
    threads: int,
    seconds: float,
    quick: bool = False,
    chosen: Mapping[str, Way] | None = None,
) -> list[Speed]:
    """A row per loop in one setting, whose blocks (few if `quick`) take about so many seconds together; one without
    numbers where a loop does not run here. `threads` are the CPU's: with a GPU 1, which gives it work. Of the engine
    all ways are measured, or those that are chosen.

    Raises:
        RuntimeError: where the plain loop does not run, to which the others are compared.

    """
    every = loops_of(setting, device, threads, chosen)
    try:
        left_out = {loop.row.loop: fault for loop in every if (fault := _fault(loop))}
        loops = [loop for loop in every if loop.row.loop not in left_out]
        if PLAIN in left_out:
            raise RuntimeError(f"{PLAIN}: {left_out[PLAIN]}")
        rows = _timed(setting, loops, seconds, QUICK_BLOCKS if quick else BLOCKS)
    finally:
        for loop in every:
            loop.close()
    failed = [loop.row for loop in every if loop not in loops]
    return rows + [replace(row, note=f"left out: {left_out[row.loop]}") for row in failed]


def _fault(loop: Loop) -> str:
    """Why a loop does not run here, nothing if it does: one GPU, or its driver, captures what another does not, and a
    compiler may not be there.
    """
    try:
        loop.ready()
        loop()
    except Exception as error:
        loop.close()
        return first_line(error)
    return ""


def _timed(setting: Setting, loops: Sequence[Loop], seconds: float, blocks: int) -> list[Speed]:
    """A row per loop, all of which run, beside the product and the convolution that bound them."""
    hardware = {loop.row.precision: loop.hardware for loop in loops}
    bounds: list[tuple[str, Timed]] = []
    for precision, own in hardware.items():
        bounds += [(precision, fastest_product(own, seconds / 4)), (precision, dense_convolution(own))]
    actions: list[Action] = [*loops, *(bound for _, bound in bounds)]
    timed = interleaved(actions, seconds, blocks)
    rates = {loop.row: [loop.images_per_call / spent for spent in its] for loop, its in zip(loops, timed, strict=False)}
    ceilings = dict.fromkeys(hardware, 0.0)
    for (precision, bound), its in zip(bounds, timed[len(loops) :], strict=True):
        ceilings[precision] = max(ceilings[precision], bound.flops / median(its))
    flops = architecture.training_flops(architecture.layers(setting.network, *setting.shape))
    copied = bandwidth(loops[0].hardware)
    moved = {each: bytes_per_image(setting.network, *setting.shape, own.half) for each, own in hardware.items()}
    rooflines = {each: roofline(flops, moved[each], ceiling, copied) for each, ceiling in ceilings.items()}
    return summarised(rates, flops, ceilings, rooflines)
