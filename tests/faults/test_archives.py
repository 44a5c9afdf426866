"""Archives damaged or made up at random: the right images, with a note of what was left out, or a refusal in a line;
nothing half-written, in bounded time and memory.
"""

import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torchvision.transforms.v2  # noqa: F401 (which takes more memory than what is tried may)
from takeoff.common.errors import TakeoffError
from unit import image_archives as make
from unit.preparation import prepared

from faults.bounds import bounded

SECONDS, MEGABYTES = 10, 2000
Members = dict[str, bytes]
Images = list[tuple[str, str, bytes]]
"""The split, the class and the pixels of every image."""


@cache
def layouts() -> dict[str, Members]:
    """The members of a small archive of each kind."""
    batches = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), np.uint8)
    return {
        "split folders": make.folders(),
        "class folders": {f"birds/{name[6:]}": data for name, data in make.folders(train=5, tests=0).items()},
        "Tiny ImageNet": make.tiny_imagenet(),
        "ILSVRC2012": make.ilsvrc2012(),
        "CIFAR-10": make.cifar10(batches, [0, 1] * 6, ["plane", "cat"]),
        "CIFAR-100": make.cifar100(batches, [0, 1] * 6, ["plane", "cat"]),
    }


PACKINGS: dict[str, Callable[[Members], bytes]] = {
    "x.tar": make.tar_bytes,
    "x.tar.gz": lambda members: gzip.compress(make.tar_bytes(members), 1, mtime=0),
    "x.tar.xz": lambda members: lzma.compress(make.tar_bytes(members), preset=0),
    "x.zip": lambda members: zipped(members, zipfile.ZIP_STORED),
    "y.zip": lambda members: zipped(members, zipfile.ZIP_DEFLATED),
}


