"""What the dropout experiment measures of its claim, that dropout reduces overfitting."""

from itertools import product
from typing import Any

from takeoff.experiments.base import Tables
from takeoff.experiments.dropout.design import Design
from takeoff.statistics.measures import Measure, Veto

CLAIM = "dropout-reduces-overfitting"
RESPONSES = {"gap": "gap", "test_error": "test error"}
"""What must fall, and its name."""
MULTIPLES = (1, 2)
"""Of the study's steps, at which it must."""


def measure(dropout: Design, tables: Tables, card: dict[str, Any]) -> list[Measure]:
    """The greatest rate against the least, at the full size, at one and at two times the steps."""
    runs, longer = tables["runs"], tables["longer"]
    full = runs[runs["images"] == runs["images"].max()]
    least, greatest = full["dropout"].min(), full["dropout"].max()
    compared = full[full["dropout"].isin([least, greatest]) & full["steps"].isin(MULTIPLES)]
    if 2 not in dropout.options.steps:
        return [Measure.missing(CLAIM, "no networks trained for 2 times the steps (dropout.steps)")]
    changes = longer.set_index(["response", "dropout", "steps"])["estimate"]
    more, lost, reasons, found = changes["train_error", greatest, 2], int(compared["collapsed"].sum()), [], []
    if unfinished := more < -dropout.study.margin:
        lower = f"twice the steps lower their training error by {-100 * more:.1f} points"
        words = f"not trained enough: {lower}, so that more test error cannot contradict"
        reasons.append(f"networks with dropout {greatest:g} are {words}")
    if lost:
        words = "runs collapsed to chance, where there is no gap to close"
        reasons.append(f"{lost} of {len(compared)} {words}")
    for times, response in product(MULTIPLES, RESPONSES):
        wide = compared[compared["steps"] == times].pivot(index="seed", columns="dropout", values=response)
        label = f"{RESPONSES[response]}, dropout {greatest:g} − {least:g}, {times}× steps"
        change = 100 * (wide[greatest] - wide[least])
        # What has not learned its training images yet errs more for that reason, whatever dropout does.
        veto: Veto = "any" if unfinished and response == "test_error" else ""
        known: dict[str, Any] = {"reason": "; ".join(reasons), "arms": tuple(compared["arm"].unique())}
        part = f"{response}-{times}x"
        found.append(Measure.of(CLAIM, part, label, change, "points", veto=veto, **known))
    return found
