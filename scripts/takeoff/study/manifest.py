"""What a job wrote into a folder, with a digest of each file: one that was changed or damaged since is found out."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from takeoff.common.errors import TakeoffError
from takeoff.common.files import load_json, sha256_of_file, write_json

FILE = "files.json"
LISTED = ("runs.parquet", "measured.csv", "claims.csv")
"""Files that are never without a list beside them; their jobs write it last."""


def write_manifest(folder: Path, names: Iterable[str]) -> None:
    """Write down the SHA-256 of these files of a folder, as its job left them."""
    write_json(folder / FILE, {name: sha256_of_file(folder / name) for name in names})


def changed_files(folders: Iterable[Path]) -> list[Path]:
    """The files in these folders that are not as their jobs wrote them, or are gone. Where the list itself is, or says
    nothing, no file can be trusted.
    """
    found = []
    for folder in folders:
        if written := _written(folder):
            found += [folder / name for name, digest in written.items() if _digest(folder / name) != digest]
        else:
            found += [folder / name for name in LISTED if (folder / name).is_file()]
    return found


def check_unchanged(path: Path) -> None:
    """Refuse, with a TakeoffError, a file that is not as its job wrote it; one that is gone is none of these."""
    digest = _written(path.parent).get(path.name)
    if digest and _digest(path) not in {None, digest}:
        raise TakeoffError(f"{path}: changed or damaged since it was written; a run of the workflow makes it anew")


def _digest(path: Path) -> str | None:
    return sha256_of_file(path) if path.is_file() else None


def _written(folder: Path) -> dict[str, Any]:
    """The digests of a folder's files; nothing is known where the list is missing or damaged."""
    try:
        return load_json(folder / FILE)
    except TakeoffError:
        return {}