def zipped(members: Members, method: int) -> bytes:
    """The bytes of a zip."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return file.getvalue()


def outcome(data: bytes, name: str, folder: Path) -> tuple[Any, Images] | str:
    """The card and the images that are made of an archive, or the line with which it is refused."""
    path = folder / name
    path.write_bytes(data)
    with bounded(SECONDS, MEGABYTES):
        try:
            card, *splits = prepared(path, folder, threads=1)
        except TakeoffError as error:
            line = str(error)
        else:
            images = [
                (split, card["classes"][label], image.tobytes())
                for split, arrays in zip(("train", "test"), splits, strict=True)
                for label, image in zip(arrays["labels"], arrays["images"], strict=True)
            ]
            return card, sorted(images)
    assert list(folder.iterdir()) == [path]
    assert line.startswith(f"{path}")
    assert line.isprintable()
    assert len(line) < 2000
    return line


@cache
def unbroken(layout: str) -> tuple[Any, Images]:
    """The card and the images of an archive that nothing happened to."""
    with TemporaryDirectory() as folder:
        found = outcome(make.tar_bytes(layouts()[layout]), "x.tar", Path(folder))
    assert not isinstance(found, str)
    return found


def picked(dice: Random) -> tuple[str, str, bytes]:
    """A layout, the name of a packing, and the bytes of such an archive."""
    layout, name = dice.choice([*layouts()]), dice.choice([*PACKINGS])
    return layout, name, PACKINGS[name](layouts()[layout])


def is_right(found: tuple[Any, Images] | str, layout: str) -> bool:
    """Whether these are the images there were, or some are missing of which a note tells; or it was refused."""
    if isinstance(found, str):
        return True
    (card, images), (whole, expected) = found, unbroken(layout)
    told = set(card["notes"]) - set(whole["notes"])
    return images == expected or (bool(told) and set(images) <= set(expected))


@pytest.mark.tries(quick=15, whole=100)
def test_cut_at_any_byte(dice: Random, tmp_path: Path) -> None:
    layout, name, data = picked(dice)
    found = outcome(data[: dice.randrange(len(data))], name, tmp_path)
    assert isinstance(found, str) or found[1] == unbroken(layout)[1]  # a tar ends in padding


@pytest.mark.tries(quick=20, whole=130)
def test_bits_flipped(dice: Random, tmp_path: Path) -> None:
    layout, name, data = picked(dice)
    # A tar has no sum of what is in it, nor has a JPEG or a batch of pickles; a PNG has.
    summed = name != "x.tar" or layout in {"split folders", "class folders"}
    damaged = bytearray(data)
    for _ in range(dice.choice([1, 1, 2, 8])):
        damaged[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    found = outcome(bytes(damaged), name, tmp_path)
    if summed:
        assert is_right(found, layout)
    elif not isinstance(found, str):
        assert found[0]["images"] == unbroken(layout)[0]["images"]


@pytest.mark.tries(quick=10, whole=50)
def test_pieces_lost_doubled_or_swapped(dice: Random, tmp_path: Path) -> None:
    layout, name, data = picked(dice)
    start, size = dice.randrange(len(data)), dice.choice([1, 100, 512, 1024])
    piece, before, after = data[start : start + size], data[:start], data[start + size :]
    damaged = dice.choice([before + after, before + piece + piece + after, before + bytes(len(piece)) + after])
    found = outcome(dice.choice([damaged, after + before, damaged + data]), name, tmp_path)
    if name != "x.tar":
        assert is_right(found, layout)


SIZES = (-1024, -1, 1 << 33, 1 << 39, 1 << 63, 10**6)
LINKS = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.CONTTYPE, b"Z")
OUTSIDE = ("/etc/{}", "../{}", "train/../../{}", "a/../../../{}", "//{}", "train\\{}")


@pytest.mark.tries(quick=10, whole=60)
def test_members_that_no_data_set_needs_are_refused(dice: Random, tmp_path: Path) -> None:
    members = list(layouts()["split folders"].items())
    file = io.BytesIO()
    bad = dice.randrange(len(members))
    kind = dice.choice(["link", "outside", "size"])
    with tarfile.open(fileobj=file, mode="w") as tar:
        for place, (name, data) in enumerate(members):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            if place == bad and kind == "size":
                file.write(make.header(name, dice.choice(SIZES), dice.choice([b"0", b"L", b"x", b"g", b"K"])))
                tar.offset = file.tell()
            if place == bad and kind == "outside":
                info.name = dice.choice(OUTSIDE).format(name)
            if place == bad and kind == "link":
                info.type, info.linkname = dice.choice(LINKS), dice.choice(["/etc/passwd", members[0][0], ".", name])
                info.size = 0
            tar.addfile(info, io.BytesIO(data if info.size else b""))
    assert isinstance(outcome(file.getvalue(), "x.tar", tmp_path), str)


LITTER = ("{}/.DS_Store", "__MACOSX/{}/._0.png", "{}/Thumbs.db", "{}/@eaDir/0.png", "{}/desktop.ini", ".git/{}")
ODD = ("{}/notes.txt", "{}/9.png", "{}/x", "{}/data.npy", "{}/9.jpg", "{}/a b\u202e.png", "{}/\x1b[2J.png", "{}/9.tar")
CONTENT = (
    b"",
    b"x",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff" + b"x" * 40,
    b"P6 99999 99999 255\n",
    b"GIF89a" + b"\0" * 30,
)


@pytest.mark.tries(quick=10, whole=60)
def test_members_added_renamed_or_lost(dice: Random, tmp_path: Path) -> None:
    members = dict(layouts()["split folders"])
    whole = unbroken("split folders")
    name = dice.choice([*members])
    folder = name.rpartition("/")[0]
    kind = dice.choice(["litter", "odd", "moved", "lost", "emptied", "doubled", "spoilt"])
    if kind == "litter":
        members[dice.choice(LITTER).format(folder)] = dice.choice(CONTENT)
    elif kind == "odd":
        members[dice.choice(ODD).format(folder)] = dice.choice(CONTENT)
    elif kind == "moved":
        members[f"{folder}/{dice.randrange(10, 99)}.png"] = members.pop(name)
    elif kind == "lost":
        del members[name]
    elif kind == "emptied":
        members = {one: data for one, data in members.items() if not one.startswith(f"{folder}/")}
        members[f"{folder}/"] = b""
    elif kind == "spoilt":
        members[name] = dice.choice(CONTENT)
    packing = dice.choice([*PACKINGS])
    data = PACKINGS[packing](members)
    if kind == "doubled" and packing == "x.tar":
        data = make.tar_bytes(members | {f"./{name}": members[name]})
    found = outcome(data, packing, tmp_path)
    if kind in {"emptied", "spoilt", "odd"}:
        assert isinstance(found, str) or (kind == "odd" and found[1] == whole[1])
    elif kind == "lost":
        assert not isinstance(found, str)
        assert len(found[1]) == len(whole[1]) - 1
        assert set(found[1]) < set(whole[1])
    else:
        assert not isinstance(found, str)
        assert found[1] == whole[1]
