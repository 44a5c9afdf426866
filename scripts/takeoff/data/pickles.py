"""CIFAR-10's and CIFAR-100's official Python pickles, read without running what a pickle may carry."""

import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from takeoff.errors import TakeoffError

SIDE = 32  # pixels


@dataclass(frozen=True)
class Variant:
    """Which files and keys one of the two datasets has."""

    meta: str
    names_key: str
    labels_key: str
    train: tuple[str, ...]
    test: tuple[str, ...]


VARIANTS = (
    Variant(
        "batches.meta",
        "label_names",
        "labels",
        tuple(f"data_batch_{i}" for i in range(1, 6)),
        ("test_batch",),
    ),
    Variant("meta", "fine_label_names", "fine_labels", ("train",), ("test",)),
)


def find_variant(files: dict[str, int]) -> tuple[Variant, str] | None:
    """Which of the two lies among `files`, and the folder it lies in ("" or "folder/"); None if neither."""
    for variant in VARIANTS:
        for name in files:
            folder, base = name.rpartition("/")[0], name.rpartition("/")[2]
            prefix = folder + "/" if folder else ""
            if base == variant.meta and prefix + variant.train[0] in files:
                return variant, prefix
    return None


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """What Python 3 writes for bytes in the old protocols; no other codec is let through."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"it asks for the codec {encoding!r}")
    return text.encode("latin1")


def _allowed() -> dict[tuple[str, str], Callable]:
    from numpy._core import multiarray, numeric  # private, but these names stand in every pickled array

    names: dict[tuple[str, str], Callable] = {("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype}
    for core in ("numpy.core", "numpy._core"):  # numpy 1 and 2 write different names
        names[f"{core}.multiarray", "_reconstruct"] = multiarray._reconstruct
        names[f"{core}.multiarray", "scalar"] = multiarray.scalar
        names[f"{core}.numeric", "_frombuffer"] = numeric._frombuffer  # type: ignore[attr-defined]
    names["_codecs", "encode"] = _encode
    return names


class _ArraysOnly(pickle.Unpickler):
    """Builds numbers, strings, lists, dictionaries and numpy arrays; refuses every other name."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = _allowed()
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(
                f"refused: it names {module}.{name}, which a batch of images never needs"
            )
        return allowed[module, name]


def load(data: bytes, name: str) -> dict[str, Any]:
    """The dictionary pickled in `data`; TakeoffError naming the file `name` if it is none or carries more."""
    try:
        # latin1 reads Python 2's strings, keys and numpy's raw bytes alike.
        value = _ArraysOnly(io.BytesIO(data), encoding="latin1").load()
    except Exception as error:  # a broken pickle raises nearly anything
        raise TakeoffError(f"{name}: no CIFAR pickle ({error})") from error
    if not isinstance(value, dict):
        raise TakeoffError(f"{name}: no CIFAR pickle (a {type(value).__name__}, not a dictionary)")
    return {key.decode("latin1") if isinstance(key, bytes) else key: entry for key, entry in value.items()}


def class_names(variant: Variant, data: bytes, name: str) -> tuple[str, ...]:
    """The classes in label order, from the meta file's bytes."""
    names = load(data, name).get(variant.names_key)
    if not isinstance(names, list) or len(names) < 2:
        raise TakeoffError(
            f"{name}: no CIFAR meta file (its key {variant.names_key!r} should list the classes)"
        )
    return tuple(n.decode("latin1") if isinstance(n, bytes) else str(n) for n in names)


def read_batch(
    variant: Variant, data: bytes, name: str, classes: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (N×32×32×3 uint8) and labels (N int64) of one batch, which stores channel after channel."""
    batch = load(data, name)
    rows, labels = batch.get("data"), batch.get(variant.labels_key)
    if not isinstance(rows, np.ndarray) or rows.dtype != np.uint8 or rows.shape[1:] != (3 * SIDE * SIDE,):
        raise TakeoffError(f"{name}: its key 'data' should hold a uint8 array of {3 * SIDE * SIDE} columns")
    if not isinstance(labels, list) or len(labels) != len(rows):
        raise TakeoffError(
            f"{name}: its key {variant.labels_key!r} should list a label for each of {len(rows)} images"
        )
    if not all(isinstance(label, int | np.integer) and 0 <= label < classes for label in labels):
        raise TakeoffError(f"{name}: labels should be whole numbers from 0 to {classes - 1}")
    return rows.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1), np.asarray(labels, np.int64)
