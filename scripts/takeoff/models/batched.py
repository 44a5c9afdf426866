"""Linear layers of several runs at once, as batched products, and the way there from maps."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def batched_linear(values: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """What `torch.nn.functional.linear` gives for each run.

    Args:
        values: runs × B × inputs.
        weight: runs × outputs × inputs.
        bias: runs × outputs, or none.

    Returns:
        runs × B × outputs.

    """
    device = values.device.type
    if torch.is_autocast_enabled(device):
        kind = torch.get_autocast_dtype(device)
        values, weight = values.to(kind), weight.to(kind)
        bias = None if bias is None else bias.to(kind)
    made: Tensor = _BatchedLinear.apply(values, weight, bias)
    return made


class _BatchedLinear(torch.autograd.Function):
    """A product whose weights' gradient lies in memory as the weights do; torch's own has it turned, and whatever
    takes it in copies it.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(values, weight)
        turned = weight.transpose(1, 2)
        return torch.bmm(values, turned) if bias is None else torch.baddbmm(bias[:, None], values, turned)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        values, weight = ctx.saved_tensors
        of_values, of_weight, of_bias = ctx.needs_input_grad
        return (
            torch.bmm(upstream, weight) if of_values else None,
            torch.bmm(upstream.transpose(1, 2), values) if of_weight else None,
            upstream.sum(1) if of_bias else None,
        )


def flattened_apart(maps: Tensor, runs: int) -> Tensor:
    """What `torch.nn.Flatten` gives for each run.

    Args:
        maps: B × (runs · channels) × H × W, channels last.
        runs: groups of channels.

    Returns:
        runs × B × (channels · H · W).

    """
    made: Tensor = _FlattenedApart.apply(maps, runs)
    return made


class _FlattenedApart(torch.autograd.Function):
    """A flattening whose gradient lies in memory as the maps do: an activation takes ten times as long to send back
    one that lies otherwise.
    """

    @staticmethod
    def forward(ctx: Any, maps: Tensor, runs: int) -> Tensor:
        ctx.shape = maps.shape
        return maps.unflatten(1, (runs, -1)).flatten(2).transpose(0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:
        turned = upstream.transpose(0, 1).reshape(ctx.shape)
        return turned.contiguous(memory_format=torch.channels_last), None
