"""What `stability` measures of its claims, from limits that are known only to lie between points of a grid."""

from math import inf, log
from typing import Any

import pandas as pd

from takeoff.experiments.base import Tables
from takeoff.experiments.stability.design import Design
from takeoff.figures.words import level_words
from takeoff.statistics.measures import Measure

RATES = "batch-norm-allows-larger-rates"
DEPTHS = {"sigmoid": "batch-norm-allows-deeper-sigmoid-networks", "relu": "batch-norm-allows-deeper-relu-networks"}
LABELS = {
    "rate": "largest rate that trains, batch norm over none",
    "depth": "greatest depth that trains, batch norm over none",
}
NORMS = {"none": "without it", "batch": "with batch norm"}
MOST = {"rate": "largest", "depth": "greatest"}


def measure(stability: Design, tables: Tables, card: dict[str, Any]) -> list[Measure]:
    """Batch norm's limits over those without it, of each activation."""
    limits, at = tables["limits"], f"at {stability.options.rates_at} hidden layers"
    return [
        *(_ratio(limits, "rate", activation, RATES, activation, at) for activation in DEPTHS),
        *(_ratio(limits, "depth", activation, claim, "depth") for activation, claim in DEPTHS.items()),
    ]


def _ratio(limits: pd.DataFrame, limit: str, activation: str, claim: str, part: str, where: str = "") -> Measure:
    """The ratio of limits by seed, with the grid's steps as its bound.

    The limit with batch norm lies in [b, next b), that without in [n, next n), so the ratio in (b / next n,
    next b / n). Where nothing trains, the limit lies below the grid's least point, which then stands for it.
    """
    limits = limits[limits["limit"].eq(limit) & limits["activation"].eq(activation)]
    reasons = [where] * bool(where)
    for (norm, side), own in limits.groupby(["norm", "censored"], sort=False):
        if side != "no":
            which = {"below": f"no {limit} trains", "above": f"the {MOST[limit]} {limit} trains or may yet"}[side]
            reasons.append(f"{NORMS[norm]} {which} in {len(own)} of {limits['seed'].nunique()} seeds")
    batch, none = (limits[limits["norm"] == norm].set_index("seed") for norm in ("batch", "none"))
    (batch_below, batch_above), (none_below, none_above) = _reach(batch, limit), _reach(none, limit)
    bound = (max(batch_below, none_above), max(none_below, batch_above))
    # Every learning rate of the grid is in the limits: no choice among them matters.
    ratio, label = batch["value"] / none["value"], f"{level_words('activation', activation)}: {LABELS[limit]}"
    return Measure.of(claim, part, label, ratio, "ratio", bound, reason="; ".join(reasons), arms=())


def _reach(limits: pd.DataFrame, limit: str) -> tuple[float, float]:
    """How far below and above its grid point a limit may lie, as logarithms; there is no depth between two layers."""
    below = inf if "below" in set(limits["censored"]) else 0.0
    greatest = (limits["next"] - (limit == "depth")).clip(lower=limits["value"])
    return below, max(log(end / value) for end, value in zip(greatest, limits["value"], strict=True))
