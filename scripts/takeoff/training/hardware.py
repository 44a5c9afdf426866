"""Where and in which precision a job trains."""

import os
from dataclasses import dataclass

import torch

from takeoff.errors import TakeoffError
from takeoff.training.devices import take_gpu

FULL_PRECISION_SIDE = 8
"""Pixels of images up to which `auto` is float32, so that precision is no difference between the machines that run the
default study. Where a CPU multiplies in bfloat16 (AVX-512) its steps take 11% to 19% less time."""


@dataclass(frozen=True)
class Hardware:
    """A device, the precision of its matrix products, a name for the results, and the CPU's threads."""

    device: torch.device
    precision: str
    name: str
    threads: int | None = None
    """On a CPU, where sums are ordered by them."""

    @property
    def half(self) -> bool:
        """Whether products are in bfloat16."""
        return self.precision == "bfloat16"

    def keep_to_precision(self) -> None:
        """Set what torch holds for a whole process: on a GPU it would convolve float32 in TensorFloat-32, whose ten
        bits are another precision than the one recorded.
        """
        if self.device.type == "cuda":
            torch.backends.cudnn.allow_tf32 = self.precision != "float32"


def choose(
    device: str = "auto", precision: str = "auto", threads: int = 1, side: int | None = None
) -> Hardware:
    """The hardware that `device`, `precision` and `threads` of the configuration ask for.

    Args:
        device: `auto`, `cpu` or `cuda`.
        precision: `float32` or `bfloat16`; `auto` is bfloat16 where the device multiplies in it, but for small images.
        threads: of a CPU.
        side: of the images, in pixels, where they are known.

    Raises:
        TakeoffError: CUDA is asked for and there is none.

    """
    if device == "cuda" and not torch.cuda.is_available():
        raise TakeoffError("device cuda: torch sees no GPU here; valid: auto, cpu")
    cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    if cuda:
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        # Deterministic products in cuBLAS need a fixed workspace.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        take_gpu()
        name, half = torch.cuda.get_device_name(), torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(True)
        name, half = "cpu", _cpu_computes_bfloat16()
    if precision == "auto":
        small = side is not None and side <= FULL_PRECISION_SIDE
        precision = "bfloat16" if half and not small else "float32"
    chosen = Hardware(torch.device("cuda" if cuda else "cpu"), precision, name, None if cuda else threads)
    chosen.keep_to_precision()
    return chosen


def first_line(error: Exception) -> str:
    """What an error says, or the one that it came of, in a line: a capture's own end can hide what ended it."""
    cause = error.__context__ or error
    return (str(cause).strip() or type(cause).__name__).splitlines()[0]


def out_of_memory(error: Exception) -> bool:
    """Whether a device had no memory left: torch's own error, or that of a driver or a library
    which asks for memory itself.
    """
    # An error in a graph's capture can be told as that of the capture's own end.
    words = f"{error} {error.__context__ or ''}".casefold()
    # cuDNN tries every algorithm, and tells of a lack of memory only that none of them ran.
    signs = ("alloc_failed", "out of memory", "unable to find an engine")
    return isinstance(error, torch.OutOfMemoryError) or any(sign in words for sign in signs)


def _cpu_computes_bfloat16() -> bool:
    """Whether the CPU multiplies in bfloat16 (AMX, AVX512-BF16); elsewhere it would only emulate."""
    checks = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, check, lambda: False)() for check in checks)
