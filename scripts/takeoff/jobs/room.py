"""How much of a device's memory a run of a network needs beside the images, estimated from its layers."""

from collections.abc import Iterator

from takeoff.engine import architecture
from takeoff.engine.architecture import Convolution, Dropout, Layer, Linear, LocalResponseNorm, MaxPool, Nonlinearity
from takeoff.engine.evaluation import BATCH
from takeoff.study.arms import Arm

NUMBER, INDEX = 4, 8
"""Bytes of a float32, and of torch's indices."""
COPIES = 6
"""Of the weights: themselves, their momenta, their gradients as they come and as they lie beside the weights, in
bfloat16 both once more, and those of the best epoch."""
DRAWN = 6
"""Indices for each image of an epoch: its order as it is drawn, cut and kept, its crop, its flip and its colour."""
RESPONSE_NORM = 8
"""Maps that local response normalisation works on at once."""


def needed_by(arm: Arm, shape: tuple[int, int, int], images: int, kind: str) -> int:
    """Bytes that one run of an arm takes, about and not less, on a device of a kind (`cpu`, `cuda`), with so many
    training images of a side, channels and classes: those of the weights, of an epoch's order and crops, and of a step
    or of a score, whichever takes more.

    A step keeps the maps of its batch for the way back, where it works on one layer's maps and their gradients. A score
    has more images at a time, and the maps of one layer. All numbers count as float32: ways of training are compared in
    it, and bfloat16 takes less. What libraries take for their own work is left out, as is a second run at a time.
    """
    side, channels, _ = shape
    layers = architecture.layers(arm.network, *shape)
    maps = list(_maps(layers, side, channels))
    kept = sum(_kept(layer, behind) for layer, _, behind in maps)
    worked_on = NUMBER * max(before + _made(layer, behind) for layer, before, behind in maps)
    # Pixels as bytes and as numbers; those of a step also with a frame, by their places there.
    scored, stepped = side**2 * channels * (1 + NUMBER), side**2 * (2 * channels * NUMBER + 2 * INDEX)
    step = arm.recipe.batch_size * (stepped + NUMBER * kept + worked_on)
    score = BATCH[kind] * (scored + worked_on)
    drawn = DRAWN * INDEX * max(images, arm.recipe.epoch_images or 0)
    return COPIES * NUMBER * architecture.parameters(layers) + drawn + max(step, score)


def _maps(layers: list[Layer], side: int, channels: int) -> Iterator[tuple[Layer, int, int]]:
    """Each layer with the numbers of an image that go in and that come out."""
    before = channels * side**2
    for layer in layers:
        behind = before
        match layer:
            case Convolution():
                side, channels = layer.side, layer.outputs
                behind = channels * side**2
            case MaxPool():
                side = (side + 2 * layer.padding - layer.kernel) // layer.stride + 1
                behind = channels * side**2
            case Linear():
                behind = layer.outputs
        yield layer, before, behind
        before = behind


def _kept(layer: Layer, behind: int) -> int:
    """Numbers of an image that a layer keeps for the way back."""
    match layer:
        case Nonlinearity("relu"):  # works in place
            return 0
        case MaxPool():
            return behind * (1 + INDEX // NUMBER)
        case Dropout():  # the mask
            return 2 * behind
        case LocalResponseNorm():
            return 3 * behind
    return behind


def _made(layer: Layer, behind: int) -> int:
    """Numbers of an image that a layer works on beside what goes in; the way back has as many."""
    match layer:
        case MaxPool():
            return behind * (1 + INDEX // NUMBER)
        case LocalResponseNorm():
            return RESPONSE_NORM * behind
    return behind
