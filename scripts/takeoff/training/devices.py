"""Which GPU a job takes on a machine with several: the first that no other job has taken."""

import os
import tempfile
from functools import cache
from pathlib import Path

import torch


@cache
def take_gpu() -> int:
    """Make the first free GPU this process's own until it ends, and torch's current one; its number.

    Jobs of other users, and those of a cluster that shows each job its own GPU, are not asked. Where more jobs run
    than there are GPUs, they share them.
    """
    found = torch.cuda.device_count()
    number = next((n for n in range(found) if _taken(n)), os.getpid() % found) if found > 1 else 0
    torch.cuda.set_device(number)
    return number


_held: list[int] = []


def _taken(number: int) -> bool:
    """Take a GPU by a lock that the system gives back when this process ends, however it ends."""
    import fcntl  # Linux and macOS; jobs that see one GPU do not need it

    identity = torch.cuda.get_device_properties(number).uuid
    path = Path(tempfile.gettempdir()) / f"takeoff-{os.getuid()}-gpu-{identity}.lock"
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        return False  # no lock can be had there: share
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return False
    _held.append(lock)
    return True
