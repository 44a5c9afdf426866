"""What a killed job was writing must not stay in a study's folder, nor beside its images."""

import re
import shutil
from pathlib import Path

TEMPORARY = re.compile(r"\..*-[a-z0-9_]{8}(\.[^.]*)?$")
"""The name of what is being written, a file or a folder, beside the one that it will replace."""


def remove_temporary(before: float, *folders: Path) -> None:
    """Remove what jobs were writing in these folders that ended before that time, in seconds since 1970."""
    for path in [path for folder in folders for path in folder.rglob(".*-*")]:
        if TEMPORARY.fullmatch(path.name) and _last_written(path) < before:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _last_written(path: Path) -> float:
    """When a file was last written to, or any file in a folder; now, where it is gone already."""
    try:
        return max(one.lstat().st_mtime for one in (path, *path.rglob("*")))
    except FileNotFoundError:
        return float("inf")
