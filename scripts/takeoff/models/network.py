"""Networks in torch: built from the family's layers, drawn from a seed."""

import itertools
import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from takeoff.models import architecture
from takeoff.models.architecture import Layer
from takeoff.models.masks import draw_masks
from takeoff.models.small_maps import SmallMapConv2d
from takeoff.models.streams import stream
from takeoff.study.settings import Activation, Network


def build(
    network: Network, resolution: int, channels: int, classes: int, seed: int, device: torch.device
) -> nn.Sequential:
    """An untrained network on `device`, channels last, its weights drawn from `seed`.

    It takes float images N × channels × resolution × resolution and gives logits N × classes.
    """
    layers = architecture.layers(network, resolution, channels, classes)
    # A mask belongs to its place among the dropouts, so that a norm in between does not change it.
    masks = itertools.count()
    modules = [
        SeededDropout(layer.rate, seed, next(masks))
        if isinstance(layer, architecture.Dropout)
        else _module(layer)
        for layer in layers
    ]
    model = nn.Sequential(*_pooled_first(modules))
    initialise(model, network, seed)
    for module in model:
        if isinstance(module, SeededDropout):
            module.follow(device)
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


def activation_first(model: nn.Sequential) -> None:
    """Put each activation before its pooling again, as the papers have them: for timing what they timed."""
    for place in range(1, len(model)):
        if isinstance(model[place], MONOTONE) and isinstance(model[place - 1], nn.MaxPool2d):
            model[place - 1], model[place] = model[place], model[place - 1]


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
    return [m.weight.detach() for m in model if isinstance(m, nn.Conv2d | nn.Linear)]


def standard_deviation(shape: torch.Size, initialisation: str, activation: Activation) -> float:
    """The standard deviation of a layer's initial weights.

    Args:
        shape: of the weights, outputs × inputs (× kernel × kernel).
        initialisation: a level of that factor; `by-activation` is Xavier for sigmoid and tanh, He for the rest.
        activation: of the network's hidden layers.

    Source: Glorot & Bengio 2010 (√(2/(in + out))), He et al. 2015 (√(2/in)), Krizhevsky 2012 (0.01).

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
    """Dropout whose masks come from the run's own stream, so that no other random draw can shift them."""

    def __init__(self, rate: float, seed: int, place: int) -> None:
        super().__init__()
        self.rate = rate
        self.seed = seed
        self.place = place
        self.generator = stream(seed, f"dropout {place}", torch.device("cpu"))

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs of any shape; the same shape."""
        if not self.training:
            return inputs
        return inputs * draw_masks(torch.empty_like(inputs)[None], self.rate, [self.generator])[0]

    def follow(self, device: torch.device) -> None:
        """Draw masks on `device` from now on: generators do not move with a module."""
        self.generator = stream(self.seed, f"dropout {self.place}", device)


class LocalResponseNorm(nn.Module):
    """Local response normalisation with n = 5, k = 2, α = 1e-4, β = 0.75 (Krizhevsky 2012, section 3.3)."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps N × C × H × W; the same shape."""
        # torch divides α by n, the paper does not.
        return functional.local_response_norm(inputs, size=5, alpha=5e-4, beta=0.75, k=2.0)


_ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
}
MONOTONE = (nn.Sigmoid, nn.Tanh, nn.ReLU)
"""Activations that nowhere fall; GELU falls below −0.75."""
_IN_PLACE: Literal["relu"] = "relu"


def _module(layer: Layer) -> nn.Module:
    match layer:
        case architecture.Convolution():
            kind = SmallMapConv2d if layer.small else nn.Conv2d
            return kind(
                layer.inputs, layer.outputs, layer.kernel, layer.stride, layer.padding, bias=layer.bias
            )
        case architecture.Linear():
            return nn.Linear(layer.inputs, layer.outputs, bias=layer.bias)
        case architecture.BatchNorm():
            return nn.BatchNorm2d(layer.channels) if layer.spatial else nn.BatchNorm1d(layer.channels)
        case architecture.LocalResponseNorm():
            return LocalResponseNorm()
        case architecture.Nonlinearity():
            return nn.ReLU(inplace=True) if layer.kind == _IN_PLACE else _ACTIVATIONS[layer.kind]()
        case architecture.MaxPool():
            return nn.MaxPool2d(layer.kernel, layer.stride, layer.padding)
        case architecture.Flatten():
            return nn.Flatten()
    raise TypeError(f"no module for {layer}")
