"""Two processes of one thread each, at the same time, against one of two threads: how jobs share a CPU best."""

import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from statistics import median

import torch

from takeoff.benchmarking.images import Images
from takeoff.benchmarking.loops import WAYS, Setting
from takeoff.benchmarking.table import Row, Timed, line, summarised
from takeoff.benchmarking.throughput import BLOCKS, engine, row_of
from takeoff.probing.clock import interleaved
from takeoff.training.hardware import choose

TOGETHER = 2
"""Processes at the same time; and threads of the one that they are compared with."""
START_SECONDS = 120.0
"""What a process may take to start."""


class Together:
    """Processes that each train with the engine; a call is an epoch in each, at the same time."""

    def __init__(self, setting: Setting, images: Images, processes: int) -> None:
        self.device = torch.device("cpu")
        self.processes, self.pipes = [], []
        # Forks of a process whose torch has threads can hang.
        context = multiprocessing.get_context("spawn")
        for _ in range(processes):
            mine, its = context.Pipe()
            process = context.Process(target=_train, args=(its, setting, images), daemon=True)
            process.start()
            its.close()  # so that its end tells of a process that dies
            self.processes.append(process)
            self.pipes.append(mine)

    def wait(self) -> None:
        """Until every process has its network."""
        counts = {self._answer(pipe, START_SECONDS) for pipe in self.pipes}
        self.images_per_call = counts.pop() * len(self.pipes)

    def ready(self) -> None:
        """They are."""

    def __call__(self) -> None:
        """An epoch in each."""
        for pipe in self.pipes:
            pipe.send(True)
        for pipe in self.pipes:
            self._answer(pipe, None)

    def release(self) -> None:
        """They wait."""

    def close(self) -> None:
        """End them."""
        for pipe in self.pipes:
            pipe.close()
        for process in self.processes:
            process.join(5)
            process.terminate()

    @staticmethod
    def _answer(pipe: Connection, seconds: float | None) -> int:
        try:
            if pipe.poll(seconds):
                return int(pipe.recv())
        except EOFError:
            pass
        raise RuntimeError("a process that trains beside others died, or did not start")


def _train(pipe: Connection, setting: Setting, images: Images) -> None:
    """Train an epoch whenever `pipe` asks, until it is closed."""
    action = engine(WAYS[0], setting, images, choose("cpu", "auto", setting.threads))
    action.ready()
    pipe.send(action.images_per_call)
    while True:
        try:
            pipe.recv()
        except EOFError:
            return
        action()
        pipe.send(0)


def measure_processes(
    setting: Setting, images: Images, cores: int, seconds: float, say: Callable[[str], None]
) -> list[Row]:
    """Two rows, the first of `TOGETHER` processes of one thread; a row without numbers where cores are too few.

    Args:
        setting: what each trains.
        images: of its resolution.
        cores: at hand.
        seconds: of all blocks of one measurement together, about.
        say: takes a line for each row.

    """
    hardware = choose("cpu", "auto", 1)
    cases = [(TOGETHER, replace(setting, threads=1)), (1, replace(setting, threads=TOGETHER))]
    rows = [
        row_of(WAYS[0].name, one, images, hardware, processes=count, comparison="processes")
        for count, one in cases
    ]
    if cores < TOGETHER:
        return [replace(rows[0], note=f"left out: there is no core for each of {TOGETHER} processes")]
    actions: list[Together] = []
    try:
        for count, one in cases:
            actions.append(Together(one, images, count))
        for action in actions:
            action.wait()
        blocks = interleaved(actions, seconds, BLOCKS)
    finally:
        for action in actions:
            action.close()
    timed = [
        Timed(row, action.images_per_call, spent)
        for row, action, spent in zip(rows, actions, blocks, strict=True)
    ]
    rows = summarised(timed, setting.flops(images), {})
    rows[0] = replace(rows[0], note=_gain(timed))
    for row in rows:
        say(line(row))
    return rows


def _gain(timed: list[Timed]) -> str:
    """What several processes gain over one."""
    many, one = (median(each.rates) for each in timed)
    return f"{many / one:.2f} times the images per second of one process of {TOGETHER} threads"
