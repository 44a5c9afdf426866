"""What an archive holds, whatever its layout: labels, and the images in blocks with their places."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from takeoff.data import layouts, pickles
from takeoff.data.archives import read_members
from takeoff.data.decoding import decode, fit_arrays, map_ahead
from takeoff.errors import TakeoffError

BATCH_IMAGES = 64  # a task for a thread: many small images or a few large ones
BATCH_BYTES = 4 << 20


@dataclass(frozen=True)
class Contents:
    """What a source holds: labels (N int64) per split, in the order in which the images are stored."""

    layout: str
    classes: tuple[str, ...]
    labels: dict[str, NDArray[np.int64]]
    titles: dict[str, str]
    notes: tuple[str, ...]


Blocks = Iterable[tuple[str, int, NDArray[np.uint8]]]  # split, first position, N×H×W×C


def contents_of(layout: layouts.Layout) -> Contents:
    """Classes and labels of an archive of image files, in the order of its members."""
    number = {name: label for label, name in enumerate(layout.classes)}
    labels = {
        split: np.array([number[name] for name in members.values()], np.int64)
        for split, members in (("train", layout.train), ("test", layout.test))
    }
    return Contents(layout.name, layout.classes, labels, layout.titles, layout.notes)


def decoded(path: Path, layout: layouts.Layout, resolution: int, channels: int, threads: int) -> Blocks:
    """The images with their places (sorted by name), in the archive's own order."""
    places = {
        member: (split, position)
        for split, members in (("train", layout.train), ("test", layout.test))
        for position, member in enumerate(members)
    }

    def work(batch: list[tuple[str, bytes]]) -> list[tuple[str, NDArray[np.uint8]]]:
        return [(name, decode(data, f"{path}: {name}", resolution, channels)) for name, data in batch]

    for batch in map_ahead(work, _batches(read_members(path, places)), threads):
        for name, image in batch:
            yield *places[name], image


def _batches(members: Iterable[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    batch, size = [], 0
    for name, data in members:
        batch.append((name, data))
        size += len(data)
        if len(batch) == BATCH_IMAGES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def cifar(
    path: Path, variant: pickles.Variant, folder: str, wanted: tuple[str, ...], resolution: int
) -> tuple[Contents, Blocks]:
    """CIFAR's pickles: classes in the meta file's order, images in the batches' own."""
    names = [folder + base for base in (variant.meta, *variant.train, *variant.test)]
    data = dict(read_members(path, set(names)))
    missing = [name for name in names if name not in data]
    if missing:
        raise TakeoffError(f"{path}: {missing[0]} is missing among the CIFAR pickles")
    classes = pickles.class_names(variant, data[names[0]], f"{path}: {names[0]}")
    kept = layouts.select(classes, wanted, str(path))
    renumber = np.array([kept.index(name) if name in kept else -1 for name in classes])
    images, labels = {}, {}
    for split, bases in (("train", variant.train), ("test", variant.test)):
        read = (
            pickles.read_batch(variant, data.pop(folder + b), f"{path}: {folder + b}", len(classes))
            for b in bases
        )
        parts = [(pixels, renumber[numbers]) for pixels, numbers in read]
        images[split] = [pixels[numbers >= 0] for pixels, numbers in parts]
        labels[split] = np.concatenate([numbers[numbers >= 0] for _, numbers in parts])
        absent = set(range(len(kept))) - set(labels[split].tolist())
        if absent:
            raise TakeoffError(f"{path}: no {split} images of the class {kept[min(absent)]}")
    return Contents("CIFAR pickles", kept, labels, {}, ()), _placed(images, resolution)


def _placed(images: dict[str, list[NDArray[np.uint8]]], resolution: int) -> Blocks:
    for split, parts in images.items():
        position = 0
        for part in parts:
            yield split, position, fit_arrays(part, resolution)
            position += len(part)


def digits(resolution: int, wanted: Iterable[str] = ()) -> tuple[Contents, Blocks]:
    """Scikit-learn's 1,797 digits of 8×8 pixels, their 17 shades stretched to 0…255; about 500 held out."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    shades = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    whole = layouts.Layout("scikit-learn", {str(i): str(label) for i, label in enumerate(bunch.target)}, {})
    layout = layouts.hold_out(whole, 500 / len(shades))
    kept = set(layouts.select(layout.classes, wanted, "digits"))
    layout = layouts.Layout(
        layout.name,
        {member: label for member, label in layout.train.items() if label in kept},
        {member: label for member, label in layout.test.items() if label in kept},
    )
    layouts.check_classes(layout, "digits")
    images = {
        "train": [shades[[int(i) for i in layout.train]]],
        "test": [shades[[int(i) for i in layout.test]]],
    }
    return contents_of(layout), _placed(images, resolution)
