"""Preparing: from an archive of images to uint8 arrays of one size and a card that says what they are."""

import tempfile
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from takeoff.common.errors import TakeoffError
from takeoff.common.files import room_for, sha256_of_file, write_json
from takeoff.common.machine import cores_at_hand
from takeoff.data import catalogue
from takeoff.data.archives import Archive
from takeoff.data.card import CARD, Card
from takeoff.data.decoding import ColourFoundError, decode, fit_array, map_ahead
from takeoff.data.layouts import Layout, hold_out, recognise, select
from takeoff.data.pickles import read_cifar
from takeoff.data.store import split_writer, summarise

LEAST, MOST = 4, 1024  # pixels of a side
FORMAT = 1
BATCH_IMAGES = 64  # a task for a thread: many small images or a few large ones
BATCH_BYTES = 4 << 20
DIFFERENT = "classes, training and test images: {}, {:,}, {:,}; as published: {}, {:,}, {:,}"

Images = Iterable[tuple[str, NDArray[np.uint8]]]
"""Members of a layout, each with its pixels, H×W×C."""


@dataclass(frozen=True)
class Request:
    """What to prepare: classes to keep (none: all), the part held out where there is no test split."""

    archive: Path | None
    resolution: int
    dataset: str | None = None
    sha256: str | None = None
    classes: tuple[str, ...] = ()
    test_fraction: float = 0.2
    threads: int | None = None


def prepare(request: Request, out: Path) -> Card:
    """Write train.safetensors, test.safetensors and card.json into `out`, all or nothing; returns the card.

    The same archive and request give the same bytes. Raises TakeoffError for whatever the user can put right.
    """
    if not LEAST <= request.resolution <= MOST:
        raise TakeoffError(f"resolution {request.resolution}: valid are {LEAST} to {MOST} pixels")
    if not 0 < request.test_fraction < 1:
        raise TakeoffError(f"test fraction {request.test_fraction:g}: valid is a number between 0 and 1")
    entry = catalogue.entries().get(request.dataset or "")
    if entry and entry.subset and not request.classes:
        request = replace(request, classes=entry.subset)
    origin = _origin(request)
    out.parent.mkdir(parents=True, exist_ok=True)
    with room_for(out), tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as name:
        work = Path(name)
        layout = _write_splits(request, work, out)
        card = Card(_facts(request, entry, layout, origin) | summarise(work))
        write_json(work / CARD, card)
        out.mkdir(exist_ok=True)
        # The card comes last: it vouches for the rest.
        for file in ("train.safetensors", "test.safetensors", CARD):
            (work / file).replace(out / file)
    return card


def _origin(request: Request) -> dict[str, Any]:
    """Name, checksum and size of the archive, checked against the one required; a folder has neither."""
    path = request.archive
    if path is None:
        if request.dataset != "digits":
            entry = catalogue.entry(request.dataset) if request.dataset else None
            how = entry.how_to_obtain() if entry and entry.obtain else "scripts/fetch.py gets one"
            raise TakeoffError(f"no archive: give --archive PATH; {how}")
        return {"name": "scikit-learn", "sha256": None, "bytes": None}
    if not path.exists():
        raise TakeoffError(f"{path}: no such file or folder")
    if path.is_dir():
        if request.sha256:
            raise TakeoffError(f"{path}: a folder has no sha256; leave it out, or name the archive")
        return {"name": path.resolve().name, "sha256": None, "bytes": None}
    if fault := catalogue.Sums(request.sha256).fault(path):
        raise TakeoffError(f"{path}: {fault}")
    sha256 = (request.sha256 or sha256_of_file(path)).lower()
    return {"name": path.name, "sha256": sha256, "bytes": path.stat().st_size}


def _write_splits(request: Request, work: Path, out: Path) -> Layout:
    """Write both splits into `work`, which lies on the disk of `out`; the layout of what is in them."""
    resolution = request.resolution
    layout, source = _recognised(request)
    layout = select(layout, request.classes, str(request.archive or request.dataset))
    labels = layout.labels
    places = {m: (split, i) for split, members in layout.splits.items() for i, m in enumerate(members)}

    def write(channels: int, images: Images) -> None:
        with (
            room_for(out, len(places) * resolution**2 * channels),
            split_writer(work / "train.safetensors", labels["train"], resolution, channels) as train,
            split_writer(work / "test.safetensors", labels["test"], resolution, channels) as test,
        ):
            for member, image in images:
                split, place = places[member]
                (train if split == "train" else test)(place, image)

    if isinstance(source, np.ndarray):
        write(source.shape[-1], ((m, fit_array(source[int(m)], resolution)) for m in places))
        return layout
    threads = max(1, request.threads or cores_at_hand())
    try:  # grey until an image in colour turns up, in nearly every set the first
        write(1, _decoded(source, places, resolution, 1, threads))
    except ColourFoundError:
        write(3, _decoded(source, places, resolution, 3, threads))
    return layout


def _recognised(request: Request) -> tuple[Layout, Archive | NDArray[np.uint8]]:
    """The layout, and what holds its members: an archive, or an array, in which they are numbers of images."""
    if request.archive is None:
        return _digits()
    archive = Archive(request.archive)
    return read_cifar(archive) or (recognise(archive, request.test_fraction), archive)


def _digits() -> tuple[Layout, NDArray[np.uint8]]:
    """Scikit-learn's 1,797 digits, N×8×8×1, their 17 shades stretched to 0…255; about 500 are held out."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    shades = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    whole = Layout("scikit-learn", {str(i): str(label) for i, label in enumerate(bunch.target)})
    return replace(hold_out(whole, 500 / len(shades)), notes=()), shades


def _decoded(archive: Archive, wanted: Container[str], side: int, channels: int, threads: int) -> Images:
    """The images in the archive's own order."""

    def work(batch: list[tuple[str, bytes]]) -> list[tuple[str, NDArray[np.uint8]]]:
        return [(name, decode(data, f"{archive}: {name}", side, channels)) for name, data in batch]

    return chain.from_iterable(map_ahead(work, _batches(archive.read(wanted)), threads))


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


def _facts(request: Request, entry: catalogue.Entry | None, layout: Layout, origin: dict[str, Any]) -> dict[str, Any]:
    titles = layout.titles | (entry.class_titles if entry else {})
    count = len(layout.classes)
    counts = {split: np.bincount(each, minlength=count).tolist() for split, each in layout.labels.items()}
    totals = {split: len(members) for split, members in layout.splits.items()}
    notes = list(layout.notes)
    path = request.archive
    # A folder's origin is taken on trust.
    published = entry is not None and not (path and path.is_file() and entry.sums.fault(path))
    if entry and not published:
        notes.append(f"another archive than the published {entry.title}")
    found = (count, *totals.values())
    if entry and found != (expected := (entry.classes, entry.train, entry.test)):
        notes.append(DIFFERENT.format(*found, *expected))
    return {
        "format": FORMAT,
        "dataset": request.dataset or origin["name"].partition(".")[0],
        "title": entry.title if entry else None,
        "layout": layout.name,
        "classes": list(layout.classes),
        "class_titles": [titles.get(name, name) for name in layout.classes],
        "images": totals,
        "images_per_class": counts,
        "resolution": request.resolution,
        "archive": origin,
        "addresses": list(entry.addresses) if entry and published else [],
        "licence": entry.licence if entry else None,
        "citation": entry.citation if entry else None,
        "notes": notes,
    }
