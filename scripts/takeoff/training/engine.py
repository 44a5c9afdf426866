"""Training: given the data, an arm and a list of runs, a record per run and epoch, and one at each run's end."""

import gc
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress

import torch

from takeoff.study.arms import Arm, Run
from takeoff.training.checkpoints import Checkpoints
from takeoff.training.hardware import Hardware, first_line, out_of_memory
from takeoff.training.memory import keep_freed_memory
from takeoff.training.outcomes import Epoch, Finished, Record
from takeoff.training.resident import Resident
from takeoff.training.state import Training
from takeoff.training.steps import Stepper
from takeoff.training.ways import ONE_AFTER_ANOTHER, Way


def train(
    data: Resident,
    arm: Arm,
    runs: Iterable[Run],
    hardware: Hardware,
    checkpoints: Checkpoints,
    way: Way = ONE_AFTER_ANOTHER,
    say: Callable[[str], None] = print,
) -> Iterator[Record]:
    """Train the runs, as many at a time as the way takes; half as many where the device has no memory for them, and
    without torch.compile, or graphs, where these fail.

    Args:
        data: the images, on the hardware's device.
        arm: the network, recipe and training-set size that the runs share.
        runs: their seeds and rates.
        hardware: device and precision.
        checkpoints: where long runs keep their state, and go on from it.
        way: how steps are made; every way gives the same records within rounding.
        say: takes a line where memory runs out, or a way fails.

    Yields:
        An `Epoch` per run and scored epoch (of a run that tunes for its end, the first and the last), each run's
        in order, and a `Finished` at each run's end.

    Raises:
        torch.OutOfMemoryError: not even one run fits.

    """
    if hardware.device.type == "cpu":
        keep_freed_memory()
    left, at_once, told = list(runs), way.at_once, _Told()
    trainings: list[Training] = []
    while left:
        group = left[:at_once]
        try:
            trainings = [Training(data, arm, run, hardware) for run in group]
            yield from told.only_new(_together(trainings, way, checkpoints))
        except Exception as error:
            if out_of_memory(error) and len(group) > 1:
                at_once = len(group) // 2
                say(f"{arm.name}: no memory for {len(group)} runs at a time; now {at_once}")
            elif way.compiled and not out_of_memory(error):
                # What compiled where the way was chosen need not here: a node without a compiler, a full disk.
                way = replace(way, compiled=False)
                say(f"{arm.name}: {first_line(error)}; now without torch.compile")
            elif way.graph and isinstance(error, RuntimeError) and not out_of_memory(error):
                way = replace(way, graph=False)  # nor need another GPU, or its driver, capture what one does
                say(f"{arm.name}: {first_line(error)}; now without graphs")
            else:
                raise
        # Outside the handler, which would keep all that the failed group holds; so would its name.
        trainings = []
        if hardware.device.type == "cuda":
            gc.collect()
            torch.cuda.empty_cache()
        left = [run for run in left if run not in told.finished]


@dataclass
class _Told:
    """What has been told already, of runs that start anew after their group ran out of memory."""

    epochs: dict[Run, int] = field(default_factory=dict)
    finished: set[Run] = field(default_factory=set)

    def only_new(self, records: Iterator[Record]) -> Iterator[Record]:
        """Pass on the records that were not told before."""
        for record in records:
            if isinstance(record, Finished):
                self.finished.add(record.run)
            elif record.values["epoch"] <= self.epochs.get(record.run, -1):
                continue
            else:
                self.epochs[record.run] = record.values["epoch"]
            yield record


def _together(trainings: Sequence[Training], way: Way, checkpoints: Checkpoints) -> Iterator[Record]:
    """Train a group from the start, or from its checkpoints, to the end; those furthest behind first."""
    for training in trainings:
        checkpoints.restore(training)
        training.begin()
        yield from (Epoch(training.run, values) for values in training.history)
    members: list[Training] = []
    stepper: Stepper | None = None
    left = list(trainings)
    while left:
        done = [training for training in left if not training.learning]
        for training in done:
            yield training.finished()
            checkpoints.discard(training.run)
        left = [training for training in left if training not in done]
        if not left:
            return
        behind = [t for t in left if t.epoch == min(other.epoch for other in left)]
        if behind != members or stepper is None:
            stepper = None  # a graph's memory goes before the next one asks for its own
            members, stepper = behind, way.stepper(behind)
        began = time.perf_counter()
        losses = stepper.epoch()
        seconds = (time.perf_counter() - began) / len(members)
        scored = [training.ended_epoch(loss, seconds) for training, loss in zip(members, losses, strict=True)]
        checkpoints.keep(members)
        for training in compress(members, scored):
            yield Epoch(training.run, training.history[-1])


__all__ = ["Epoch", "Finished", "Record", "train"]
