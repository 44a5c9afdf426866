"""The benchmark, part by part: whether the numbers are right, how fast they come, and what explains that."""

import argparse
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from takeoff.benchmark import throughput
from takeoff.benchmark.bounds import bounds
from takeoff.benchmark.checks import Check, agreement, checks
from takeoff.benchmark.convolutions import convolutions
from takeoff.benchmark.machine import Machine, facts
from takeoff.benchmark.parts import OF_A_GPU, PARTS
from takeoff.benchmark.scarce_memory import scarce_memory
from takeoff.benchmark.setting import SETTINGS
from takeoff.benchmark.step_kernels import step_kernels_apart
from takeoff.benchmark.whole_runs import Ended, images_for, whole_runs
from takeoff.common.commands import in_one_line
from takeoff.common.errors import TakeoffError
from takeoff.common.files import write_rows
from takeoff.common.gpus import driver
from takeoff.data.prepared import Prepared
from takeoff.engine.hardware import Hardware
from takeoff.jobs.hardware import first_line, free_gpu_memory, hardware_of
from takeoff.jobs.loading import dataset_of
from takeoff.jobs.trials import AGREE
from takeoff.jobs.ways import Way
from takeoff.study.loading import load_study
from takeoff.study.model import Study

NEEDED = ("numbers", "throughput", "arms")
"""What fails among these fails the command; the others explain them."""
LEAST = {"throughput": 45.0, "arms": 20.0, "kernels": 20.0, "memory": 15.0, "compiled": 120.0}
"""Seconds of a GPU, about, that a setting, an arm, a profile and the like take: what has less left does not begin."""


