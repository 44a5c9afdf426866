"""Training: given the data, an arm and a list of runs, a record per run and epoch, and one at each run's end."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import compress

from takeoff.common.errors import TakeoffError
from takeoff.engine.dataset import Dataset
from takeoff.engine.graphs import Graphed
from takeoff.engine.hardware import Hardware
from takeoff.engine.state import Epoch, Finished, Record, Training
from takeoff.engine.steps import Eager
from takeoff.jobs.checkpoints import Checkpoints
from takeoff.jobs.hardware import first_line, free_gpu_memory, keep_freed_memory, out_of_memory
from takeoff.jobs.ways import ONE_AFTER_ANOTHER, Way
from takeoff.study.arms import Arm, Run


def train(
    data: Dataset,
    arm: Arm,
    runs: Iterable[Run],
    hardware: Hardware,
    checkpoints: Checkpoints,
    way: Way = ONE_AFTER_ANOTHER,
    report: Callable[[str], None] = print,
    watch: Callable[[Sequence[Training]], None] = lambda trainings: None,
    ended: Callable[[Training, Finished], None] = lambda training, record: None,
) -> Iterator[Record]:
    """Train the runs, as many at a time as the way takes; half as many where the device has no memory for them, and
    without torch.compile, or graphs, where these fail, of which `report` takes a line. Where not even one run fits, it
    raises `TakeoffError`. `watch` takes the runs that have ended an epoch,
    `ended` each run at its end.

    The images lie on the hardware's device. Long runs keep their state in `checkpoints`, and go on from it. Every way
    gives the same records within rounding: an `Epoch` per run and scored epoch (of a run that tunes for its end, the
    first and the last), each run's in order, and a `Finished` at each run's end.
    """
    if hardware.device.type == "cpu":
        keep_freed_memory()
    left, at_once = list(runs), way.at_once
    # The last epoch of each run that was passed on, infinite at its end: a group that fails starts anew.
    passed: dict[Run, float] = {}
    trainings: list[Training] = []
    while left:
        group = left[:at_once]
        try:
            trainings = [Training(data, arm, run, hardware) for run in group]
            for record in _together(trainings, way, checkpoints, watch, ended):
                epoch = math.inf if isinstance(record, Finished) else record.values["epoch"]
                if epoch > passed.get(record.run, -1):
                    passed[record.run] = epoch
                    yield record
        except Exception as error:
            if out_of_memory(error) and len(group) > 1:
                at_once = len(group) // 2
                report(f"{arm.name}: no memory for {len(group)} runs at a time; now {at_once}")
            elif out_of_memory(error):
                raise TakeoffError(
                    f"{arm.name}: one run alone has no room in the memory of {hardware.name}; valid: a smaller "
                    "recipe.batch_size or network.width, a lower image_memory_mb, or device: cpu"
                ) from error
            elif way.compiled:
                # What compiled where the way was chosen need not here: a node without a compiler, a full disk.
                way = replace(way, compiled=False)
                report(f"{arm.name}: {first_line(error)}; now without torch.compile")
            elif way.graph and isinstance(error, RuntimeError):
                way = replace(way, graph=False)  # nor need another GPU, or its driver, capture what one does
                report(f"{arm.name}: {first_line(error)}; now without graphs")
            else:
                raise
        # Outside the handler, which would keep all that the failed group holds; so would its name.
        trainings = []
        free_gpu_memory(hardware)
        left = [run for run in left if passed.get(run) != math.inf]


def _together(
    trainings: Sequence[Training],
    way: Way,
    checkpoints: Checkpoints,
    watch: Callable[[Sequence[Training]], None],
    ended: Callable[[Training, Finished], None],
) -> Iterator[Record]:
    """Train a group from the start, or from its checkpoints, to the end; those furthest behind first."""
    for training in trainings:
        checkpoints.restore(training)
        training.begin()
        yield from (Epoch(training.run, values) for values in training.history)
    members: list[Training] = []
    stepper: Eager | Graphed | None = None
    left = list(trainings)
    while left:
        done = [training for training in left if not training.learning]
        if done:
            members, stepper = [], None  # a graph's memory goes before the last score takes its own
            free_gpu_memory(done[0].hardware)
        # All are scored before one is passed on: a job killed between two would fuse the others anew, without it.
        records = [training.finished() for training in done]
        for training, record in zip(done, records, strict=True):
            ranks = training.hardware.ranks
            record.values["way"] = way.name + f", {ranks} ranks" * (ranks > 1)
            ended(training, record)
            yield record
            checkpoints.discard(training.run)
        left = [training for training in left if training not in done]
        if not left:
            return
        behind = [t for t in left if t.epoch == min(other.epoch for other in left)]
        if behind != members or stepper is None:
            stepper = None  # as before the next graph
            members, stepper = behind, way.stepper(behind)
        began = time.perf_counter()
        losses = stepper.epoch()
        seconds = (time.perf_counter() - began) / len(members)
        scored = [training.ended_epoch(loss, seconds) for training, loss in zip(members, losses, strict=True)]
        checkpoints.keep(members)
        watch(members)
        for training in compress(members, scored):
            yield Epoch(training.run, training.history[-1])
