"""What the moment experiment measures of its claim: the better network's error over the best hand-made one's."""

from math import isfinite
from typing import Any

from takeoff.experiments.base import Tables
from takeoff.experiments.chance import chance_of
from takeoff.experiments.moment.design import Design
from takeoff.experiments.moment.tables import RESPONSES, words_of
from takeoff.statistics.chance import chance_line
from takeoff.statistics.measures import Measure, Veto
from takeoff.study.choices import STOPPED

CLAIM = "network-nearly-halved-the-error"
TOP1_PUBLISHED = 37.5 / 45.7
"""Of top-1 errors on ILSVRC-2010: network over Fisher vectors (Krizhevsky 2012, table 1)."""


def measure(moment: Design, tables: Tables, card: dict[str, Any]) -> list[Measure]:
    """The judged one of the two ratios."""
    ratios, methods = tables["ratio"], tables["methods"]
    row = ratios[ratios["judged"].astype(bool)].iloc[0]
    network, rival = str(row["network"]), str(row["rival"])
    pair = f"{words_of(network)} over {words_of(rival)}"
    if not isfinite(row["log_ratio"]):
        return [Measure.missing(CLAIM, f"{pair}: one of the two made no error, so that there is no ratio")]
    reasons, top1 = [], methods[methods["response"] == "top1"].set_index("method")["error"]
    guessing = bool((1 - top1[[network, rival]] <= chance_line(*chance_of(card, moment.study))).all())
    if guessing:
        reasons.append("both only guess")
    if row["response"] == "top1":
        reasons.append(
            "top-1 is judged, since of so few classes five guesses say little; "
            f"published for top-1: {TOP1_PUBLISHED:.2f}"
        )
    runs = tables["runs"]
    if runs.loc[runs["method"] == rival, "notes"].astype(str).str.contains(STOPPED).any():
        reasons.append(f"{words_of(rival)} {STOPPED}")
    veto: Veto = "any" if guessing else ""
    label = f"{RESPONSES[row['response']].words} error, {pair}"
    value, error, freedom = (float(row[name]) for name in ("log_ratio", "error", "freedom"))
    reason = "; ".join(reasons)
    return [Measure(CLAIM, "ratio", label, value, error, freedom, "ratio", veto=veto, reason=reason)]
