"""The prepared images on disk: train and test.safetensors, written in pieces, read in place."""

import hashlib
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from takeoff.errors import TakeoffError

SPLITS = ("train", "test")
CHUNK = 1 << 22  # bytes


class SplitWriter:
    """A safetensors file whose images arrive in any order, so that ImageNet never stands in memory.

    The format is public: the header's length as 8 little-endian bytes, a JSON header, the raw tensors
    (https://github.com/huggingface/safetensors). The library itself writes only what is whole in memory.
    """

    def __init__(self, path: Path, labels: NDArray[np.int64], resolution: int, channels: int) -> None:
        """Store the labels (N int64) and make room for N images of uint8, resolution×resolution×channels."""
        shape = (len(labels), resolution, resolution, channels)
        self._image_bytes = resolution * resolution * channels
        stop = labels.nbytes + len(labels) * self._image_bytes
        header = json.dumps(
            {
                "labels": {"dtype": "I64", "shape": [len(labels)], "data_offsets": [0, labels.nbytes]},
                "images": {"dtype": "U8", "shape": list(shape), "data_offsets": [labels.nbytes, stop]},
            },
            separators=(",", ":"),
        ).encode()
        header += b" " * (-len(header) % 8)  # so that the labels are aligned
        self._file = path.open("wb")
        self._file.write(struct.pack("<Q", len(header)) + header + labels.astype("<i8").tobytes())
        self._start = self._file.tell()
        self._file.truncate(8 + len(header) + stop)

    def put(self, position: int, images: NDArray[np.uint8]) -> None:
        """Store consecutive images (N×H×W×C, or one as H×W×C) from `position` on."""
        self._file.seek(self._start + position * self._image_bytes)
        self._file.write(np.ascontiguousarray(images).data)

    def close(self) -> None:
        """Write out what is left."""
        self._file.close()


def load_split(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (N×H×W×C uint8) and labels (N int64) of a prepared file; images stay on disk until touched.

    Writing to the arrays changes memory only. Raises TakeoffError for a file that is missing or damaged.
    """
    start, shape = _tensors(path)
    labels = np.fromfile(path, "<i8", shape[0], offset=start)
    images = np.memmap(path, np.uint8, "c", start + labels.nbytes, shape)
    return images, labels


def _tensors(path: Path) -> tuple[int, tuple[int, int, int, int]]:
    """Where the tensors start, and the images' shape; the library checks header against length."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            shape = tuple(file.get_slice("images").get_shape())
            count = file.get_slice("labels").get_shape()[0]
        with path.open("rb") as raw:
            length = struct.unpack("<Q", raw.read(8))[0]
            header = json.loads(raw.read(length))
        if list(header) != ["labels", "images"] or len(shape) != 4 or count != shape[0]:
            raise ValueError("not written by scripts/prepare.py")
    except FileNotFoundError as error:
        raise TakeoffError(f"{path}: no such file; scripts/prepare.py writes it") from error
    except (SafetensorError, ValueError) as error:
        raise TakeoffError(f"{path}: damaged ({error}); prepare the data again") from error
    return 8 + length, shape


def summarise(folder: Path) -> dict[str, Any]:
    """The digest of both splits, and the training images' channels, mean and standard deviation in [0, 1].

    `digest` is the SHA-256 over the bytes of train images, train labels, test images, test labels. Mean and
    deviation come from a histogram of the 256 values, so they are exact whatever the order.
    """
    digest = hashlib.sha256()
    for split in SPLITS:
        path = folder / f"{split}.safetensors"
        start, shape = _tensors(path)
        histogram = np.zeros((shape[-1], 256), np.int64)
        for pixels in _chunks(path, start + 8 * shape[0], shape[-1]):
            digest.update(pixels.data)
            for channel in range(shape[-1]):
                histogram[channel] += np.bincount(pixels[:, channel], minlength=256)
        digest.update(np.fromfile(path, "<i8", shape[0], offset=start).data)
        if split == "train":
            values = np.arange(256) / 255
            weights = histogram / histogram.sum(axis=1, keepdims=True)
            mean = weights @ values
            std = np.sqrt((weights * (values - mean[:, None]) ** 2).sum(axis=1))
    return {"channels": len(mean), "mean": mean.tolist(), "std": std.tolist(), "digest": digest.hexdigest()}


def _chunks(path: Path, start: int, channels: int) -> Iterator[NDArray[np.uint8]]:
    """The images' pixels, M×C at a time, in order."""
    with path.open("rb") as file:
        file.seek(start)
        while data := file.read(CHUNK // channels * channels):
            yield np.frombuffer(data, np.uint8).reshape(-1, channels)
