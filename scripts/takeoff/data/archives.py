"""Archives and folders, read in place by name, never unpacked; knows of images only how to tell them."""

import os
import posixpath
import stat
import tarfile
import zipfile
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from takeoff.common.errors import TakeoffError
from takeoff.data.kinds import HEAD, called_image, escaped, is_image, is_litter

KINDS = ".tar, .tar.gz, .tgz, .tar.xz, .tar.bz2, .zip or a folder"
MAX_MEMBER = 1 << 29  # bytes: the largest batch of pickles has 155 MB, the largest photograph far less
# Packed images hardly shrink, pickled ones by a tenth; what swells a hundredfold past a GiB is a bomb.
MAX_SWELLING = 100
SMALL = 1 << 30
# No image is smaller than a few dozen bytes. Folders and files below that, a million of them, would take minutes.
HOLLOW, MOST_HOLLOW = 24, 20_000
PER_HOLLOW = 1024  # bytes of the archive for each one more
LONGEST, DEEPEST_NAME = 1024, 64  # characters and folders of a member's name
MOST_PADDING = 1 << 26  # bytes after the mark of a tar's end: blocks of some tapes have megabytes
LONGEST_HEADER = 1 << 20  # bytes that a tar may take to say what a member is called
DEEPEST = 3  # ILSVRC2012 is a folder of tars of tars
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2")
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
OTHER_METHODS = {9: "Deflate64", 93: "Zstandard", 95: "XZ", 96: "JPEG", 98: "PPMd"}
ENCRYPTED = 0x1 | 0x40 | 0x2000  # flags of a zip's member: a password, strong encryption, an encrypted directory
UNPACK = "unpack it, and give the folder"


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive: its path with slashes, its size in bytes, and how to open it; or a folder."""

    name: str
    size: int = 0
    open: Callable[[], Any] | None = None


class Archive:
    """What an archive or a folder holds: the names of its files, of those of them that are images, and of its folders,
    empty or not.

    A tar inside a folder, or an uncompressed tar inside a tar, counts as a folder named like it without its suffix; one
    that was unpacked, so that such a folder stands beside it, is a file. Links in a folder are followed, since a user's
    own folder may be spread over disks; in an archive they are refused. A file is an image by its name or its first
    bytes; whether it is whole shows when it is decoded.
    Raises TakeoffError for a path that does not exist or may not be read, is no archive, is damaged, or holds an
    unsafe member.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: set[str] = set()
        self.images: set[str] = set()
        self.folders: set[str] = set()
        for member in _members(path):
            folder = posixpath.dirname(member.name) if member.open else member.name
            while folder and folder not in self.folders:
                self.folders.add(folder)
                folder = posixpath.dirname(folder)
            if member.open:
                self.files.add(member.name)
                if called_image(member.name) or is_image(_read(path, member, HEAD)):
                    self.images.add(member.name)
        if not self.files:
            raise TakeoffError(f"{path}: holds no files")

    def __str__(self) -> str:
        return str(self.path)

    @property
    def unpacked(self) -> list[str]:
        """Its tars that were unpacked beside."""
        names = [(name, suffix) for name in self.files for suffix in TAR_SUFFIXES if name.endswith(suffix)]
        return sorted(name for name, suffix in names if name.removesuffix(suffix) in self.folders)

    def read(self, wanted: Container[str], most: int | None = None) -> Iterator[tuple[str, bytes]]:
        """The name and bytes of each wanted file, or its first bytes, in the archive's own order, one at a time."""
        for member in _members(self.path):
            if member.open is None or member.name not in wanted:
                continue
            where, size = f"{self}: {escaped(member.name)}", f"{member.size:,} bytes"
            if most is None and member.size > MAX_MEMBER:
                raise TakeoffError(f"{where} is absurdly large, {size} (at most {MAX_MEMBER:,})")
            data = _read(self.path, member, min(most or member.size + 1, member.size + 1))
            if len(data) != min(most or member.size, member.size):
                raise TakeoffError(f"{where} is cut off after {len(data):,} of {size}")
            yield member.name, data


def check_there(path: Path) -> None:
    """Raise TakeoffError for a path that does not exist, may not be looked at, or is a device, which may never end."""
    with _readable(path):
        if not path.exists():
            raise TakeoffError(f"{path}: no such file or folder")
        if not path.is_dir() and (not path.is_file() or not path.stat().st_size):
            raise TakeoffError(f"{path}: holds nothing to read; valid: an archive or a folder of images")


def root_of(names: Iterable[str], *landmarks: str) -> str | None:
    """The shallowest folder ("" or "a/b/") below which every landmark is one of these names."""
    names = set(names)
    roots = {name.removesuffix(landmarks[0]) for name in names if f"/{name}".endswith(f"/{landmarks[0]}")}
    whole = [root for root in roots if all(root + landmark in names for landmark in landmarks)]
    return min(whole, key=lambda root: (root.count("/"), root), default=None)


