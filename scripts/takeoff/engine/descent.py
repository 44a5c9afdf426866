"""Stochastic gradient descent with momentum, of one run's weights or of what several runs share."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim.sgd import sgd

from takeoff.study.settings import Recipe

_sgd: Callable[..., None] = partial(sgd, fused=True, dampening=0.0, nesterov=False, maximize=False)


@dataclass(eq=False)
class Descent:
    """Weights, and the running means of their gradients; its step is that of `torch.optim.SGD`.

    It calls the function behind that class: the class imports torch's compiler, one to two seconds of every job, and
    has no place for momenta that several runs share.
    """

    parameters: Sequence[Tensor]
    momenta: list[Tensor]
    """Of the parameters' shapes; zero before the first step."""
    recipe: Recipe

    @classmethod
    def of(cls, model: nn.Module, recipe: Recipe) -> "Descent":
        """A network's, at rest."""
        parameters = list(model.parameters())
        return cls(parameters, [torch.zeros_like(parameter) for parameter in parameters], recipe)

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], rate: float | Tensor) -> None:
        """Let the momenta take in the gradients, and change the weights by `rate` times the momenta."""
        laid = map(_as_weights, self.parameters, gradients)
        rows = list(zip(self.parameters, laid, self.momenta, strict=True))
        for weights, weight_decay in ((True, self.recipe.weight_decay), (False, 0.0)):
            if members := [row for row in rows if (row[0].ndim > 1) is weights]:
                parameters, own, momenta = map(_in_memory_order, zip(*members, strict=True))
                settings = {"lr": rate, "momentum": self.recipe.momentum, "weight_decay": weight_decay}
                _sgd(parameters, own, momenta, **settings)


def _as_weights(weights: Tensor, gradient: Tensor) -> Tensor:
    """The gradient, in memory as the weights are: torch's function pairs numbers by their place there."""
    if gradient.stride() == weights.stride():
        return gradient
    return torch.empty_like(weights).copy_(gradient)


def _in_memory_order(tensors: Iterable[Tensor]) -> list[Tensor]:
    """Kernels as they lie in memory, pixel by pixel: of others than contiguous tensors torch makes copies on a CPU,
    which take longer than the step itself.
    """
    return [tensor.permute(0, 2, 3, 1) if tensor.ndim == 4 else tensor for tensor in tensors]
