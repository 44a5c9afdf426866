"""What a job wrote into a folder, with a digest of each file: one that was changed or damaged since is found out."""

from collections.abc import Iterable
from pathlib import Path

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
        try:
            written = load_json(folder / FILE)
        except TakeoffError:  # nothing is known then
            continue
        paths = {folder / name: digest for name, digest in written.items()}
        found += [path for path, digest in paths.items() if path.is_file() and sha256_of_file(path) != digest]
    return found
