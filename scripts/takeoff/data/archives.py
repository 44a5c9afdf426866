"""Archives and folders as one stream of members, read in place, never unpacked; knows nothing of images."""

import gzip
import lzma
import os
import posixpath
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

from takeoff.errors import TakeoffError

KINDS = ".tar, .tar.gz, .tgz, .tar.xz, .tar.bz2, .zip or a folder"
MAX_MEMBER = 1 << 29  # bytes: the largest batch of pickles has 155 MB, the largest photograph far less
# Packed images hardly shrink, pickled ones by a tenth; what swells a hundredfold past a GiB is a bomb.
MAX_SWELLING = 100
SMALL = 1 << 30
DEEPEST = 3  # ILSVRC2012 is a folder of tars of tars
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2")


@dataclass(frozen=True, slots=True)
class Member:
    """A file or folder in an archive: its path with slashes, its size in bytes, and how to open it."""

    name: str
    size: int
    is_folder: bool
    open: Callable[[], IO[bytes]]


@dataclass
class Listing:
    """What an archive holds, in its own order: file sizes in bytes by name, and the folders it names."""

    files: dict[str, int] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)

    def top(self) -> list[str]:
        """The names at the top."""
        return sorted({name.partition("/")[0] for name in (*self.files, *self.folders)})


def list_members(path: Path) -> Listing:
    """Everything in the archive or folder at `path`, safe to read by name.

    A tar inside a folder, or an uncompressed tar inside a tar, counts as a folder named like it without its
    suffix. Links in a folder are followed, since a user's own folder may be spread over disks; in an archive
    they are refused. Raises TakeoffError for a path that does not exist, is no archive, is damaged, or holds
    an unsafe member.
    """
    listing = Listing()
    for member in _members(path):
        if member.is_folder:
            listing.folders.add(member.name)
        else:
            listing.files[member.name] = member.size
    if not listing.files:
        raise TakeoffError(f"{path}: holds no files")
    return listing


def read_members(path: Path, wanted: Container[str]) -> Iterator[tuple[str, bytes]]:
    """The name and bytes of each wanted member, in the archive's own order, one at a time."""
    for member in _members(path):
        if member.is_folder or member.name not in wanted:
            continue
        if member.size > MAX_MEMBER:
            raise TakeoffError(
                f"{path}: {member.name} is absurdly large, {member.size:,} bytes (at most {MAX_MEMBER:,})"
            )
        with _damage_told(path), member.open() as file:
            data = file.read(member.size + 1)
        if len(data) != member.size:
            raise TakeoffError(
                f"{path}: {member.name} is cut off after {len(data):,} of {member.size:,} bytes"
            )
        yield member.name, data


def _members(path: Path) -> Iterator[Member]:
    """Members with clean names, without the operating systems' own litter; refuses what no data set needs."""
    if not path.exists():
        raise TakeoffError(f"{path}: no such file or folder")
    limit = None if path.is_dir() else max(SMALL, MAX_SWELLING * path.stat().st_size)
    total = 0
    with _damage_told(path):
        for member in _folder(path) if path.is_dir() else _archive(path):
            name = posixpath.normpath(member.name)
            if member.name.startswith("/") or name.split("/")[0] == ".." or "\\" in name or "\0" in name:
                raise TakeoffError(
                    f"{path}: refused, its member {member.name!r} lies outside the archive's own folder"
                )
            total += member.size
            if limit and total > limit:
                raise TakeoffError(f"{path}: refused, it unpacks to more than {limit:,} bytes")
            if name != "." and not _is_litter(name):
                yield Member(name, member.size, member.is_folder, member.open)


def _is_litter(name: str) -> bool:
    """Whether macOS, Windows or a notebook left it: ._x, .DS_Store, __MACOSX, Thumbs.db, …"""
    return any(part[0] == "." or part in ("__MACOSX", "Thumbs.db", "desktop.ini") for part in name.split("/"))


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    """The many ways in which a damaged archive shows, as one error."""
    damage = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, EOFError, zlib.error, lzma.LZMAError)
    try:
        yield
    except damage as error:
        raise TakeoffError(f"{path}: damaged or cut off ({error})") from error


