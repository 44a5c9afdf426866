"""Made-up studies and runs of the factorial experiment, whose answers are known."""

import json
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
from takeoff.experiments.base import FixedCriterion, Results
from takeoff.experiments.factorial.design import Design, Options
from takeoff.judging.claims import criteria, criterion_of, load_claims
from takeoff.study.arms import seeds_of
from takeoff.study.loading import load_study

LEVELS = {
    "activation": {"baseline": "tanh", "treatment": "relu"},
    "norm": {"baseline": "none", "treatment": "batch"},
    "dropout": {"baseline": 0, "treatment": 0.5},
    "pooling": {"baseline": "plain", "treatment": "overlapping"},
    "augmentation": {"baseline": "none", "treatment": "flip-crop-colour"},
    "width": {"baseline": 0.5, "treatment": 2},
}
MORE = {
    "response_norm": {"baseline": "none", "treatment": "local"},
    "initialisation": {"baseline": "gaussian-0.01", "treatment": "by-activation"},
}
"""With these the cells are too many, and a fraction is trained."""
CARD = {"images_per_class": {"train": [80] * 10, "test": [50] * 10}}
EPOCHS = 4


def make_study(folder, k=3, seeds=3, options=None, **changes):
    """The study of the first `k` of `LEVELS` and `MORE`, read from a JSON file in `folder`."""
    content = {
        "title": "Made up",
        "dataset": {"name": "made-up", "resolution": 8},
        "recipe": {"epochs": EPOCHS},
        "tuning": {"learning_rates": [0.01, 0.1]},
        "seeds": seeds,
        "factors": dict(list((LEVELS | MORE).items())[:k]),
        "experiments": {"factorial": {"threshold": 0.5} | (options or {})},
        "budget": {"runs": 9999, "core_hours": 9},
    } | changes
    path = folder / "study.json"
    path.write_text(json.dumps(content))
    return load_study(path)


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
            measured = {
                "test_accuracy": accuracy,
                "train_accuracy": min(accuracy + 0.2, 1),
                "validation_accuracy": accuracy,
            }
            runs.append(
                {
                    "arm": arm.name,
                    "seed": seed,
                    **arm.levels,
                    **measured,
                    "diverged": False,
                    "learning_rate": arm.learning_rate or 0.1,
                    "device": "cpu",
                    "precision": "float32",
                }
            )
            for epoch in range(EPOCHS + 1):
                share = epoch / EPOCHS
                values = {
                    name: 0.1 + share * (measured[name] - 0.1) for name in ("train_accuracy", "validation_accuracy")
                }
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
    tables = [pd.DataFrame(rows) for rows in (runs, curves, tuning, speed)]
    return Results(tables[0], tables[1], CARD, tables[2], pd.DataFrame(), tables[3] if speed else None)


def diverge(results, arm, seed, from_epoch=2):
    """The same results, but one run is lost at an epoch: it has no accuracies, and its curve stops."""
    runs, curves = results.runs.copy(), results.curves
    run = (runs["arm"] == arm) & (runs["seed"] == seed)
    runs.loc[run, ["test_accuracy", "train_accuracy", "validation_accuracy"]] = np.nan
    runs.loc[run, "diverged"] = True
    gone = (curves["arm"] == arm) & (curves["seed"] == seed) & (curves["epoch"] >= from_epoch)
    return replace(results, runs=runs, curves=curves[~gone])


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
