"""The claim of `stability`, judged from limits that are known only to lie between points of a grid."""

from math import inf, log
from typing import TYPE_CHECKING

from takeoff.experiments.claims import Claim, Finding
from takeoff.statistics.verdicts import Part

if TYPE_CHECKING:
    import pandas as pd

CLAIMS = (
    Claim(
        name="batch-norm-allows-more",
        statement="Batch norm allows larger rates and deeper networks.",
        source="Ioffe & Szegedy 2015, sections 3.3 and 4.2",
        quantity="with batch norm over without: largest learning rate that trains, at the greatest depth where both "
        "train at some rate in most seeds; and greatest depth that trains at any rate",
        criterion="supported where both ratios lie above 1; contradicted where either lies below. A limit is known "
        "only to lie between two points of the grid, and beyond it where the last point trains",
        published="Inception with batch norm trains at 30 times the rate (x30)",
        figure="stability-limits",
    ),
)
BEYOND = {
    ("rate", "below"): "no rate trains",
    ("rate", "above"): "the largest rate trains",
    ("depth", "below"): "no depth trains",
    ("depth", "above"): "the greatest depth trains",
}
"""What a limit beyond the grid means, by side."""
LABELS = {
    "rate": "largest rate that trains, batch norm over none",
    "depth": "greatest depth that trains, likewise",
}


def findings(limits: "pd.DataFrame") -> list[Finding]:
    """What `limits`, read back, says."""
    parts = tuple(_part(limits[limits["limit"] == limit], label) for limit, label in LABELS.items())
    edges = [
        f"{'with batch norm' if norm == 'batch' else 'without it'} {BEYOND[limit, side]} in "
        f"{len(group)} of {limits['seed'].nunique()} seeds"
        for (limit, norm, side), group in limits.groupby(["limit", "norm", "censored"], sort=False)
        if side != "no"
    ]
    depth = int(limits["at_depth"].max())
    # Every rate of the grid is in the limits: no choice among them matters.
    return [Finding(CLAIMS[0].name, parts, "; ".join([f"rates at {depth} hidden layers", *edges]), arms=())]


def _part(limits: "pd.DataFrame", label: str) -> Part:
    """The ratio of limits by seed, with the grid's steps as slack.

    The limit with batch norm lies in [b, next b), that without in [n, next n), so the ratio in (b / next n,
    next b / n). Where nothing trains, the limit lies below the grid's least point, which then stands for it.
    """
    batch, none = (limits[limits["norm"] == norm].set_index("seed") for norm in ("batch", "none"))
    common = batch.index.intersection(none.index)
    batch, none = batch.loc[common], none.loc[common]
    below = max(
        inf if "below" in set(batch["censored"]) else 0.0,
        max((_step(row) for row in none.itertuples()), default=0.0),
    )
    above = max(
        inf if "below" in set(none["censored"]) else 0.0,
        max((_step(row) for row in batch.itertuples()), default=0.0),
    )
    return Part.of(label, batch["value"] / none["value"], (1, inf), ratio=True, slack=(below, above))


def _step(row: "pd.Series") -> float:
    """How far above its grid point a limit may lie, as a logarithm."""
    return inf if row.next == inf else log(row.next / row.value)
