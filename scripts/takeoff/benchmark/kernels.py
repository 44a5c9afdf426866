"""What bounds a device: its convolutions one by one, the bytes that it moves, and the share of both that training
reaches. The rows of convolutions.csv, and a roofline.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch.nn import functional

from takeoff.engine import architecture
from takeoff.engine.architecture import Convolution, Linear
from takeoff.engine.hardware import Hardware
from takeoff.speed.timing import Timed, time_calls
from takeoff.study.settings import Network

GROUPS = {"cpu": (1,), "cuda": (1, 6, 24)}
"""Runs side by side whose convolutions are one grouped convolution."""
BYTES = {"cpu": 2**28, "cuda": 2**30}
"""That a copy moves once each way."""
CALLS = 10


@dataclass(frozen=True)
class ConvolutionSpeed:
    """A convolution of the network: the columns of convolutions.csv, FLOP/s each."""

    layer: str
    """As in `64 to 192, 5 × 5, 16 px`."""
    runs: int
    batch: int
    precision: str
    forward: float
    inputs_gradient: float
    weights_gradient: float


def convolutions(network: Network, side: int, batch: int, hardware: Hardware) -> Iterator[ConvolutionSpeed]:
    """Every convolution of a network on colour images, alone and for several runs at once."""
    built = architecture.layers(network, side, 3, 10)
    kind = torch.bfloat16 if hardware.half else torch.float32
    for runs in GROUPS[hardware.device.type]:
        for layer in (own for own in built if isinstance(own, Convolution)):
            yield _timed(layer, runs, batch, kind, hardware)


def _timed(layer: Convolution, runs: int, batch: int, kind: torch.dtype, hardware: Hardware) -> ConvolutionSpeed:
    inputs, outputs, kernel, stride, padding, _, side = layer
    before = (side - 1) * stride + kernel - 2 * padding
    make = partial(torch.randn, device=hardware.device, dtype=kind)
    images = make(batch, inputs * runs, before, before).to(memory_format=torch.channels_last)
    weights = make(outputs * runs, inputs, kernel, kernel).to(memory_format=torch.channels_last)
    forward = partial(functional.conv2d, images, weights, None, stride, padding, 1, runs)
    sent = torch.randn_like(forward())
    both = [[stride] * 2, [padding] * 2, [1, 1], False, [0, 0], runs]

    def back(wanted: Sequence[bool]) -> Callable[[], object]:
        return lambda: torch.ops.aten.convolution_backward(sent, images, weights, None, *both, [*wanted, False])

    flops = 2 * batch * runs * outputs * inputs * kernel**2 * side**2
    actions = (forward, back([True, False]), back([False, True]))
    rates = [_rate(action, flops, hardware) for action in actions]
    words = f"{inputs} to {outputs}, {kernel} × {kernel}, {side} px"
    return ConvolutionSpeed(words, runs, batch, hardware.precision, *rates)


def _rate(call: Callable[[], object], amount: float, hardware: Hardware) -> float:
    action = Timed("matrix", "", hardware, call, 0)
    time_calls(action, 3)  # chooses kernels
    return amount / time_calls(action, CALLS)


def bandwidth(hardware: Hardware) -> float:
    """Bytes per second that a copy reads and writes, both counted."""
    one = torch.empty(BYTES[hardware.device.type], dtype=torch.uint8, device=hardware.device)
    other = torch.empty_like(one)
    return _rate(lambda: other.copy_(one), 2 * one.numel(), hardware)


def bytes_per_image(network: Network, side: int, channels: int, classes: int, half: bool) -> float:
    """What a training step moves for each image, at the least: of every layer with weights its inputs and outputs once
    forward, and backward both with their gradients; and one pass each way over the outputs for norm, activation and
    pooling together.
    """
    numbers = 0
    for layer in architecture.layers(network, side, channels, classes):
        match layer:
            case Convolution():
                before = ((layer.side - 1) * layer.stride + layer.kernel - 2 * layer.padding) ** 2 * layer.inputs
                numbers += 3 * before + 8 * layer.outputs * layer.side**2
            case Linear():
                numbers += 3 * layer.inputs + 8 * layer.outputs
    return numbers * (2 if half else 4)


def roofline(flops: float, moved: float, matrix: float, bandwidth: float) -> float:
    """Images per second at which products take the rate of a matrix product, and all else that of a copy: `flops` and
    bytes `moved` are of an image.
    """
    return 1 / (flops / matrix + moved / bandwidth)
