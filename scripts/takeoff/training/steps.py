"""One step of gradient descent of one run, or of several at once, and epochs made of such steps."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from takeoff.training.descent import gradients_of
from takeoff.training.state import Training

Rate = float | Tensor


class Step(Protocol):
    """A step of gradient descent of every run of a group."""

    trainings: Sequence[Training]

    def set_rates(self, rates: Sequence[Rate]) -> None:
        """Set each run's learning rate; a tensor is read when the step is made."""

    def __call__(self, chosen: Sequence[Tensor]) -> Tensor:
        """Make a step.

        Args:
            chosen: of each run, its batch: positions among the dataset's training images.

        Returns:
            Each run's loss, on the device.

        """


class Stepper(Protocol):
    """Trains a group of runs an epoch at a time."""

    def epoch(self, most: int | None = None) -> list[float]:
        """Make every step of the next epoch, or the first `most` of them; each run's mean loss over them."""


class OneStep:
    """A step of one run."""

    def __init__(self, training: Training) -> None:
        self.trainings: Sequence[Training] = [training]
        self.rate: Rate = training.run.learning_rate

    def set_rates(self, rates: Sequence[Rate]) -> None:
        """Set the learning rate."""
        self.rate = rates[0]

    def __call__(self, chosen: Sequence[Tensor]) -> Tensor:
        """Make a step; the loss, of length 1."""
        training = self.trainings[0]
        hardware, data = training.hardware, training.data
        how = training.arm.recipe.augmentation
        pixels, labels = data.batch(chosen, how, [training.crops], [training.colours])
        with torch.autocast(hardware.device.type, torch.bfloat16, enabled=hardware.half):
            loss = functional.cross_entropy(training.model(pixels).float(), labels[0])
        descent = training.descent
        for parameter in descent.parameters:
            parameter.grad = None
        loss.backward()
        descent.step(gradients_of(descent.parameters), self.rate)
        return loss.detach()[None]


class Eager:
    """Each step as it comes, group after group. The host waits at the end of a group's epoch, for each run's loss."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps

    def epoch(self, most: int | None = None) -> list[float]:
        """Make the steps of an epoch."""
        return [loss for step in self.steps for loss in self._epoch(step, most)]

    def _epoch(self, step: Step, most: int | None) -> list[float]:
        batches = [training.batches()[:most] for training in step.trainings]
        rates = [training.rates()[:most] for training in step.trainings]
        for training in step.trainings:
            training.model.train()
        total = torch.zeros(len(batches), device=batches[0].device)
        for chosen, now in zip(zip(*batches, strict=True), zip(*rates, strict=True), strict=True):
            step.set_rates(now)
            total += step(chosen)
        return [float(loss) / len(batches[0]) for loss in total]
