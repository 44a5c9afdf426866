"""Layers of several runs at once: linear layers as batched products, convolutions of maps of 2 × 2 pixels as one;
and a convolution of 4 × 4 pixels whose weights' gradient is a product.

Of memory they take care themselves: weights' gradients lie there as the weights do, and maps' gradients as the maps,
in channels-last order. An activation takes ten times as long to send back a gradient that lies otherwise.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

SIDE, KERNEL = 2, 3
"""Of small maps and of their kernels, in pixels; maps are padded by one (see `Convolution.small` in `architecture`)."""


def batched_linear(values: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """What `torch.nn.functional.linear` gives for each run, runs × B × outputs, of values (runs × B × inputs), weights
    (runs × outputs × inputs) and biases (runs × outputs), if there are any.
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


class SmallMapConv2d(nn.Conv2d):
    """A 3 × 3 convolution, padded by one, of maps of 2 × 2 pixels: of its 36 products per channel and image 20 are
    with the padding, and the other 16 are a dense layer's, which takes a CPU half the time. On a GPU it is what it is
    everywhere else.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's own name)
        """Maps N × C × 2 × 2; N × outputs × 2 × 2."""
        if input.is_cuda:
            return super().forward(input)
        return small_map_convolution(input, self.weight, self.bias)


def small_map_convolution(inputs: Tensor, weight: Tensor, bias: Tensor | None = None, runs: int = 1) -> Tensor:
    """What `torch.nn.functional.conv2d` gives with `padding=1` and `groups=runs`, within rounding.

    From maps N × (runs · C) × 2 × 2, weights (runs · outputs) × C × 3 × 3 and biases, if there are any, to
    N × (runs · outputs) × 2 × 2, channels last, in memory of their own: what works in place needs that.
    """
    places = SIDE * SIDE
    outputs, channels = len(weight) // runs, weight.shape[1]
    taps = weight.permute(0, 2, 3, 1).reshape(-1, channels)
    dense = taps.index_select(0, _rows(runs, outputs)).view(runs, places * outputs, places * channels)
    everywhere = None if bias is None else bias.view(runs, 1, outputs).expand(-1, places, -1).flatten(1)
    apart = partial(_apart, runs=runs)
    values: Tensor = _Rearranged.apply(inputs, apart, _together)
    made: Tensor = _Rearranged.apply(batched_linear(values, dense, everywhere), _together, apart)
    return made


class GradientProductConv2d(nn.Conv2d):
    """A 3 × 3 convolution, padded by one, of maps of 3 × 3 or 4 × 4 pixels, the gradient of whose weights is one matrix
    product where a CPU trains in bfloat16 with AMX: oneDNN's own kernel for it takes two to four times as long there.
    Everywhere else, and in the way forward, it is torch's own.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's own name)
        """Maps N × C × H × W; N × outputs × H × W."""
        if input.is_cuda or not torch.is_autocast_enabled("cpu") or not _amx():
            return super().forward(input)
        kind = torch.get_autocast_dtype("cpu")
        bias = None if self.bias is None else self.bias.to(kind)
        return convolution_with_gradient_product(input.to(kind), self.weight.to(kind), bias)


def convolution_with_gradient_product(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """What `torch.nn.functional.conv2d` gives with `padding=1`; so are its gradients, within rounding.

    From maps N × C × H × W, weights outputs × C × 3 × 3 and biases, if there are any, to N × outputs × H × W.
    """
    made: Tensor = _GradientProduct.apply(inputs, weight, bias)
    return made


class _GradientProduct(torch.autograd.Function):
    """A convolution; its weights' gradient is that of what it sends on (places × outputs), turned, times the patch of
    every place (places × 9 C).
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        return functional.conv2d(inputs, weight, bias, padding=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        inputs, weight = ctx.saved_tensors
        of_inputs, of_weight, of_bias = ctx.needs_input_grad
        rows = upstream.permute(0, 2, 3, 1).flatten(0, 2)
        taps = (len(weight), KERNEL, KERNEL, weight.shape[1])
        return (
            _sent_back(upstream, inputs, weight) if of_inputs else None,
            torch.mm(rows.t(), _patches(inputs)).view(taps).permute(0, 3, 1, 2) if of_weight else None,
            rows.sum(0) if of_bias else None,
        )


def _sent_back(upstream: Tensor, inputs: Tensor, weight: Tensor) -> Tensor:
    """The gradient of a convolution's inputs: torch's own, which lies in memory as they do."""
    wanted = [True, False, False]
    gradient: Tensor = torch.ops.aten.convolution_backward(
        upstream, inputs, weight, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, wanted
    )[0]
    return gradient


def _patches(maps: Tensor) -> Tensor:
    """What a padded 3 × 3 kernel meets at every place: from maps N × C × H × W to (N · H · W) × (9 · C)."""
    images, channels, height, width = maps.shape
    padded = maps.new_zeros((images, height + 2, width + 2, channels))
    padded[:, 1:-1, 1:-1] = maps.permute(0, 2, 3, 1)
    image, row, place, _ = padded.stride()
    shape = (images, height, width, KERNEL, KERNEL * channels)  # a row of a patch lies in one piece
    return padded.as_strided(shape, (image, row, place, row, 1)).reshape(-1, KERNEL * KERNEL * channels)


@cache
def _amx() -> bool:
    """Whether the CPU multiplies bfloat16 in tiles."""
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))


def flattened_apart(maps: Tensor, runs: int) -> Tensor:
    """What `torch.nn.Flatten` gives for each run: from B × (runs · channels) × H × W, channels last, to
    runs × B × (channels · H · W).
    """
    shape = maps.shape

    def there(maps: Tensor) -> Tensor:
        return maps.unflatten(1, (runs, -1)).flatten(2).transpose(0, 1)

    def back(upstream: Tensor) -> Tensor:
        return upstream.transpose(0, 1).reshape(shape).contiguous(memory_format=torch.channels_last)

    made: Tensor = _Rearranged.apply(maps, there, back)
    return made


class _Rearranged(torch.autograd.Function):
    """Numbers in another order, and the way back for their gradients."""

    @staticmethod
    def forward(
        ctx: Any, values: Tensor, there: Callable[[Tensor], Tensor], back: Callable[[Tensor], Tensor]
    ) -> Tensor:
        ctx.back = back
        return there(values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        return ctx.back(upstream), None, None


def _apart(maps: Tensor, runs: int) -> Tensor:
    """From maps B × (runs · C) × 2 × 2 in channels-last order to runs × B × (places · C)."""
    batch, channels = maps.shape[:2]
    rows = maps.permute(0, 2, 3, 1).reshape(batch, SIDE * SIDE, runs, channels // runs)
    return rows.permute(2, 0, 1, 3).reshape(runs, batch, -1)


def _together(values: Tensor) -> Tensor:
    """From runs × B × (places · C) to maps B × (runs · C) × 2 × 2 in channels-last order."""
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
