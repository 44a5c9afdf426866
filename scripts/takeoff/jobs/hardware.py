"""The hardware of a job: which device, in which precision, with how many threads; and its memory."""

import ctypes
import gc
import os
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TextIO

import torch

from takeoff.common.errors import TakeoffError
from takeoff.common.gpus import AMD, Found, driver, runs_on, usable
from takeoff.engine.hardware import Hardware
from takeoff.jobs.ranks import join, started
from takeoff.study.configuration import FULL_PRECISION_SIDE, SMALL_SIDE

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of `mallopt`, as in glibc's malloc.h."""
KEPT_BYTES, LARGE_BYTES = 2**30, 2**25
"""Free memory that a process keeps; and the size from which it takes each piece from the system apart, glibc's most."""


def hardware_of(device: str = "auto", precision: str = "auto", threads: int = 1, side: int | None = None) -> Hardware:
    """The hardware that `device`, `precision` and `threads` (of a CPU) of the configuration stand for.

    The precision `auto` is bfloat16 where the device multiplies in it, but for images of a small `side`, in pixels. A
    `TakeoffError` says where CUDA is required and there is none.
    """
    if device == "auto" and side is not None and side <= SMALL_SIDE:
        device = "cpu"
    cuda = device != "cpu" and bool(gpus_here())
    if device != "cpu" and not cuda:
        found = found_gpus()
        unused = found.unused or ("torch cannot use the GPU that the driver shows" if found.gpus else None)
        if device == "cuda":
            raise TakeoffError(f"device cuda: {unused or 'torch sees no GPU here'}; valid: auto, cpu")
        if unused:
            say(f"{unused}; training is on the CPU")
    here = torch.device("cpu")
    if cuda:
        here = torch.device("cuda", take_gpu())
        name, half = torch.cuda.get_device_name(), torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        name, half = "cpu", _cpu_computes_bfloat16()
    if precision == "auto":
        precision = "bfloat16" if half and (side is None or side > FULL_PRECISION_SIDE) else "float32"
        if cuda and not half:  # Turing and older; float16 would need losses scaled, and train to other numbers
            say(f"{name} does not multiply in bfloat16; training is in float32")
    chosen = Hardware(here, precision, name, None if cuda else threads, *join(here))
    chosen.keep_to_precision()
    return chosen


@cache
def say(words: str) -> None:
    """A line for the user, once in a process."""
    print(words, file=sys.stderr)


@cache
def found_gpus() -> Found:
    """The GPUs here that torch can use, and why it cannot use the others."""
    own = driver()
    if own is None:
        return Found(torch.cuda.device_count() if torch.version.hip and AMD.exists() else 0)
    return usable(own, torch.version.cuda, torch.cuda.get_arch_list())


@cache
def take_gpu() -> int:
    """Make the first free GPU this process's own until it ends, and torch's current one; its number.

    Jobs of other users, and those of a cluster that shows each job its own GPU, are not considered. Where more jobs run
    than there are GPUs, they share them; processes that train a run together cannot, which a `TakeoffError` says.
    """
    found, ranks = gpus_here(), started()
    everyones = torch.cuda.device_count() == 1 and ranks == 1
    number = None if everyones else next(filter(_taken, found), None)
    if number is None:
        if ranks > 1:
            words = f"of the {len(found)} that torch can use here, none is left for one of the processes"
            raise TakeoffError(f"gpus_per_run: {ranks}; {words}; valid: 1 to {len(found)}, and no other job on them")
        number = found[os.getpid() % len(found)]
    torch.cuda.set_device(number)
    return number


def gpus_here() -> list[int]:
    """The numbers of the GPUs that torch sees and has code for."""
    if not torch.cuda.is_available():
        return []
    found = range(torch.cuda.device_count())
    if torch.version.hip:
        return list(found)
    return [n for n in found if runs_on(torch.cuda.get_device_capability(n), torch.cuda.get_arch_list())]


_held: list[TextIO] = []


def _taken(number: int) -> bool:
    """Take a GPU by a lock that the system gives back when this process ends, however it ends."""
    import fcntl  # Linux and macOS; jobs that see one GPU do not need it

    identity = torch.cuda.get_device_properties(number).uuid
    path = Path(tempfile.gettempdir()) / f"takeoff-{os.getuid()}-gpu-{identity}.lock"
    with suppress(OSError):  # another job has it, or no lock can be had there: share
        lock = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _held.append(lock)
        return True
    return False


def _cpu_computes_bfloat16() -> bool:
    """Whether the CPU multiplies in bfloat16 (AMX, AVX512-BF16); elsewhere it would only emulate."""
    checks = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, check, lambda: False)() for check in checks)


def first_line(error: Exception) -> str:
    """The first line of an error, or of the one behind it: the end of a graph's capture can hide what ended it."""
    cause = (None if error.__suppress_context__ else error.__context__) or error
    return (str(cause).strip() or type(cause).__name__).splitlines()[0]


def out_of_memory(error: Exception) -> bool:
    """Whether a device had no memory left: torch's own error, or that of a driver or a library
    which takes memory itself; or the error of the end of a graph's capture, which can hide one of these.
    """
    words = f"{error} {error.__context__ or ''}".casefold()
    # cuDNN tries every algorithm, and says of a lack of memory only that none of them ran.
    signs = ("alloc_failed", "out of memory", "unable to find an engine")
    return isinstance(error, torch.OutOfMemoryError) or any(sign in words for sign in signs)


def free_gpu_memory(hardware: Hardware) -> None:
    """Give back what nothing uses any more on a GPU, what cycles of garbage hold with it."""
    if hardware.device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()


def keep_freed_memory() -> None:
    """Let the C library keep what a step frees for the next one: what it hands back to the system comes again page by
    page, each a fault. Elsewhere than in glibc, which has `mallopt`, all stays as it is.
    """
    keep = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    # Either ends glibc's own choice of both: never the second alone.
    if keep is not None and keep(M_MMAP_THRESHOLD, LARGE_BYTES):
        keep(M_TRIM_THRESHOLD, KEPT_BYTES)
