"""What the race measures of its claims: epochs to a training error, tanh over ReLU, and seconds per step."""

from math import inf
from typing import Any

import pandas as pd

from takeoff.experiments.base import CHOICES, Tables
from takeoff.experiments.race.design import Design
from takeoff.experiments.scoring import BEFORE, reached_words
from takeoff.statistics.measures import Measure

FASTER, SIX_TIMES, CHEAPER = "relu-trains-faster", "relu-six-times-faster", "relu-steps-cheaper"
NAMES = {"tanh": "tanh", "relu": "ReLU"}
EARLIEST = 2
"""Epochs before which a crossing tells of the first steps alone."""


def measure(race: Design, tables: Tables, card: dict[str, Any]) -> list[Measure]:
    """Both claims about epochs, and that about the price of steps."""
    return [*_of_crossings(race, tables), _of_steps(tables["steps"])]


def _of_crossings(race: Design, tables: Tables) -> list[Measure]:
    """The same ratio twice: the published one is judged apart from `several`."""
    crossings, choices, error = tables["crossings"], tables[CHOICES], f"{race.options.error:.0%} training error"
    tanh, relu = (crossings[crossings["activation"] == name].set_index("seed") for name in NAMES)
    (lost_tanh, early_tanh, tanh_words), (lost_relu, early_relu, relu_words) = (
        reached_words(word, own["epochs"], own["censored"], max(EARLIEST, BEFORE * race.scoring.share))
        for word, own in zip(NAMES.values(), (tanh, relu), strict=True)
    )
    # A censored crossing lies later than the horizon: tanh's makes the ratio too small, ReLU's too large.
    bound = (inf if lost_relu else 0.0, inf if lost_tanh else 0.0)
    reasons = [f"to {error}", *tanh_words, *relu_words]
    reasons += ["nothing bounds the ratio"] * (lost_tanh and lost_relu)
    never = []
    for name, word in NAMES.items():
        own = choices.loc[choices["arm"] == race.networks[name].name, "untuned"].astype(bool)
        if own.any():
            # A learning rate is then no better than any other, and crossings are those of an untuned network.
            never.append(f"{word} in {own.sum()} of {len(own)} blocks")
    if never:
        words = "at no rate of the grid was it reached while tuning, so nothing is decided"
        reasons.append(f"{' and '.join(never)}: {words}")
    return [
        Measure.of(
            claim,
            "epochs",
            f"epochs to {error}, tanh over ReLU",
            tanh["epochs"] / relu["epochs"],
            "ratio",
            bound,
            veto="any" if never or early_tanh or early_relu else "",
            reason="; ".join(reasons),
            arms=tuple(race.networks[name].name for name in NAMES),
        )
        for claim in (FASTER, SIX_TIMES)
    ]


def _of_steps(steps: pd.DataFrame) -> Measure:
    relu = steps[steps["activation"] == "relu"]
    if relu.empty:
        return Measure.missing(CHEAPER, "the time of steps was not measured; scripts/probe.py does it")
    where, threads = relu.iloc[0], int(relu["threads"].iloc[0])
    reason = f"on {where['device']}, {threads} thread{'s' * (threads > 1)}, {where['precision']}; {len(relu)} blocks"
    label = "seconds per step, ReLU over tanh"
    return Measure.of(CHEAPER, "seconds", label, relu["ratio"], "ratio", reason=reason, arms=())
