"""Memory on a CPU: what a step frees is there for the next one."""

import ctypes
import os

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of `mallopt`, as in glibc's malloc.h."""
KEPT_BYTES, LARGE_BYTES = 2**30, 2**25
"""Free memory that a process keeps; and the size from which it asks the system for each piece apart, glibc's most."""


def keep_freed_memory() -> None:
    """Let the C library keep what a step frees for the next one: what it hands back to the system comes again page by
    page, each a fault. Elsewhere than in glibc, which has `mallopt`, all stays as it is.
    """
    keep = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    # Either ends glibc's own choice of both: never the second alone.
    if keep is not None and keep(M_MMAP_THRESHOLD, LARGE_BYTES):
        keep(M_TRIM_THRESHOLD, KEPT_BYTES)
