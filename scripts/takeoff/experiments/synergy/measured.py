"""What the synergy experiment measures of its claims: that data alone was not enough, and no factor alone."""

from typing import Any, cast

import pandas as pd

from takeoff.data.card import Card
from takeoff.experiments.base import Tables
from takeoff.experiments.synergy.design import Design
from takeoff.experiments.synergy.tables import ALONE, cell, older
from takeoff.statistics.measures import Measure, Veto

SAME_IMAGES = (
    "with much data every seed sees the same images: of these cells the interval holds optimisation noise only, not "
    "sampling noise"
)


def measure(synergy: Design, tables: Tables, card: dict[str, Any]) -> list[Measure]:
    """Data alone against half of the whole gain; each factor alone, and all, against the best older method."""
    runs, plain, one_rate = tables["runs"], synergy.options.plain[0], not synergy.options.tuned
    wanted = synergy.study.dataset.train_samples
    same = isinstance(wanted, str) or wanted >= Card(card).images("train")
    reasons = [f"against plain networks with {plain}"]
    reasons += ["networks take the rate tuned with much data and computation"] * one_rate
    reasons += [SAME_IMAGES] * same
    rivals = {size: older(runs, size) for size in ("little", "much")}
    chosen = [f"best older method: {rivals['little'].name} on little data, {rivals['much'].name} on much"]
    if same and rivals["much"].nunique() == 1 < len(rivals["much"]):
        chosen.insert(0, f"{rivals['much'].name} is the same in every seed there")
    none, data, everything = (100 * cell(runs, factor, plain) for factor in ("none", "data", "all"))
    alone = tables["alone"][tables["alone"]["plain"] == plain].set_index("alone")
    low, least, recipes = 100 * alone["gain_low"]["all"], synergy.options.least_gain, alone["recipe"]
    reasons.append(f"modern networks, chosen: algorithms alone, {recipes['algorithms']}; all, {recipes['all']}")

    def measured(claim: str, part: str, label: str, values: pd.Series, more: list[str], veto: Veto = "") -> Measure:
        reason = "; ".join([*reasons, *more])
        return Measure.of(claim, part, f"{label} ({plain})", values.dropna(), "points", veto=veto, reason=reason)

    half, small = 0.5 * (everything - none) - (data - none), not low > least
    gate = [f"no verdict: the whole gain's interval begins at {low:.1f} points, not above {least:g}"] * small
    label, veto = "half the whole gain − data alone", cast(Veto, "any" * small)
    found = [measured("data-alone-not-enough", "shortfall", label, half, gate, veto)]
    for factor in ("data", "computation", "algorithms", "all"):
        lead = 100 * (cell(runs, factor, plain) - rivals[ALONE[factor][0]])
        label = f"{'all together' if factor == 'all' else f'{factor} alone'} − the best older method"
        found.append(measured("no-factor-alone-was-enough", factor, label, lead, chosen))
    return found
