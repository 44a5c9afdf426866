"""How much sooner one arm's curves reach a threshold than another's, and what is known where they do not."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from takeoff.common.errors import TakeoffError
from takeoff.common.tables import check_once, columns_named, level_texts, numbers, positive
from takeoff.statistics.crossing import Crossing, first_crossing
from takeoff.statistics.intervals import mean_interval, welch_interval

COLUMNS = ("arm", "over", "ratio", "ci_low", "ci_high", "bound", "n_seeds", "n_censored", "n_over_censored")


class CrossingRatio(NamedTuple):
    """How many times as long one arm takes as another: a geometric mean over seeds and its 95% interval."""

    ratio: float
    low: float
    high: float
    bound: Literal["none", "lower", "upper", "unknown"]
    """`none`: every crossing was seen. `lower`, `upper`: the ratio is at least, at most, `ratio`. `unknown`: crossings
    of both arms are censored, and the ratio could be anything."""


def crossing_ratio(times: Sequence[Crossing], over: Sequence[Crossing], paired: bool = True) -> CrossingRatio:
    """The ratio of crossing times, `times` / `over`, at positions above 0, paired by seed: exp of the mean log ratio.

    Its interval is Student's t on the log ratios; where runs are not `paired`, Welch's on the logs, which takes them as
    independent and normal (`intervals.welch`). NaN with one seed. A censored crossing counts as the horizon. If only
    those of `times` are, the ratio and the interval's lower end are too small, if anything, and its upper end is
    infinite; if only those of `over` are, they are too large, and the lower end is 0. If both are, even in different
    seeds, nothing bounds the ratio: both ends go.
    """
    if paired:
        logs = np.log([top.position / bottom.position for top, bottom in zip(times, over, strict=True)])
        found = mean_interval(logs, size=1)
    else:
        sides = [np.log([crossing.position for crossing in arm]) for arm in (times, over)]
        found = welch_interval(sides, [1, -1], size=1)
    ratio, low, high = (float(np.exp(value)) for value in found[:3])
    above, below = (any(crossing.censored for crossing in arm) for arm in (times, over))
    if above and below:
        return CrossingRatio(ratio, 0.0, np.inf, "unknown")
    if above:
        return CrossingRatio(ratio, low, np.inf, "lower")
    return CrossingRatio(ratio, 0.0 if below else low, high, "upper" if below else "none")


def crossings_table(
    curves: pd.DataFrame,
    arm: str,
    position: str,
    value: str,
    threshold: float,
    horizon: float | None = None,
    source: str = "curves",
    seed: str = "seed",
    paired: bool = True,
) -> pd.DataFrame:
    """The first arm's crossing times over every other arm's: a row each, with the columns `COLUMNS`.

    `curves`, read from `source`, have a row per arm, seed and position, and the columns `arm`, whose first value is the
    baseline; `seed`, which may be absent where there is one; `position`, numbers from 0 up, such as epochs; and
    `value`, numbers that rise to the `threshold`, empty where there is none. The `horizon` is the last position in the
    table when left out. Seeds count that both arms have; all, where runs are not `paired`. A TakeoffError says that a
    column is absent or wrong; that there is one arm, or no seed in common; that a position stands twice in a curve;
    that no curve rises to the threshold by the horizon; or that a curve starts at the threshold.
    """
    seeds = level_texts(curves, seed, source) if columns_named(curves, seed) else ["0"] * len(curves)
    positions, values = positive(curves, position, source, zero=True), numbers(curves, value, source)
    points = pd.DataFrame({arm: level_texts(curves, arm, source), seed: seeds, position: positions})
    check_once(points, source, "one; --seed COLUMN names what tells an arm's curves apart")
    end = float(positions.max()) if horizon is None else horizon
    seen = values[np.isfinite(values) & (positions <= end)]
    if not (seen.size and seen.min() < threshold <= seen.max()):
        reach = f"from {seen.min():g} to {seen.max():g}" if seen.size else "nowhere"
        raise TakeoffError(
            f"{source}: threshold {threshold:g}: column {value} goes {reach} up to {position} {end:g}; "
            "valid: a number that curves rise to: above the least, and up to the most"
        )
    crossings: dict[str, dict[str, Crossing]] = {}
    for (name, own), curve in points.groupby([arm, seed], sort=False):
        x, y = positions[curve.index], values[curve.index]
        first = y[np.isfinite(y)][np.argsort(x[np.isfinite(y)], kind="stable")][:1]
        if first >= threshold:
            raise TakeoffError(
                f"{source}: {arm} {name}, {seed} {own}: {value} starts at {first[0]:g}, the threshold of {threshold:g} "
                "or above; valid: a threshold that every curve rises to"
            )
        crossing = first_crossing(x, y, threshold, end)
        # What a curve that ends before would have reached is not known.
        crossing = Crossing(min(float(x.max()), end), True) if crossing.censored else crossing
        crossings.setdefault(name, {})[own] = crossing
    (first, baseline), *others = crossings.items()
    if not others:
        raise TakeoffError(f"{source}: column {arm} has one level ({first}); valid: two or more")
    rows = []
    for name, crossed in others:
        pair = [list(baseline.values()), list(crossed.values())]
        if paired:
            common = [own for own in baseline if own in crossed]
            if len(common) < min(2, *map(len, pair)):
                raise TakeoffError(
                    f"{source}: {arm} {first} and {name} have {'one' if common else 'no'} seed in common; "
                    "valid: the same seeds, or --unpaired for runs whose seeds have nothing in common"
                )
            pair = [[of[own] for own in common] for of in (baseline, crossed)]
        censored = [sum(crossing.censored for crossing in side) for side in pair]
        rows.append((first, name, *crossing_ratio(pair[0], pair[1], paired), min(map(len, pair)), *censored))
    return pd.DataFrame(rows, columns=list(COLUMNS))
