"""How a command ends: what its user can put right, and what nobody thought of, is one line each."""

import io
import os
import re
import signal
import sys
import tomllib
import traceback
from collections.abc import Callable
from importlib import metadata

from takeoff.common.errors import TakeoffError
from takeoff.common.parent import VARIABLE
from takeoff.common.places import ROOT
from takeoff.common.spelling import one_line, printable

TRACEBACK = "TAKEOFF_TRACEBACK"
"""The environment variable that brings the traceback of an error that nobody thought of."""


def run_command(main: Callable[[], None]) -> None:
    """Run a command's `main`; an error of whatever kind is one line on stderr and exit status 1.

    A line that is printed appears at once, in a log too. The traceback of an error that nobody thought of stands above
    its line in the log of a workflow's job; elsewhere the line says how to see it.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    # A scheduler ends jobs with SIGTERM: let what is half-written be removed.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        main()
    except Exception as error:
        sys.exit(f"error: {in_one_line(error)}")
    except KeyboardInterrupt:
        sys.exit(130)


def in_one_line(error: Exception) -> str:
    """What a user reads of an error, which no password is in. A full disk and a missing permission are the system's own
    words; the traceback of what nobody thought of goes to stderr where that is a job's log, or is wanted.
    """
    if isinstance(error, TakeoffError | OSError):
        return without_passwords(printable(str(error)))
    where = traceback.extract_tb(error.__traceback__)[-1:]
    place = "".join(f", in {one.filename.rpartition('/')[2]}, line {one.lineno}" for one in where)
    in_job = os.environ.get(VARIABLE, str(os.getpid())) != str(os.getpid())
    seen = in_job or bool(os.environ.get(TRACEBACK))
    if seen:
        traceback.print_exception(error)
    how = "with the traceback above" if seen else f"with the traceback, which {TRACEBACK}=1 before the command shows"
    words = one_line(f"{type(error).__name__}: {error}".removesuffix(": "))
    return f"an error that Takeoff does not know: {words}{place}; please report it {_address()}, {how}"


def without_passwords(text: str) -> str:
    """A text whose addresses have no user and no password, also where they were taken for paths.

    >>> without_passwords("archive: http:/me:secret@host/x: there is no such file")
    'archive: http:/***@host/x: there is no such file'
    """
    return re.sub(r"(?<=:)(/{1,2})(?!/)[^\s'\"]*@", r"\1***@", text)


def _address() -> str:
    """Where the project takes reports, as `pyproject.toml` or the installed package says."""
    try:
        if (file := ROOT / "pyproject.toml").is_file():
            urls = tomllib.loads(file.read_text(encoding="utf-8"))["project"].get("urls", {})
        else:
            entries = metadata.metadata("takeoff").get_all("Project-URL") or []
            urls = dict(entry.split(", ", 1) for entry in entries)
    except (OSError, ValueError, KeyError, metadata.PackageNotFoundError):
        urls = {}
    named = {name.lower(): url for name, url in urls.items()}
    found = next((named[name] for name in ("issues", "repository", "homepage") if name in named), None)
    return f"at {found}" if found else "to those who keep this project"
