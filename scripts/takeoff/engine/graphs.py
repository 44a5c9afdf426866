"""Epochs as replays of CUDA graphs: a step is captured once, with batch, rates and optimiser, then only replayed.

A graph keeps the streams of its dropout masks, so that a replay draws what the step itself would have drawn; batches,
crops, flips and colours are drawn for a whole epoch before it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from takeoff.engine.augmentation import Batches
from takeoff.engine.steps import Step

REGISTERS_ITSELF = (2, 14)
"""The version of torch since which a capture finds the streams of random numbers that it draws from by itself, and
registering them warns each time (pytorch/pytorch#176753)."""
WARM_UP = 3
"""Steps before a capture, in which kernels are chosen and memory is taken; they are undone."""


class Graphed:
    """Replays a graph per step, for each group in a CUDA stream of its own, where their replays overlap.

    The host waits as an epoch begins, for the copies of the learning rates, and as it ends.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        if steps[0].trainings[0].hardware.device.type != "cuda":
            raise RuntimeError("only a GPU captures graphs")
        self.captured = [_Captured(step) for step in steps]

    def epoch(self, most: int | None = None) -> list[float]:
        """Make every step of the next epoch, or the first `most` of them; each run's mean loss over them."""
        count = max(captured.load(most) for captured in self.captured)
        for _ in range(count):
            for captured in self.captured:
                with torch.cuda.stream(captured.stream):
                    captured.step.feed.advance()
                    captured.graph.replay()
        torch.cuda.synchronize()
        return [float(loss) / count for captured in self.captured for loss in captured.total]


class _Captured:
    """A group's step as a graph, and what it reads: an epoch's batches and rates, and the number of the step."""

    def __init__(self, step: Step) -> None:
        self.step, self.trainings = step, step.trainings
        first, runs = self.trainings[0], len(self.trainings)
        device, count = first.hardware.device, first.steps_per_epoch
        before = [training.state() for training in self.trainings]
        # Of the shapes of any epoch: every run's batches, steps × runs × what each has.
        self.batches = _side_by_side(step.epoch())
        self.rates = torch.zeros((runs, count), device=device)
        self.now, self.total = torch.zeros((2, runs), device=device)
        # Runs that climb to one rate share a tensor, so that a fused step changes them at once.
        peaks: dict[float, Tensor] = {}
        self.rate = [peaks.setdefault(t.run.learning_rate, self.now[r]) for r, t in enumerate(self.trainings)]
        self.number = torch.zeros(1, dtype=torch.int64, device=device)
        self.stream = torch.cuda.Stream(device)
        self._capture()
        for training, state in zip(self.trainings, before, strict=True):
            training.load_state(state)

    def load(self, most: int | None) -> int:
        """Make ready for an epoch; how many steps it has."""
        batches = _side_by_side(self.step.epoch(most))
        count = len(batches.positions)
        for own, new in zip(self.batches.tensors, batches.tensors, strict=True):
            own[:count].copy_(new)
        self.rates.copy_(torch.tensor([training.rates() for training in self.trainings]))
        self.number.zero_()
        self.total.zero_()
        self.stream.wait_stream(torch.cuda.current_stream())
        return count

    def _body(self) -> None:
        """A step, all of it on the device."""
        self.now.copy_(self.rates.index_select(1, self.number)[:, 0])
        now = self.batches.each(lambda steps: steps.index_select(0, self.number)[0])  # runs × what each has
        runs = [now.step(run) for run in range(len(self.trainings))]
        self.total += self.step(runs, self.rate)
        self.number += 1

    def _capture(self) -> None:
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            self.step.feed.advance()  # there is a batch to read, of whatever images
            for _ in range(WARM_UP):
                self.number.zero_()
                self._body()
        torch.cuda.synchronize()
        self.number.zero_()
        self.graph = torch.cuda.CUDAGraph()
        if tuple(map(int, torch.__version__.split(".")[:2])) < REGISTERS_ITSELF:
            for generator in {id(mask): mask for training in self.trainings for mask in training.masks()}.values():
                self.graph.register_generator_state(generator)
        # Other threads of the process, one that reads images ahead perhaps, do not disturb it.
        with torch.cuda.graph(self.graph, stream=self.stream, capture_error_mode="thread_local"):
            self._body()


def _side_by_side(runs: Sequence[Batches]) -> Batches:
    """The runs' batches, steps × runs × what each has."""
    return Batches.stack(runs).each(lambda own: own.transpose(0, 1).contiguous())
