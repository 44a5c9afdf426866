"""Every experiment, small, in one go, on digits whose labels mean nothing: all that comes out must say so."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from snakemake_command import jobs, run_snakemake
from takeoff.data.card import load_card
from takeoff.experiments.registry import EXPERIMENTS, enabled
from takeoff.judging.claims import criteria, load_claims
from takeoff.judging.judge import judge_study
from takeoff.study.loading import load_study
from unit.measured import FACTORS

OLDER = ["pixels-logistic", "hog-linear-svm", "kmeans-linear-svm"]
SMALL = {
    "factorial": {"threshold": 0.3, "fixed_rate": 0.1, "fixed_seeds": 2},
    "race": {"width": 0.25, "seeds": 2, "rates": [0.003, 0.03], "epochs": 4},
    "depth": {"depths": [2, 4], "activations": ["sigmoid", "relu"], "seeds": 3},
    "stability": {"depths": [2, 4], "rates": [0.1, 1.0], "deep_rates": [0.01, 0.1], "tuning_seeds": 4},
    "dropout": {"shares": [0.25, 1], "seeds": 3},
    "scaling": {"sizes": 3, "draws": 3, "classical_draws": [4, 4, 3], "widths": [0.5, 1], "tuned": 0, "plateau": 2}
    | {"methods": OLDER},
    "moment": {"methods": OLDER[1:]},
    "compute": {},
    "synergy": {"plain": ["tanh"], "seeds": 3},
    "gain": {"epochs": [1, 3], "seeds": 2, "width": 0.5, "width_epochs": [1, 4]},
}


@pytest.fixture
def shuffled(tmp_path: Path) -> Path:
    """The digits as a folder of images, each in a class drawn at random."""
    from sklearn.datasets import load_digits

    images = load_digits().images
    labels = np.random.default_rng(0).permutation(np.arange(len(images)) % 10)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        folder = tmp_path / "shuffled" / ("test" if number % 4 == 0 else "train") / f"class{label}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * 255 / 16).astype(np.uint8)).save(folder / f"{number}.png")
    return tmp_path / "shuffled"


@pytest.mark.slow
def test_shuffled_labels_support_no_claim_about_test_accuracy(
    tmp_path: Path, shuffled: Path, write_study: Callable[..., Path]
) -> None:
    assert set(SMALL) == set(EXPERIMENTS)
    dataset = {"name": "nothing", "archive": str(shuffled), "resolution": 8, "train_samples": 1300}
    budget = {"runs": 400, "core_hours": 1}
    path = write_study(experiments=SMALL, factors=FACTORS, seeds=3, dataset=dataset, budget=budget)
    config = (f"study={path}", "arms_per_job=64")
    # Up to the verdicts: every figure and MLflow have tests of their own.
    run_snakemake(tmp_path / "here", "results/small/claims.csv", "--cores", "all", config=config)
    results, study = tmp_path / "here" / "results" / "small", load_study(path)
    experiments = enabled(study, str(path))
    for name, experiment in experiments.items():
        for table in experiment.tables():
            assert (results / name / f"{table}.csv").stat().st_size > 0

    claims = pd.read_csv(results / "claims.csv").set_index("claim")
    stated = load_claims()
    assert claims.index.tolist() == list(stated.claims)
    assert set(claims["verdict"]) <= {"supported", "contradicted", "undecided", "not tested"}
    assert claims.loc[claims["verdict"] == "not tested", "reason"].notna().all()
    accuracy = re.compile(r"\btest (accuracy|error)")
    about_test = [c.name for c in stated.claims.values() if accuracy.search(c.quantity) or c.scope == "much data"]
    assert len(about_test) >= 8
    assert "supported" not in set(claims.loc[about_test, "verdict"])
    # Nor would they where every dataset counted as much data.
    options = {name: experiment.options for name, experiment in experiments.items()}
    scopes = {name: scope.model_copy(update={"train_samples": 0}) for name, scope in stated.scopes.items()}
    stated, card = (
        stated.model_copy(update={"scopes": scopes}),
        load_card(results.parent / "data/nothing/8px/card.json"),
    )
    judged = judge_study(study, stated, criteria(stated, study, options), results, card, "claims.yaml")
    verdicts = {one.claim.name: one.verdict for one in judged}
    assert not [claim for claim in about_test if verdicts[claim] == "supported"]
    assert sum(verdicts[claim] != "not tested" for claim in about_test) >= 8
    # Gradients know nothing of labels, and are what they are.
    assert claims.loc["sigmoid-gradients-shrink", "verdict"] == "supported"

    left = jobs(run_snakemake(tmp_path / "here", "--dry-run", "--cores", "all", config=config))
    assert left == {"all", "summary", "track", "track_runs", *(f"draw_{name}" for name in EXPERIMENTS)}
