"""Timings kept for each machine: what is timed twice differs, and is looked at twice by the claims that rest on it."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from takeoff.common.files import digest_of, write_json
from takeoff.speed.timing import Timing


def timed_once(folder: Path, subject: Any, measure: Callable[[], list[Timing]]) -> list[Timing]:
    """The rows that `measure` gives, or those that are kept in `folder` of the same `subject`, a JSON value: all that
    timings depend on. A damaged file is made anew.
    """
    path = folder / f"{digest_of(subject)}.json"
    with suppress(OSError, KeyError, TypeError, ValueError):  # there is none, or it is damaged
        rows = [Timing(**row) for row in json.loads(path.read_text(encoding="utf-8"))["rows"]]
        print(f"{path}: timed before on this machine; without this file it is timed anew")
        return rows
    rows = measure()
    write_json(path, {"subject": subject, "rows": [asdict(row) for row in rows]})
    return rows
