"""A claim's own axis on the claims' figure, and its numbers as words."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from takeoff.statistics.verdicts import Judgement, Part

AXIS = (4.5, 2.2)
"""Left edge and width, in inches."""
CRITERION = 0.42
"""Where on its axis each row's criterion stands."""
NEARLY_NONE = 1e-9
"""Ratios below it are written as 0, those above its inverse as infinite: a t interval of two values has such ends."""
FAR = 4.0
"""A published figure that would shrink its row's axis more than so many times stands at the edge."""


@dataclass(frozen=True)
class Scale:
    """A row's own axis: the criterion stands at `line`, what speaks for the claim lies to its right."""

    origin: float
    """The criterion, on the estimate's scale: logarithmic for ratios."""
    sign: int
    """−1 where smaller values speak for the claim."""
    inches: float
    """Of one unit."""
    line: float = AXIS[0] + CRITERION * AXIS[1]

    @classmethod
    def of(cls, judgement: Judgement, published: float | None) -> "Scale":
        """The axis on which estimate, interval and, unless it is far off, the published figure stand."""
        part = judgement.part
        low, high = map(part.scaled, part.supports)
        sign, origin = (1, low) if np.isfinite(low) else (-1, high)
        rooms = {1: 0.93 * (1 - CRITERION) * AXIS[1], -1: 0.93 * CRITERION * AXIS[1]}

        def needed(values: Sequence[float]) -> float:
            """Units per inch."""
            offsets = [sign * (value - origin) for value in values if np.isfinite(value)]
            return max((abs(offset) / rooms[1 if offset > 0 else -1] for offset in offsets), default=0.0)

        ends = [part.scaled(end) for region in part.against for end in region]
        interval = [bounded(part, end) for end in (judgement.low, judgement.high)]
        units = needed([part.estimate, *interval, *ends])
        if np.isfinite(low) and np.isfinite(high):  # leave room beyond the far end
            units = max(units, 1.6 * needed([high]))
        if np.isinf(interval).any():  # and for an arrow
            units *= 1.25
        if published is not None and needed([part.scaled(published)]) <= FAR * units:
            units = max(units, needed([part.scaled(published)]))
        return cls(origin, sign, 1 / units if units else 1.0)

    def place(self, value: float) -> float:
        """Inches from the left, held on the axis."""
        inches = self.line + self.sign * (value - self.origin) * self.inches
        return float(np.clip(inches, AXIS[0], AXIS[0] + AXIS[1]))

    def holds(self, value: float) -> bool:
        """Whether a value stands on the axis."""
        return AXIS[0] < self.place(value) < AXIS[0] + AXIS[1]


def bounded(part: Part, end: float) -> float:
    """An interval's end on the estimate's scale; infinite where a ratio is as good as 0 or infinite."""
    if part.ratio and not NEARLY_NONE <= end <= 1 / NEARLY_NONE and not np.isnan(end):
        return np.inf if end > 1 else -np.inf
    return part.scaled(_possible(part, end))


def _possible(part: Part, end: float) -> float:
    """An interval's end as far as there is such a value: percentages differ by 100 points at most."""
    most = 100.0 if part.unit == "points" else part.most
    return float(np.clip(end, -most, most)) if np.isfinite(end) else end


def number_words(judgement: Judgement) -> tuple[str, str]:
    """Estimate with its unit, and interval, both to the digits that the interval's width allows; and on how many values
    they rest, where that is a whole number.
    """
    low, high = (_possible(judgement.part, end) for end in (judgement.low, judgement.high))
    estimate = judgement.estimate
    unit = "×" if judgement.part.ratio else f" {judgement.part.unit}".rstrip()
    if np.isnan(estimate):
        return "–", "not measured"
    if np.isnan(low):
        return _digits(estimate, np.nan, judgement.part.ratio) + unit, "no interval"
    widths = [abs(end - estimate) for end in (low, high) if np.isfinite(end) and end != estimate]
    width = max(widths, default=np.nan)
    texts = [_digits(value, width, judgement.part.ratio) for value in (estimate, low, high)]
    number = judgement.part.freedom + 1
    rests = f" n {number:.0f}" if np.isfinite(number) and float(number).is_integer() else ""
    return texts[0] + unit, f"[{texts[1]}, {texts[2]}]{rests}"


def _digits(value: float, width: float, ratio: bool) -> str:
    """A number that is known to `width`; a ratio has three digits at least, as its interval may span many sizes."""
    if ratio and value > 1 / NEARLY_NONE:
        value = np.inf
    if not np.isfinite(value):
        return ("−" if value < 0 else "") + ("∞" if np.isinf(value) else "–")
    if ratio and 0 <= value < NEARLY_NONE:
        return "0"
    if not ratio and abs(value) < width / 1000:
        value = 0.0  # no digit of it is seen
    size = int(np.floor(np.log10(abs(value)))) if value else 0
    if value and (size >= 5 or size < -4):
        return _powers(value, size)
    by_width = 1 - int(np.floor(np.log10(width))) if width > 0 else 2 - size
    decimals = max(by_width - 1, 2 - size) if ratio else by_width
    text = f"{value:,.{min(max(decimals, 0), 5)}f}"
    return (text if float(text.replace(",", "")) else text.lstrip("-")).replace("-", "−")


def _powers(value: float, size: int) -> str:
    """As in 2.10·10⁶."""
    power = str(size).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{value / 10.0**size:.2f}·10{power}".replace("-", "−")


def criterion_words(part: Part) -> list[tuple[float, str, str]]:
    """Each end of where the claim says the quantity lies, its words, `> 2×`, and how they are aligned."""
    unit = "×" if part.ratio else ""
    finite = [
        (value, sign)
        for value, sign in zip(part.supports, "><", strict=True)
        if np.isfinite(part.scaled(value))
    ]
    words = [_digits(value, np.nan, True) for value, _ in finite]
    words = [re.sub(r"\.?0+(?=·|$)", "", word) if "." in word else word for word in words]
    if len(finite) == 1:
        return [(finite[0][0], f"{finite[0][1]} {words[0]}{unit}", "left")]
    ends = zip(finite, words, ("right", "left"), strict=True)
    return [(value, f"{word}{unit}", side) for (value, _), word, side in ends]
