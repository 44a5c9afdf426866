"""What jobs keep on disk, of networks and older methods alike: finished runs, a file each under a key of everything
that the run depends on, and choices. All are written whole. And what a log says of both.
"""

import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from pydantic_core import to_json

from takeoff.common.errors import TakeoffError
from takeoff.common.files import digest_of, write_json, write_text
from takeoff.study.choices import Choice, Row
from takeoff.study.planned import choices_in

Made = TypeVar("Made", bound=Choice)
DIGEST = "digest"
"""The key of a record's digest, of all its other keys."""
BITS = ("test_correct", "test_top5_correct")
"""What of a run's row is bytes."""


def save_record(path: Path, record: Row) -> None:
    """Write a record with its digest. What is no number (a loss that diverged) is null, bytes are base64."""
    content = json.loads(to_json(record, inf_nan_mode="null", bytes_mode="base64"))
    write_text(path, json.dumps(content | {DIGEST: digest_of(content)}, separators=(",", ":")) + "\n")


def load_record(path: Path, *keys: str, report: Callable[[str], None] = lambda line: None) -> Row | None:
    """A record with these keys, or None where there is none, or it is damaged or was changed: then it is made anew, of
    which `report` takes a line.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        # Records of earlier versions have no digest.
        if record.pop(DIGEST, None) not in {None, digest_of(record)}:
            raise ValueError("changed since it was written")
        row = record.get("run", {})
        if row.get("run_key", path.stem) != path.stem:
            raise ValueError("of another run")
        _check_shares(row)
        row |= {key: urlsafe_b64decode(row[key]) for key in BITS if key in row}
        return {key: record[key] for key in keys}
    except FileNotFoundError:
        return None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        report(f"{path}: damaged ({error!r}); it is made anew")
        return None


def _check_shares(row: Row) -> None:
    """Refuse, with a ValueError, an accuracy that is none; only a run that diverged has none."""
    for key, value in row.items():
        if key.endswith("_accuracy") and not ((value is None and row.get("diverged")) or 0 <= value <= 1):
            raise ValueError(f"{key}: {value!r}")


def now() -> str:
    """The time in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def line(arm: str, seed: int, *words: str) -> str:
    """What a log says of a run that ended."""
    return "  ".join([time.strftime("%H:%M:%S"), arm, f"seed {seed}", *words])


def remark(choice: Choice) -> str:
    """What the reader of a log should know of a choice."""
    if choice.choice_from is not None:
        return f" (as {choice.choice_from})"
    if not choice.grid:
        return " (the grid's only one)"
    tie = f" (untuned: the whole grid within {choice.spread:.3f})" if choice.untuned else ""
    return tie + (" (at the grid's edge)" if choice.at_edge else "")


def save_choices(path: Path, made: Sequence[Choice]) -> None:
    """Write an arm's choices, one per block of its final seeds."""
    write_json(path, {"choices": [asdict(choice) for choice in made]})


def choices_of(path: Path, kind: type[Made]) -> list[Made]:
    """The choices in another arm's file, made for itself, without their runs.

    A `TakeoffError` says where the file is not there, or damaged.
    """
    arm = path.parent.name
    if not path.is_file():
        raise TakeoffError(f"{path}: there is no such file; tune {arm} first")
    try:
        return [replace(kind(**one), runs=[], choice_from=arm) for one in choices_in(path)]
    except (TakeoffError, TypeError):
        raise TakeoffError(f"{path}: damaged; remove it, and tune {arm} again") from None
