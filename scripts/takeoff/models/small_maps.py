"""Convolutions of maps of 2 × 2 pixels, as one matrix product: where maps are so small, a CPU's take twice as long."""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from takeoff.models.batched import batched_linear

SIDE, KERNEL = 2, 3
"""Of the maps and of the kernels, in pixels; maps are padded by one (see `Convolution.small` in `architecture`)."""


class SmallMapConv2d(nn.Conv2d):
    """A 3 × 3 convolution, padded by one, of maps of 2 × 2 pixels: of its 36 products per channel and image 20 are
    with the padding, and the other 16 are a dense layer's. On a GPU it is what it is everywhere else.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's own name)
        """Maps N × C × 2 × 2; N × outputs × 2 × 2."""
        if input.is_cuda:
            return super().forward(input)
        return small_map_convolution(input, self.weight, self.bias)


def small_map_convolution(inputs: Tensor, weight: Tensor, bias: Tensor | None, runs: int = 1) -> Tensor:
    """What `torch.nn.functional.conv2d` gives with `padding=1` and `groups=runs`, within rounding.

    Args:
        inputs: maps N × (runs · C) × 2 × 2.
        weight: (runs · outputs) × C × 3 × 3.
        bias: runs · outputs, or none.
        runs: groups of channels that know nothing of each other.

    Returns:
        N × (runs · outputs) × 2 × 2, channels last.

    """
    places = SIDE * SIDE
    outputs, channels = len(weight) // runs, weight.shape[1]
    taps = weight.permute(0, 2, 3, 1).reshape(-1, channels)
    dense = taps.index_select(0, _rows(runs, outputs)).view(runs, places * outputs, places * channels)
    everywhere = None if bias is None else bias.view(runs, 1, outputs).expand(-1, places, -1).flatten(1)
    made: Tensor = _Together.apply(batched_linear(_Apart.apply(inputs, runs), dense, everywhere))
    return made


class _Apart(torch.autograd.Function):
    """From maps B × (runs · C) × 2 × 2 in channels-last order to runs × B × (places · C), and back."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, runs: int) -> Tensor:
        return _apart(maps, runs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:
        return _together(upstream), None


class _Together(torch.autograd.Function):
    """From runs × B × (places · C) to maps B × (runs · C) × 2 × 2 in channels-last order, and back.

    The maps are memory of their own, and so are their gradients: of views, what works in place would send gradients
    back in another order than the maps', and the next layer would take ten times as long.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.runs = len(values)
        return _together(values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        return _apart(upstream, ctx.runs)


def _apart(maps: Tensor, runs: int) -> Tensor:
    batch, channels = maps.shape[:2]
    rows = maps.permute(0, 2, 3, 1).reshape(batch, SIDE * SIDE, runs, channels // runs)
    return rows.permute(2, 0, 1, 3).reshape(runs, batch, -1)


def _together(values: Tensor) -> Tensor:
    runs, batch, wide = values.shape
    channels = wide // (SIDE * SIDE)
    shape = (batch, runs * channels, SIDE, SIDE)
    maps = torch.empty(shape, dtype=values.dtype, device=values.device, memory_format=torch.channels_last)
    rows = maps.permute(0, 2, 3, 1).view(batch, SIDE, SIDE, runs, channels)
    rows.copy_(values.view(runs, batch, SIDE, SIDE, channels).permute(1, 2, 3, 0, 4))
    return maps


@cache
def _rows(runs: int, outputs: int) -> Tensor:
    """Which rows of all taps, (runs · outputs · 9) × C, make up the dense weights: by run, the output's place, the
    output, the input's place.
    """
    places = torch.arange(SIDE * SIDE)
    offset = torch.stack([places // SIDE, places % SIDE])
    down, right = offset[:, None, :] - offset[:, :, None] + 1  # output's place × input's place
    tap = KERNEL * down + right
    first = KERNEL * KERNEL * torch.arange(runs * outputs).view(runs, 1, outputs, 1)
    return (first + tap[:, None, :]).flatten()
