"""Where and in which precision a network trains."""

import os
from dataclasses import dataclass
from functools import cache

import torch

SIDE, FULL = 256, 1e-5
"""The side of the matrices whose product is tried; an error ten times float32's, a hundredth of bfloat16's."""


@dataclass(frozen=True)
class Hardware:
    """A device, the precision of its matrix products, a name for the results, and the CPU's threads."""

    device: torch.device
    precision: str
    name: str
    threads: int | None = None
    """On a CPU, where sums are ordered by them."""
    rank: int = 0
    """Of the processes that train a run together, which this is."""
    ranks: int = 1
    """How many there are."""

    @property
    def half(self) -> bool:
        """Whether products are in bfloat16."""
        return self.precision == "bfloat16"

    def keep_to_precision(self) -> None:
        """Set what torch holds for a whole process, so that the same run gives the same numbers.

        On a GPU it would convolve float32 in TensorFloat-32, whose ten bits are another precision than the one
        recorded, and choose its algorithms by their speed.
        """
        if self.device.type == "cuda":
            torch.backends.cudnn.allow_tf32 = self.precision != "float32"
            torch.backends.cudnn.benchmark = False
            torch.backends.cudnn.deterministic = True
            # Deterministic products in cuBLAS need a fixed workspace.
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        else:
            torch.set_num_threads(self.threads or 1)
            torch.set_flush_denormal(True)
            # With it oneDNN multiplies, which uses AVX-512 on every CPU; MKL does so on Intel's alone.
            torch.set_float32_matmul_precision("medium" if _medium_is_exact() else "highest")


@cache
def _medium_is_exact() -> bool:
    """Whether torch's precision `medium` of float32 products, which permits bfloat16, is full precision here, as it is
    where the CPU has no tiles (AMX). A product of two matrices tells.
    """
    one, other = torch.randn(2, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    usual, exact = torch.get_float32_matmul_precision(), one.double() @ other.double()
    torch.set_float32_matmul_precision("medium")
    off = float((one @ other - exact).norm() / exact.norm())
    torch.set_float32_matmul_precision(usual)
    return off < FULL
