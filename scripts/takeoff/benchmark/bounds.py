"""What bounds a device: the rate of its products and convolutions, and that of the bytes that it moves. The rows of
bounds.csv, and a roofline.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from takeoff.engine import architecture
from takeoff.engine.architecture import Convolution, Linear
from takeoff.engine.hardware import Hardware
from takeoff.speed.rates import fastest_product
from takeoff.speed.timing import Timed, time_calls
from takeoff.study.settings import Network

BYTES = {"cpu": 2**28, "cuda": 2**30}
"""That a copy moves once each way."""
CALLS = 10
DENSE = Convolution(192, 384, 3, 1, 1, bias=True, side=8)
"""A convolution of the full width whose rate bounds what training reaches: on a CPU it may exceed a product's."""
DENSE_BATCH = 128


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
            yield Bound(words, precision, rate_of(bound.call, bound.flops, own), "FLOP")
    yield Bound("copy on the device", "", bandwidth(hardware), "bytes")
    if hardware.device.type == "cuda":
        host = torch.empty(BYTES["cuda"], dtype=torch.uint8, pin_memory=True)
        there = torch.empty_like(host, device=hardware.device)
        rate = rate_of(lambda: there.copy_(host, non_blocking=True), host.numel(), hardware)
        yield Bound("copy from the host's pinned memory", "", rate, "bytes")


def dense_convolution(hardware: Hardware) -> Timed:
    """The forward pass of `DENSE`: beside a matrix product the other bound of what training can reach."""
    forward = operands(DENSE, 1, DENSE_BATCH, hardware)[0]
    return Timed("matrix", "convolution", hardware, forward, flops_of(DENSE, 1, DENSE_BATCH))


def operands(layer: Convolution, runs: int, batch: int, hardware: Hardware) -> tuple[partial[Tensor], Tensor, Tensor]:
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


def flops_of(layer: Convolution, runs: int, batch: int) -> int:
    """Floating-point operations of its forward pass, and of either gradient."""
    return 2 * batch * runs * layer.outputs * layer.inputs * layer.kernel**2 * layer.side**2


def rate_of(call: Callable[[], object], amount: float, hardware: Hardware, searched: bool = False) -> float:
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
    return rate_of(lambda: other.copy_(one), 2 * one.numel(), hardware)


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
