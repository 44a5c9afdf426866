"""All cores busy: two processes of the engine with a thread each, as a study's jobs run, against one of two threads,
and against plain loops that have both cores to themselves.
"""

import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from statistics import median

import torch

from takeoff.benchmarking.images import Images
from takeoff.benchmarking.loops import WAYS, Setting
from takeoff.benchmarking.table import MEMORY, PLAIN, Row, Timed, line, summarised
from takeoff.benchmarking.throughput import BLOCKS, hardware_of, loops_of, row_of
from takeoff.errors import collect_rarely
from takeoff.probing.clock import interleaved

TOGETHER = 2
"""Processes at the same time; and threads of the one that they are compared with."""
START_SECONDS = 120.0
"""What a process may take to start."""


@dataclass(frozen=True)
class Case:
    """A loop, and how it has the cores."""

    loop: str
    processes: int
    workers: int = 0
    """Of a DataLoader."""

    @property
    def threads(self) -> int:
        """Of each process."""
        return TOGETHER // self.processes


def cases_of(setting: Setting) -> list[Case]:
    """The engine in its last way for a CPU and such images, which is that of a study's jobs; and the plain loops."""
    engine = [way.name for way in WAYS if way.fits("cpu", setting) and not way.alone][-1]
    return [
        Case(engine, TOGETHER),
        Case(engine, 1),
        Case(MEMORY, 1),
        Case(PLAIN, 1),
        Case(PLAIN, 1, workers=2),
    ]


class Together:
    """Processes that each train; a call is an epoch of the engine, or a step of a plain loop, in each."""

    def __init__(self, setting: Setting, images: Images, case: Case) -> None:
        self.device = torch.device("cpu")
        self.processes, self.pipes = [], []
        # Forks of a process whose torch has threads can hang.
        context = multiprocessing.get_context("spawn")
        for _ in range(case.processes):
            mine, its = context.Pipe()
            process = context.Process(target=_train, args=(its, setting, images, case))
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


def _train(pipe: Connection, setting: Setting, images: Images, case: Case) -> None:
    """Make a call whenever `pipe` asks, until it is closed."""
    collect_rarely()
    setting = replace(setting, threads=case.threads)
    workers = (case.workers,) if case.loop == PLAIN else ()
    loops = loops_of(setting, images, hardware_of(setting, "cpu"), workers)
    action = next(action for row, action in loops if row.loop == case.loop)
    action.ready()
    pipe.send(action.images_per_call)
    while True:
        try:
            pipe.recv()
        except EOFError:
            return action.close()
        action()
        pipe.send(0)


def measure_processes(
    setting: Setting, images: Images, cores: int, seconds: float, say: Callable[[str], None]
) -> list[Row]:
    """A row per case, the first of `TOGETHER` processes of one thread; one without numbers where cores are too few.

    Args:
        setting: what each trains.
        images: of its resolution.
        cores: at hand.
        seconds: of all blocks of one measurement together, about.
        say: takes a line for each row.

    """
    own, half, full = hardware_of(setting, "cpu")
    cases = cases_of(setting)
    rows = [
        row_of(
            case.loop,
            replace(setting, threads=case.threads),
            images,
            {PLAIN: full, MEMORY: half}.get(case.loop, own),
            processes=case.processes,
            workers=case.workers if case.loop == PLAIN else None,
            comparison="processes",
        )
        for case in cases
    ]
    if cores < TOGETHER:
        return [replace(rows[0], note=f"left out: there is no core for each of {TOGETHER} processes")]
    actions: list[Together] = []
    try:
        for case in cases:
            actions.append(Together(setting, images, case))
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
    many, one = (median(each.rates) for each in timed[:2])
    return f"{many / one:.2f} times the images per second of one process of {TOGETHER} threads"
