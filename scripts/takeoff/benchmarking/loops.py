"""The loops that are compared, each as something to time: the plain ones, and the engine in each of its ways."""

import gc
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from takeoff.benchmarking.images import Images
from takeoff.errors import TakeoffError
from takeoff.models import architecture
from takeoff.study.arms import Arm, Run
from takeoff.study.settings import Network, Recipe
from takeoff.training.checkpoints import Checkpoints
from takeoff.training.engine import Epoch, Record, train
from takeoff.training.hardware import Hardware
from takeoff.training.resident import Resident
from takeoff.training.ways import ONE_AFTER_ANOTHER, Way

PLAIN_LOOPS = Path(__file__).parents[3] / "tests" / "benchmarks"
LEARNING_RATE = 1e-3
"""Small, so that nothing diverges: infinite numbers can be slower than others."""
EPOCHS = 10_000
"""More than are ever timed."""
EPOCH_SECONDS = 0.5
"""Of an epoch of the engine, about: its scores, each of one image, then take 1% or 2% of it."""
RATE = {"cpu": 4e10, "cuda": 2e14}
"""Floating-point operations per second, of a thread or a GPU, by which an epoch's steps are chosen; roughly."""
MOST_STEPS, LEAST_STEPS = {"cpu": 64, "cuda": 1024}, {"cpu": 1, "cuda": 16}
"""Of an epoch: where steps wait for Python, that sets their pace; and where a GPU's are many, their start."""


@dataclass(frozen=True)
class Setting:
    """What is trained, and on how much of the machine."""

    resolution: int
    """Of the images, in pixels."""
    width: float
    batch: int
    """Images of a step."""
    threads: int
    """Of the CPU; with a GPU 1, that which gives it work."""

    @property
    def network(self) -> Network:
        """The study's network with all that the factors add to a step: batch norm and dropout."""
        return Network(norm="batch", dropout=0.5, width=self.width)

    def flops(self, images: Images) -> int:
        """Floating-point operations of one image's forward and backward pass."""
        channels = images.pixels.shape[3]
        layers = architecture.layers(self.network, self.resolution, channels, images.classes)
        return architecture.training_flops(layers)

    def epoch_steps(self, images: Images, device: str, runs: int = 1) -> int:
        """Steps of an epoch of the engine that take about `EPOCH_SECONDS`, on a GPU for all its runs together."""
        at_once = runs if device == "cuda" else 1
        expected = at_once * self.flops(images) * self.batch / (RATE[device] * self.threads)
        return min(MOST_STEPS[device], max(LEAST_STEPS[device], round(EPOCH_SECONDS / expected)))


@dataclass(frozen=True)
class EngineWay:
    """A way of the engine to train runs, as the tables call it."""

    name: str
    way: Way
    devices: tuple[str, ...] = ("cpu", "cuda")
    sides: tuple[int, ...] = (8, 32)
    """Of the images for which it is measured, in pixels."""
    alone: Setting | None = None
    """The one setting in which it is measured: compiling takes its minute in each."""

    @property
    def runs(self) -> int:
        """Runs that it trains at once."""
        return self.way.at_once

    def fits(self, device: str, setting: Setting) -> bool:
        """Whether it is measured there."""
        return device in self.devices and setting.resolution in self.sides and self.alone in (None, setting)


# A new way of the engine is measured by a line here.
WAYS: tuple[EngineWay, ...] = (
    EngineWay("engine", ONE_AFTER_ANOTHER),
    EngineWay("engine, 8 fused", Way(8, fused=True), ("cpu",), sides=(8,)),
    EngineWay(
        "engine, 8 fused, compiled",
        Way(8, fused=True, compiled=True),
        ("cpu",),
        alone=Setting(8, 0.25, 64, threads=1),
    ),
    EngineWay("engine, graph", Way(graph=True), ("cuda",)),
    EngineWay("engine, 6 overlapped graphs", Way(6, graph=True), ("cuda",)),
    EngineWay("engine, 6 fused, graph", Way(6, fused=True, graph=True), ("cuda",)),
    EngineWay("engine, 24 fused, graph", Way(24, fused=True, graph=True), ("cuda",)),
    EngineWay(
        "engine, 24 fused, graph, compiled",
        Way(24, fused=True, graph=True, compiled=True),
        ("cuda",),
        alone=Setting(32, 1.0, 128, threads=1),
    ),
)


