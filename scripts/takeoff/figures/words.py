"""Levels and numbers as a reader would say them."""

from collections.abc import Mapping
from math import floor, isfinite, isinf, log10, nan
from textwrap import shorten

from takeoff.common.tables import level_text

_LEVELS = {
    "relu": "ReLU",
    "gelu": "GELU",
    "batch": "batch norm",
    "local": "local response norm",
    "plain": "plain pooling",
    "overlapping": "overlapping pooling",
    "flip-crop": "flips, crops",
    "flip-crop-colour": "flips, crops, colour",
    "by-activation": "initialisation by activation",
    "gaussian-0.01": "N(0, 0.01) initialisation",
    "xavier": "Xavier initialisation",
    "he": "He initialisation",
}


def level_words(factor: str, level: object) -> str:
    """A level as a reader would name it.

    >>> [level_words(*pair) for pair in (("norm", "none"), ("dropout", 0.5), ("activation", "relu"))]
    ['no norm', 'dropout 0.5', 'ReLU']
    """
    text = level_text(level)
    if text == "none" or (factor == "dropout" and text == "0"):
        return f"no {factor.replace('_', ' ')}"
    if factor in {"dropout", "width"}:
        return f"{factor} {text}{'×' * (factor == 'width')}"
    if factor == "train_samples":
        return f"{int(text):,} images" if text.isdigit() else f"{text} images"
    if factor in {"activation", "norm", "response_norm", "pooling", "augmentation", "initialisation"}:
        return _LEVELS.get(text, text)
    return f"{factor.replace('_', ' ')} {text}"


def switch_words(factor: str, baseline: object, treatment: object) -> str:
    """A factor as what is done: `batch norm`, or `ReLU instead of tanh`."""
    before, after = level_words(factor, baseline), level_words(factor, treatment)
    if before.startswith("no "):
        return after
    shared = factor.replace("_", " ")
    return f"{after} instead of {before.removeprefix(shared).removesuffix(shared).strip()}"


def term_words(term: str, levels: Mapping[str, tuple[object, object]]) -> str:
    """The term of an effect of factors with these `levels`, baseline and treatment: what is done, the treatments of an
    interaction, or where a simple effect is taken.

    >>> levels = {"activation": ("tanh", "relu"), "norm": ("none", "batch")}
    >>> [term_words(term, levels) for term in ("activation", "activation:norm", "activation@norm=batch")]
    ['ReLU instead of tanh', 'ReLU × batch norm', 'batch norm']
    """
    if "@" in term:
        settings = (setting.split("=") for setting in term.split("@")[1].split(","))
        return ", ".join(level_words(name, level) for name, level in settings)
    if ":" in term:
        return " × ".join(level_words(name, levels[name][1]) for name in term.split(":"))
    return switch_words(term, *levels[term])


def label_words(*lines: str, letters: int) -> str:
    """A row's label, a line each; a line that is longer than so many letters ends in a mark that says so.

    >>> label_words("a long line", "short", letters=8).splitlines()
    ['a long …', 'short']
    """
    return "\n".join(shorten(line, letters, placeholder=" …") for line in lines)


def signed(value: float, decimals: int = 1) -> str:
    """A number with its sign; nothing has no sign.

    >>> signed(1.24), signed(-0.04), signed(-2.5, 2)
    ('+1.2', '0.0', '−2.50')
    """
    text = f"{value:+.{decimals}f}"
    return text[1:] if not text.strip("+-0.") else text.replace("-", "−")


def seeds_words(seeds: int, spread: str = "intervals", fewest: int | None = None) -> str:
    """How many seeds there are, so which intervals (or bands): `6 seeds, 95% Student t intervals`; `fewest` is how many
    there are where some are missing: `4 to 6 seeds`.
    """
    some = "" if fewest in {None, seeds} else f"{fewest} to "
    return f"{some}{seeds} seed{'s' * (seeds > 1)}, {f'95% Student t {spread}' if seeds > 1 else f'so no {spread}'}"


def times_words(value: float, bound: str = "none") -> str:
    """A ratio: `2.31×`, or as a bound `≥ 2.31×`."""
    sign = {"none": "", "lower": "≥ ", "upper": "≤ "}.get(bound, "")
    return f"{sign}{value:.2f}×" if isfinite(value) else "–"


def power_words(value: float) -> str:
    """A large number with its power of ten.

    >>> power_words(2.5e9)
    '2.5 × $10^{9}$'
    """
    digits, power = f"{value:.1e}".split("e")
    return f"{digits} × $10^{{{int(power)}}}$"


def estimate_words(estimate: float, low: float, high: float, *, ratio: bool) -> tuple[str, str, str]:
    """An estimate and the ends of its interval, to the digits that the interval's width allows.

    >>> estimate_words(21.283, 1.63, 40.9, ratio=False), estimate_words(2.5, 1.5, float("inf"), ratio=True)
    (('21', '2', '41'), ('2.50', '1.50', '∞'))
    """
    widths = [abs(end - estimate) for end in (low, high) if isfinite(end) and end != estimate]
    width = max(widths, default=nan)
    return digits_words(estimate, width, ratio), digits_words(low, width, ratio), digits_words(high, width, ratio)


def digits_words(value: float, width: float, ratio: bool) -> str:
    """A number that is known to `width`; a ratio has three digits at least, as its interval may span many sizes."""
    if isinf(value):
        return "∞" if value > 0 else "−∞"
    if ratio and value == 0:
        return "0"
    if not ratio and abs(value) < width / 1000:
        value = 0.0  # no digit of it is seen
    size = floor(log10(abs(value))) if value else 0
    if value and (size >= 5 or size < -4):  # as in 2.10·10⁶
        power = str(size).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return f"{value / 10.0**size:.2f}·10{power}".replace("-", "−")
    by_width = 1 - floor(log10(width)) if width > 0 else 2 - size
    decimals = max(by_width - 1, 2 - size) if ratio else by_width
    text = f"{value:,.{min(max(decimals, 0), 5)}f}"
    return (text if float(text.replace(",", "")) else text.lstrip("-")).replace("-", "−")
