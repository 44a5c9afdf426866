"""The prepared images on disk: train and test.safetensors, written in pieces, read in place."""

import hashlib
import json
import math
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from takeoff.common.errors import TakeoffError
from takeoff.data.card import SPLITS

CHUNK = 1 << 20  # pixels
Put = Callable[[int, NDArray[np.uint8]], None]


def _header(shape: Sequence[int]) -> bytes:
    """What a safetensors file of N labels and of images N×H×W×C begins with: the JSON header's length as 8
    little-endian bytes, and the header; behind it are the raw tensors (https://github.com/huggingface/safetensors).
    """
    count = shape[0]
    stop = 8 * count + math.prod(shape)
    tensors = {
        "labels": {"dtype": "I64", "shape": [count], "data_offsets": [0, 8 * count]},
        "images": {"dtype": "U8", "shape": list(shape), "data_offsets": [8 * count, stop]},
    }
    text = json.dumps(tensors, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the labels are aligned
    return struct.pack("<Q", len(text)) + text


@contextmanager
def split_writer(path: Path, labels: NDArray[np.int64], resolution: int, channels: int) -> Iterator[Put]:
    """What puts images, H×W×C uint8, at their places in a file of N labels, in any order.

    So ImageNet never stands in memory; the library itself writes only what is whole there.
    """
    size = resolution * resolution * channels
    with path.open("wb") as file:
        file.write(_header((len(labels), resolution, resolution, channels)))
        file.write(labels.astype("<i8").tobytes())
        start = file.tell()
        file.truncate(start + len(labels) * size)

        def put(place: int, image: NDArray[np.uint8]) -> None:
            file.seek(start + place * size)
            file.write(image.tobytes())

        yield put


def load_split(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (N×H×W×C uint8) and labels (N int64) of a prepared file; images stay on disk until touched.

    Writing to the arrays changes memory only. Raises TakeoffError for a file that is missing or damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as tensors:  # which holds the header against the file's length
            shape = tensors.get_slice("images").get_shape()
        header = _header(shape)
        with path.open("rb") as file:
            if file.read(len(header)) != header:
                raise ValueError("not written by scripts/prepare.py")
    except FileNotFoundError as error:
        raise TakeoffError(f"{path}: no such file; scripts/prepare.py writes it") from error
    except (SafetensorError, ValueError) as error:
        raise TakeoffError(f"{path}: damaged ({error}); prepare the data again") from error
    labels = np.fromfile(path, "<i8", shape[0], offset=len(header))
    return np.memmap(path, np.uint8, "c", len(header) + labels.nbytes, tuple(shape)), labels


def digest_of_images(folder: Path) -> str:
    """The `digest` that `summarise` gives, without the rest."""
    digest = hashlib.sha256()
    for split in SPLITS:
        images, labels = load_split(folder / f"{split}.safetensors")
        digest.update(images.reshape(-1).data)
        digest.update(labels.data)
    return digest.hexdigest()


def summarise(folder: Path) -> dict[str, Any]:
    """The digest of both splits, and the training images' channels, mean and standard deviation in [0, 1], and the
    principal components of their colours (see `principal_components`).

    `digest` is the SHA-256 over the bytes of train images, train labels, test images, test labels. Mean and
    deviation come from a histogram of the 256 values, covariances from sums of products of whole numbers: they are
    exact whatever the order.
    """
    digest = hashlib.sha256()
    for split in SPLITS:
        images, labels = load_split(folder / f"{split}.safetensors")
        pixels = images.reshape(-1, images.shape[-1])
        histogram, products = np.zeros((pixels.shape[1], 256), np.int64), np.zeros(2 * pixels.shape[1:], np.int64)
        for start in range(0, len(pixels), CHUNK):
            part = pixels[start : start + CHUNK]
            digest.update(part.data)
            histogram += [np.bincount(values, minlength=256) for values in part.T]
            if split == "train":
                wide = part.astype(np.float64)
                products += (wide.T @ wide).astype(np.int64)
        digest.update(labels.data)
        if split == "train":
            values = np.arange(256) / 255
            weights = histogram / histogram.sum(axis=1, keepdims=True)
            mean = weights @ values
            std = np.sqrt((weights * (values - mean[:, None]) ** 2).sum(axis=1))
            colours = principal_components(products / len(pixels) / 255**2 - np.outer(mean, mean))
    statistics = {"mean": mean.tolist(), "std": std.tolist(), "colours": colours.tolist()}
    return {"channels": len(mean), **statistics, "digest": digest.hexdigest()}


def principal_components(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """The principal components of colours with this covariance, C × C: a column each, scaled by its standard deviation.

    Krizhevsky 2012 (section 4.1) adds p·αλ with λ the eigenvalues of the covariance, of pixels from 0 to 255; in units
    of the root, as everywhere since, the shift is α standard deviations along each component. The greatest number of a
    component is above zero, so that every machine has the same.
    """
    variances, components = np.linalg.eigh(covariance)
    greatest = np.take_along_axis(components, abs(components).argmax(axis=0)[None], axis=0)
    scaled: NDArray[np.float64] = components * np.sign(greatest) * np.sqrt(variances.clip(0))
    return scaled
