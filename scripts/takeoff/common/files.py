"""Writing files whole or not at all, and digests of files and values."""

import csv
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from takeoff.common.errors import TakeoffError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to it on success and removed on failure; a link goes on leading to it."""
    path = path.resolve() if path.is_symlink() else path
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def room_for(path: Path, needed: int = 0) -> Iterator[None]:
    """Refuse, with a TakeoffError, a disk that has fewer than `needed` bytes free for `path`, or fills up meanwhile."""
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise TakeoffError(f"{path}: no space left: {needed:,} bytes are needed, {free:,} are free")
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise TakeoffError(f"{path}: no space left on the disk") from error


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_rows(path: Path, rows: Sequence[Any]) -> None:
    """Write dataclass instances of one kind, at least one, as CSV, whole or not at all; what is None is empty."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(rows[0])], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def load_json(path: Path) -> dict[str, Any]:
    """The keys and values in a JSON file; a TakeoffError where there is no such file, or it holds something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TakeoffError(f"{path}: there is no such file") from None
    except ValueError as error:
        raise TakeoffError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(content, dict):
        raise TakeoffError(f"{path}: expected keys and values, found {type(content).__name__}")
    return content


def sha256_of_file(path: Path) -> str:
    """The file's SHA-256, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(value: Any) -> str:
    """Sixteen hexadecimal digits that identify a JSON value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