class Measurement:
    """Everything that is measured, in turn; what has been measured stays, whatever happens next.

    Raises:
        TakeoffError: for a study or images that cannot be used, and a part of a GPU where there is none.

    """

    def __init__(self, given: argparse.Namespace) -> None:
        self.given, self.out, self.began = given, given.out, time.monotonic()
        self.study: tuple[Study, Prepared] | None = None
        if given.study is not None:
            study = load_study(given.study)
            self.study = study, images_for(study, given.study, given.data)
        self.hardware: Hardware = hardware_of(given.device, "auto", given.threads)
        self.cuda = self.hardware.device.type == "cuda"
        asked = OF_A_GPU.intersection(given.parts or ())
        if asked and not self.cuda:
            raise TakeoffError(f"--parts {', '.join(sorted(asked))}: of a GPU alone; training here is on the CPU")
        # The settings: a GPU's time is short, and its question the full width, so that this goes first.
        self.settings = SETTINGS[:: -1 if self.cuda else 1][: 2 if given.quick else 3]
        self.seconds = given.seconds or (0.5 if given.quick else 2.0)
        self.machine = Machine(self.out, facts(self.hardware.name) | _of_torch(self.hardware))
        self.failed: list[str] = []

    def run(self) -> None:
        """Numbers first, then speed, then whole runs, then what explains them.

        Raises:
            TakeoffError: where numbers are wrong or were not computed, and then nothing is timed; and at the end where
                speeds, whole runs or a part that was asked for failed. Others that fail are a line, as is a way that
                gives other bits each time.

        """
        self.out.mkdir(parents=True, exist_ok=True)
        found: list[Check] = self.measure("numbers", self.numbers)
        if wrong := [check for check in found if not check.right]:
            self.failed.append(f"{self.out / 'numbers.csv'}: {len(wrong)} of {len(found)} checks failed; {wrong[0]}")
        self.end_if_failed()
        self.measure("throughput", self.throughput)
        if self.study is not None:
            self.measure("arms", partial(self.arms, *self.study))
        self.measure("bounds", self.bounds)
        if self.cuda:
            self.measure("convolutions", self.convolutions)
            self.measure("kernels", self.kernels)
            self.measure("memory", self.memory)
            self.measure("compiled", self.compiled)
        if others := [check for check in found if check.repeats is False]:
            print(f"numbers: {len(others)} of {len(found)} give other bits each time; {others[0]}")
        self.end_if_failed()

    def end_if_failed(self) -> None:
        """Raise a `TakeoffError` that says which parts failed so far."""
        if self.failed:
            raise TakeoffError("; ".join(self.failed))

    def left(self) -> float:
        """Seconds that are left; infinite where there is no limit."""
        minutes: float | None = self.given.minutes
        return math.inf if minutes is None else self.began + 60 * minutes - time.monotonic()

    def measure(self, part: str, rows_of: Callable[[], Iterable[Sequence[Any]]]) -> list[Any]:
        """Measure a part, and write its rows as they come; what does not begin in time, or fails, is left out."""
        kept: list[Any] = []
        if part not in (self.given.parts or PARTS):
            return kept
        self.hardware.keep_to_precision()  # the part before may have left another one, or plain loops' own settings
        try:
            rest = iter(rows_of())
            while self.left() > (LEAST.get(part, 0) if self.cuda else 0):
                if (rows := next(rest, None)) is None:
                    return kept
                kept += rows
                print(*rows, sep="\n")
                write_rows(self.out / f"{part}.csv", kept)
                self.machine.measured(part)
            print(f"{part}: after {self.given.minutes:g} minutes nothing more begins; rows: {len(kept)}")
        except Exception as error:  # one GPU, or its driver, does not do what another does
            words = first_line(error) if isinstance(error, RuntimeError) else in_one_line(error)
            print(f"{part}: {words}")
            # Snakemake, which asks for no part, removes the table of speeds where the command fails.
            if part in (self.given.parts or NEEDED):
                self.failed.append(f"{part}: {words}")
        with suppress(RuntimeError):  # after a fault in a kernel nothing runs on the GPU any more
            free_gpu_memory(self.hardware)
        return kept

    def numbers(self) -> Iterator[Sequence[Any]]:
        """Gradients, and ways of training."""
        for check in checks(self.hardware, width=0.125 if self.given.quick else 0.25):
            yield [check]

    def throughput(self) -> Iterator[Sequence[Any]]:
        """The engine against plain loops."""
        threads = 1 if self.cuda else self.given.threads
        for setting in self.settings:
            yield throughput.measure(setting, self.hardware.device.type, threads, self.seconds, self.given.quick)

    def arms(self, study: Study, images: Prepared) -> Iterator[Sequence[Any]]:
        """The study's networks, trained to their end."""
        own = hardware_of(self.given.device, "auto", self.given.threads, study.dataset.resolution)
        every: list[Ended] = []
        for row, ended in whole_runs(study, images, own, self.out / "ways", self.left):
            if every := every + ended:
                write_rows(self.out / "runs.csv", every)
            yield [row]

    def bounds(self) -> Iterator[Sequence[Any]]:
        """What the device does at most."""
        for bound in bounds(self.hardware, self.seconds):
            yield [bound]

    def memory(self) -> Iterator[Sequence[Any]]:
        """A job whose runs do not fit together."""
        yield [scarce_memory(self.hardware)]

    def convolutions(self) -> Iterator[Sequence[Any]]:
        """Each convolution of the network."""
        setting = self.settings[0]
        for row in convolutions(setting.network, setting.resolution, setting.batch, self.hardware):
            yield [row]

    def kernels(self) -> Iterator[Sequence[Any]]:
        """The kernels of a step, of one run alone and of six fused."""
        for way in (Way(graph=True), Way(6, fused=True, graph=True)):
            yield step_kernels_apart(way, self.settings[0], self.hardware)

    def compiled(self) -> Iterator[Sequence[Any]]:
        """Six runs in one compiled network, if they compute right, beside six that are not compiled."""
        setting, chosen = self.settings[0], throughput.COMPILED
        way = next(way for way in chosen.values() if way.compiled)
        data, full = dataset_of(setting.images, self.hardware.device), replace(self.hardware, precision="float32")
        full.keep_to_precision()
        off, _ = agreement(way, setting.arm(), data, full)
        if off > AGREE:
            raise RuntimeError(f"{way.name}: a run's first steps are {off:.0%} off")
        yield throughput.measure(setting, self.hardware.device.type, 1, self.seconds, self.given.quick, chosen)


def _of_torch(hardware: Hardware) -> dict[str, Any]:
    """What torch knows of the hardware."""
    found: dict[str, Any] = {"precision": hardware.precision}
    if hardware.device.type == "cuda":
        gpu, own = torch.cuda.get_device_properties(hardware.device), driver()
        found |= {"memory": gpu.total_memory, "multiprocessors": gpu.multi_processor_count}
        found |= {"capability": f"{gpu.major}.{gpu.minor}", "cuda": torch.version.cuda}
        found |= {"cudnn": torch.backends.cudnn.version(), "driver": own and ".".join(map(str, own.version))}
    return found
