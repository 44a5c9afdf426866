"""Preparing: from an archive of images to uint8 arrays of one size and a card that says what they are."""

import errno
import hashlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from takeoff.data import catalogue, layouts, pickles, sources
from takeoff.data.archives import list_members, read_members
from takeoff.data.card import CARD
from takeoff.data.decoding import ColourFoundError, available_cores
from takeoff.data.store import SPLITS, SplitWriter, summarise
from takeoff.errors import TakeoffError
from takeoff.files import sha256_of_file, write_json

RESOLUTIONS = range(4, 1025)  # pixels
FORMAT = 1


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


def prepare(request: Request, out: Path) -> dict[str, Any]:
    """Write train.safetensors, test.safetensors and card.json into `out`, all or nothing; returns the card.

    The same archive and request give the same bytes. Raises TakeoffError for whatever the user can put right.
    """
    if request.resolution not in RESOLUTIONS:
        raise TakeoffError(
            f"resolution {request.resolution}: valid are {RESOLUTIONS[0]} to {RESOLUTIONS[-1]} pixels"
        )
    if not 0 < request.test_fraction < 1:
        raise TakeoffError(f"test fraction {request.test_fraction:g}: valid is a number between 0 and 1")
    entry = catalogue.entries().get(request.dataset or "")
    if entry and entry.subset and not request.classes:
        request = replace(request, classes=entry.subset)
    origin = _origin(request)
    out.parent.mkdir(parents=True, exist_ok=True)
    with _full_disk_told(out), tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as name:
        work = Path(name)
        contents = _write_splits(request, work)
        card = _card(request, entry, contents, origin) | summarise(work)
        write_json(work / CARD, card)
        out.mkdir(exist_ok=True)
        # The card comes last: it vouches for the rest.
        for file in (*(f"{split}.safetensors" for split in SPLITS), CARD):
            (work / file).replace(out / file)
    return card


@contextmanager
def _full_disk_told(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise TakeoffError(f"{out}: no space left on the disk") from error


def _origin(request: Request) -> dict[str, Any]:
    """Name, checksum and size of the archive, checked against the one asked for; a folder has neither."""
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
    got = sha256_of_file(path)
    if request.sha256 and request.sha256.lower() != got:
        raise TakeoffError(f"{path}: wrong sha256: expected {request.sha256.lower()}, got {got}")
    return {"name": path.name, "sha256": got, "bytes": path.stat().st_size}


def _write_splits(request: Request, work: Path) -> sources.Contents:
    path = request.archive
    if path is None:
        contents, blocks = sources.digits(request.resolution, request.classes)
        _store(work, contents, request.resolution, 1, blocks)
        return contents
    listing = list_members(path)
    variant = pickles.find_variant(listing.files)
    if variant:
        contents, blocks = sources.cifar(path, *variant, request.classes, request.resolution)
        _store(work, contents, request.resolution, 3, blocks)
        return contents
    layout = layouts.recognise(
        listing, lambda names: dict(read_members(path, set(names))), str(path), request.test_fraction
    )
    kept = set(layouts.select(layout.classes, request.classes, str(path)))
    layout = replace(
        layout,
        train={member: name for member, name in layout.train.items() if name in kept},
        test={member: name for member, name in layout.test.items() if name in kept},
    )
    layouts.check_classes(layout, str(path))
    contents = sources.contents_of(layout)
    threads = max(1, request.threads or available_cores())

    def store(channels: int) -> None:
        blocks = sources.decoded(path, layout, request.resolution, channels, threads)
        _store(work, contents, request.resolution, channels, blocks)

    try:  # grey until an image in colour turns up, in nearly every set the first
        store(1)
    except ColourFoundError:
        store(3)
    return contents


def _store(
    work: Path, contents: sources.Contents, resolution: int, channels: int, blocks: sources.Blocks
) -> None:
    needed = sum(len(labels) for labels in contents.labels.values()) * resolution**2 * channels
    free = shutil.disk_usage(work).free
    if needed > free:
        raise TakeoffError(f"{work.parent}: no space left: {needed:,} bytes are needed, {free:,} are free")
    with ExitStack() as stack:
        writers = {}
        for split, labels in contents.labels.items():
            writers[split] = SplitWriter(work / f"{split}.safetensors", labels, resolution, channels)
            stack.callback(writers[split].close)
        for split, position, images in blocks:
            writers[split].put(position, images)


def _card(
    request: Request, entry: catalogue.Entry | None, contents: sources.Contents, origin: dict[str, Any]
) -> dict[str, Any]:
    titles = contents.titles | (entry.class_titles if entry else {})
    counts = {split: Counter(labels.tolist()) for split, labels in contents.labels.items()}
    totals = {split: len(labels) for split, labels in contents.labels.items()}
    notes = list(contents.notes)
    published = entry is not None and _is_published(request.archive, origin["sha256"], entry)
    if entry and not published:
        notes.append(f"another archive than the published {entry.title}")
    found = (len(contents.classes), *totals.values())
    if entry and found != (expected := (entry.classes, entry.train, entry.test)):
        notes.append("classes, training and test images: {}, {:,}, {:,}".format(*found))
        notes[-1] += "; as published: {}, {:,}, {:,}".format(*expected)
    return {
        "format": FORMAT,
        "dataset": request.dataset or origin["name"].partition(".")[0],
        "title": entry.title if entry else None,
        "layout": contents.layout,
        "classes": list(contents.classes),
        "class_titles": [titles.get(name, name) for name in contents.classes],
        "images": totals,
        "images_per_class": {s: [counts[s][label] for label in range(len(contents.classes))] for s in SPLITS},
        "resolution": request.resolution,
        "archive": origin,
        "addresses": list(entry.addresses) if entry and published else [],
        "licence": entry.licence if entry else None,
        "citation": entry.citation if entry else None,
        "notes": notes,
    }


def _is_published(archive: Path | None, sha256: str | None, entry: catalogue.Entry) -> bool:
    """Whether the archive is the catalogue's own, by its checksum; a folder's origin is taken on trust."""
    if archive is None or archive.is_dir() or entry.file is None:
        return True
    if entry.sha256:
        return sha256 == entry.sha256
    with archive.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest() == entry.md5
