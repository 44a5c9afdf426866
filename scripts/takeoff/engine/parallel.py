"""One run on several devices: a process for each (a rank), which takes its part of every batch.

All ranks draw the same batches, crops and masks, and hold the same weights. Norms see the whole batch, and gradients
are added up in one exchange a step: numbers do not depend on how many ranks there are, beyond rounding.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from takeoff.engine.augmentation import Batches
from takeoff.engine.hardware import Hardware
from takeoff.engine.network import SeededDropout
from takeoff.engine.state import Training
from takeoff.engine.steps import Rate, Step
from takeoff.engine.streams import draw_masks


class ParallelStep(Step):
    """A step of one run, of whose batch every rank has a part."""

    def __init__(self, trainings: Sequence[Training]) -> None:
        super().__init__(trainings)
        (self.training,) = trainings
        self.hardware = self.training.hardware
        self.images = self.training.batch_size
        self.own = own_part(self.images, self.hardware)

    def part(self, batches: Batches) -> Batches:
        """Of every batch the part of this rank."""
        return batches.each(lambda steps: steps[:, self.own])

    def __call__(self, chosen: Sequence[Batches], rates: Sequence[Rate]) -> Tensor:
        """Make a step; the loss of the whole batch, of length 1."""
        descent, values = self.training.descent, self.batch(chosen)[0]
        labels = self.training.data.labels.index_select(0, chosen[0].positions)
        with torch.autocast(self.hardware.device.type, torch.bfloat16, enabled=self.hardware.half):
            for module in self.training.model:
                values = self._layer(module, values)
        loss = functional.cross_entropy(values.float(), labels, reduction="sum") / self.images
        gradients = torch.autograd.grad(loss, descent.parameters)
        together = torch.cat([loss.detach()[None], *(gradient.flatten() for gradient in gradients)])
        distributed.all_reduce(together)
        whole = together[1:].split([gradient.numel() for gradient in gradients])
        descent.step([own.view(g.shape) for own, g in zip(whole, gradients, strict=True)], rates[0])
        return together[:1].clone()

    def _layer(self, module: nn.Module, values: Tensor) -> Tensor:
        match module:
            case nn.BatchNorm1d() | nn.BatchNorm2d():
                return _norm(module, values, self.images)
            case SeededDropout():
                # Of the whole batch's masks, which every rank draws, its part.
                masks = values.new_empty((1, self.images, *values.shape[1:]))
                return values * draw_masks(masks, module.rate, [module.generator])[0, self.own]
        made: Tensor = module(values)
        return made


def own_part(images: int, hardware: Hardware) -> slice:
    """Which of so many images are this rank's: parts differ by one at most."""
    first, last = (images * rank // hardware.ranks for rank in (hardware.rank, hardware.rank + 1))
    return slice(first, last)


def _norm(module: nn.BatchNorm1d | nn.BatchNorm2d, values: Tensor, images: int) -> Tensor:
    """What a norm in training gives for this rank's part of a batch of so many images."""
    shape = [1, -1, *[1] * (values.ndim - 2)]
    dimensions = [0, *range(2, values.ndim)]
    exact, count = values.float(), images * values[0, 0].numel()
    # Twice over the ranks: a variance from sums of squares would lose its digits where means are large.
    mean = _summed(exact.sum(dimensions)) / count
    centred = exact - mean.view(shape)
    variance = _summed(centred.square().sum(dimensions)) / count
    with torch.no_grad():
        keep = module.momentum or 0.0
        for running, own in ((module.running_mean, mean), (module.running_var, variance * (count / max(1, count - 1)))):
            if running is not None:
                running.lerp_(own, keep)
    scaled = module.weight * (variance + module.eps).rsqrt()
    return (centred * scaled.view(shape) + module.bias.view(shape)).to(values.dtype)


def _summed(values: Tensor) -> Tensor:
    """The sum over all ranks, and of its gradients, too."""
    total: Tensor = _Summed.apply(values)
    return total


class _Summed(torch.autograd.Function):
    """Every rank's loss depends on the sum: its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        total = upstream.clone()
        distributed.all_reduce(total)
        return total
