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
        "and in test error, in points, at the study's full size, at 1 and at 2 times its steps",
        criterion="supported where all four intervals lie below 0: gap and test error fall, at 1 and at 2 times the "
        "steps; contradicted where any lies above 0, but by test error only where networks with dropout were trained "
        "enough: twice the steps lower their training error by no more than the study's margin",
        published="without dropout the network overfits substantially; dropout about doubles the iterations to "
        "converge (Krizhevsky 2012)",
        figure="dropout-sizes",
    ),
)


def findings(runs: "pd.DataFrame", longer: "pd.DataFrame", margin: float) -> list[Finding]:
    """The finding from `runs` and `longer`, read back; `margin` is the study's, a fraction."""
    name = CLAIMS[0].name
    full = runs[runs["images"] == runs["images"].max()]
    least, greatest = full["dropout"].min(), full["dropout"].max()
    reasons = _unfinished(longer, greatest, margin)
    # What has not learned its training images yet errs more for that reason, whatever dropout does.
    contradicts: dict[str, tuple[()] | None] = {"gap": None, "test_error": () if reasons else None}
    parts, collapsed, compared = [], 0, 0
    for times in JUDGED:
        own = full[(full["steps"] == times) & full["dropout"].isin([least, greatest])]
        if own["dropout"].nunique() < 2:
            return [Finding(name, reason=f"no networks trained for {times} times the steps (dropout.steps)")]
        collapsed, compared = collapsed + int(own["collapsed"].sum()), compared + len(own)
        for response, words in RESPONSES.items():
            wide = own.pivot(index="seed", columns="dropout", values=response).dropna()
            label = f"{words}, dropout {greatest:g} − {least:g}, {times}× steps"
            change = 100 * (wide[greatest] - wide[least])
            parts.append(Part.of(label, change, (-inf, 0), contradicts=contradicts[response], unit="points"))
    if collapsed:
        reasons.append(f"{collapsed} of {compared} runs collapsed to chance, where there is no gap to close")
    compared = full[full["dropout"].isin([least, greatest]) & full["steps"].isin(JUDGED)]["arm"].unique()
    return [Finding(name, tuple(parts), "; ".join(reasons), tuple(compared))]


def _unfinished(longer: "pd.DataFrame", rate: float, margin: float) -> list[str]:
    """That networks with this rate of dropout are not trained enough, where twice the steps show it."""
    own = longer[(longer["response"] == "train_error") & (longer["dropout"] == rate) & (longer["steps"] == 2)]
    if own.empty or not own["estimate"].iloc[0] < -margin:
        return []
    fall = -100 * own["estimate"].iloc[0]
    return [
        f"networks with dropout {rate:g} are not trained enough: twice the steps lower their training error by "
        f"{fall:.1f} points, so that more test error cannot contradict"
    ]
