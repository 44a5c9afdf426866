"""Networks as lists of layers: what they are built from, and counted from, without torch."""

from dataclasses import dataclass

from takeoff.study.settings import Activation, Network


@dataclass(frozen=True)
class Convolution:
    """A convolution of square kernels; `side` is the side of its output, in pixels.

    Of its products those with padding count too, as is usual, unless the maps are so `small` that none is made: 3 × 3
    kernels on maps of 2 × 2 pixels, padded by one, are a dense layer (`takeoff.models.small_maps`).
    """

    inputs: int
    outputs: int
    kernel: int
    stride: int
    padding: int
    bias: bool
    side: int

    @property
    def small(self) -> bool:
        """Whether it is a dense layer of 2 × 2 places."""
        return (self.side, self.kernel, self.stride, self.padding) == (2, 3, 1, 1)


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
FOUR_LAYER_CHANNELS = (32, 32, 64)
PLAIN_UNITS = 512


def layers(network: Network, resolution: int, channels: int, classes: int) -> list[Layer]:
    """The layers of `network` for square images of `resolution` pixels, `channels` deep, of `classes` classes."""
    match network.family:
        case "four-layer":
            return _four_layer(network, resolution, channels, classes)
        case "plain":
            return _plain(network, resolution, channels, classes)
    return _alexnet(network, resolution, channels, classes)


def _alexnet(network: Network, resolution: int, channels: int, classes: int) -> list[Layer]:
    """Krizhevsky, Sutskever & Hinton 2012; Krizhevsky 2014 (one column) for the channels."""
    stem = STEMS[resolution]
    built: list[Layer] = []
    inputs, side = channels, resolution
    for i, base in enumerate(CHANNELS):
        outputs = scaled(base, network.width)
        if i == 0:
            shape = (stem.kernel, stem.stride, stem.padding)
        else:
            kernel = stem.second_kernel if i == 1 else 3
            shape = (kernel, 1, kernel // 2)
        side = _side(side, *shape)
        built.append(Convolution(inputs, outputs, *shape, network.norm != "batch", side))
        built += hidden_unit(network, outputs, spatial=True)
        if network.response_norm == "local" and i < 2:
            built.append(LocalResponseNorm())
        if i in stem.pooled:
            pool = _pool(network, stem.pool_padding)
            side = _side(side, pool.kernel, pool.stride, pool.padding)
            built.append(pool)
        inputs = outputs
    built.append(Flatten())
    inputs *= side * side
    for _ in range(2):
        inputs = _hidden_linear(built, network, inputs, scaled(stem.hidden, network.width))
    return [*built, Linear(inputs, classes, bias=True)]


def _four_layer(network: Network, resolution: int, channels: int, classes: int) -> list[Layer]:
    """Three convolutions of 5 × 5, each with a pooling, and a linear layer.

    Krizhevsky 2012 tells of its figure 1 only that the network has four layers, convolutional; the sizes are those
    of his cuda-convnet for CIFAR-10, with max pooling throughout. Larger images are taken in steps of a size/32.
    """
    built: list[Layer] = []
    inputs, side = channels, resolution
    for i, base in enumerate(FOUR_LAYER_CHANNELS):
        outputs = scaled(base, network.width)
        shape = (5, max(1, resolution // 32) if i == 0 else 1, 2)
        side = _side(side, *shape)
        built.append(Convolution(inputs, outputs, *shape, network.norm != "batch", side))
        built += hidden_unit(network, outputs, spatial=True)
        if network.response_norm == "local" and i < 2:
            built.append(LocalResponseNorm())
        pool = _pool(network, padding=1)
        side = _side(side, pool.kernel, pool.stride, pool.padding)
        built.append(pool)
        inputs = outputs
    built.append(Flatten())
    built += [Dropout(network.dropout)] if network.dropout else []
    return [*built, Linear(inputs * side * side, classes, bias=True)]


def _plain(network: Network, resolution: int, channels: int, classes: int) -> list[Layer]:
    """`depth` fully connected hidden layers of equal width, as in Glorot & Bengio 2010."""
    built: list[Layer] = [Flatten()]
    inputs = channels * resolution**2
    for _ in range(network.depth or 1):
        inputs = _hidden_linear(built, network, inputs, scaled(PLAIN_UNITS, network.width))
    return [*built, Linear(inputs, classes, bias=True)]


def _hidden_linear(built: list[Layer], network: Network, inputs: int, units: int) -> int:
    """Add a hidden fully connected layer; its units."""
    built += [Dropout(network.dropout)] if network.dropout else []
    built += [Linear(inputs, units, network.norm != "batch"), *hidden_unit(network, units, spatial=False)]
    return units


def _side(side: int, kernel: int, stride: int, padding: int) -> int:
    """The side of a map behind a window, in pixels."""
    return (side + 2 * padding - kernel) // stride + 1


def scaled(units: int, width: float) -> int:
    """A layer's units at a width, one at least."""
    return max(1, round(units * width))


def hidden_unit(network: Network, units: int, spatial: bool) -> list[Layer]:
    """What follows a hidden layer's weights: the norm, where it is batch norm, then the activation."""
    norm: list[Layer] = [BatchNorm(units, spatial)] if network.norm == "batch" else []
    return [*norm, Nonlinearity(network.activation)]


def _pool(network: Network, padding: int) -> MaxPool:
    """By 2; `padding` is that of overlapping windows."""
    if network.pooling == "plain":
        return MaxPool(kernel=2, stride=2, padding=0)
    return MaxPool(kernel=3, stride=2, padding=padding)


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
