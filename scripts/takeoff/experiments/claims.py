"""Claims: sentences with a published source, a measurable quantity, and a criterion fixed before training."""

from dataclasses import dataclass
from typing import Literal

from takeoff.statistics.verdicts import Part

MUCH_DATA = 40_000
"""Training images from which a dataset counts as much data; CIFAR-10 has 50,000."""


@dataclass(frozen=True)
class Claim:
    """What is claimed, by whom, and what would settle it."""

    name: str
    """Short and unique: `relu-trains-faster`."""
    statement: str
    """The claim, one sentence."""
    source: str
    """Who published it, with year and place; or that it is told without a source."""
    quantity: str
    """What is measured for it, with its unit."""
    criterion: str
    """When it is supported, and when contradicted, in words."""
    published: str
    """The published figure, or an empty text."""
    figure: str
    """The figure that shows it: `race-ratios`."""
    scope: Literal["any", "much data", "gpu"] = "any"
    """What a study must have for the claim to be tested at all."""
    published_value: float | None = None
    """The published figure as a number, in the units of the first part, to be marked on its axis: 6 for 6×."""


@dataclass(frozen=True)
class Finding:
    """What an experiment measured of one of its claims."""

    claim: str
    """The claim's name."""
    parts: tuple[Part, ...] = ()
    """Supported needs every one; the first is the one shown. Without parts the claim is not tested."""
    reason: str = ""
    """What a reader must know of the verdict, or why the claim could not be tested."""
    arms: tuple[str, ...] | None = None
    """The arms whose tuning the verdict depends on; None: all that the experiment has."""
