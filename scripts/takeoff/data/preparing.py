"""Preparing: from an archive of images to uint8 arrays of one size and a card that says what they are."""

import tempfile
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from takeoff.common.errors import TakeoffError
from takeoff.common.files import room_for, sha256_of_file
from takeoff.common.machine import cores_at_hand
from takeoff.data import catalogue
from takeoff.data.archives import Archive, check_there
from takeoff.data.bundled import bundled
from takeoff.data.card import CARD, Card, save_card
from takeoff.data.decoding import ColourFoundError, decode, fit_array, map_ahead
from takeoff.data.kinds import escaped
from takeoff.data.layouts import Layout, select
from takeoff.data.pickles import read_cifar
from takeoff.data.recognising import recognise
from takeoff.data.store import split_writer, summarise

LEAST, MOST = 4, 1024  # pixels of a side
FORMAT = 1
FILES = ("train.safetensors", "test.safetensors", CARD)
BATCH_IMAGES = 64  # a task for a thread: many small images or a few large ones
BATCH_BYTES = 4 << 20
NAMED = 10
"""Damaged files that a message names; it counts the others."""
NO_IMAGE = "no image by its name or its first bytes"

Images = Iterable[tuple[str, NDArray[np.uint8] | TakeoffError]]
"""Members of a layout, each with its pixels, H×W×C, or with what is wrong with it."""
Source = Archive | NDArray[np.uint8]
"""What holds the members of a layout: an array, where they are numbers of images."""


@dataclass(frozen=True)
class Request:
    """What to prepare: classes to keep (none: all), the part held out where there is no test split, whether damaged
    files are left out.
    """

    archive: Path | None
    resolution: int
    dataset: str | None = None
    sha256: str | None = None
    classes: tuple[str, ...] = ()
    test_fraction: float = 0.2
    threads: int | None = None
    leave_out_damaged: bool = False


def prepare(request: Request, out: Path) -> Card:
    """Write train.safetensors, test.safetensors and card.json into `out`, all or nothing; returns the card.

    The same archive and request give the same bytes. Raises TakeoffError for whatever the user can put right: also for
    an archive that goes by a name of the catalogue, and holds other classes, or other numbers of images.
    """
    if not LEAST <= request.resolution <= MOST:
        raise TakeoffError(f"resolution {request.resolution}: valid are {LEAST} to {MOST} pixels")
    if not 0 < request.test_fraction < 1:
        raise TakeoffError(f"test fraction {request.test_fraction:g}: valid is a number between 0 and 1")
    entry = catalogue.entries().get(request.dataset or "")
    _check_out(out, request.archive)
    origin = _origin(request)
    layout, source, left_out = _chosen(request, entry)  # before there is a file that a sudden end would leave
    out.parent.mkdir(parents=True, exist_ok=True)
    with room_for(out), tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as name:
        work = Path(name)
        layout, left_out = _write_splits(request, layout, source, left_out, work, out)
        card = Card(_facts(request, entry, layout, left_out, origin) | summarise(work))
        save_card(work / CARD, card)
        out.mkdir(exist_ok=True)
        # The card comes last: it vouches for the rest.
        for file in FILES:
            (work / file).replace(out / file)
    return card


def _check_out(out: Path, archive: Path | None) -> None:
    """Raise TakeoffError where the files cannot go into `out`, or would lie among the images."""
    if archive and archive.is_dir() and out.resolve().is_relative_to(archive.resolve()):
        raise TakeoffError(f"{out}: lies in {archive}, the folder of images; valid: a folder outside it")
    for place in (out, *out.parents):
        if place.exists() and not place.is_dir():
            raise TakeoffError(f"{out}: {place} is a file; valid: a folder")
    for name in FILES:
        if (out / name).is_dir():
            raise TakeoffError(f"{out / name}: is a folder; valid: another folder for the files")


def _origin(request: Request) -> dict[str, Any]:
    """Name, checksum and size of the archive, checked against the one required; a folder has neither."""
    path = request.archive
    if path is None:
        entry = catalogue.entry(request.dataset) if request.dataset else None
        if entry is None or not entry.package:
            how = entry.how_to_obtain() if entry and entry.obtain else "scripts/fetch.py gets one"
            raise TakeoffError(f"no archive: give --archive PATH; {how}")
        if request.sha256:
            raise TakeoffError(f"{entry.name} comes with {entry.package}: no archive has that sha256; leave it out")
        return {"name": entry.package, "sha256": None, "bytes": None}
    check_there(path)
    if path.is_dir():
        if request.sha256:
            raise TakeoffError(f"{path}: a folder has no sha256; leave it out, or name the archive")
        return {"name": path.resolve().name, "sha256": None, "bytes": None}
    if fault := catalogue.Sums(request.sha256).fault(path):
        raise TakeoffError(f"{path}: {fault}")
    sha256 = (request.sha256 or sha256_of_file(path)).lower()
    return {"name": path.name, "sha256": sha256, "bytes": path.stat().st_size}


def _chosen(request: Request, entry: catalogue.Entry | None) -> tuple[Layout, Source, list[str]]:
    """The layout of what is to be prepared, what holds its members, and the files among them that are left out."""
    layout, source = _recognised(request, entry)
    archive = _name(request)
    _refuse(dict.fromkeys(layout.strays, NO_IMAGE), request)
    if entry:
        layout = _published(layout, entry, archive)
    return select(layout, request.classes, archive), source, [*layout.strays]


