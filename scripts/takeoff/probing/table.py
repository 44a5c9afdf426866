"""The table of measurements, `speed.csv`: a row per block."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

from takeoff.files import atomic_path


@dataclass(frozen=True)
class Row:
    """One block of one measurement; without a block, what was not measured, and in `note` why."""

    kind: Literal["step", "training", "matrix"]
    """A whole training step; forward and backward pass alone, at the batch size that suits the device; a product
    of two square matrices."""
    name: str
    """The arm; of a product, the matrices' side."""
    device: str
    """`cpu`, or the GPU's name."""
    threads: int
    """Of the CPU; with a GPU 1, that which gives it work."""
    precision: str
    """`float32` or `bfloat16`."""
    batch: int | None = None
    """Images of a step."""
    block: int | None = None
    """From 0; blocks of one number were measured one after the other."""
    seconds: float | None = None
    """Of one step, or of one product: the mean over the block."""
    flops: int | None = None
    """Floating-point operations of one step, or of one product."""
    note: str = ""
    """What a reader must know."""

    @property
    def rate(self) -> float:
        """Floating-point operations per second; 0 where nothing was measured."""
        return self.flops / self.seconds if self.flops and self.seconds else 0.0


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write `rows` as CSV, whole or not at all; what is missing is empty."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
