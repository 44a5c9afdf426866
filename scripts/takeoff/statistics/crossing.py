"""Where a curve first reaches a threshold."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Crossing(NamedTuple):
    """Where a curve first reaches a threshold."""

    position: float
    """In the units of the curve's abscissa; the horizon where the crossing is censored."""
    censored: bool
    """Not reached by the horizon: `position` is a lower bound."""


def first_crossing(positions: ArrayLike, values: ArrayLike, threshold: float, horizon: float) -> Crossing:
    """Where `values` first reach `threshold` from below, interpolated linearly between `positions`.

    A curve that starts at the threshold or above crosses at its first position. Values that are not finite reach
    nothing, and nothing is interpolated from them. A curve may stop early; what is not reached by `horizon` is the
    horizon itself, flagged, never dropped. `positions` and `values` of different shapes are a ValueError.
    """
    x, y = np.asarray(positions, dtype=float), np.asarray(values, dtype=float)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"{x.shape} positions for {y.shape} values")
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    reached = np.flatnonzero(np.isfinite(y) & (y >= threshold))
    if not reached.size:
        return Crossing(float(horizon), True)
    i = int(reached[0])
    position = x[i]
    if i > 0 and np.isfinite(y[i - 1]):
        position = x[i - 1] + (threshold - y[i - 1]) / (y[i] - y[i - 1]) * (x[i] - x[i - 1])
    return Crossing(min(float(position), float(horizon)), bool(position > horizon))
