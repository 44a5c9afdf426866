"""Stochastic gradient descent with momentum, of one run's weights or of what several runs share."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import compress

import torch
from torch import Tensor, nn
from torch.optim.sgd import sgd

from takeoff.study.settings import Recipe


@dataclass(eq=False)
class Descent:
    """Weights, and the running means of their gradients; its step is that of `torch.optim.SGD`.

    It calls the function behind that class: the class imports torch's compiler, two seconds of every job.
    """

    parameters: Sequence[Tensor]
    momenta: list[Tensor]
    """Of the parameters' shapes; zero before the first step."""
    decays: Sequence[bool]
    """Which parameters decay: weights, not biases and norms."""
    recipe: Recipe
    _groups: list[tuple[list[bool], float]] = field(init=False)

    def __post_init__(self) -> None:
        others = [not decays for decays in self.decays]
        self._groups = [(list(self.decays), self.recipe.weight_decay), (others, 0.0)]

    @classmethod
    def of(cls, model: nn.Module, recipe: Recipe) -> "Descent":
        """A network's, at rest."""
        parameters = list(model.parameters())
        momenta = [torch.zeros_like(parameter) for parameter in parameters]
        return cls(parameters, momenta, [parameter.ndim > 1 for parameter in parameters], recipe)

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], rate: float | Tensor) -> None:
        """Let the momenta take in the gradients, and change the weights by `rate` times the momenta."""
        gradients = [_as_weights(own, g) for own, g in zip(self.parameters, gradients, strict=True)]
        for members, weight_decay in self._groups:
            sgd(
                _in_memory_order(compress(self.parameters, members)),
                _in_memory_order(compress(gradients, members)),
                [*_in_memory_order(compress(self.momenta, members))],
                fused=True,
                weight_decay=weight_decay,
                momentum=self.recipe.momentum,
                lr=rate,
                dampening=0.0,
                nesterov=False,
                maximize=False,
            )


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


def gradients_of(parameters: Sequence[Tensor]) -> list[Tensor]:
    """Their gradients, as a backward pass left them.

    Raises:
        RuntimeError: one has none.

    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if len(gradients) < len(parameters):
        raise RuntimeError("a parameter has no gradient")
    return gradients
