"""A part's own axis on the claims' figure, and its numbers as words."""

from collections.abc import Callable

import numpy as np

from takeoff.statistics.measures import Measure
from takeoff.statistics.verdicts import Judgement

ENDS = (-0.42, 0.58)
"""Of every part's axis, in shares of it: its criterion stands at 0."""
NEARLY_NONE = 1e-9
"""Ratios below it are written as 0, those above its inverse as infinite: a t interval of two values has such ends."""
FAR = 4.0
"""A published figure that would shrink its part's axis more than so many times is left out."""


def scale_of(judgement: Judgement, published: float | None) -> Callable[[float], float]:
    """A part's own axis: the share of it at which a value stands, held on it. The criterion stands at 0, what speaks
    for the claim right of it; estimate, interval and, unless it is far off, the published figure have room.
    """
    part, measure = judgement.part, judgement.part.measure
    low, high = map(measure.scaled, part.criterion.supports)
    sign, origin = (1, low) if np.isfinite(low) else (-1, high)

    def needed(*values: float) -> float:
        """Units from end to end."""
        offsets = sign * (np.array([value for value in values if np.isfinite(value)] or [origin]) - origin)
        return float(np.max(offsets / np.where(offsets > 0, ENDS[1], ENDS[0]))) / 0.93

    ends = [measure.scaled(end) for region in part.against for end in region]
    interval = [measure.scaled(bounded(measure, end)) for end in (judgement.low, judgement.high)]
    units = needed(measure.estimate, *interval, *ends)
    if np.isfinite(low) and np.isfinite(high):  # leave room beyond the far end
        units = max(units, 1.6 * needed(high))
    if np.isinf(interval).any():  # and for an arrow
        units *= 1.25
    if published is not None and (own := needed(measure.scaled(published))) <= FAR * units:
        units = max(units, own)
    return lambda value: float(np.clip(sign * (value - origin) / (units or 1.0), *ENDS))


def bounded(measure: Measure, value: float) -> float:
    """A value in the quantity's own units, as far as there is such a one: percentages differ by 100 points at most, and
    a ratio that is as good as 0 or infinite is that.
    """
    if measure.ratio:
        return 0.0 if value < NEARLY_NONE else np.inf if value > 1 / NEARLY_NONE else value
    most = 100.0 if measure.unit == "points" else measure.most
    return float(np.clip(value, -most, most)) if np.isfinite(value) else value


def number_words(judgement: Judgement) -> tuple[str, str]:
    """Estimate with its unit, and interval, both to the digits that the interval's width allows; on how many values
    they rest, where that is known; and whether the part may have no verdict.
    """
    measure = judgement.part.measure
    numbers = [bounded(measure, value) for value in (judgement.estimate, judgement.low, judgement.high)]
    estimate, *ends = numbers
    unit = "×" if measure.ratio else f" {measure.unit}".rstrip()
    if np.isnan(estimate):
        return "–", "not measured"
    if np.isnan(ends).any():
        return _digits(estimate, np.nan, measure.ratio) + unit, "no interval"
    widths = [abs(end - estimate) for end in ends if np.isfinite(end) and end != estimate]
    middle, low, high = (_digits(value, max(widths, default=np.nan), measure.ratio) for value in numbers)
    rests_on = "" if measure.n is None else f" n {measure.n}"
    return middle + unit, f"[{low}, {high}]{rests_on}{', vetoed' * bool(measure.veto)}"


def _digits(value: float, width: float, ratio: bool) -> str:
    """A number that is known to `width`; a ratio has three digits at least, as its interval may span many sizes."""
    if np.isinf(value):
        return "∞" if value > 0 else "−∞"
    if ratio and value == 0:
        return "0"
    if not ratio and abs(value) < width / 1000:
        value = 0.0  # no digit of it is seen
    size = int(np.floor(np.log10(abs(value)))) if value else 0
    if value and (size >= 5 or size < -4):  # as in 2.10·10⁶
        power = str(size).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return f"{value / 10.0**size:.2f}·10{power}".replace("-", "−")
    by_width = 1 - int(np.floor(np.log10(width))) if width > 0 else 2 - size
    decimals = max(by_width - 1, 2 - size) if ratio else by_width
    text = f"{value:,.{min(max(decimals, 0), 5)}f}"
    return (text if float(text.replace(",", "")) else text.lstrip("-")).replace("-", "−")
