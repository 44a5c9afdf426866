"""What a job wrote into a folder, with a digest of each file: one that was changed or damaged since is found out."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from takeoff.common.errors import TakeoffError
from takeoff.common.files import load_json, sha256_of_file, write_json

FILE = "files.json"


def write_manifest(folder: Path, names: Iterable[str]) -> None:
    """Write down the SHA-256 of these files of a folder, as its job left them."""
    write_json(folder / FILE, {name: sha256_of_file(folder / name) for name in names})


def changed_files(folders: Iterable[Path]) -> list[Path]:
    """The files in these folders that are not as their jobs wrote them; those that are gone are not among them."""
    found = []
    for folder in folders:
        paths = {folder / name: digest for name, digest in _written(folder).items()}
        found += [path for path, digest in paths.items() if path.is_file() and sha256_of_file(path) != digest]
    return found


def check_unchanged(path: Path) -> None:
    """Refuse, with a TakeoffError, a file that is not as its job wrote it; one that is gone is none of these."""
    digest = _written(path.parent).get(path.name)
    if digest and path.is_file() and sha256_of_file(path) != digest:
        raise TakeoffError(f"{path}: changed or damaged since it was written; a run of the workflow makes it anew")


def _written(folder: Path) -> dict[str, Any]:
    """The digests of a folder's files; nothing is known where the list is missing or damaged."""
    try:
        return load_json(folder / FILE)
    except TakeoffError:
        return {}
