"""What `stability` measures of its claim, from limits that are known only to lie between points of a grid."""

from math import inf, log
from typing import Any

import pandas as pd

from takeoff.experiments.base import Tables
from takeoff.experiments.stability.design import Design
from takeoff.statistics.measures import Measure

CLAIM = "batch-norm-allows-more"
LABELS = {"rate": "largest rate that trains, batch norm over none", "depth": "greatest depth that trains, likewise"}
NORMS = {"none": "without it", "batch": "with batch norm"}
MOST = {"rate": "largest", "depth": "greatest"}


def measure(stability: Design, tables: Tables, card: dict[str, Any]) -> list[Measure]:
    """Batch norm's limits over those without it."""
    limits = tables["limits"]
    reasons = [f"rates at {limits['at_depth'].max()} hidden layers"]
    for (limit, norm, side), own in limits.groupby(["limit", "norm", "censored"], sort=False):
        if side != "no":
            which = f"no {limit}" if side == "below" else f"the {MOST[limit]} {limit}"
            share = f"{len(own)} of {limits['seed'].nunique()} seeds"
            reasons.append(f"{NORMS[norm]} {which} trains in {share}")
    return [_ratio(limits[limits["limit"] == limit], limit, "; ".join(reasons)) for limit in LABELS]


def _ratio(limits: pd.DataFrame, limit: str, reason: str) -> Measure:
    """The ratio of limits by seed, with the grid's steps as its bound.

    The limit with batch norm lies in [b, next b), that without in [n, next n), so the ratio in (b / next n,
    next b / n). Where nothing trains, the limit lies below the grid's least point, which then stands for it.
    """
    batch, none = (limits[limits["norm"] == norm].set_index("seed") for norm in ("batch", "none"))
    (batch_below, batch_above), (none_below, none_above) = _reach(batch), _reach(none)
    bound = (max(batch_below, none_above), max(none_below, batch_above))
    # Every learning rate of the grid is in the limits: no choice among them matters.
    ratio = batch["value"] / none["value"]
    return Measure.of(CLAIM, limit, LABELS[limit], ratio, "ratio", bound, reason=reason, arms=())


def _reach(limits: pd.DataFrame) -> tuple[float, float]:
    """How far below and above its grid point a limit may lie, as logarithms."""
    below = inf if "below" in set(limits["censored"]) else 0.0
    return below, max(log(row.next / row.value) for row in limits.itertuples())
