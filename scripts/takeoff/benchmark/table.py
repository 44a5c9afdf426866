"""The table throughput.csv: a row per loop and setting, from blocks to medians, ranges and ratios. Knows no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

PLAIN, MEMORY = "dataloader", "memory"
"""The plain loops' names; ratios are to the first."""


@dataclass(frozen=True)
class Speed:
    """One loop in one setting: the columns of throughput.csv."""

    loop: str
    """`dataloader`, `memory`, or a way of the engine."""
    width: float
    batch: int
    """Images of a step."""
    threads: int
    precision: str
    images_per_second: float | None = None
    """The median block."""
    ratio_to_plain: float | None = None
    """To `images_per_second` of `dataloader` in the same setting."""
    ratio_low: float | None = None
    """The least ratio of a block to the plain loop's block beside it."""
    ratio_high: float | None = None
    """The greatest such ratio."""
    low: float | None = None
    """Images per second of the slowest block."""
    high: float | None = None
    """Images per second of the fastest block."""
    blocks: int = 0
    share_of_ceiling: float | None = None
    """Floating-point operations per second of convolutions and linear layers, as a share of a ceiling: the rate of a
    matrix product or of a dense convolution, whichever is faster, measured beside it in the same precision. A GPU's
    ceiling in float32 has no TensorFloat-32, which plain loops have, so that theirs may exceed 1."""
    share_of_roofline: float | None = None
    """Of the images per second at which products take that rate, and bytes that must be moved the rate of a copy."""
    runs: int = 1
    """That are trained at the same time."""
    workers: int = 0
    """Of the DataLoader."""
    resolution: int = 32
    """Of the images, in pixels."""
    device: str = ""
    """`cpu`, or the GPU's name."""
    note: str = ""
    """What a reader must know."""

    @property
    def setting(self) -> str:
        """What is trained, on how much of the machine."""
        words = f"{self.resolution} px, width {self.width:g}, batch {self.batch}"
        return words + f", {self.threads} thread{'s' * (self.threads > 1)}" * (self.device == "cpu")

    def __str__(self) -> str:
        if self.images_per_second is None:
            return f"{self.setting}: {self.loop}: {self.note}"
        speed = f"{self.images_per_second:,.0f} images/s, {self.ratio_to_plain:.2f} times {PLAIN}"
        return f"{self.setting}: {self.loop}: {speed}"


def summarised(
    rates: Mapping[Speed, Sequence[float]], flops: int, ceilings: Mapping[str, float], rooflines: Mapping[str, float]
) -> list[Speed]:
    """A row per loop of a setting, with its images per second, a number per interleaved block, summarised.

    `flops` are the floating-point operations of one image's forward and backward pass; `ceilings` those of the faster
    one of a product and a convolution beside them, per second, by precision; and `rooflines` the images per second
    that this and a copy allow.
    """
    plain = next(blocks for row, blocks in rates.items() if row.loop == PLAIN)
    rows = []
    for row, blocks in rates.items():
        speed, ratios = median(blocks), [mine / its for mine, its in zip(blocks, plain, strict=True)]
        summary = replace(
            row,
            images_per_second=speed,
            ratio_to_plain=speed / median(plain),
            ratio_low=min(ratios),
            ratio_high=max(ratios),
            low=min(blocks),
            high=max(blocks),
            blocks=len(blocks),
            share_of_ceiling=speed * flops / ceilings[row.precision],
            share_of_roofline=speed / rooflines[row.precision],
        )
        rows.append(summary)
    return rows
