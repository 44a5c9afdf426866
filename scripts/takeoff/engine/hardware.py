"""Where and in which precision a network trains."""

import os
from dataclasses import dataclass

import torch


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
