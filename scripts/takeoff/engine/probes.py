"""What training does layer by layer: gradients of pre-activations, saturated units, the change of weights."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from takeoff.engine.dataset import Dataset
from takeoff.engine.network import weighted_layers

IMAGES = 256
"""Training images that are probed, at most."""
SATURATED = 0.05
"""A unit is saturated on an image where its activation's derivative is below this share of its greatest."""
_GREATEST: dict[type[nn.Module], float] = {nn.Sigmoid: 0.25, nn.Tanh: 1.0, nn.ReLU: 1.0, nn.GELU: 1.13}
"""The greatest derivative of each activation."""


def probe(
    model: nn.Sequential, data: Dataset, chosen: Tensor, start: list[Tensor], trained: bool
) -> list[dict[str, Any]]:
    """A row per layer of weights, from the images to the logits: the columns of `PROBE` after `layer`.

    Gradients are of each image's own loss with respect to the layer's pre-activations, behind the norm where there
    is one, in evaluation mode but with the batch's own statistics, as in a training step without dropout. Of the run's
    training images, at the positions `chosen`, the first `IMAGES` are read. `start` has each layer's weights before
    training. The network's weights and running statistics stay as they are.
    """
    some = chosen[:IMAGES]
    pixels = data.normalised(data.images.take(some))
    labels = data.labels.index_select(0, some)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    before, saturated = _activations(model, pixels)
    loss = functional.cross_entropy(before[-1].float(), labels, reduction="sum")
    gradients = torch.autograd.grad(loss, before)
    model.load_state_dict(state)  # of norms, whose running statistics this batch has moved
    parts = zip(weighted_layers(model), start, gradients, [*saturated, None], strict=True)
    return [
        {
            "layer": place,
            "hidden": units is not None,
            # In float64: the square of 1e-20 is nothing in float32.
            "gradient_norm": float(gradient.double().flatten(1).square().sum(dim=1).mean().sqrt()),
            "saturated": None if units is None else float(units.float().mean()),
            "dead": None if units is None else float(units.all(dim=0).float().mean()),
            "weight_change": float((weights - first).norm() / first.norm()) if trained else None,
        }
        for place, (weights, first, gradient, units) in enumerate(parts, start=1)
    ]


def _activations(model: nn.Sequential, pixels: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Each layer's pre-activations, logits last, and which hidden units are saturated, N × units (bool)."""
    before: list[Tensor] = []
    saturated: list[Tensor] = []
    values = pixels
    for module in model:
        # A norm sees this batch, as in training; nothing is dropped.
        module.train(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d))
        if type(module) in _GREATEST:
            before.append(values)
            values = type(module)()(values)  # a new one: that of the network may work in place
            slope = torch.autograd.grad(values.sum(), before[-1], retain_graph=True)[0].abs()
            saturated.append(slope < SATURATED * _GREATEST[type(module)])
        else:
            values = module(values)
    before.append(values)
    return before, saturated