def files_below(root: Path) -> Iterator[tuple[str, list[tuple[str, Path, os.stat_result]]]]:
    """Each folder below `root` and in it, without litter, its files: their paths from `root`, their places, and what
    the system says of them. Links are followed.

    Raises TakeoffError for what may not be read, for devices, and for links to nothing.
    """
    seen: set[tuple[int, int]] = set()  # a link to a folder above would go round for ever
    with _readable(root):
        for parent, folders, names in os.walk(root, followlinks=True, onerror=_raise):
            inner = Path(parent).relative_to(root).as_posix()
            inner = "" if inner == "." else inner
            folders[:] = sorted(name for name in folders if not is_litter(name))
            at = Path(parent).stat()
            if (at.st_dev, at.st_ino) in seen:
                folders.clear()
                continue
            seen.add((at.st_dev, at.st_ino))
            files = []
            for name in sorted(name for name in names if not is_litter(name)):
                path = Path(parent, name)
                try:
                    facts = path.stat()
                except FileNotFoundError:
                    facts = path.lstat()
                if not stat.S_ISREG(facts.st_mode):
                    raise TakeoffError(f"{escaped(str(path))}: refused, a device or a link to nothing")
                files.append((posixpath.join(inner, name), path, facts))
            yield inner, files


def _raise(error: OSError) -> NoReturn:
    raise error


def _read(path: Path, member: Member, most: int) -> bytes:
    """The first bytes of a member."""
    assert member.open is not None
    with _readable(path, member.name), member.open() as file:
        data: bytes = file.read(most)
        return data


def _members(path: Path) -> Iterator[Member]:
    """Members with clean names, without litter; refuses what no data set needs."""
    check_there(path)
    with _readable(path):
        yield from _folder(path) if path.is_dir() else _bounded(path, path.stat().st_size, _archive(path))


