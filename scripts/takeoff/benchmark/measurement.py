"""The benchmark, part by part: whether the numbers are right, how fast they come, and what explains that."""

import argparse
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from takeoff.benchmark import throughput
from takeoff.benchmark.kernels import convolutions
from takeoff.benchmark.machine import facts
from takeoff.benchmark.numbers import checks
from takeoff.benchmark.step_kernels import step_kernels
from takeoff.benchmark.throughput import Setting
from takeoff.benchmark.whole_runs import whole_runs
from takeoff.common.errors import TakeoffError
from takeoff.common.files import write_json, write_rows
from takeoff.engine.hardware import Hardware
from takeoff.jobs.hardware import first_line, free_gpu_memory, hardware_of
from takeoff.jobs.ways import Way
from takeoff.study.loading import load_study


class Measurement:
    """Everything that is measured, in turn; what has been measured stays, whatever happens next."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given, self.out, self.began = given, given.out, time.monotonic()
        self.study = given.study and load_study(given.study)
        self.hardware: Hardware = hardware_of(given.device, "auto", given.threads)
        self.cuda = self.hardware.device.type == "cuda"
        self.failed: list[str] = []

    def run(self) -> None:
        """Numbers first, then speed, then whole runs.

        A `TakeoffError` says that numbers are wrong or were not computed, and then nothing is timed; or that speeds or
        whole runs failed. What fails behind these is a line.
        """
        write_json(self.out / "machine.json", facts(self.hardware.name) | {"precision": self.hardware.precision})
        settings = throughput.SETTINGS[: 2 if self.given.quick else 3]
        found = self.keep("numbers", self.numbers)
        if wrong := [check for check in found if not check.right]:
            table = self.out / "numbers.csv"
            raise TakeoffError(f"{table}: {len(wrong)} of {len(found)} checks failed; {wrong[0]}")
        self.end_if_failed()  # what computes wrongly, or not at all, is not timed
        # A GPU's time is short, and its question the full width: that goes first.
        self.keep("throughput", partial(self.throughput, settings[::-1] if self.cuda else settings))
        if self.study is not None:
            self.keep("arms", self.arms)
        self.end_if_failed()
        # What follows explains the speeds; without it they stand.
        if self.cuda:
            self.keep("convolutions", partial(self.convolutions, settings[-1]))
            self.keep("kernels", partial(self.kernels, settings[-1]))

    def end_if_failed(self) -> None:
        """Raise a `TakeoffError` that says which parts failed so far."""
        if self.failed:
            raise TakeoffError("; ".join(self.failed))

    def keep(self, part: str, measure: Callable[[], Iterable[Sequence[Any]]]) -> list[Any]:
        """Measure a part, and write its rows as they come; what does not begin in time, or fails, is left out."""
        kept: list[Any] = []
        if part not in self.given.parts:
            return kept
        minutes = self.given.minutes
        self.hardware.keep_to_precision()  # the part before may have left another one, or plain loops' own settings
        try:
            left = iter(measure())
            while minutes is None or time.monotonic() - self.began <= 60 * minutes:
                if (rows := next(left, None)) is None:
                    return kept
                kept += rows
                if rows:  # a driver may let nobody see its kernels
                    print(*rows, sep="\n")
                    write_rows(self.out / f"{part}.csv", kept)
            print(f"{part}: {'the rest is' if kept else 'all'} left out, after {minutes:g} minutes")
        except RuntimeError as error:  # one GPU, or its driver, does not do what another does
            self.failed.append(f"{part}: {first_line(error)}")
            print(self.failed[-1])
        finally:
            free_gpu_memory(self.hardware)
        return kept

    def numbers(self) -> Iterator[Sequence[Any]]:
        """Gradients, and ways of training."""
        for check in checks(self.hardware, width=0.125 if self.given.quick else 0.25):
            yield [check]

    def throughput(self, settings: Iterable[Setting]) -> Iterator[Sequence[Any]]:
        """The engine against plain loops."""
        threads = 1 if self.cuda else self.given.threads
        seconds = self.given.seconds or (0.5 if self.given.quick else 2.0)
        for setting in settings:
            yield throughput.measure(setting, self.hardware.device.type, threads, seconds, self.given.quick)

    def arms(self) -> Iterator[Sequence[Any]]:
        """The study's networks, trained to their end."""
        own = hardware_of(self.given.device, "auto", self.given.threads, self.study.dataset.resolution)
        for row in whole_runs(self.study, self.given.data, own, self.out / "ways"):
            yield [row]

    def convolutions(self, setting: Setting) -> Iterator[Sequence[Any]]:
        """Each convolution of the network."""
        for row in convolutions(setting.network, setting.resolution, setting.batch, self.hardware):
            yield [row]

    def kernels(self, setting: Setting) -> Iterator[Sequence[Any]]:
        """The kernels of a step, of one run alone and of six fused."""
        for way in (Way(graph=True), Way(6, fused=True, graph=True)):
            yield [*step_kernels(way, setting, self.hardware)]
