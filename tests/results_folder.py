"""A small results folder, as training, analysis and drawing leave it, for tests of what comes after them."""

import itertools
import json
import math
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from conftest import REPOSITORY
from safetensors.numpy import save_file
from takeoff.common.documents import read_yaml
from takeoff.study.arms import make_arm
from takeoff.study.loading import load_study
from takeoff.study.planned import AnyPlannedArm, arm_path, planned_arms, read_arm, write_arm
from takeoff.study.settings import FACTORS
from takeoff.study.weights import FILE as WEIGHTS

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FACTORS_OF_TEST = {"activation": {"baseline": "tanh", "treatment": "relu"}}
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>\n'
CARD = {
    "dataset": "digits",
    "title": "Handwritten digits",
    "classes": [str(digit) for digit in range(10)],
    "images": {"train": 1297, "test": 500},
    "resolution": 8,
    "channels": 1,
    "addresses": [],
    "archive": {"name": "scikit-learn"},
    "licence": "CC BY 4.0",
    "digest": "0123456789abcdef" * 4,
}


class ResultsFolder:
    """`root/results/digits` and what `track` needs beside it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.results = root / "results" / "digits"
        self.study = self.results / "study.json"
        self.card = root / "results" / "data" / "card.json"
        self.database = root / "results" / "mlflow.db"
        self.out = self.results / "tracked.json"

    @property
    def uri(self) -> str:
        """The SQLite database's."""
        return f"sqlite:///{self.database}"

    def command(self, uri: str | None = None) -> list[str]:
        """`track` as a user types it."""
        options = {"study": self.study, "results": self.results, "card": self.card, "out": self.out}
        pairs = [text for key, value in options.items() for text in (f"--{key}", str(value))]
        script = str(REPOSITORY / "scripts" / "track.py")
        return [sys.executable, script, *pairs, "--tracking-uri", self.uri if uri is None else uri]

    def runs(self, arm: str) -> Path:
        """The arm's `runs.parquet`."""
        return self.results / "arms" / arm / "runs.parquet"

    def plan(self, factors: dict, seeds: int) -> list[AnyPlannedArm]:
        """Write the digits study, cut down to `factors` and `seeds`, its plan and its arms."""
        content = read_yaml(REPOSITORY / "config" / "studies" / "digits.yaml")
        content |= {"factors": factors, "seeds": seeds, "experiments": {"factorial": {}}}
        _write(self.study, json.dumps(content))
        study = load_study(self.study)
        levels = [list(factor.values()) for factor in factors.values()]
        wanted = [make_arm(study, dict(zip(factors, c, strict=True))) for c in itertools.product(*levels)]
        arms = planned_arms(study, {"factorial": wanted})
        _write(self.results / "plan.csv", "\n".join(["arm", *(arm.name for arm in arms for _ in range(seeds))]))
        for arm in arms:
            write_arm(arm_path(self.results, arm.name), arm)
        return arms


def make_results(root: Path, *, factors=None, seeds: int = 2, epochs: int = 3) -> ResultsFolder:
    """Write the results of the digits study, cut down to `factors` and `seeds`."""
    folder = ResultsFolder(root)
    factors = factors or FACTORS_OF_TEST
    _write(folder.card, json.dumps(CARD))
    for number, arm in enumerate(folder.plan(factors, seeds)):
        runs, curves = [], []
        for seed in range(seeds):
            row, curve = _run(arm, seed, epochs, START + timedelta(minutes=10 * number + seed))
            runs.append(row)
            curves += curve
        _write(
            folder.runs(arm.name).with_name("learning_rate.json"), '{"choices": [{"at_edge": true, "untuned": false}]}'
        )
        pd.DataFrame(runs).to_parquet(folder.runs(arm.name))
        pd.DataFrame(curves).to_parquet(folder.runs(arm.name).with_name("curves.parquet"))
    effects = [
        {"term": f, "kind": k, "response": r, "estimate": 0.01 * (i + 1)}
        for i, f in enumerate(factors)
        for k in ("main", "simple", "shapley")
        for r in ("test_accuracy", "test_loss")
    ]
    _write(folder.results / "factorial" / "effects.csv", pd.DataFrame(effects).to_csv(index=False))
    _draw(folder.results / "figures" / "factorial-effects")
    return folder


