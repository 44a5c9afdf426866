"""A criterion: where a quantity must lie. Planning reads it, so that it takes no library."""

from dataclasses import dataclass
from math import inf, isinf

Range = tuple[float, float]


@dataclass(frozen=True)
class Criterion:
    """Where a quantity must lie, in its own units: ratios as ratios."""

    supports: Range
    """Where the claim says that it lies, ends left out: `(2, inf)`."""
    contradicts: tuple[Range, ...] | None = None
    """Where the claim would be wrong; None: everywhere else."""

    def __post_init__(self) -> None:
        for low, high in (self.supports, *(self.contradicts or ())):
            if not low < high or (isinf(low) and isinf(high)):
                raise ValueError(f"({low:g}, {high:g}) is no side of a criterion")
        for low, high in self.contradicts or ():
            if low < self.supports[1] and self.supports[0] < high:
                raise ValueError(f"({low:g}, {high:g}) both supports and contradicts")

    @property
    def against(self) -> tuple[Range, ...]:
        """The regions that contradict."""
        if self.contradicts is not None:
            return self.contradicts
        low, high = self.supports
        return tuple(region for region in ((-inf, low), (high, inf)) if region[0] < region[1])