def _archive(path: Path) -> Iterator[Member]:
    if zipfile.is_zipfile(path):
        yield from _zip(path)
        return
    try:
        tar = tarfile.open(path, tarinfo=_StrictInfo)  # noqa: SIM115 - closed below; only opening tells a tar
    except tarfile.ReadError as error:
        with path.open("rb") as file:
            packed = file.read(6).startswith((b"\x1f\x8b", b"\xfd7zXZ\0", b"BZh", b"PK"))
        fault = "damaged or cut off" if packed else "no archive"
        raise TakeoffError(f"{path}: {fault}; read are {KINDS}") from error
    with tar:
        yield from _tar(path, tar)
        # A gzip stream is checked at its end, which tarfile does not reach by itself.
        while tar.fileobj and tar.fileobj.read(1 << 20):
            pass


def _zip(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            kind = (info.external_attr >> 16) & 0o170000
            if kind not in (0, 0o100000, 0o040000):
                raise TakeoffError(f"{path}: refused, its member {info.filename!r} is a link or a device")
            if info.flag_bits & 1:
                raise TakeoffError(
                    f"{path}: its member {info.filename!r} is encrypted; unpack it with its password first"
                )
            yield Member(info.filename, info.file_size, info.is_dir(), partial(archive.open, info))


class _StrictInfo(tarfile.TarInfo):
    """A header that raises where it is damaged; tarfile alone takes that for the end of the archive."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> "_StrictInfo":
        try:
            return super().fromtarfile(tarfile_)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(f"{error} at byte {tarfile_.offset:,}") from error


def _tar(path: Path, tar: tarfile.TarFile, prefix: str = "", depth: int = 1) -> Iterator[Member]:
    while (info := tar.next()) is not None:
        tar.members.clear()  # type: ignore[attr-defined]  # a million of them would fill a gigabyte
        if not (info.isfile() or info.isdir()):
            kind = "a link" if info.issym() or info.islnk() else "a device"
            raise TakeoffError(f"{path}: refused, its member {info.name!r} is {kind}")
        name = f"{prefix}/{info.name}" if prefix else info.name
        if info.isfile() and info.name.endswith(".tar") and depth < DEEPEST:
            with (
                _extract(tar, info) as file,
                tarfile.open(fileobj=file, mode="r:", tarinfo=_StrictInfo) as inner,
            ):
                yield from _tar(path, inner, name.removesuffix(".tar"), depth + 1)
        else:
            yield Member(name, info.size, info.isdir(), partial(_extract, tar, info))


def _extract(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    file = tar.extractfile(info)
    assert file is not None, "neither a folder nor a link"
    return file


def _folder(root: Path) -> Iterator[Member]:
    seen: set[str] = set()  # a link to a folder above would go round for ever
    for parent, folders, files in os.walk(root, followlinks=True):
        if (real := os.path.realpath(parent)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        inner = Path(parent).relative_to(root).as_posix()
        yield Member(inner, 0, True, partial(_open, Path(parent)))
        for name in sorted(files):
            path = Path(parent, name)
            if not path.is_file():
                raise TakeoffError(f"{path}: refused, a device or a link to nothing")
            stem = next((name.removesuffix(suffix) for suffix in TAR_SUFFIXES if name.endswith(suffix)), None)
            if stem:
                with _damage_told(path), tarfile.open(path, tarinfo=_StrictInfo) as tar:
                    yield from _tar(path, tar, posixpath.join(inner, stem), depth=2)
            else:
                size, opener = path.stat().st_size, partial(_open, path)
                yield Member(posixpath.join(inner, name), size, False, opener)


def _open(path: Path) -> IO[bytes]:
    return path.open("rb")