def diverge(folder: ResultsFolder, arm: str, seed: int, epoch: int) -> None:
    """Let a run end as one does whose loss is no number from `epoch` on: null losses, accuracies at chance."""
    runs, curves = _tables(folder, arm)
    lost = runs["seed"] == seed
    runs.loc[lost, ["train_loss", "validation_loss", "test_loss"]] = math.nan
    runs.loc[lost, ["train_accuracy", "test_accuracy"]] = 0.1
    runs.loc[lost, "diverged"] = True
    after = (curves["seed"] == seed) & (curves["epoch"] >= epoch)
    curves.loc[after, ["train_loss", "validation_loss"]] = math.nan
    curves.loc[after, "batch_loss"] = math.inf
    _save(folder, arm, runs, curves)


def keep_weights(folder: ResultsFolder, arm: str) -> None:
    """Put weights of the arm's best run where training would have kept them."""
    runs, _ = _tables(folder, arm)
    best = runs[~runs["diverged"]].sort_values("validation_accuracy").iloc[-1]
    network = read_arm(folder.runs(arm).with_name("arm.json")).network.model_dump_json()
    about = {"run_key": best["run_key"], "seed": str(best["seed"]), "validation_accuracy": "0.5", "torch": "2.15.0"}
    about |= {"network": network, "shape": "[8, 1, 10]"}
    save_file({"scale": np.ones(1, np.float32)}, folder.runs(arm).with_name(WEIGHTS), about)


def retrain(folder: ResultsFolder, arm: str, seed: int) -> None:
    """Give one run another key and another accuracy, as changed code would."""
    runs, curves = _tables(folder, arm)
    runs.loc[runs["seed"] == seed, ["run_key", "test_accuracy"]] = ["f" * 16, 0.987]
    _save(folder, arm, runs, curves)


def _tables(folder: ResultsFolder, arm: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    path = folder.runs(arm)
    return pd.read_parquet(path), pd.read_parquet(path.with_name("curves.parquet"))


def _save(folder: ResultsFolder, arm: str, runs: pd.DataFrame, curves: pd.DataFrame) -> None:
    runs.to_parquet(folder.runs(arm))
    curves.to_parquet(folder.runs(arm).with_name("curves.parquet"))


def _run(arm, seed: int, epochs: int, start: datetime):
    """A run's row and curve: numbers that differ by arm, seed and epoch, and learn a little."""
    base = 0.5 + 0.05 * len(arm.name.split("+")) + 0.01 * seed
    key = f"{arm.name}-{seed}".encode().hex()[:16]
    levels = {factor: arm.levels[factor] for factor in FACTORS} | {"train_samples": 1037}
    curve = [
        {
            "arm": arm.name,
            "seed": seed,
            "run_key": key,
            "epoch": epoch,
            "step": 17 * epoch,
            "learning_rate": 0.1 * (1 - epoch / (epochs + 1)) if epoch else None,
            "batch_loss": 2.3 / (epoch + 1) if epoch else None,
            "train_loss": 2.2 / (epoch + 1) + 0.01 * seed,
            "train_accuracy": base * (1 - 0.5**epoch),
            "validation_loss": 2.4 / (epoch + 1),
            "validation_accuracy": 0.9 * base * (1 - 0.5**epoch),
            "seconds": 0.5 * epoch,
        }
        for epoch in range(epochs + 1)
    ]
    last = {k: curve[-1][k] for k in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")}
    row = {"arm": arm.name, "seed": seed, "run_key": key, "started_at": start.isoformat()} | levels | last
    row |= {"epochs": epochs, "learning_rate": 0.1, "parameters": 5000, "device": "cpu", "precision": "float32"}
    row |= {"test_loss": 0.9, "test_accuracy": base, "test_top5_accuracy": 0.99, "diverged": False}
    row |= {"seconds": 0.5 * epochs + 1, "images_per_second": 20000.0}
    return row, curve


def _draw(stem: Path) -> None:
    from PIL import Image

    _write(stem.with_suffix(".svg"), SVG)
    _write(stem.with_suffix(".csv"), "term,estimate\nactivation,0.01\n")
    Image.new("RGB", (120, 80), "steelblue").save(stem.with_suffix(".png"))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
