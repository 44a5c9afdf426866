"""The table throughput.csv: a row per loop and setting, from blocks to medians, ranges and ratios; no torch."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from statistics import median
from typing import Any

from takeoff.files import atomic_path

PLAIN, MEMORY = "dataloader", "memory"
"""The plain loops' names; the first is what ratios are to."""


@dataclass(frozen=True)
class Row:
    """One loop in one setting: the columns of throughput.csv."""

    loop: str
    """`dataloader`, `memory`, or a way of the engine."""
    width: float
    batch: int
    threads: int
    """Of a process."""
    precision: str
    images_per_second: float | None = None
    """The median block; of all processes together."""
    ratio_to_plain: float | None = None
    """To `images_per_second` of `dataloader` in the same setting."""
    ratio_low: float | None = None
    """The least ratio of a block to its neighbour's, and …"""
    ratio_high: float | None = None
    """… the greatest."""
    low: float | None = None
    """Images per second of the slowest block, and …"""
    high: float | None = None
    """… of the fastest."""
    blocks: int = 0
    step_milliseconds: float | None = None
    share_of_ceiling: float | None = None
    """Floating-point operations per second, counted for convolutions and linear layers, of those of a matrix
    product in the same precision and beside it."""
    processes: int = 1
    """That train at the same time."""
    runs: int = 1
    """That a process trains at the same time."""
    workers: int | None = None
    """Of the DataLoader."""
    resolution: int = 32
    """Of the images, in pixels."""
    comparison: str = "loops"
    """Rows are measured beside each other within a setting of `loops`, or in `processes`."""
    images: str = ""
    """Which images are shown."""
    device: str = ""
    """`cpu`, or the GPU's name."""
    note: str = ""
    """What a reader must know."""


@dataclass(frozen=True)
class Timed:
    """One loop and its blocks."""

    row: Row
    images_per_call: int
    blocks: Sequence[float]
    """Seconds per call, a number per block."""

    @property
    def rates(self) -> list[float]:
        """Images per second, a number per block."""
        return [self.images_per_call / seconds for seconds in self.blocks]


def summarised(timed: Sequence[Timed], flops: int, ceilings: Mapping[str, float]) -> list[Row]:
    """A row per loop, with what its blocks say; of plain loops with several numbers of workers only the fastest.

    Args:
        timed: the loops of one setting, their blocks interleaved.
        flops: floating-point operations of one image's forward and backward pass.
        ceilings: of a matrix product beside them, per second, by precision.

    """
    tried = [one for one in timed if one.row.loop == PLAIN]
    plain = max(tried, key=lambda one: median(one.rates)) if tried else None
    rows = []
    for one in timed:
        if one.row.loop == PLAIN and one is not plain:
            continue
        rates, row = one.rates, one.row
        speed = median(rates)
        if plain is not None:
            ratios = [mine / its for mine, its in zip(rates, plain.rates, strict=True)]
            row = replace(
                row,
                ratio_to_plain=speed / median(plain.rates),
                ratio_low=min(ratios),
                ratio_high=max(ratios),
            )
        if one is plain and len(tried) > 1:
            row = replace(row, note="; ".join(filter(None, (row.note, _others(tried, one)))))
        ceiling = ceilings.get(row.precision)
        rows.append(
            replace(
                row,
                images_per_second=speed,
                low=min(rates),
                high=max(rates),
                blocks=len(rates),
                step_milliseconds=1000 * row.batch * row.runs * row.processes / speed,
                share_of_ceiling=speed * flops / ceiling if ceiling else None,
            )
        )
    return rows


def _others(tried: Sequence[Timed], best: Timed) -> str:
    """How fast the DataLoader was with other numbers of workers."""
    words = [f"{median(one.rates):.4g} with {one.row.workers}" for one in tried if one is not best]
    return f"the best number of workers; images per second were {', '.join(words)}"


def line(row: Row) -> str:
    """A row, for a terminal."""
    if row.images_per_second is None:
        return f"{setting_words(row)}: {row.loop}: {row.note}"
    ratio = "" if row.ratio_to_plain is None else f", {row.ratio_to_plain:.2f} times {PLAIN}"
    return f"{setting_words(row)}: {row.loop}: {row.images_per_second:,.0f} images/s{ratio}"


def setting_words(row: Row) -> str:
    """What a row trains, and on how much of the machine."""
    words = [f"{row.resolution} px", f"width {row.width:g}", f"batch {row.batch}"]
    if row.device == "cpu":
        words.append(f"{row.threads} thread{'s' * (row.threads > 1)}")
    if row.comparison == "processes":
        words.append(f"{row.processes} process{'es' * (row.processes > 1)}")
    return ", ".join(words)


def write_rows(path: Path, kind: type, rows: Sequence[Any]) -> None:
    """Write `rows`, all of the dataclass `kind`, as CSV, whole or not at all; what is missing is empty."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(kind)], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({key: _rounded(value) for key, value in asdict(row).items()})


def _rounded(value: Any) -> Any:
    """Six digits: no clock is better."""
    return float(f"{value:.6g}") if isinstance(value, float) else value
