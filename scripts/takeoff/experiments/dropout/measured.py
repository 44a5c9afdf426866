"""What the dropout experiment measures of its claim, that dropout reduces overfitting."""

from itertools import product
from math import inf
from typing import Any

from takeoff.experiments.base import Tables
from takeoff.experiments.dropout.design import CLAIM, Design
from takeoff.statistics.measures import Measure

RESPONSES = {"gap": "gap", "test_error": "test error"}
"""What must fall, and its name."""
MULTIPLES = (1, 2)
"""Of the study's steps, at which it must."""


def measure(dropout: Design, tables: Tables, card: dict[str, Any]) -> list[Measure]:
    """The rate chosen for each seed against none, at the greatest size, at one and at two times the steps."""
    if why := dropout.untestable():
        return [Measure.missing(*one) for one in why.items()]
    runs, chosen, longer = tables["runs"], tables["chosen"].set_index(["response", "images", "steps"]), tables["longer"]
    full = runs[(runs["images"] == runs["images"].max()) & runs["steps"].isin(MULTIPLES)]
    words = [f"dropout {chosen.loc[('gap', full['images'].max(), times), 'rates']} at {times}×" for times in MULTIPLES]
    reasons, found, lost = ["chosen: " + "; ".join(words)], [], int(full["collapsed"].sum())
    changes = longer[(longer["response"] == "train_error") & (longer["steps"] == 2)].set_index("dropout")["estimate"]
    changed = changes[changes.abs() > dropout.study.margin]
    judged = changed.index.isin(full.loc[full["chosen"] | (full["dropout"] == 0), "dropout"]).any()
    # A rate that was not chosen may, with more steps, be the one that helps: dropout changes so much, or more.
    bound = (inf if len(changed) and not judged else 0.0, 0.0)
    if len(changed):
        points = " and ".join(f"{100 * change:+.1f} points (dropout {rate:g})" for rate, change in changed.items())
        what = "for a verdict" if judged else "to contradict"
        reasons.append(f"not trained enough {what}: twice the steps change training error by {points}")
    if lost:
        reasons.append(f"{lost} of {len(full)} runs collapsed to chance, where there is no gap to close")
    known: dict[str, Any] = {
        "bound": bound,
        "veto": "any" if judged else "",
        "reason": "; ".join(reasons),
        "arms": tuple(full["arm"].unique()),
    }
    for times, response in product(MULTIPLES, RESPONSES):
        own = full[full["steps"] == times].set_index("seed")
        change = own.loc[own["chosen"], response] - own.loc[own["dropout"] == 0, response]
        label = f"{RESPONSES[response]}, dropout − none, {times}× steps"
        found.append(Measure.of(CLAIM, f"{response}-{times}x", label, 100 * change, "points", **known))
    return found
