"""Convolutions of maps of 2 × 2 pixels, as one matrix product: where maps are so small, a CPU's take twice as long."""

from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

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
    batch, places = len(inputs), SIDE * SIDE
    outputs, channels = len(weight) // runs, weight.shape[1]
    taps = weight.permute(0, 2, 3, 1).reshape(-1, channels)
    dense = taps.index_select(0, _rows(runs, outputs)).view(runs, places * outputs, places * channels)
    values = inputs.permute(0, 2, 3, 1).reshape(batch, places, runs, channels)
    if runs == 1:
        made = functional.linear(values.reshape(batch, -1), dense[0])[None]
    else:
        made = batched_linear(values.permute(2, 0, 1, 3).reshape(runs, batch, -1), dense)
    made = made.view(runs, batch, places, outputs).permute(1, 2, 0, 3).reshape(batch, SIDE, SIDE, -1)
    if bias is not None:
        made = made + bias.to(made.dtype)
    return made.permute(0, 3, 1, 2)


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