def _bounded(path: Path, packed: int, members: Iterable[Member]) -> Iterator[Member]:
    """The members of an archive of so many bytes, or of none where it is a folder: as many as it can sensibly hold."""
    total = hollow = 0
    for member in members:
        name = posixpath.normpath(member.name)
        if member.name.startswith("/") or name.split("/")[0] == "..":
            raise _unsafe(path, member.name, "lies outside the archive's own folder")
        if "\\" in name or "\0" in name:
            raise _unsafe(path, member.name, "has a backslash or a NUL in its name")
        if len(name) > LONGEST or name.count("/") > DEEPEST_NAME:
            raise _unsafe(path, name[:40], f"has a name of more than {LONGEST:,} characters or {DEEPEST_NAME} folders")
        total += member.size
        if packed and total > (limit := max(SMALL, MAX_SWELLING * packed)):
            raise TakeoffError(f"{path}: refused, it unpacks to more than {limit:,} bytes")
        hollow += member.size < HOLLOW
        if hollow > (most := MOST_HOLLOW + max(packed, total) // PER_HOLLOW):
            raise TakeoffError(f"{path}: refused, it holds more than {most:,} folders and empty files")
        if name != "." and not is_litter(name):
            yield Member(name, member.size, member.open)


@contextmanager
def _readable(path: Path, member: str = "") -> Iterator[None]:
    """The many ways in which an archive shows that it is damaged, or may not be read."""
    try:
        yield
    except TakeoffError:
        raise
    except Exception as error:  # what a damaged header raises in tarfile and zipfile is nearly anything
        where = f"{path}: {escaped(member)}" if member else str(path)
        # Where no kind of packing fits, tarfile says so in a line for each.
        words = escaped(str(error).partition("\n")[0].rstrip(":") or type(error).__name__)[:200]
        if isinstance(error, OSError) and error.errno is not None:  # gzip's and bz2's own have no number
            fault = f"{escaped(str(error.filename or where))}: cannot be read: {error.strerror}"
        elif isinstance(error, RuntimeError | MemoryError):  # also what zipfile does not know
            fault = f"{where}: cannot be read ({words}); {UNPACK}"
        else:
            fault = f"{where}: damaged or cut off ({words})"
        raise TakeoffError(fault) from error


def _archive(path: Path) -> Iterator[Member]:
    # A zip may end a tar: only what begins as one is one.
    with path.open("rb") as file:
        begins = file.read(2)
    if begins == b"PK" and zipfile.is_zipfile(path):
        yield from _zip(path)
        return
    try:
        tar = tarfile.open(path, tarinfo=StrictInfo)  # noqa: SIM115 (closed below; only opening shows a tar)
    except tarfile.ReadError as error:
        raise TakeoffError(f"{path}: no archive, or damaged or cut off; read are {KINDS}") from error
    with tar:
        yield from _tar(path, tar)


def _zip(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        # Windows' own tools wrote backslashes between folders, against the specification.
        windows = any(info.create_system == 0 and "\\" in info.filename for info in archive.infolist())
        for info in archive.infolist():
            name = info.filename.replace("\\", "/") if windows else info.filename
            if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _unsafe(path, name)
            if name.endswith("/"):
                yield Member(name)
                continue
            why = None
            if info.flag_bits & ENCRYPTED or info.compress_type == 99:
                why = "encrypted"
            elif info.compress_type not in METHODS:
                why = f"packed by {OTHER_METHODS.get(info.compress_type, f'method {info.compress_type}')}"
            if why and not is_litter(name):
                raise TakeoffError(f"{path}: cannot be read, its member {escaped(name)} is {why}; {UNPACK}")
            yield Member(name, info.file_size, partial(archive.open, info))


def _unsafe(path: Path, name: str, why: str = "is a link or a device") -> TakeoffError:
    return TakeoffError(f"{path}: refused, its member {name!a} {why}")


class StrictInfo(tarfile.TarInfo):
    """A header that raises where it is damaged or missing; tarfile alone takes that for the end of the archive, reads
    headers of any size into memory, and goes round for ever where sizes are negative.
    """

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> "StrictInfo":
        """The next member; a ReadError where there is none, and no mark of the end."""
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EmptyHeaderError as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(f"ends at byte {tarfile_.offset:,} without the mark of its end") from error
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(f"{error} at byte {tarfile_.offset:,}") from error

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "StrictInfo":
        """A member's header; a ReadError where its size cannot be."""
        info = super().frombuf(buf, encoding, errors)
        if info.size < 0 or (info.type in _DESCRIPTIONS and info.size > LONGEST_HEADER):
            raise tarfile.ReadError(f"a header says {info.size:,} bytes")
        if info.type == tarfile.GNUTYPE_SPARSE:
            cls._sparse()
        return info

    @staticmethod
    def _sparse(*_: Any) -> NoReturn:
        raise RuntimeError("it has a sparse member")

    _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _sparse


_DESCRIPTIONS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
"""Types of headers that say how the next member is called."""
_FACTS = (b"V", b"D")
"""Types of GNU tar's headers that say what the archive is called, and what a folder held when it was packed."""


def _tar(path: Path, tar: tarfile.TarFile, prefix: str = "", depth: int = 1) -> Iterator[Member]:
    reached = -1
    while (info := tar.next()) is not None:
        tar.members.clear()  # type: ignore[attr-defined]  # a million of them would fill a gigabyte
        if info.size < 0 or tar.offset <= reached:
            raise tarfile.ReadError(f"a header at byte {info.offset:,} says {info.size:,} bytes")
        reached = tar.offset
        if info.type in _FACTS:
            continue
        if not (info.isfile() or info.isdir()):
            raise _unsafe(path, info.name)
        name, open_file = posixpath.join(prefix, info.name), partial(tar.extractfile, info)
        if info.isfile() and name.endswith(".tar") and depth < DEEPEST and not is_litter(name):
            with _readable(path, name), tarfile.open(fileobj=open_file(), mode="r:", tarinfo=StrictInfo) as inner:
                yield from _tar(path, inner, name.removesuffix(".tar"), depth + 1)
        else:
            yield Member(name, info.size if info.isfile() else 0, open_file if info.isfile() else None)
    _check_end(tar)


def _check_end(tar: tarfile.TarFile) -> None:
    """Nothing but padding follows the mark of a tar's end. A gzip stream, too, is checked at its end, which tarfile
    does not reach by itself.
    """
    padding, left = True, MOST_PADDING
    while tar.fileobj and (data := tar.fileobj.read(1 << 20)):
        if (left := left - len(data)) < 0:
            raise tarfile.ReadError(f"more than {MOST_PADDING:,} bytes follow the mark of its end")
        if padding and (rest := data.lstrip(b"\0")):
            padding = False
            start = (len(data) - len(rest)) // tarfile.BLOCKSIZE * tarfile.BLOCKSIZE
            try:
                tarfile.TarInfo.frombuf(data[start : start + tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
            except tarfile.TarError:
                continue
            raise tarfile.ReadError("more members follow the mark of its end: several tars in one file")


def _folder(root: Path) -> Iterator[Member]:
    yield from _bounded(root, 0, _unpacked(root))


def _holds_something(folder: Path) -> bool:
    return folder.is_dir() and any(not is_litter(path.name) for path in folder.iterdir())


def _unpacked(root: Path) -> Iterator[Member]:
    for inner, files in files_below(root):
        yield Member(inner or ".")
        for name, path, facts in files:
            suffix = next((suffix for suffix in TAR_SUFFIXES if name.endswith(suffix)), None)
            if suffix is None or _holds_something(root / name.removesuffix(suffix)):
                yield Member(name, facts.st_size, partial(path.open, "rb"))
                continue
            with _readable(path), tarfile.open(path, tarinfo=StrictInfo) as tar:
                yield from _bounded(path, facts.st_size, _tar(path, tar, name.removesuffix(suffix), depth=2))
