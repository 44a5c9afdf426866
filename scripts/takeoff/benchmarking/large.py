"""Made-up large studies, to time what surrounds training: planning 10,000 arms, analysing and drawing 10,000 runs."""

import json
from pathlib import Path
from typing import Any

import numpy as np

NUMBER = 10_000
"""Of arms, and of runs."""
SIDE = 100
"""Rates of dropout, and sizes of training sets, whose combinations are the arms."""
EPOCHS = 10
FACTORS = {
    "activation": {"baseline": "tanh", "treatment": "relu"},
    "norm": {"baseline": "none", "treatment": "batch"},
    "dropout": {"baseline": 0, "treatment": 0.5},
}
CARD = {
    "images": {"train": 50_000, "test": 10_000},
    "images_per_class": {"train": [5000] * 10, "test": [1000] * 10},
}


def write_many_arms(path: Path) -> None:
    """A study of `NUMBER` arms, whose dry run plans a job for every few of them."""
    study = _study(seeds=6) | {
        "experiments": {
            "dropout": {
                "rates": [i / SIDE for i in range(SIDE)],
                "shares": [round((i + 1) / (SIDE + 1), 4) for i in range(SIDE - 1)],
                "every_rate": True,
                "steps": [1],
            }
        }
    }
    path.write_text(json.dumps(study), encoding="utf-8")


def write_many_runs(folder: Path) -> None:
    """The results of a factorial of `NUMBER` runs: `study.json`, `card.json`, and in `arms` what their jobs leave."""
    from takeoff.experiments.registry import arms_of
    from takeoff.files import write_json
    from takeoff.records import CURVES, RUNS, write_table
    from takeoff.study.arms import Arm
    from takeoff.study.loading import load_study

    study_file = folder / "study.json"
    study_file.write_text(
        json.dumps(
            _study(seeds=NUMBER // 2 ** len(FACTORS)) | {"experiments": {"factorial": {"threshold": 0.5}}}
        ),
        encoding="utf-8",
    )
    write_json(folder / "card.json", CARD)
    study = load_study(study_file)
    draw = np.random.default_rng(0)
    for arm in arms_of(study, str(study_file))["factorial"]:
        assert isinstance(arm, Arm)
        place = folder / "arms" / arm.name
        accuracy = draw.normal(0.6 + 0.1 * (arm.network.norm == "batch"), 0.01, len(study.seed_list))
        runs = [_run(arm, seed, value) for seed, value in zip(study.seed_list, accuracy, strict=True)]
        write_table(place / "runs.parquet", runs, RUNS)
        write_table(place / "curves.parquet", [row for run in runs for row in _curve(run)], CURVES)
        tuning = [_run(arm, seed, 0.5, rate) for rate in (0.01, 0.1) for seed in study.tuning_seeds]
        write_json(
            place / "learning_rate.json",
            {"learning_rate": 0.1, "at_edge": False, "untuned": False, "runs": tuning},
        )


def _study(seeds: int) -> dict[str, Any]:
    return {
        "title": "Made up",
        "dataset": {"name": "cifar10", "resolution": 32},
        "network": {"width": 1},
        "recipe": {"epochs": EPOCHS},
        "tuning": {"learning_rates": [0.01, 0.1], "seeds": 2},
        "seeds": seeds,
        "factors": FACTORS,
        "budget": {"runs": 100 * NUMBER, "core_hours": 1e9},
    }


def _run(arm: Any, seed: int, accuracy: float, rate: float = 0.1) -> dict[str, Any]:
    scores = dict.fromkeys(("train_accuracy", "validation_accuracy", "test_accuracy"), float(accuracy))
    losses = dict.fromkeys(("train_loss", "validation_loss", "test_loss"), 1.0)
    return {
        "arm": arm.name,
        "seed": seed,
        "method": "network",
        **arm.levels,
        "family": arm.network.family,
        "epochs": EPOCHS,
        "learning_rate": rate,
        **scores,
        **losses,
        "diverged": False,
        "device": "cpu",
        "precision": "float32",
    }


def _curve(run: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for epoch in range(EPOCHS + 1):
        share = 0.1 + epoch / EPOCHS * (run["test_accuracy"] - 0.1)
        rows.append(
            {
                "arm": run["arm"],
                "seed": run["seed"],
                "epoch": epoch,
                "train_accuracy": share,
                "validation_accuracy": share,
                "train_loss": 2 - share,
                "validation_loss": 2 - share,
            }
        )
    return rows
