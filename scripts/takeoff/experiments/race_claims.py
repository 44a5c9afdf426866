"""The race's claims: that ReLU trains several times faster than tanh, six times, and with cheaper steps."""

from collections.abc import Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING

from takeoff.experiments.claims import Claim, Finding
from takeoff.statistics.verdicts import Part

if TYPE_CHECKING:
    import pandas as pd

SEVERAL = 2.0
"""Times as many epochs from which tanh takes several times as long."""
PUBLISHED = 6.0
"""Krizhevsky 2012, figure 1: epochs to 25% training error on CIFAR-10, tanh over ReLU."""
NEAR = (4.0, 9.0)
"""What counts as six times: within a factor of 1.5 either way. The published figure is one pair of curves, read off
and rounded; a factor of 1.5 is about as far as a rate one place along the grid, or another seed, moves a crossing."""
CLAIMS = (
    Claim(
        name="relu-trains-faster",
        statement="ReLU trains several times faster than tanh.",
        source="Krizhevsky, Sutskever & Hinton 2012, NIPS, figure 1",
        quantity="how many times as many epochs a four-layer network takes with tanh as with ReLU to reach the study's "
        "training error (25%, unless the study sets another: the verdict's reason says which)",
        criterion="supported where the interval of the ratio lies above 2, contradicted where it lies below",
        published="6 times, to 25% training error on CIFAR-10",
        figure="race-ratios",
        published_value=PUBLISHED,
    ),
    Claim(
        name="relu-six-times-faster",
        statement="ReLU trains six times faster than tanh.",
        source="Krizhevsky, Sutskever & Hinton 2012, NIPS, figure 1",
        quantity="how many times as many epochs a four-layer network takes with tanh as with ReLU to reach the study's "
        "training error (25%, unless the study sets another: the verdict's reason says which)",
        criterion="supported where the interval of the ratio lies between 4 and 9, six within a factor of 1.5; "
        "contradicted where it lies outside",
        published="6 times, to 25% training error on CIFAR-10",
        figure="race-ratios",
        published_value=PUBLISHED,
    ),
    Claim(
        name="relu-steps-cheaper",
        statement="ReLU makes each step cheaper.",
        source="told often, no figure",
        quantity="seconds per training step of the four-layer network, ReLU over tanh, over interleaved blocks in one "
        "process",
        criterion="supported where the interval of the ratio lies below 1, contradicted where it lies above",
        published="",
        figure="race-ratios",
    ),
)


def findings(
    tables: "dict[str, pd.DataFrame]", error: float, arms: Mapping[str, str], untuned: Sequence[str]
) -> list[Finding]:
    """The findings from `curves`, `crossings` and `steps`, read back.

    Args:
        tables: by name.
        error: to reach, a fraction.
        arms: activation → name.
        untuned: the activations whose networks reached the error at no rate of the grid while tuning.

    """
    return [*_of_crossings(tables, error, arms, untuned), _of_steps(tables["steps"])]


def _of_crossings(
    tables: "dict[str, pd.DataFrame]", error: float, arms: Mapping[str, str], untuned: Sequence[str]
) -> list[Finding]:
    """Both claims about epochs: the published ratio is judged apart from `several`."""
    crossings, scored = tables["crossings"], tables["curves"]["epoch"]
    epochs = crossings.pivot(index="seed", columns="activation", values="epochs")[["tanh", "relu"]].dropna()
    censored = crossings[crossings["seed"].isin(epochs.index)].groupby("activation")["censored"].sum()
    lost_tanh, lost_relu = int(censored["tanh"]), int(censored["relu"])
    label = f"epochs to {error:.0%} training error, tanh over ReLU"
    # A censored crossing lies later than the horizon: tanh's makes the ratio too small, ReLU's too large.
    slack = (inf if lost_relu else 0.0, inf if lost_tanh else 0.0)
    ratios = epochs["tanh"] / epochs["relu"]
    reason = f"to {error:.0%} training error"
    for name, lost in (("tanh", lost_tanh), ("ReLU", lost_relu)):
        if lost:
            reason += f"; {name} did not reach it in {lost} of {len(epochs)} runs"
    if lost_tanh and lost_relu:
        reason += ": nothing bounds the ratio"
    if never := [words for name, words in (("tanh", "tanh"), ("relu", "ReLU")) if name in untuned]:
        # Its rate is then no better than any other, and its crossings are those of an untuned network.
        slack = (inf, inf)
        reason += (
            f"; {' and '.join(never)} reached it at no rate of the grid while tuning, so nothing is decided"
        )
    early = int((epochs["relu"] < scored[scored > 0].min()).sum())
    if early:
        # From the start to the first score a straight line is all there is to go by.
        reason += f"; ReLU reached it before its first score in {early} of {len(epochs)} runs, interpolated coarsely"
    judged = (arms["tanh"], arms["relu"])
    return [
        Finding(name, (Part.of(label, ratios, supports, ratio=True, slack=slack),), reason, judged)
        for name, supports in (("relu-trains-faster", (SEVERAL, inf)), ("relu-six-times-faster", NEAR))
    ]


def _of_steps(steps: "pd.DataFrame") -> Finding:
    name = "relu-steps-cheaper"
    relu = steps[steps["activation"] == "relu"]
    ratios = relu["ratio"].astype(float).dropna()
    if ratios.empty:
        return Finding(name, reason="the time of steps was not measured; scripts/probe.py does it")
    where = relu.iloc[0]
    threads = "" if where["threads"] != where["threads"] else f", {int(where['threads'])} threads"
    reason = f"on {where['device']}{threads.removesuffix('s') if threads == ', 1 threads' else threads}, "
    reason += f"{where['precision']}; {len(ratios)} blocks"
    part = Part.of("seconds per step, ReLU over tanh", ratios, (0, 1), ratio=True)
    return Finding(name, (part,), reason, arms=())
