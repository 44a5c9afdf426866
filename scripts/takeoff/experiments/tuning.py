"""What an experiment's tables say of how an arm was tuned, whose seeds may each have made a choice of their own."""

from typing import Any

import pandas as pd
from scipy.stats import gmean

TUNED = ["learning_rate", "at_edge", "untuned"]
"""Of a run: its learning rate, whether that lies at its grid's edge, and whether the grid gave no reason for it."""


def tuning_of(runs: pd.DataFrame) -> dict[str, Any]:
    """Of one arm's runs: the geometric mean of their learning rates, and what holds for more than half of them; of an
    older method there is no learning rate, and NaN stands for it.
    """
    rates = runs["learning_rate"].astype(float)
    most = {flag: bool(runs[flag].astype(float).mean() > 1 / 2) for flag in TUNED[1:]}
    return {"learning_rate": float(gmean(rates)), **most}
