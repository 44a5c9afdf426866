"""The one exception for what a user can put right, and how a command reports it."""

import atexit
import gc
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


def collect_rarely() -> None:
    """Look for cycles of garbage a few hundred times less often than Python does, and not once more at the end: an
    eighth of the time that importing torch takes, a tenth of what planning 10,000 arms does, for as much memory; and
    what imported torch ends a second sooner.
    """
    gc.set_threshold(200_000, 20, 20)
    atexit.register(_spare_the_last)


def _spare_the_last() -> None:
    # Triton, which compiling imports, reports whatever is left at the end as a leak, line after line.
    if "triton" not in sys.modules:
        gc.freeze()


def run_command(main: Callable[[], None]) -> None:
    """Run a command's `main`; what the user can put right is one line on stderr and exit status 1."""
    collect_rarely()
    # A scheduler ends jobs with SIGTERM: let what is half-written be removed.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        main()
    except TakeoffError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        # A full disk, a missing permission: the system's own words name the file.
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