class Engine:
    """The engine, as a study calls it; a call is an epoch of each of its runs."""

    def __init__(
        self,
        way: EngineWay,
        network: Network,
        recipe: dict[str, Any],
        data: Resident,
        steps: int,
        hardware: Hardware,
    ) -> None:
        self.way, self.data, self.hardware, self.device = way, data, hardware, hardware.device
        whole = Recipe(epochs=EPOCHS, schedule="constant", warmup_epochs=0, **recipe)
        batch = min(whole.batch_size, len(data.images) - 1)
        self.arm = Arm(
            name="benchmark",
            network=network,
            recipe=whole.model_copy(update={"epoch_images": steps * batch}),
            learning_rate=LEARNING_RATE,
        )
        self.images_per_call = steps * batch * way.runs
        self.records: Iterator[Record] | None = None

    def ready(self) -> None:
        """Set the machine up as `choose` does for a study."""
        set_up(self.hardware, deterministic=True)
        if self.records is None:
            runs = [Run(seed, LEARNING_RATE) for seed in range(self.way.runs)]
            self.records = train(
                self.data, self.arm, runs, self.hardware, Checkpoints(), self.way.way, self._refuse
            )

    def __call__(self) -> None:
        """Take the next epoch of every run."""
        self.epochs()

    def epochs(self) -> list[dict[str, Any]]:
        """What the next epoch of every run left behind."""
        assert self.records is not None
        found: list[dict[str, Any]] = []
        while len(found) < self.way.runs:
            record = next(self.records, None)
            if record is None:
                raise RuntimeError(f"{self.way.name}: the training ended while it was timed")
            if isinstance(record, Epoch) and record.values["epoch"] > 0:
                found.append(record.values)
        return found

    def _refuse(self, line: str) -> None:
        """Fewer runs at a time, or uncompiled, would be another way than the one that is timed."""
        raise RuntimeError(line)

    def release(self) -> None:
        """The network stays between blocks."""

    def close(self) -> None:
        """Forget the network, and give back its memory."""
        self.records = None
        if self.device.type == "cuda":
            gc.collect()
            torch.cuda.empty_cache()


class Plain:
    """A plain loop; a call is a step."""

    def __init__(
        self,
        make: Callable[[], Iterator[Any]],
        batch: int,
        hardware: Hardware,
        workers: int = 0,
        search: bool = False,
    ) -> None:
        self.make, self.hardware, self.device, self.workers, self.search = (
            make,
            hardware,
            hardware.device,
            workers,
            search,
        )
        self.images_per_call = batch
        self.losses: Iterator[Any] | None = None

    def ready(self) -> None:
        """Set the machine up as torch comes, and use up what workers have prepared during the pause."""
        set_up(self.hardware, deterministic=False, search=self.search)
        if self.losses is None:
            self.losses = self.make()
            next(self.losses)
        for _ in range(2 * self.workers):
            next(self.losses)

    def __call__(self) -> None:
        """One step."""
        assert self.losses is not None
        next(self.losses)

    def release(self) -> None:
        """Let workers fill their queues, so that they do not compete with what is timed next."""
        if self.workers:
            time.sleep(0.1)

    def close(self) -> None:
        """Forget the network, and end the workers."""
        self.losses = None


def set_up(hardware: Hardware, deterministic: bool, search: bool = False) -> None:
    """Set what torch holds for a whole process: a CPU's threads; how cuDNN chooses algorithms, and whether it convolves
    float32 in TensorFloat-32, as torch comes.

    The engine also keeps freed memory on a CPU, which nothing undoes: plain loops in its process gain from that, too.

    Args:
        hardware: gives the threads.
        deterministic: only algorithms that give the same bits each time, as a study wants.
        search: try the algorithms once, and keep the fastest.

    """
    if hardware.threads is not None:
        torch.set_num_threads(hardware.threads)
    torch.backends.cudnn.deterministic = deterministic
    torch.backends.cudnn.benchmark = search
    if deterministic:
        hardware.keep_to_precision()
    else:
        torch.backends.cudnn.allow_tf32 = True


def plain_loops() -> Any:
    """The module of the plain loops; it lies with the tests, since it is no part of the project.

    Raises:
        TakeoffError: it is not there.

    """
    if not (PLAIN_LOOPS / "plain_loops.py").is_file():
        raise TakeoffError(
            f"{PLAIN_LOOPS}/plain_loops.py: there is no such file; take it from the repository"
        )
    if str(PLAIN_LOOPS) not in sys.path:
        sys.path.append(str(PLAIN_LOOPS))
    return import_module("plain_loops")
