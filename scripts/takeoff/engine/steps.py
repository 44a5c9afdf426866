"""Steps of gradient descent of one run, or of several, and epochs made of them: step by step, or as CUDA graphs.

A graph is captured once, with batch, augmentation, rates and optimiser, then only replayed. It keeps every stream of
random numbers, so that a replay draws what the step itself would have drawn.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from takeoff.engine.state import Training

Rate = float | Tensor
REGISTERS_ITSELF = (2, 14)
"""The version of torch since which a capture finds the streams of random numbers that it draws from by itself, and
registering them warns each time (pytorch/pytorch#176753)."""
WARM_UP = 3
"""Steps before a capture, in which kernels are chosen and memory is taken; they are undone."""


class Step(ABC):
    """A step of gradient descent of every run of a group."""

    def __init__(self, trainings: Sequence[Training]) -> None:
        self.trainings = trainings

    @abstractmethod
    def __call__(self, chosen: Sequence[Tensor], rates: Sequence[Rate]) -> Tensor:
        """Make a step; each run's loss, on the device.

        `chosen` has the positions of each run's batch among the dataset's training images, `rates` its learning rate.
        """

    def batch(self, chosen: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The runs' augmented images, B × (runs · C) × H × W, and their labels, runs × B."""
        first = self.trainings[0]
        crops, colours = [t.crops for t in self.trainings], [t.colours for t in self.trainings]
        return first.data.batch(chosen, first.arm.recipe.augmentation, crops, colours)


class OneStep(Step):
    """A step of one run."""

    def __call__(self, chosen: Sequence[Tensor], rates: Sequence[Rate]) -> Tensor:
        """Make a step; the loss, of length 1."""
        (training,) = self.trainings
        hardware, descent = training.hardware, training.descent
        pixels, labels = self.batch(chosen)
        with torch.autocast(hardware.device.type, torch.bfloat16, enabled=hardware.half):
            loss = functional.cross_entropy(training.model(pixels).float(), labels[0])
        descent.step(torch.autograd.grad(loss, descent.parameters), rates[0])
        return loss.detach()[None]


class Eager:
    """Each step as it comes, group after group. The host waits at the end of a group's epoch, for each run's loss."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps

    def epoch(self, most: int | None = None) -> list[float]:
        """Make every step of the next epoch, or the first `most` of them; each run's mean loss over them."""
        losses: list[float] = []
        for step in self.steps:
            batches = [training.batches()[:most] for training in step.trainings]
            rates = [training.rates()[:most] for training in step.trainings]
            for training in step.trainings:
                training.model.train()
            total = torch.zeros(len(batches), device=batches[0].device)
            for chosen, now in zip(zip(*batches, strict=True), zip(*rates, strict=True), strict=True):
                total += step(chosen, now)
            losses += [float(loss) / len(batches[0]) for loss in total]
        return losses


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
                    captured.graph.replay()
        torch.cuda.synchronize()
        return [float(loss) / count for captured in self.captured for loss in captured.total]


class _Captured:
    """A group's step as a graph, and what it reads: an epoch's batches and rates, and the number of the step."""

    def __init__(self, step: Step) -> None:
        self.step, self.trainings = step, step.trainings
        first, runs = self.trainings[0], len(self.trainings)
        device, count = first.hardware.device, first.steps_per_epoch
        self.batches = torch.zeros((runs, count, first.batch_size), dtype=torch.int64, device=device)
        self.rates = torch.zeros((runs, count), device=device)
        self.now, self.total = torch.zeros((2, runs), device=device)
        # Runs that climb to one rate share a tensor, so that a fused step changes them at once.
        peaks: dict[float, Tensor] = {}
        self.rate = [peaks.setdefault(t.run.learning_rate, self.now[r]) for r, t in enumerate(self.trainings)]
        self.number = torch.zeros(1, dtype=torch.int64, device=device)
        self.stream = torch.cuda.Stream(device)
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
        self.total += self.step(list(self.batches.index_select(1, self.number)[:, 0]), self.rate)
        self.number += 1

    def _capture(self) -> None:
        for training in self.trainings:
            training.model.train()
        before = [training.state() for training in self.trainings]
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            for _ in range(WARM_UP):
                self.number.zero_()
                self._body()
        torch.cuda.synchronize()
        self.number.zero_()
        self.graph = torch.cuda.CUDAGraph()
        if tuple(map(int, torch.__version__.split(".")[:2])) < REGISTERS_ITSELF:
            for generator in {id(g): g for t in self.trainings for g in t.streams()}.values():
                self.graph.register_generator_state(generator)
        # Other threads of the process, a loader's that pins memory perhaps, do not disturb it.
        with torch.cuda.graph(self.graph, stream=self.stream, capture_error_mode="thread_local"):
            self._body()
        for training, state in zip(self.trainings, before, strict=True):
            training.load_state(state)
