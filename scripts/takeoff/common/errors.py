"""The one exception for what a user can put right, and how a command reports it."""

import io
import signal
import sys
from collections.abc import Callable, Iterable
from difflib import get_close_matches


class TakeoffError(Exception):
    """Input that the user can put right.

    The message is one line that names the file, the key, the value and what would be valid.
    """


_MEANT = {"gpu": "cuda"}
"""Words that look more like another than like what they mean."""


def choices(value: object, valid: Iterable[object]) -> str:
    """The end of a message: what would be valid, the nearest spelling first.

    >>> choices("rleu", ["tanh", "relu"])
    'did you mean relu? Valid: tanh, relu'
    >>> choices("gpu", ["cpu", "cuda"])
    'did you mean cuda? Valid: cpu, cuda'
    """
    names = [str(v) for v in valid]
    meant = _MEANT.get(str(value).lower())
    near = [meant] if meant in names else get_close_matches(str(value), names, n=1)
    return (f"did you mean {near[0]}? " if near else "") + "Valid: " + ", ".join(names)


def run_command(main: Callable[[], None]) -> None:
    """Run a command's `main`; what the user can put right is one line on stderr and exit status 1.

    A line that is printed appears at once, in a log too.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    # A scheduler ends jobs with SIGTERM: let what is half-written be removed.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        main()
    # An OSError is a full disk, or a missing permission: the system's own words name the file.
    except (TakeoffError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
