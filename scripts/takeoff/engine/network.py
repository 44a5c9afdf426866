"""Networks in torch: built from the family's layers, drawn from a seed."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from takeoff.engine import architecture
from takeoff.engine.architecture import Layer
from takeoff.engine.layers import GradientProductConv2d, SmallMapConv2d
from takeoff.engine.streams import draw_masks, stream
from takeoff.study.settings import Activation, Network


def build(
    network: Network, resolution: int, channels: int, classes: int, seed: int, device: torch.device
) -> nn.Sequential:
    """An untrained network on `device`, channels last, its weights drawn from `seed`.

    It takes float images N × channels × resolution × resolution and gives logits N × classes.
    """
    # A mask belongs to its place among the dropouts, so that a norm in between does not change it.
    masks = itertools.count()
    layers = architecture.layers(network, resolution, channels, classes)
    modules = [_module(layer, seed, masks, device) for layer in layers]
    model = nn.Sequential(*_pooled_first(modules))
    initialise(model, network, seed)
    return model.to(memory_format=torch.channels_last).to(device)


def _pooled_first(modules: Sequence[nn.Module]) -> list[nn.Module]:
    """The modules, each max pooling before the activation that it follows, where that never falls: the greatest of
    its values is its value of the greatest, and the pooled map has a quarter of the places.
    """
    ordered = list(modules)
    for place, (one, following) in enumerate(itertools.pairwise(modules)):
        if isinstance(one, MONOTONE) and isinstance(following, nn.MaxPool2d):
            ordered[place : place + 2] = following, one
    return ordered


def initialise(model: nn.Sequential, network: Network, seed: int) -> None:
    """Draw every weight anew: a standard normal of the seed and of the layer's place among weights, scaled.

    So two networks of one seed share their draw wherever shapes match, whatever their norm or activation.
    Biases start at zero, norms at the identity.
    """
    for place, module in enumerate(m for m in model if isinstance(m, nn.Conv2d | nn.Linear)):
        deviation = standard_deviation(module.weight.shape, network.initialisation, network.activation)
        generator = stream(seed, f"weights {place}", torch.device("cpu"))
        with torch.no_grad():
            module.weight.normal_(generator=generator).mul_(deviation)
            if module.bias is not None:
                module.bias.zero_()


def weighted_layers(model: nn.Sequential) -> list[Tensor]:
    """The weights of every convolution and linear layer, from the images to the logits, without their graph."""
    return [module.weight.detach() for module in model if isinstance(module, nn.Conv2d | nn.Linear)]


def standard_deviation(shape: torch.Size, initialisation: str, activation: Activation) -> float:
    """The standard deviation of initial weights of a `shape` outputs × inputs (× kernel × kernel).

    Source: Glorot & Bengio 2010 (√(2/(in + out))), He et al. 2015 (√(2/in)), Krizhevsky 2012 (0.01). The level
    `by-activation` is Xavier for sigmoid and tanh, He for the rest.
    """
    if initialisation == "by-activation":
        initialisation = "xavier" if activation in {"sigmoid", "tanh"} else "he"
    receptive = math.prod(shape[2:])
    fan_in, fan_out = shape[1] * receptive, shape[0] * receptive
    match initialisation:
        case "xavier":
            return math.sqrt(2 / (fan_in + fan_out))
        case "he":
            return math.sqrt(2 / fan_in)
    return 0.01


class SeededDropout(nn.Module):
    """Dropout whose masks come from a stream of the run's seed and of its place among the network's dropouts, so that
    no other random draw can shift them. They are drawn on `device`: a generator does not move with its module.
    """

    def __init__(self, rate: float, seed: int, place: int, device: torch.device) -> None:
        super().__init__()
        self.rate = rate
        self.generator = stream(seed, f"dropout {place}", device)

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs of any shape; the same shape."""
        if not self.training:
            return inputs
        return inputs * draw_masks(torch.empty_like(inputs)[None], self.rate, [self.generator])[0]


class LocalResponseNorm(nn.Module):
    """Local response normalisation with n = 5, k = 2, α = 1e-4, β = 0.75 (Krizhevsky 2012, section 3.3).

    Torch's own pools over channels, whose backward pass on a GPU adds up in another order each time.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps N × C × H × W; the same shape, in float32 where they come in less."""
        values = inputs.float() if inputs.dtype == torch.bfloat16 else inputs
        channels = inputs.shape[1]
        squares = functional.pad(values.square(), (0, 0, 0, 0, 2, 2))
        near = torch.stack([squares[:, offset : offset + channels] for offset in range(5)]).sum(0)
        return values / (2.0 + 1e-4 * near).pow(0.75)


_ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": partial(nn.ReLU, inplace=True),
    "gelu": nn.GELU,
}
MONOTONE = (nn.Sigmoid, nn.Tanh, nn.ReLU)
"""Activations that nowhere fall; GELU falls below −0.75."""


def _module(layer: Layer, seed: int, masks: Iterator[int], device: torch.device) -> nn.Module:
    match layer:
        case architecture.Convolution(inputs, outputs, kernel, stride, padding, bias):
            kind = SmallMapConv2d if layer.small else GradientProductConv2d if layer.few_places else nn.Conv2d
            return kind(inputs, outputs, kernel, stride, padding, bias=bias)
        case architecture.Linear():
            return nn.Linear(*layer)
        case architecture.BatchNorm():
            return nn.BatchNorm2d(layer.channels) if layer.spatial else nn.BatchNorm1d(layer.channels)
        case architecture.LocalResponseNorm():
            return LocalResponseNorm()
        case architecture.Nonlinearity():
            return _ACTIVATIONS[layer.kind]()
        case architecture.MaxPool():
            return nn.MaxPool2d(*layer)
        case architecture.Flatten():
            return nn.Flatten()
        case architecture.Dropout():
            return SeededDropout(layer.rate, seed, next(masks), device)
