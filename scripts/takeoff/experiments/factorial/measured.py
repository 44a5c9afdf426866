"""What the factorial measures of its claims: that batch norm speeds training, and how it goes with dropout."""

from collections.abc import Iterator
from dataclasses import replace
from math import inf, nan
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from takeoff.experiments.base import Tables
from takeoff.experiments.chance import chance_of
from takeoff.experiments.factorial.design import SPEED, SPEEDS, TOGETHER, Design, Quartet
from takeoff.experiments.scoring import BEFORE, reached_words
from takeoff.statistics.chance import chance_line, near_perfect
from takeoff.statistics.intervals import mean_interval
from takeoff.statistics.measures import Measure, product_of

RESPONSES = {"test_accuracy": ("points", 100), "test_accuracy_log_odds": ("log-odds", 1)}
"""What the interaction of dropout and batch norm is measured on: its unit, and how many of these the table's 1 is."""

ENOUGH = 0.8
"""How far above chance on its training images dropout has to get, as a share of how far the arm without it gets."""


def measure(factorial: Design, tables: Tables, card: dict[str, Any]) -> Iterator[Measure]:
    """The parts of its claims; of a claim that the study cannot test, why."""
    quartet, test = factorial.quartet, chance_of(card, factorial.study)
    yield from _speed(factorial, tables["speed_up"], tables["step_seconds"], chance_line(*test))
    if isinstance(quartet, str):
        yield Measure.missing(TOGETHER, quartet)
    else:
        yield from _interaction(tables["runs"], quartet, test, factorial.study.margin)


def speed_ratios(crossings: pd.DataFrame, steps: pd.DataFrame) -> dict[str, Measure]:
    """Plain over batch norm, from the tables `speed_up` and `step_seconds`: `epochs`, `seconds per step`, and
    `seconds`, their product; each where it was measured.
    """
    found, seen = {}, crossings["ratio"].dropna()
    if len(seen):
        found["epochs"] = Measure.of("", "epochs", "epochs", seen, "ratio")
    if len(steps):
        found["seconds per step"] = Measure.of("", "", "seconds per step", steps["ratio"], "ratio")
        if len(seen):
            found["seconds"] = product_of("seconds", found["epochs"], found["seconds per step"])
    return found


def speed_table(crossings: pd.DataFrame, steps: pd.DataFrame) -> pd.DataFrame:
    """A row for each of `speed_ratios`: its `ratio` with an unadjusted 95% interval, and which `bound` it is."""
    above, below = (bool(crossings[f"{name}_censored"].any()) for name in ("plain", "batch_norm"))
    bound = {(0, 0): "none", (1, 0): "lower", (0, 1): "upper", (1, 1): "unknown"}[above, below]
    rows = []
    for name, one in speed_ratios(crossings, steps).items():
        half = special.stdtrit(one.freedom, 0.975) * one.error if one.freedom > 0 else nan
        ends = [float(np.exp(value)) for value in (one.estimate, one.estimate - half, one.estimate + half)]
        rows.append((name, *ends, "none" if name == "seconds per step" else bound))
    return pd.DataFrame(rows, columns=["quantity", "ratio", "ci_low", "ci_high", "bound"])


def _speed(factorial: Design, crossings: pd.DataFrame, steps: pd.DataFrame, line: float) -> Iterator[Measure]:
    """Of the tables `speed_up` and `step_seconds`; `line` is the accuracy up to which a network guesses."""
    why = factorial.untestable().get(SPEED, "")
    if crossings["threshold"].isna().any():
        why = "the plain arm has one seed, so that no other run fixes an accuracy to reach"
    elif (crossings["threshold"] <= line).any() or crossings["ratio"].isna().any():
        why = "the plain network does no better than guessing, so there is nothing to reach"
    if why:
        yield from (Measure.missing(claim, why) for claim in SPEEDS)
        return
    plain, norm = (
        reached_words(
            words, crossings[f"{name}_epochs"], crossings[f"{name}_censored"], BEFORE * factorial.scoring.share
        )
        for name, words in {"plain": "the plain network", "batch_norm": "that with batch norm"}.items()
    )
    ratios, reasons = speed_ratios(crossings, steps), [*plain[2], *norm[2]]
    height = f"{100 * crossings['threshold'].mean():.1f}% validation accuracy"
    for claim, part in SPEEDS.items():
        if part not in ratios:
            yield Measure.missing(claim, "the seconds per step were not measured; scripts/probe.py does it")
            continue
        if part == "seconds":
            reasons.append(f"on {steps['device'][0]}, {steps['precision'][0]}; steps timed in {len(steps)} blocks")
        yield replace(
            ratios[part],
            claim=claim,
            part=part,
            label=f"{part} to {height}, plain over batch norm",
            bound=(inf if norm[0] else 0.0, inf if plain[0] else 0.0),
            veto="any" if plain[1] or norm[1] else "",
            reason="; ".join(reasons),
            arms=tuple(arm.name for arm in factorial.timed()),
        )