def _write_splits(
    request: Request, layout: Layout, source: Source, left_out: list[str], work: Path, out: Path
) -> tuple[Layout, list[str]]:
    """Write both splits into `work`, which lies on the disk of `out`; the layout of what is in them, and all files that
    were left out.
    """
    if isinstance(source, np.ndarray):
        pixels = ((m, fit_array(source[int(m)], request.resolution)) for m in chain(layout.train, layout.test))
        _write(layout, request.resolution, source.shape[-1], pixels, work, out)
        return layout, left_out
    if found := _decode_all(request, layout, source, work, out):
        _refuse(found, request)
        layout = select(layout.without(found), (), _name(request))
        _decode_all(request, layout, source, work, out)
    return layout, sorted([*left_out, *found])


def _name(request: Request) -> str:
    return str(request.archive or request.dataset)


def _published(layout: Layout, entry: catalogue.Entry, archive: str) -> Layout:
    """The entry's own part of what an archive holds; TakeoffError where it is not what the catalogue says."""
    valid = "valid: a whole copy of it, or, for images of your own, another name of the dataset"
    if entry.subset:
        layout = select(layout, entry.subset, archive)
    titled = set(entry.class_titles)
    if titled and (other := sorted(set(layout.classes) - titled)):
        raise TakeoffError(f"{archive}: {entry.title} has no class {escaped(other[0])}; {valid}")
    published = (entry.classes, entry.train, entry.test)
    if layout.counts != published:
        words = "{:,} classes, {:,} training and {:,} test images"
        notes = "".join(f"; {note}" for note in layout.notes)
        raise TakeoffError(
            f"{archive}: not {entry.title}: it holds {words.format(*layout.counts)}{notes}; as published there are "
            f"{words.format(*published)}; {valid}"
        )
    return layout


def _refuse(faults: dict[str, str], request: Request) -> None:
    """Raise TakeoffError for damaged files unless they are to be left out."""
    if not faults or request.leave_out_damaged:
        return
    same = groupby(sorted(faults.items())[:NAMED], key=lambda item: item[1])
    named = "; ".join(f"{', '.join(escaped(name) for name, _ in each)}: {fault}" for fault, each in same)
    more = f"; and {len(faults) - NAMED:,} files more" * (len(faults) > NAMED)
    count = f"{len(faults):,} files are damaged or no images: " * (len(faults) > 1)
    valid = "whole images, or leave_out_damaged=true after --config (--leave-out-damaged of prepare.py)"
    raise TakeoffError(f"{_name(request)}: {count}{named}{more}; valid: {valid}")


def _decode_all(request: Request, layout: Layout, archive: Archive, work: Path, out: Path) -> dict[str, str]:
    """Decode and write every image; what is wrong with those that are damaged, by their names."""
    resolution, threads = request.resolution, max(1, request.threads or cores_at_hand())
    wanted = {*layout.train, *layout.test}
    try:  # grey until an image in colour turns up, in nearly every set the first
        return _write(layout, resolution, 1, _decoded(archive, wanted, resolution, 1, threads), work, out)
    except ColourFoundError:
        return _write(layout, resolution, 3, _decoded(archive, wanted, resolution, 3, threads), work, out)


def _write(layout: Layout, resolution: int, channels: int, images: Images, work: Path, out: Path) -> dict[str, str]:
    """Put images at their places in both files; what is wrong with those that have no pixels, by their names."""
    places = {m: (split, i) for split, members in layout.splits.items() for i, m in enumerate(members)}
    labels, faults = layout.labels, dict[str, str]()
    with (
        room_for(out, len(places) * resolution**2 * channels),
        split_writer(work / "train.safetensors", labels["train"], resolution, channels) as train,
        split_writer(work / "test.safetensors", labels["test"], resolution, channels) as test,
    ):
        for member, image in images:
            split, place = places[member]
            if isinstance(image, TakeoffError):
                faults[member] = str(image)
            else:
                (train if split == "train" else test)(place, image)
    return faults


def _recognised(request: Request, entry: catalogue.Entry | None) -> tuple[Layout, Source]:
    """The layout of all there is, and what holds its members."""
    if request.archive is None:
        assert entry  # or there would be no origin
        return bundled(entry)
    archive = Archive(request.archive)
    pickled = entry.name if entry and entry.layout == "CIFAR pickles" else None
    return read_cifar(archive, pickled) or (recognise(archive, request.test_fraction), archive)


def _decoded(archive: Archive, wanted: Container[str], side: int, channels: int, threads: int) -> Images:
    """The images in the archive's own order."""

    def one(name: str, data: bytes) -> NDArray[np.uint8] | TakeoffError:
        try:
            return decode(data, name, side, channels)
        except TakeoffError as fault:
            return TakeoffError(str(fault).removeprefix(f"{name}: "))

    def work(batch: list[tuple[str, bytes]]) -> list[tuple[str, NDArray[np.uint8] | TakeoffError]]:
        return [(name, one(name, data)) for name, data in batch]

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


def _facts(
    request: Request, entry: catalogue.Entry | None, layout: Layout, left_out: list[str], origin: dict[str, Any]
) -> dict[str, Any]:
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
    if left_out:
        named = ", ".join(map(escaped, left_out[:NAMED])) + (" …" if len(left_out) > NAMED else "")
        notes.append(f"{len(left_out):,} damaged files were left out: {named}")
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
        "left_out": len(left_out),
    }
