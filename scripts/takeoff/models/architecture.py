"""The AlexNet family as a list of layers: what the networks are built from, and counted from, without torch."""

from dataclasses import dataclass

from takeoff.study.settings import Activation, Network


@dataclass(frozen=True)
class Convolution:
    """A convolution of square kernels; `side` is the side of its output, in pixels."""

    inputs: int
    outputs: int
    kernel: int
    stride: int
    padding: int
    bias: bool
    side: int


@dataclass(frozen=True)
class Linear:
    """A fully connected layer."""

    inputs: int
    outputs: int
    bias: bool


@dataclass(frozen=True)
class BatchNorm:
    """Batch normalisation of channels (`spatial`) or of single units."""

    channels: int
    spatial: bool


@dataclass(frozen=True)
class LocalResponseNorm:
    """Local response normalisation with the constants of Krizhevsky 2012."""


@dataclass(frozen=True)
class Nonlinearity:
    """An activation function."""

    kind: Activation


@dataclass(frozen=True)
class MaxPool:
    """Max pooling of square windows."""

    kernel: int
    stride: int
    padding: int


@dataclass(frozen=True)
class Flatten:
    """From N × C × H × W to N × CHW."""


@dataclass(frozen=True)
class Dropout:
    """Drops each unit with probability `rate` while training, and scales the others up."""

    rate: float


Layer = Convolution | Linear | BatchNorm | LocalResponseNorm | Nonlinearity | MaxPool | Flatten | Dropout


@dataclass(frozen=True)
class Stem:
    """What depends on the images' size: the first convolution, the second's kernel, and the hidden units."""

    kernel: int
    stride: int
    padding: int
    second_kernel: int
    pool_padding: int
    hidden: int
    pooled: tuple[int, ...] = (0, 1, 4)
    """The convolutions that a pooling follows, counted from 0."""


# At 224 px this is Krizhevsky 2014 as torchvision has it; the others keep its five convolutions and, but for
# 8 px, its three poolings, and shrink the first kernel and the hidden units with the images. Both kinds of pooling
# give maps of the same size in every stem, so that pooling changes no parameter count.
STEMS = {
    8: Stem(kernel=3, stride=1, padding=1, second_kernel=3, pool_padding=1, hidden=512, pooled=(0, 1)),
    32: Stem(kernel=5, stride=1, padding=2, second_kernel=5, pool_padding=1, hidden=1024),
    64: Stem(kernel=7, stride=2, padding=2, second_kernel=5, pool_padding=0, hidden=1024),
    128: Stem(kernel=11, stride=4, padding=2, second_kernel=5, pool_padding=0, hidden=2048),
    224: Stem(kernel=11, stride=4, padding=2, second_kernel=5, pool_padding=0, hidden=4096),
}
CHANNELS = (64, 192, 384, 256, 256)


def layers(network: Network, resolution: int, channels: int, classes: int) -> list[Layer]:
    """The layers of `network` for square images of `resolution` pixels, `channels` deep, of `classes` classes.

    Source: Krizhevsky, Sutskever & Hinton 2012; Krizhevsky 2014 (one column) for the channels.
    """
    stem = STEMS[resolution]
    batch = network.norm == "batch"
    built: list[Layer] = []
    inputs, side = channels, resolution
    for i, base in enumerate(CHANNELS):
        outputs = scaled(base, network.width)
        if i == 0:
            kernel, stride, padding = stem.kernel, stem.stride, stem.padding
        else:
            kernel, stride = (stem.second_kernel if i == 1 else 3), 1
            padding = kernel // 2
        side = (side + 2 * padding - kernel) // stride + 1
        built += [Convolution(inputs, outputs, kernel, stride, padding, not batch, side)]
        built += hidden_unit(network, outputs, spatial=True)
        if network.norm == "local-response" and i < 2:
            built.append(LocalResponseNorm())
        if i in stem.pooled:
            pool = _pool(network, stem)
            side = (side + 2 * pool.padding - pool.kernel) // pool.stride + 1
            built.append(pool)
        inputs = outputs
    built.append(Flatten())
    inputs *= side * side
    for _ in range(2):
        outputs = scaled(stem.hidden, network.width)
        built += [Dropout(network.dropout)] if network.dropout else []
        built += [Linear(inputs, outputs, not batch)]
        built += hidden_unit(network, outputs, spatial=False)
        inputs = outputs
    return [*built, Linear(inputs, classes, bias=True)]


def scaled(units: int, width: float) -> int:
    """A layer's units at a width, one at least."""
    return max(1, round(units * width))


def hidden_unit(network: Network, units: int, spatial: bool) -> list[Layer]:
    """What follows a hidden layer's weights: the norm, where it is batch norm, then the activation."""
    norm: list[Layer] = [BatchNorm(units, spatial)] if network.norm == "batch" else []
    return [*norm, Nonlinearity(network.activation)]


def _pool(network: Network, stem: Stem) -> MaxPool:
    if network.pooling == "plain":
        return MaxPool(kernel=2, stride=2, padding=0)
    return MaxPool(kernel=3, stride=2, padding=stem.pool_padding)


def parameters(built: list[Layer]) -> int:
    """The number of trained parameters."""
    return sum(_parameters(layer) for layer in built)


def _parameters(layer: Layer) -> int:
    match layer:
        case Convolution():
            return layer.inputs * layer.outputs * layer.kernel**2 + layer.bias * layer.outputs
        case Linear():
            return layer.inputs * layer.outputs + layer.bias * layer.outputs
        case BatchNorm():
            return 2 * layer.channels
    return 0


def forward_flops(built: list[Layer]) -> int:
    """Floating-point operations of one image's forward pass through convolutions and linear layers.

    A multiplication and an addition are two; element-wise work is left out, as is usual.
    """
    return 2 * sum(_products(layer) for layer in built)


def _products(layer: Layer) -> int:
    match layer:
        case Convolution():
            return layer.inputs * layer.outputs * layer.kernel**2 * layer.side**2
        case Linear():
            return layer.inputs * layer.outputs
    return 0


def training_flops(built: list[Layer]) -> int:
    """Floating-point operations of one image's forward and backward pass.

    The backward pass has two products for each of the forward pass, one for the weights' gradient and one for
    the inputs'; the images themselves need none.
    """
    first = next(layer for layer in built if isinstance(layer, Convolution | Linear))
    return 3 * forward_flops(built) - 2 * _products(first)
