"""Which GPUs there are, and which of them a torch can use. The driver itself is asked: neither a command needs to be
there nor torch.
"""

import ctypes
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

LIBRARY = "libcuda.so.1"
NO_DEVICE, STUB = 100, 34
"""Results of `cuInit`: no GPU is there; and a library without a driver, to link against."""
MAJOR, MINOR = 75, 76
"""Attributes of a device: its compute capability."""
MODE, EXCLUSIVE = 20, 3
"""Another attribute, its compute mode, and that in which one process alone may use it."""
AMD = Path("/dev/kfd")
"""Is there where AMD's driver is."""


class Gpu(NamedTuple):
    """A GPU that the driver shows."""

    name: str
    capability: tuple[int, int]
    exclusive: bool = False
    """Whether one process alone may use it at a time (`nvidia-smi --compute-mode=EXCLUSIVE_PROCESS`)."""


class Driver(NamedTuple):
    """NVIDIA's driver, and what `CUDA_VISIBLE_DEVICES` lets it show."""

    version: tuple[int, int]
    """The newest CUDA that it runs."""
    gpus: tuple[Gpu, ...]
    error: str | None = None
    """Why it does not start."""


class Found(NamedTuple):
    """What there is to train on."""

    gpus: int
    """GPUs that torch can use."""
    unused: str | None = None
    """A line on those that it cannot, or on a driver that does not start."""


def any_gpu() -> bool:
    """Whether a driver shows a GPU, whatever torch can do with it."""
    own = driver()
    return AMD.exists() if own is None else bool(own.gpus)


def lets_one_in(number: int) -> bool:
    """Whether a GPU is one process's at a time, so that another one, beside this, would find it busy."""
    own = driver()
    return own is not None and number < len(own.gpus) and own.gpus[number].exclusive


@cache
def driver(library: str = LIBRARY) -> Driver | None:
    """NVIDIA's driver; None where there is none.

    Source: the CUDA driver API, cuInit, cuDriverGetVersion, cuDeviceGetCount, cuDeviceGetAttribute.
    """
    try:
        cuda = ctypes.CDLL(library)
        if (result := cuda.cuInit(0)) in {NO_DEVICE, STUB}:
            return None
    except (OSError, AttributeError):  # no such library, or one that is no driver
        return None
    try:
        _check(cuda, result)
        number = _number(cuda, "cuDriverGetVersion")
        gpus = tuple(_gpu(cuda, n) for n in range(_number(cuda, "cuDeviceGetCount")))
    except (RuntimeError, AttributeError) as error:
        return Driver((0, 0), (), f"NVIDIA's driver does not work, so that no GPU is used: {error}")
    return Driver((number // 1000, number % 1000 // 10), gpus)


def usable(own: Driver, cuda: str | None, architectures: Sequence[str]) -> Found:
    """The GPUs that a torch can use which was built for that version of CUDA, such as `13.2` (None: for none), and for
    these architectures, such as `sm_90`.
    """
    if own.error or not own.gpus:
        return Found(0, own.error)
    names = ", ".join(dict.fromkeys(gpu.name for gpu in own.gpus))
    if cuda is None:
        return Found(0, f"{names}: not used, since this torch was built without CUDA")
    # A driver runs every CUDA of its major version.
    if own.version[0] < int(cuda.partition(".")[0]):
        newest = ".".join(map(str, own.version))
        return Found(0, f"{names}: not used, since the driver runs CUDA {newest}, and torch needs {cuda}; update it")
    left_out = [gpu for gpu in own.gpus if not runs_on(gpu.capability, architectures)]
    words = [f"{gpu.name} ({gpu.capability[0]}.{gpu.capability[1]})" for gpu in dict.fromkeys(left_out)]
    line = f"{', '.join(words)}: not used, since this torch is built for {', '.join(architectures)}"
    return Found(len(own.gpus) - len(left_out), line if left_out else None)


def runs_on(capability: tuple[int, int], architectures: Sequence[str]) -> bool:
    """Whether code that was built for these architectures runs on a GPU of that compute capability: what was built for
    the same major and no later minor version (`sm_86`), or what the driver compiles (`compute_90`).

    >>> [runs_on(c, ["sm_75", "sm_80"]) for c in ((7, 0), (7, 5), (8, 9), (9, 0))]
    [False, True, True, False]
    """
    for architecture in architectures:
        kind, _, digits = architecture.partition("_")
        if not digits.isdigit():  # of one GPU alone, as sm_90a
            continue
        built = (int(digits[:-1]), int(digits[-1]))
        if built <= capability and (kind == "compute" or built[0] == capability[0]):
            return True
    return False


def _gpu(cuda: ctypes.CDLL, number: int) -> Gpu:
    device, name = _number(cuda, "cuDeviceGet", number), ctypes.create_string_buffer(256)
    _check(cuda, cuda.cuDeviceGetName(name, len(name), device))
    wanted = (MAJOR, MINOR, MODE)
    major, minor, mode = (_number(cuda, "cuDeviceGetAttribute", attribute, device) for attribute in wanted)
    return Gpu(name.value.decode(errors="replace"), (major, minor), mode == EXCLUSIVE)


def _number(cuda: ctypes.CDLL, function: str, *arguments: int) -> int:
    """What a function of the driver gives; a RuntimeError says that it fails."""
    found = ctypes.c_int()
    _check(cuda, getattr(cuda, function)(ctypes.byref(found), *arguments))
    return found.value


def _check(cuda: ctypes.CDLL, result: int) -> None:
    if result:
        words = ctypes.c_char_p()
        cuda.cuGetErrorString(result, ctypes.byref(words))
        raise RuntimeError(f"error {result}, {(words.value or b'unknown').decode(errors='replace')}")
