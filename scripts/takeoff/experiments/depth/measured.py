"""What `depth` measures of its claims: how gradients and changes of weights shrink, and which networks learn."""

from math import inf
from typing import Any

import pandas as pd

from takeoff.experiments.base import Tables
from takeoff.experiments.depth.design import CHANGES, COMPARED, GRADIENTS, LEARNING, NORM, Design
from takeoff.figures.words import level_words
from takeoff.statistics.measures import Measure


def measure(depth: Design, tables: Tables, card: dict[str, Any]) -> list[Measure]:
    """Gradients and the change of weights of sigmoid and ReLU networks, and whether these learn at all."""
    if why := depth.untestable():
        return [Measure.missing(claim, reason) for claim, reason in why.items()]
    return [
        *_gradients_shrink(tables["slopes"]),
        *_learn_slowly(tables["change"], tables["runs"]),
        *_learn(tables["runs"], tables["accuracy"]),
    ]


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the networks compared: without norm, each with the initialisation that suits its activation, trained
    as long as the study says.
    """
    own = table["norm"].eq("none") & table["initialisation"].eq("by-activation") & table["times"].eq(1)
    return table[own & table["activation"].isin(COMPARED)]


def _pairs(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """A column by seed, of the seeds that both networks have: columns `sigmoid` and `relu`."""
    wide = _plain(table).pivot(index="seed", columns="activation", values=column)
    return wide.reindex(columns=COMPARED).astype(float).dropna()


def _gradients_shrink(slopes: pd.DataFrame) -> list[Measure]:
    pairs = _pairs(slopes[slopes["moment"] == "start"], "slope")
    sigmoid, relu = pairs["sigmoid"], pairs["relu"]
    label = "sigmoid: change of ln gradient per layer towards the images"
    difference = "|slope| of sigmoid less that of ReLU"
    # No learning rate decides what holds before training.
    known: dict[str, Any] = {"unit": "per layer", "reason": f"ReLU's slope: {relu.mean():+.3f}", "arms": ()}
    return [
        Measure.of(GRADIENTS, "sigmoid", label, sigmoid, **known),
        Measure.of(GRADIENTS, "difference", difference, sigmoid.abs() - relu.abs(), **known),
    ]


def _learn_slowly(change: pd.DataFrame, runs: pd.DataFrame) -> list[Measure]:
    pairs, diverged = _pairs(change, "ratio"), int(_plain(runs)["diverged"].sum())
    reasons = [f"{diverged} runs diverged, and have no change of weights to compare"] * (diverged > 0)
    if pairs.empty:
        return [Measure.missing(CHANGES, "; ".join(reasons))]
    # A layer that stands still has changed by less than float32 can represent: a ratio with it is a bound.
    still = _plain(change).groupby("activation")[["first_still", "last_still"]].any()
    (first, last), (relu_first, relu_last) = still.loc[COMPARED].to_numpy()
    sides = (first, last), (first or relu_last, last or relu_first)
    own, both = ((inf if below else 0.0, inf if above else 0.0) for below, above in sides)
    if still.to_numpy().any():
        reasons.append("layers that do not change at all count as 1e-07, so the ratio is a bound")
    known: dict[str, Any] = {"unit": "ratio", "reason": "; ".join(reasons), "arms": _arms(change)}
    label = "sigmoid: change of the first hidden layer over the last, ratio"
    over = pairs["sigmoid"] / pairs["relu"]
    return [
        Measure.of(CHANGES, "sigmoid", label, pairs["sigmoid"], bound=own, **known),
        Measure.of(CHANGES, "over-relu", "that ratio, sigmoid over ReLU", over, bound=both, **known),
    ]


def _learn(runs: pd.DataFrame, accuracy: pd.DataFrame) -> list[Measure]:
    deepest, longest = int(runs["depth"].max()), int(runs["times"].max())
    reason = f"at {deepest} hidden layers"
    shallow = _plain(accuracy).query("activation == 'sigmoid' and depth < @deepest")
    if len(shallow):
        # Where the network of the fewest layers learns, depth keeps the other from it.
        first = shallow.loc[shallow["depth"].idxmin()]
        reached = f"{100 * first['train_accuracy']:.1f}%"
        reason += f"; with {int(first['depth'])}, sigmoid's tuning runs reach {reached}"
    suited, measures = runs[runs["initialisation"] == "by-activation"], []
    for claim, part, activation, norm, times in (
        (LEARNING, "sigmoid", "sigmoid", "none", 1),
        (LEARNING, "longer", "sigmoid", "none", longest),
        (LEARNING, "relu", "relu", "none", 1),
        (NORM, "batch", "sigmoid", "batch", 1),
        (NORM, "none", "sigmoid", "none", 1),
        (NORM, "longer", "sigmoid", "none", longest),
    ):
        own = suited[suited[["activation", "norm", "times"]].eq([activation, norm, times]).all(axis=1)]
        words = (level_words("activation", activation), level_words("norm", norm), f"{times}× the steps")
        label = f"{', '.join(words)}: training loss below guessing"
        arms = tuple(own["arm"].unique())
        measures.append(Measure.of(claim, part, label, own["gained"], "nats", reason=reason, arms=arms))
    return measures


def _arms(table: pd.DataFrame) -> tuple[str, ...]:
    return tuple(_plain(table)["arm"].unique())
