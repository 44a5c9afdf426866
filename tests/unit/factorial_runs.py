"""Made-up studies and runs of the factorial experiment, whose answers are known."""

from dataclasses import replace
from itertools import product

import numpy as np
from takeoff.experiments.base import FixedCriterion
from takeoff.experiments.factorial.design import Design, Options
from takeoff.judging.claims import criteria, criterion_of, load_claims
from takeoff.study.arms import seeds_of
from unit.measured import FACTORS, lose, made_up
from unit.measured import results as results_of

LEVELS = FACTORS | {
    "pooling": {"baseline": "plain", "treatment": "overlapping"},
    "augmentation": {"baseline": "none", "treatment": "flip-crop-colour"},
    "width": {"baseline": 0.5, "treatment": 2},
}
MORE = {
    "response_norm": {"baseline": "none", "treatment": "local"},
    "initialisation": {"baseline": "gaussian-0.01", "treatment": "by-activation"},
}
"""With these the cells are too many, and a fraction is trained."""
EPOCHS = 4


def make_study(folder, k=3, seeds=3, **changes):
    """The study of the first `k` of `LEVELS` and `MORE`."""
    factors = dict(list((LEVELS | MORE).items())[:k])
    return made_up(folder, seeds=seeds, factors=factors, experiments={"factorial": {"threshold": 0.5}}, **changes)


def truth(arm):
    """An arm's accuracy: .2, +.3 with ReLU, +.1 with batch norm, which is +.2 at the one rate."""
    norm = 0.1 if arm.learning_rate is None else 0.2
    return 0.2 + 0.3 * (arm.network.activation == "relu") + norm * (arm.network.norm == "batch")


def make_results(study, noise=0.01, options=None, accuracy_of=truth):
    """Every arm's runs; curves that rise in equal steps; tuning runs, at .1 as accurate as `accuracy_of` says and at
    .01 worse; and steps that batch norm makes a fifth slower.
    """
    rng = np.random.default_rng(0)
    runs, curves, tuning, speed = [], [], [], []
    factorial = Design(study, options or Options())
    for arm in factorial.arms():
        for seed in seeds_of(study, arm):
            accuracy = float(np.clip(accuracy_of(arm) + noise * rng.normal(), 0, 1))
            measured = {"train_accuracy": min(accuracy + 0.2, 1), "validation_accuracy": accuracy}
            run = {"arm": arm.name, "seed": seed, **arm.levels, **measured, "test_accuracy": accuracy}
            run |= {"diverged": False, "learning_rate": arm.learning_rate or 0.1, "weight_decay": 0.0005}
            runs.append(run | {"device": "cpu", "precision": "float32"})
            for epoch in range(arm.recipe.epochs + 1):
                share = epoch / arm.recipe.epochs
                values = {name: 0.1 + share * (value - 0.1) for name, value in measured.items()}
                losses = {"train_loss": 2 - share, "validation_loss": 2.1 - share}
                curves.append({"arm": arm.name, "seed": seed, "epoch": epoch, **values, **losses})
        for rate, seed in product((0.01, 0.1), study.tuning_seeds) if arm.tuned else ():
            accuracy = accuracy_of(arm) - 0.1 * (rate == 0.01)
            found = {"learning_rate": rate, "validation_accuracy": accuracy, "diverged": False}
            tuning.append({"arm": arm.name, "seed": seed, **found})
    for arm, block in product(factorial.timed(), range(3)):
        seconds = (0.06 if arm.network.norm == "batch" else 0.05) * (1 + 0.01 * block)
        where = {"device": "cpu", "threads": 1, "precision": "float32", "batch": 128}
        speed.append({"kind": "step", "name": arm.name, **where, "block": block, "seconds": seconds, "flops": 1e6})
    return results_of(runs=runs, curves=curves, tuning=tuning, speed=speed or None)


def diverge(results, arm, seed, from_epoch=2):
    """The same results, but one run is lost at an epoch: it has no accuracies, and its curve stops."""
    curves = results.curves
    gone = (curves["arm"] == arm) & (curves["seed"] == seed) & (curves["epoch"] >= from_epoch)
    return replace(lose(results, arm, seed), curves=curves[~gone])


def analyse(study, results, options=None):
    return Design(study, options or Options()).analyse(results)


def fixed_criteria(study, options=None):
    """The claims' criteria as planning the study would fix them."""
    planned = criteria(load_claims(), study, {"factorial": options or Options()})
    return {
        claim: FixedCriterion(
            {part: criterion_of(numbers) for part, numbers in fixed["parts"].items()}, fixed["published_value"]
        )
        for claim, fixed in planned.items()
    }


def one(table, **where):
    for column, value in where.items():
        table = table[table[column] == value]
    assert len(table) == 1
    return table.iloc[0]
