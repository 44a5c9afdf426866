"""What bounds a device: its convolutions one by one, the bytes that it moves, and the share of both that training
reaches. The rows of bounds.csv and convolutions.csv, and a roofline.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from takeoff.engine import architecture
from takeoff.engine.architecture import Convolution, Linear
from takeoff.engine.hardware import Hardware
from takeoff.jobs.hardware import first_line
from takeoff.speed.rates import fastest_product
from takeoff.speed.timing import Timed, time_calls
from takeoff.study.settings import Network

GROUPS = {"cpu": (1,), "cuda": (1, 6, 24)}
"""Runs side by side whose convolutions are one grouped convolution."""
BYTES = {"cpu": 2**28, "cuda": 2**30}
"""That a copy moves once each way."""
CALLS = 10
DENSE = Convolution(192, 384, 3, 1, 1, bias=True, side=8)
"""A convolution of the full width whose rate bounds what training reaches: on a CPU it may exceed a product's."""
DENSE_BATCH = 128


@dataclass(frozen=True)
class ConvolutionSpeed:
    """A convolution of the network: the columns of convolutions.csv, FLOP/s each."""

    layer: str
    """As in `64 to 192, 5 × 5, 16 px`."""
    runs: int
    batch: int
    precision: str
    searched: bool
    """Whether cuDNN chose its algorithm by speed, of those that it tries; a study keeps to those that give the same
    bits.
    """
    forward: float | None = None
    inputs_gradient: float | None = None
    weights_gradient: float | None = None
    note: str = ""
    """Why it does not run here."""


@dataclass(frozen=True)
class Bound:
    """What the device does at most: the columns of bounds.csv."""

    what: str
    precision: str
    """Of products; empty for copies."""
    per_second: float
    unit: str
    """`FLOP`, or `bytes`, of which a copy within the device counts what it reads and what it writes."""

    def __str__(self) -> str:
        return f"{self.what}{f', {self.precision}' * bool(self.precision)}: {self.per_second:.3g} {self.unit}/s"


def bounds(hardware: Hardware, seconds: float) -> Iterator[Bound]:
    """The fastest square product, within about so many seconds, and the dense convolution, in float32 and where the
    device computes in it in bfloat16; a copy within the device; and to a GPU one from the host's pinned memory.
    """
    for precision in ("float32", "bfloat16") if hardware.half else ("float32",):
        own = replace(hardware, precision=precision)
        for bound in (fastest_product(own, seconds), dense_convolution(own)):
            words = "convolution" if bound.name == "convolution" else f"matrix product of side {bound.name}"
            yield Bound(words, precision, _rate(bound.call, bound.flops, own), "FLOP")
    yield Bound("copy on the device", "", bandwidth(hardware), "bytes")
    if hardware.device.type == "cuda":
        host = torch.empty(BYTES["cuda"], dtype=torch.uint8, pin_memory=True)
        there = torch.empty_like(host, device=hardware.device)
        rate = _rate(lambda: there.copy_(host, non_blocking=True), host.numel(), hardware)
        yield Bound("copy from the host's pinned memory", "", rate, "bytes")


def convolutions(network: Network, side: int, batch: int, hardware: Hardware) -> Iterator[ConvolutionSpeed]:
    """Every convolution of a network on colour images, alone and for several runs at once; on a GPU also by the
    algorithms that cuDNN finds fastest, but for the most runs, where the search takes long.
    """
    built = architecture.layers(network, side, 3, 10)
    cuda = hardware.device.type == "cuda"
    for runs in (groups := GROUPS[hardware.device.type]):
        for searched in (False, True) if cuda and runs < groups[-1] else (False,):
            for layer in (own for own in built if isinstance(own, Convolution)):
                yield _timed(layer, runs, batch, hardware, searched)


def dense_convolution(hardware: Hardware) -> Timed:
    """The forward pass of `DENSE`: beside a matrix product the other bound of what training can reach."""
    forward = _operands(DENSE, 1, DENSE_BATCH, hardware)[0]
    return Timed("matrix", "convolution", hardware, forward, _flops(DENSE, 1, DENSE_BATCH))


def _operands(layer: Convolution, runs: int, batch: int, hardware: Hardware) -> tuple[partial[Tensor], Tensor, Tensor]:
    """The forward pass of a convolution of several runs side by side; its images and its weights."""
    inputs, outputs, kernel, stride, padding, _, side = layer
    before = (side - 1) * stride + kernel - 2 * padding
    # Of its own: until torch 2.13 a capture that failed leaves the default generator unusable.
    generator = torch.Generator(hardware.device).manual_seed(0)
    kind = torch.bfloat16 if hardware.half else torch.float32
    make = partial(torch.randn, device=hardware.device, dtype=kind, generator=generator)
    images = make(batch, inputs * runs, before, before).to(memory_format=torch.channels_last)
    weights = make(outputs * runs, inputs, kernel, kernel).to(memory_format=torch.channels_last)
    return partial(functional.conv2d, images, weights, None, stride, padding, 1, runs), images, weights


def _flops(layer: Convolution, runs: int, batch: int) -> int:
    return 2 * batch * runs * layer.outputs * layer.inputs * layer.kernel**2 * layer.side**2


def _timed(layer: Convolution, runs: int, batch: int, hardware: Hardware, searched: bool) -> ConvolutionSpeed:
    inputs, outputs, kernel, stride, padding, _, side = layer
    forward, images, weights = _operands(layer, runs, batch, hardware)
    shape = (batch, outputs * runs, side, side)
    sent = images.new_ones(shape).to(memory_format=torch.channels_last)
    both = [[stride] * 2, [padding] * 2, [1, 1], False, [0, 0], runs]

    def back(wanted: Sequence[bool]) -> Callable[[], object]:
        return lambda: torch.ops.aten.convolution_backward(sent, images, weights, None, *both, [*wanted, False])

    actions = (forward, back([True, False]), back([False, True]))
    row = ConvolutionSpeed(
        f"{inputs} to {outputs}, {kernel} × {kernel}, {side} px", runs, batch, hardware.precision, searched
    )
    try:
        rates = [_rate(action, _flops(layer, runs, batch), hardware, searched) for action in actions]
    except RuntimeError as error:  # cuDNN may have no algorithm for it
        return replace(row, note=first_line(error))
    return replace(row, forward=rates[0], inputs_gradient=rates[1], weights_gradient=rates[2])


def _rate(call: Callable[[], object], amount: float, hardware: Hardware, searched: bool = False) -> float:
    """An amount per second of a call; on a GPU of calls in a graph, since short ones take longer to start."""
    action = Timed("matrix", "", hardware, call, 0)
    action.ready()
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = searched, not searched
    time_calls(action, 3)  # chooses kernels
    if hardware.device.type == "cpu":
        return amount / time_calls(action, CALLS)
    graph = torch.cuda.CUDAGraph()
    # Other threads, as a DataLoader's that pins memory, do not disturb it.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        for _ in range(CALLS):
            call()
    return CALLS * amount / time_calls(replace(action, call=graph.replay), 3)


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


def roofline(flops: float, moved: float, ceiling: float, bandwidth: float) -> float:
    """Images per second at which products take their highest rate, the `ceiling`, and all else that of a copy: `flops`
    and bytes `moved` are of an image.
    """
    return 1 / (flops / ceiling + moved / bandwidth)
