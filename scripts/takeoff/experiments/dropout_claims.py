"""The claim of the dropout experiment: that dropout reduces overfitting."""

from math import inf
from typing import TYPE_CHECKING

from takeoff.experiments.claims import Claim, Finding
from takeoff.statistics.verdicts import Part

if TYPE_CHECKING:
    import pandas as pd

RESPONSES = {"gap": "gap", "test_error": "test error"}
"""What must fall, and its name."""
JUDGED = (1, 2)
"""Multiples of the study's steps at which it must."""
CLAIMS = (
    Claim(
        name="dropout-reduces-overfitting",
        statement="Dropout reduces overfitting.",
        source="Krizhevsky, Sutskever & Hinton 2012, NIPS; Srivastava et al. 2014, JMLR",
        quantity="what the greatest rate of dropout changes against the least in the gap (training − test accuracy) "
        "and in test error, as fractions, at the study's full size, at 1 and at 2 times its steps",
        criterion="supported where all four intervals lie below 0: gap and test error fall, at 1 and at 2 times the "
        "steps; contradicted where any lies above 0",
        published="without dropout the network overfits substantially; dropout about doubles the iterations to "
        "converge (Krizhevsky 2012)",
        figure="dropout-sizes",
    ),
)


def findings(runs: "pd.DataFrame") -> list[Finding]:
    """The finding from `runs`, read back."""
    name = CLAIMS[0].name
    full = runs[runs["images"] == runs["images"].max()]
    least, greatest = full["dropout"].min(), full["dropout"].max()
    parts, collapsed, compared = [], 0, 0
    for times in JUDGED:
        own = full[(full["steps"] == times) & full["dropout"].isin([least, greatest])]
        if own["dropout"].nunique() < 2:
            return [Finding(name, reason=f"no networks trained for {times} times the steps (dropout.steps)")]
        collapsed, compared = collapsed + int(own["collapsed"].sum()), compared + len(own)
        for response, words in RESPONSES.items():
            wide = own.pivot(index="seed", columns="dropout", values=response).dropna()
            label = f"{words}, dropout {greatest:g} − {least:g}, {times}× steps"
            parts.append(Part.of(label, wide[greatest] - wide[least], (-inf, 0)))
    reason = ""
    if collapsed:
        reason = f"{collapsed} of {compared} runs collapsed to chance, where there is no gap to close"
    return [Finding(name, tuple(parts), reason)]
