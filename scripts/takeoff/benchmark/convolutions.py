"""The convolutions of a network one by one, forward and backward. The rows of convolutions.csv."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from takeoff.benchmark.bounds import flops_of, operands, rate_of
from takeoff.engine import architecture
from takeoff.engine.architecture import Convolution
from takeoff.engine.hardware import Hardware
from takeoff.jobs.hardware import first_line
from takeoff.study.settings import Network

GROUPS = {"cpu": (1,), "cuda": (1, 6, 24)}
"""Runs side by side whose convolutions are one grouped convolution."""


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


def _timed(layer: Convolution, runs: int, batch: int, hardware: Hardware, searched: bool) -> ConvolutionSpeed:
    inputs, outputs, kernel, stride, padding, _, side = layer
    forward, images, weights = operands(layer, runs, batch, hardware)
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
        rates = [rate_of(action, flops_of(layer, runs, batch), hardware, searched) for action in actions]
    except RuntimeError as error:  # cuDNN may have no algorithm for it
        return replace(row, note=first_line(error))
    return replace(row, forward=rates[0], inputs_gradient=rates[1], weights_gradient=rates[2])
