"""What a killed job was writing must not stay in a study's folder."""

import re
from pathlib import Path

TEMPORARY = re.compile(r"\..*-[a-z0-9_]{8}(\.[^.]*)?$")
"""The name of a file that is being written, beside the one that it will replace."""


def remove_temporary(results: Path, before: float) -> None:
    """Remove what jobs were writing that ended before that time, in seconds since 1970."""
    for path in results.rglob(".*-*"):
        if TEMPORARY.fullmatch(path.name) and path.is_file() and path.stat().st_mtime < before:
            path.unlink(missing_ok=True)
