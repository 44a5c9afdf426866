"""Steps of gradient descent of one run, or of several, and epochs made of them, a step as it comes."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from takeoff.engine.augmentation import Batches
from takeoff.engine.state import Training

Rate = float | Tensor


class Step(ABC):
    """A step of gradient descent of every run of a group."""

    def __init__(self, trainings: Sequence[Training]) -> None:
        self.trainings = trainings
        self.feed = trainings[0].data.images.feed()

    @abstractmethod
    def __call__(self, chosen: Sequence[Batches], rates: Sequence[Rate]) -> Tensor:
        """Make a step; each run's loss, on the device. `chosen` are the runs' batches, `rates` their learning rates.

        The feed has been advanced to these batches.
        """

    def epoch(self, most: int | None = None) -> list[Batches]:
        """The next epoch's batches of every run, steps × images, or the first `most` of them; the feed begins them."""
        for training in self.trainings:
            training.model.train()
        batches = [self.part(training.batches().each(lambda own: own[:most])) for training in self.trainings]
        self.feed.begin(torch.cat([own.positions for own in batches], dim=1).unbind())
        return batches

    def part(self, batches: Batches) -> Batches:
        """What of a run's batches, steps × images, this process trains on: all."""
        return batches

    def batch(self, chosen: Sequence[Batches]) -> tuple[Tensor, Tensor]:
        """The runs' augmented images, B × (runs · C) × H × W, and their labels, runs × B."""
        images = self.feed.take(torch.cat([own.positions for own in chosen]))
        return self.trainings[0].data.batch(images, chosen)


class OneStep(Step):
    """A step of one run."""

    def __call__(self, chosen: Sequence[Batches], rates: Sequence[Rate]) -> Tensor:
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
            rates = zip(*(training.rates()[:most] for training in step.trainings), strict=True)
            batches = step.epoch(most)
            count = len(batches[0].positions)
            total = torch.zeros(len(batches), device=batches[0].positions.device)
            for number, now in enumerate(rates):
                step.feed.advance()
                total += step([own.step(number) for own in batches], now)
            losses += [float(loss) / count for loss in total]
        return losses