def by_norm(runs: pd.DataFrame, quartet: Quartet, response: str, scale: float = 1) -> pd.DataFrame:
    """`scale` times what dropout does to `response` in ReLU networks `without` and `with` batch norm, the mean over
    other factors, and their `interaction`, half the difference: a row per seed that all these arms have.
    """
    wide = runs.pivot(index="seed", columns="arm", values=response)
    wide = wide[[arm for arms in quartet.values() for arm in arms]].dropna()
    without, given = (
        scale * (wide[quartet[norm, True]].mean(axis=1) - wide[quartet[norm, False]].mean(axis=1))
        for norm in (False, True)
    )
    return pd.DataFrame({"without": without, "with": given, "interaction": (given - without) / 2})


def interaction_table(runs: pd.DataFrame, quartet: Quartet) -> pd.DataFrame:
    """A row per response and quantity of `by_norm`: `estimate` and 95% t interval, `n_seeds`."""
    rows = []
    for response, (unit, scale) in RESPONSES.items():
        for quantity, values in by_norm(runs, quartet, response, scale).items():
            found = mean_interval(values)[:3] if len(values) else (nan, nan, nan)
            rows.append((response, unit, quantity, *found, len(values)))
    columns = ["response", "unit", "quantity", "estimate", "ci_low", "ci_high", "n_seeds"]
    return pd.DataFrame(rows, columns=columns)


def _interaction(runs: pd.DataFrame, quartet: Quartet, test: tuple[float, int], margin: float) -> Iterator[Measure]:
    """Of the table `runs`; `test` is chance on the test images, and how many there are."""
    arms = tuple(arm for group in quartet.values() for arm in group)
    if not len(by_norm(runs, quartet, "test_accuracy")):
        yield Measure.missing(TOGETHER, "no seed is in all the arms compared")
        return
    reason = "; ".join([*_floors_and_ceilings(runs, arms, test), *_trained_too_little(runs, quartet, margin, test[0])])
    for response, (unit, scale) in RESPONSES.items():
        values = scale * by_norm(runs, quartet, response)["interaction"]
        label = f"dropout × batch norm at ReLU, {unit}"
        one = Measure.of(TOGETHER, unit, label, values, unit, veto="any" if reason else "", reason=reason)
        yield replace(one, arms=arms)


def _floors_and_ceilings(runs: pd.DataFrame, arms: tuple[str, ...], test: tuple[float, int]) -> Iterator[str]:
    """Which arms are at chance or near perfect, where differences say little."""
    chance, images = test
    for arm in arms:
        accuracy = float(runs.loc[runs["arm"] == arm, "test_accuracy"].mean())
        if accuracy <= chance_line(chance, images):
            yield f"{arm} is at chance"
        elif near_perfect(accuracy, images):
            yield f"{arm} is within two standard errors of perfect"


def _trained_too_little(runs: pd.DataFrame, quartet: Quartet, margin: float, chance: float) -> Iterator[str]:
    """Where dropout fits training images worse than the arm without it does test images, or gets less than four fifths
    as far above chance on them: then it lacks steps, and what it costs may be that.
    """
    mean = runs.groupby("arm")[["train_accuracy", "test_accuracy"]].mean()
    for norm in (False, True):
        fits = mean.loc[quartet[norm, True], "train_accuracy"].mean()
        own, without = mean.loc[quartet[norm, False], ["train_accuracy", "test_accuracy"]].mean()
        words = f"with{'' if norm else 'out'} batch norm, dropout gets {100 * fits:.0f}% of the training images right, "
        if fits < without - margin:
            yield f"{words}fewer than of the test images without it ({100 * without:.0f}%): not trained enough"
        elif fits - chance < ENOUGH * (own - chance):
            yield f"{words}and without it {100 * own:.0f}%: not trained enough"
