"""Bounds on the time and the memory of what is tried."""

import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType


class OutOfBoundsError(BaseException):
    """Past everything that takes an Exception for a damaged file."""


@contextmanager
def bounded(seconds: float, megabytes: float | None = None) -> Iterator[None]:
    """Let a block fail that takes more seconds of the CPU, twenty times as long on the clock, or more memory."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise OutOfBoundsError(f"not done within {seconds:g} s, stopped by {signal.Signals(number).name}")

    before = {number: signal.signal(number, stop) for number in (signal.SIGALRM, signal.SIGPROF)}
    limits = resource.getrlimit(resource.RLIMIT_AS)
    if megabytes is not None:
        most = _bytes_in_use() + int(megabytes * 1e6)
        resource.setrlimit(resource.RLIMIT_AS, (most, limits[1]))
    signal.setitimer(signal.ITIMER_REAL, 20 * seconds)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    began = time.process_time()
    try:
        yield
        if (spent := time.process_time() - began) > seconds:
            raise OutOfBoundsError(f"took {spent:.1f} s")
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
        resource.setrlimit(resource.RLIMIT_AS, limits)


def _bytes_in_use() -> int:
    """The address space of this process."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
