"""Steps as CUDA graphs: captured once, with batch, augmentation, rates and optimiser, then only replayed.

Captures keep every stream of random numbers, so that a replay draws what the step itself would have drawn. Of several
groups each has a graph and a CUDA stream, and their replays overlap.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from takeoff.training.state import Training
from takeoff.training.steps import Step

REGISTERS_ITSELF = (2, 14)
"""The version of torch since which a capture finds the streams of random numbers that it draws from by itself, and
telling it warns each time (pytorch/pytorch#176753)."""
WARM_UP = 3
"""Steps before a capture, in which kernels are chosen and memory is asked for; they are undone."""


def _version() -> tuple[int, ...]:
    return tuple(int(part) for part in torch.__version__.split(".")[:2])


class Graphed:
    """Replays a graph per group and step. The host waits as an epoch begins, for the rates' copies, and as it ends."""

    def __init__(self, steps: Sequence[Step]) -> None:
        if steps[0].trainings[0].hardware.device.type != "cuda":
            raise RuntimeError("only a GPU captures graphs")
        self.captured = [_Captured(step) for step in steps]

    def epoch(self, most: int | None = None) -> list[float]:
        """Make the steps of an epoch."""
        count = max(captured.load(most) for captured in self.captured)
        for _ in range(count):
            for captured in self.captured:
                with torch.cuda.stream(captured.stream):
                    captured.graph.replay()
        torch.cuda.synchronize()
        return [float(loss) / count for captured in self.captured for loss in captured.total]


class _Captured:
    """A group's step as a graph, and what it reads: an epoch's batches and rates, and the number of the step."""

    def __init__(self, step: Step) -> None:
        self.step, self.trainings = step, step.trainings
        first = self.trainings[0]
        device, count = first.hardware.device, first.steps_per_epoch
        self.batches = torch.zeros(
            (len(self.trainings), count, first.batch_size), dtype=torch.int64, device=device
        )
        self.rates = torch.zeros((len(self.trainings), count), device=device)
        self.now = torch.zeros(len(self.trainings), device=device)
        # Runs that climb to one rate share a tensor, by which a fused step knows that it may change them at once.
        peaks: dict[float, Tensor] = {}
        self.rate = [peaks.setdefault(t.run.learning_rate, self.now[r]) for r, t in enumerate(self.trainings)]
        self.number = torch.zeros(1, dtype=torch.int64, device=device)
        self.total = torch.zeros(len(self.trainings), device=device)
        self.stream = torch.cuda.Stream(device)
        step.set_rates(self.rate)
        self._capture()

    def load(self, most: int | None) -> int:
        """Make ready for an epoch; how many steps it has."""
        for r, training in enumerate(self.trainings):
            training.model.train()
            self.batches[r].copy_(training.batches())
        self.rates.copy_(torch.tensor([training.rates() for training in self.trainings]))
        self.number.zero_()
        self.total.zero_()
        self.stream.wait_stream(torch.cuda.current_stream())
        return self.rates.shape[1] if most is None else min(most, self.rates.shape[1])

    def _body(self) -> None:
        """A step, all of it on the device."""
        self.now.copy_(self.rates.index_select(1, self.number)[:, 0])
        self.total += self.step(list(self.batches.index_select(1, self.number)[:, 0]))
        self.number += 1

    def _capture(self) -> None:
        for training in self.trainings:
            training.model.train()
        before = _Memory(self.trainings)
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            for _ in range(WARM_UP):
                self.number.zero_()
                self._body()
        torch.cuda.synchronize()
        self.number.zero_()
        self.graph = torch.cuda.CUDAGraph()
        if _version() < REGISTERS_ITSELF:
            for generator in {id(g): g for t in self.trainings for g in t.streams()}.values():
                self.graph.register_generator_state(generator)
        # Other threads of the process, a loader's that pins memory perhaps, do not disturb it.
        with torch.cuda.graph(self.graph, stream=self.stream, capture_error_mode="thread_local"):
            self._body()
        before.restore()


class _Memory:
    """What steps change in a group: weights, statistics, momenta, streams."""

    def __init__(self, trainings: Sequence[Training]) -> None:
        self.tensors = [(tensor, tensor.clone()) for tensor in _tensors(trainings)]
        self.streams = [(g, g.get_state()) for t in trainings for g in t.streams()]

    def restore(self) -> None:
        """Set all of it, in place, to what it was."""
        with torch.no_grad():
            for tensor, kept in self.tensors:
                tensor.copy_(kept)
        for generator, state in self.streams:
            generator.set_state(state)


def _tensors(trainings: Sequence[Training]) -> list[Tensor]:
    own = [(*t.model.parameters(), *t.model.buffers(), *t.descent.momenta) for t in trainings]
    return [tensor.detach() for tensors in own for tensor in tensors]
