"""Networks as lists of layers: what they are built from, and counted from, without torch."""

from typing import NamedTuple

from takeoff.study.settings import Activation, Network


class Convolution(NamedTuple):
    """A convolution of square kernels; `side` is the side of its output, in pixels."""

    inputs: int
    outputs: int
    kernel: int
    stride: int
    padding: int
    bias: bool
    side: int

    @property
    def small(self) -> bool:
        """Whether it is computed as a dense layer of 2 × 2 places (`SmallMapConv2d` in `takeoff.engine.layers`)."""
        return (self.side, self.kernel, self.stride, self.padding) == (2, 3, 1, 1)

    @property
    def few_places(self) -> bool:
        """Whether its weights' gradient may be one product (`GradientProductConv2d` in `takeoff.engine.layers`)."""
        return 2 < self.side <= 4 and (self.kernel, self.stride, self.padding) == (3, 1, 1)


class Linear(NamedTuple):
    """A fully connected layer."""

    inputs: int
    outputs: int
    bias: bool


class BatchNorm(NamedTuple):
    """Batch normalisation of channels (`spatial`) or of single units."""

    channels: int
    spatial: bool


class LocalResponseNorm(NamedTuple):
    """Local response normalisation with the constants of Krizhevsky 2012."""


class Nonlinearity(NamedTuple):
    """An activation function."""

    kind: Activation


class MaxPool(NamedTuple):
    """Max pooling of square windows."""

    kernel: int
    stride: int
    padding: int


class Flatten(NamedTuple):
    """From N × C × H × W to N × CHW."""


class Dropout(NamedTuple):
    """Drops each unit with probability `rate` while training, and scales the others up."""

    rate: float


Layer = Convolution | Linear | BatchNorm | LocalResponseNorm | Nonlinearity | MaxPool | Flatten | Dropout


class Stem(NamedTuple):
    """What depends on the images' size: the first convolution but for its stride, the second's kernel, hidden units."""

    kernel: int
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
    8: Stem(kernel=3, padding=1, second_kernel=3, pool_padding=1, hidden=512, pooled=(0, 1)),
    16: Stem(kernel=3, padding=1, second_kernel=3, pool_padding=1, hidden=512),
    32: Stem(kernel=5, padding=2, second_kernel=5, pool_padding=1, hidden=1024),
    64: Stem(kernel=7, padding=2, second_kernel=5, pool_padding=0, hidden=1024),
    128: Stem(kernel=11, padding=2, second_kernel=5, pool_padding=0, hidden=2048),
    224: Stem(kernel=11, padding=2, second_kernel=5, pool_padding=0, hidden=4096),
}
CHANNELS = (64, 192, 384, 256, 256)
FOUR_LAYER_CHANNELS = (32, 32, 64)
PLAIN_UNITS = 512


class _Planned(NamedTuple):
    """A convolution of a family before its inputs and its maps are known."""

    outputs: int
    """At width 1."""
    kernel: int
    stride: int
    padding: int
    pool_padding: int | None
    """Of the overlapping windows of the pooling behind it; None: no pooling follows."""


def _family(network: Network, resolution: int) -> tuple[list[_Planned], list[int]]:
    """The convolutions of the network's family, and the units of its hidden fully connected layers at width 1.

    - `alexnet`: Krizhevsky, Sutskever & Hinton 2012; Krizhevsky 2014 (one column) for the channels.
    - `four-layer`: Krizhevsky 2012 says of its figure 1 only that the network has four layers, convolutional; the
      sizes are those of his cuda-convnet for CIFAR-10, with max pooling throughout. Larger images are taken in steps
      of a size/32, unless the network sets its first stride.
    - `plain`: hidden layers of equal width, as in Glorot & Bengio 2010.
    """
    stride = network.stride_at(resolution)
    if stride is None:
        return [], [PLAIN_UNITS] * (network.depth or 1)
    if network.family == "four-layer":
        strides = (stride, 1, 1)
        pairs = zip(FOUR_LAYER_CHANNELS, strides, strict=True)
        return [_Planned(outputs, 5, stride, 2, pool_padding=1) for outputs, stride in pairs], []
    stem = STEMS[resolution]
    second = (stem.second_kernel, 1, stem.second_kernel // 2)
    windows = [(stem.kernel, stride, stem.padding), second, *[(3, 1, 1)] * 3]
    convolutions = [
        _Planned(outputs, *window, stem.pool_padding if place in stem.pooled else None)
        for place, (outputs, window) in enumerate(zip(CHANNELS, windows, strict=True))
    ]
    return convolutions, [stem.hidden] * 2


def layers(network: Network, resolution: int, channels: int, classes: int) -> list[Layer]:
    """The layers of `network` for square images of `resolution` pixels, `channels` deep, of `classes` classes."""
    convolutions, hidden = _family(network, resolution)
    bias, side = network.norm != "batch", resolution
    dropout: list[Layer] = [Dropout(network.dropout)] if network.dropout else []
    built: list[Layer] = []

    def activated(units: int, spatial: bool) -> list[Layer]:
        norm: list[Layer] = [] if bias else [BatchNorm(units, spatial)]
        return [*norm, Nonlinearity(network.activation)]

    for place, planned in enumerate(convolutions):
        window = (planned.kernel, planned.stride, planned.padding)
        inputs, channels = channels, _scaled(planned.outputs, network.width)
        side = _side(side, *window)
        built += [Convolution(inputs, channels, *window, bias, side), *activated(channels, spatial=True)]
        if network.response_norm == "local" and place < 2:
            built.append(LocalResponseNorm())
        if planned.pool_padding is not None:
            pool = MaxPool(2, 2, 0) if network.pooling == "plain" else MaxPool(3, 2, planned.pool_padding)
            side = _side(side, *pool)
            built.append(pool)
    built.append(Flatten())
    units = channels * side**2
    for base in hidden:
        inputs, units = units, _scaled(base, network.width)
        built += [*dropout, Linear(inputs, units, bias), *activated(units, spatial=False)]
    if not hidden:
        built += dropout
    return [*built, Linear(units, classes, bias=True)]


def _side(side: int, kernel: int, stride: int, padding: int) -> int:
    """The side of a map behind a window, in pixels."""
    return (side + 2 * padding - kernel) // stride + 1


def _scaled(units: int, width: float) -> int:
    return max(1, round(units * width))


def parameters(built: list[Layer]) -> int:
    """The number of trained parameters."""
    return sum(_parameters(layer) for layer in built)


def _parameters(layer: Layer) -> int:
    match layer:
        case Convolution() | Linear():
            taps = layer.kernel**2 if isinstance(layer, Convolution) else 1
            return (layer.inputs * taps + layer.bias) * layer.outputs
        case BatchNorm():
            return 2 * layer.channels
    return 0


def forward_flops(built: list[Layer]) -> int:
    """Floating-point operations of one image's forward pass through convolutions and linear layers.

    A multiplication and an addition are two; element-wise work is left out, and products with padding count, as is
    usual. Only a `small` convolution makes none of these.
    """
    return 2 * sum(_products(layer) for layer in built)


def _products(layer: Layer) -> int:
    match layer:
        case Convolution():
            taps = layer.side**2 if layer.small else layer.kernel**2
            return layer.inputs * layer.outputs * taps * layer.side**2
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
