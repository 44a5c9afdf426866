"""CIFAR-10's and CIFAR-100's official Python pickles, read without running what a pickle may carry."""

import io
import pickle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from takeoff.common.errors import TakeoffError
from takeoff.data.archives import Archive, root_of
from takeoff.data.kinds import escaped
from takeoff.data.layouts import Layout

SIDE = 32  # pixels
VARIANTS = {
    "cifar10": ("label_names", "labels", ["batches.meta", *(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]),
    "cifar100": ("fine_label_names", "fine_labels", ["meta", "train", "test"]),
}
"""By the name in the catalogue: the meta file's key of them, a batch's key of the labels, the meta file, and the
batches, the test's last."""
ARRAYS = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
}
"""The names that stand in pickled arrays; numpy 1 wrote `numpy.core` for `numpy._core`."""


def read_cifar(archive: Archive, wanted: str | None = None) -> tuple[Layout, NDArray[np.uint8]] | None:
    """The layout, whose members are the numbers of images as text and whose classes have the meta file's order; and
    all images, N×32×32×3. None where neither meta file stands beside its first batch.

    `wanted` is cifar10 or cifar100, where it is known which of both it should be. Raises TakeoffError where it is the
    other one, or, not knowing, where there are both.
    """
    roots = {name: root_of(archive.files, *files[:2]) for name, (_, _, files) in VARIANTS.items()}
    there = {name: root for name, root in roots.items() if root is not None}
    if not there:
        return None
    if wanted and wanted not in there:
        raise TakeoffError(f"{archive}: holds the pickles of {min(there)}, not of {wanted}")
    if not wanted and len(there) > 1:
        folders = " or ".join(f"{archive}/{root}".rstrip("/") for root in there.values())
        raise TakeoffError(
            f"{archive}: holds the pickles of {' and of '.join(there)}; valid: one of these names, or one of "
            f"both folders, {folders}"
        )
    variant = wanted or min(there)
    return _read(archive, there[variant], *VARIANTS[variant])


def _read(
    archive: Archive, root: str, names_key: str, labels_key: str, names: list[str]
) -> tuple[Layout, NDArray[np.uint8]]:
    meta, *batches = (root + name for name in names)
    data = dict(archive.read({meta, *batches}))
    if missing := [name for name in batches if name not in data]:
        raise TakeoffError(f"{archive}: {missing[0]} is missing among the CIFAR pickles")
    found = load(data[meta], f"{archive}: {meta}").get(names_key)
    if not isinstance(found, list) or len(found) < 2:
        raise TakeoffError(f"{archive}: {meta}: its key {names_key!r} should list the classes")
    classes = tuple(_text(name) for name in found)
    if not all(isinstance(name, str) for name in classes):
        raise TakeoffError(f"{archive}: {meta}: its key {names_key!r} lists what is no text; valid: the classes' names")
    parts = [_batch(data.pop(name), f"{archive}: {name}", labels_key, len(classes)) for name in batches]
    labels = [label for _, part in parts for label in part]
    members = [(str(number), classes[label]) for number, label in enumerate(labels)]
    trained = len(members) - len(parts[-1][1])
    layout = Layout("CIFAR pickles", dict(members[:trained]), dict(members[trained:]), order=classes)
    return layout, np.concatenate([images for images, _ in parts])


class _ArraysOnly(pickle.Unpickler):
    """Builds numbers, strings, lists, dictionaries and numpy arrays; refuses every other name."""

    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy.core", "numpy._core")
        if (module, name) == ("_codecs", "encode"):
            return _encode
        if (module, name) not in ARRAYS:
            raise pickle.UnpicklingError(
                f"refused: it names {escaped(f'{module}.{name}')[:100]}, which no batch of images needs"
            )
        return super().find_class(module, name)


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """What Python 3 writes for bytes in the old protocols; no other codec is let through."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"it needs the codec {encoding!r}")
    return text.encode("latin1")


def load(data: bytes, name: str) -> dict[str, Any]:
    """The dictionary pickled in `data`; TakeoffError naming the file `name` if it is none or carries more."""
    try:
        # latin1 reads Python 2's strings, keys and numpy's raw bytes alike.
        value = _ArraysOnly(io.BytesIO(data), encoding="latin1").load()
        return {_text(key): entry for key, entry in value.items()}
    except Exception as error:  # a broken pickle raises nearly anything, and so does another kind of value
        raise TakeoffError(f"{name}: no CIFAR pickle ({escaped(str(error))[:200]})") from error


def _text(value: Any) -> Any:
    return value.decode("latin1") if isinstance(value, bytes) else value


def _batch(data: bytes, name: str, key: str, classes: int) -> tuple[NDArray[np.uint8], list[int]]:
    """Images (N×32×32×3 uint8) and N labels of one batch, which stores channel after channel."""
    batch = load(data, name)
    rows, labels = batch.get("data"), batch.get(key)
    if not (
        isinstance(rows, np.ndarray)
        and (rows.dtype, rows.shape[1:]) == (np.uint8, (3 * SIDE * SIDE,))
        and isinstance(labels, list)
        and len(labels) == len(rows)
        and all(isinstance(label, int | np.integer) and 0 <= label < classes for label in labels)
    ):
        raise TakeoffError(
            f"{name}: valid: in 'data' a uint8 array of {3 * SIDE * SIDE} columns, in {key!r} a whole number from 0 to "
            f"{classes - 1} for each of its rows"
        )
    return rows.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1), labels
