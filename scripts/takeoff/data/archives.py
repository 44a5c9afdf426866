"""Archives and folders, read in place by name, never unpacked; knows nothing of images."""

import gzip
import lzma
import os
import posixpath
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from takeoff.common.errors import TakeoffError

KINDS = ".tar, .tar.gz, .tgz, .tar.xz, .tar.bz2, .zip or a folder"
MAX_MEMBER = 1 << 29  # bytes: the largest batch of pickles has 155 MB, the largest photograph far less
# Packed images hardly shrink, pickled ones by a tenth; what swells a hundredfold past a GiB is a bomb.
MAX_SWELLING = 100
SMALL = 1 << 30
DEEPEST = 3  # ILSVRC2012 is a folder of tars of tars
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2")
DAMAGE = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, EOFError, zlib.error, lzma.LZMAError)


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive: its path with slashes, its size in bytes, and how to open it; or a folder."""

    name: str
    size: int = 0
    open: Callable[[], Any] | None = None


class Archive:
    """What an archive or a folder holds: the names of its files, and of its folders, empty or not.

    A tar inside a folder, or an uncompressed tar inside a tar, counts as a folder named like it without its
    suffix. Links in a folder are followed, since a user's own folder may be spread over disks; in an archive
    they are refused. Raises TakeoffError for a path that does not exist, is no archive, is damaged, or holds
    an unsafe member.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: set[str] = set()
        self.folders: set[str] = set()
        for member in _members(path):
            folder = posixpath.dirname(member.name) if member.open else member.name
            while folder and folder not in self.folders:
                self.folders.add(folder)
                folder = posixpath.dirname(folder)
            if member.open:
                self.files.add(member.name)
        if not self.files:
            raise TakeoffError(f"{path}: holds no files")

    def __str__(self) -> str:
        return str(self.path)

    def read(self, wanted: Container[str]) -> Iterator[tuple[str, bytes]]:
        """The name and bytes of each wanted file, in the archive's own order, one at a time."""
        for member in _members(self.path):
            if member.open is None or member.name not in wanted:
                continue
            where, size = f"{self}: {member.name}", f"{member.size:,} bytes"
            if member.size > MAX_MEMBER:
                raise TakeoffError(f"{where} is absurdly large, {size} (at most {MAX_MEMBER:,})")
            with _readable(self.path), member.open() as file:
                data = file.read(member.size + 1)
            if len(data) != member.size:
                raise TakeoffError(f"{where} is cut off after {len(data):,} of {size}")
            yield member.name, data


def root_of(names: Iterable[str], *landmarks: str) -> str | None:
    """The shallowest folder ("" or "a/b/") below which every landmark is one of these names."""
    names = set(names)
    roots = {name.removesuffix(landmarks[0]) for name in names if f"/{name}".endswith(f"/{landmarks[0]}")}
    whole = [root for root in roots if all(root + landmark in names for landmark in landmarks)]
    return min(whole, key=lambda root: (root.count("/"), root), default=None)


def _members(path: Path) -> Iterator[Member]:
    """Members with clean names, without the operating systems' own litter; refuses what no data set needs."""
    if not path.exists():
        raise TakeoffError(f"{path}: no such file or folder")
    limit = None if path.is_dir() else max(SMALL, MAX_SWELLING * path.stat().st_size)
    total = 0
    with _readable(path):
        for member in _folder(path) if path.is_dir() else _archive(path):
            name = posixpath.normpath(member.name)
            if member.name.startswith("/") or name.split("/")[0] == ".." or "\\" in name or "\0" in name:
                raise _unsafe(path, member.name, "lies outside the archive's own folder")
            total += member.size
            if limit and total > limit:
                raise TakeoffError(f"{path}: refused, it unpacks to more than {limit:,} bytes")
            if name != "." and not _is_litter(name):
                yield Member(name, member.size, member.open)


def _is_litter(name: str) -> bool:
    """Whether macOS, Windows or a notebook left it: ._x, .DS_Store, __MACOSX, Thumbs.db, …"""
    return any(part[0] == "." or part in ("__MACOSX", "Thumbs.db", "desktop.ini") for part in name.split("/"))


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """The many ways in which an archive shows that it is damaged, encrypted or packed by an unknown method."""
    try:
        yield
    except DAMAGE as error:
        raise TakeoffError(f"{path}: damaged or cut off ({error})") from error
    except RuntimeError as error:
        raise TakeoffError(f"{path}: cannot be read ({error}); unpack it, and give the folder") from error


def _archive(path: Path) -> Iterator[Member]:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise _unsafe(path, info.filename)
                opened = None if info.is_dir() else partial(archive.open, info)
                yield Member(info.filename, info.file_size, opened)
        return
    try:
        tar = tarfile.open(path, tarinfo=_StrictInfo)  # noqa: SIM115 (closed below; only opening shows a tar)
    except tarfile.ReadError as error:
        raise TakeoffError(f"{path}: no archive, or damaged or cut off; read are {KINDS}") from error
    with tar:
        yield from _tar(path, tar)
        # A gzip stream is checked at its end, which tarfile does not reach by itself.
        while tar.fileobj and tar.fileobj.read(1 << 20):
            pass


def _unsafe(path: Path, name: str, why: str = "is a link or a device") -> TakeoffError:
    return TakeoffError(f"{path}: refused, its member {name!r} {why}")


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
            raise _unsafe(path, info.name)
        name, open_file = posixpath.join(prefix, info.name), partial(tar.extractfile, info)
        if info.isfile() and name.endswith(".tar") and depth < DEEPEST:
            with tarfile.open(fileobj=open_file(), mode="r:", tarinfo=_StrictInfo) as inner:
                yield from _tar(path, inner, name.removesuffix(".tar"), depth + 1)
        else:
            yield Member(name, info.size, open_file if info.isfile() else None)


def _folder(root: Path) -> Iterator[Member]:
    seen: set[str] = set()  # a link to a folder above would go round for ever
    for parent, folders, files in os.walk(root, followlinks=True):
        if (real := os.path.realpath(parent)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        inner = Path(parent).relative_to(root).as_posix()
        yield Member(inner)
        for name in sorted(files):
            path = Path(parent, name)
            if not path.is_file():
                raise TakeoffError(f"{path}: refused, a device or a link to nothing")
            stem = next((name.removesuffix(suffix) for suffix in TAR_SUFFIXES if name.endswith(suffix)), None)
            if stem:
                with _readable(path), tarfile.open(path, tarinfo=_StrictInfo) as tar:
                    yield from _tar(path, tar, posixpath.join(inner, stem), depth=2)
            else:
                yield Member(posixpath.join(inner, name), path.stat().st_size, partial(path.open, "rb"))
