"""The best network of an arm becomes an MLflow model: it loads without the package, and predicts as it did."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import Command, copy_database, small_study
from mlflow import MlflowClient
from safetensors import safe_open
from takeoff.data.prepared import load_prepared
from takeoff.study.configuration import Configuration

ARM = "relu+batch+dropout0.5"
PREDICT = """
import json, sys
import numpy as np
from mlflow.pyfunc import load_model

uri, images, out = sys.argv[1:]
model = load_model(uri)
np.save(out, model.predict(np.load(images)))
example = model.predict(model.input_example).shape
print(json.dumps({"metadata": model.metadata.metadata, "example": example, "at": sys.modules["takeoff"].__file__}))
"""


@pytest.fixture(scope="module")
def trained(command: Command, digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a study whose networks of one arm, trained beside each other, have weights of a norm and masks."""
    factors = {"norm": {"baseline": "none", "treatment": "batch"}, "dropout": {"baseline": 0, "treatment": 0.5}}
    place = tmp_path_factory.mktemp("trained")
    study, folder = place / "small.yaml", place / "results" / "small"
    study.write_text(yaml.safe_dump(small_study(factors=factors, seeds=3)))
    command.done(
        "plan", "--study", study, "--card", digits / "card.json", "--out", folder / "plan.csv", "--arms-out",
        folder / "arms", "--study-out", folder / "study.json",
    )  # fmt: skip
    for arm in folder.glob("arms/*"):
        kept = 10**6 if arm.name == ARM else 0
        command.done("train", "--data", digits, "--device", "cpu", "--keep-weights", kept, arm)
    return folder


@pytest.fixture
def results(trained: Path, tmp_path: Path, blank_database: Path) -> Path:
    """A copy of what was trained, with a store beside it."""
    folder = tmp_path / "results" / "small"
    shutil.copytree(trained, folder)
    copy_database(blank_database, folder.parent / "mlflow.db")
    return folder


def track(run_here: Callable[..., None], results: Path, digits: Path, *options: str) -> MlflowClient:
    """Log the runs."""
    uri = f"sqlite:///{results.parent / 'mlflow.db'}"
    line = ("--study", results / "study.json", "--results", results, "--card", digits / "card.json")
    run_here("track", *line, "--only", "runs", "--tracking-uri", uri, *options)
    return MlflowClient(uri)


def test_models_may_be_left_out_and_come_later(run_here: Callable[..., None], results: Path, digits: Path) -> None:
    for options, expected in ((("--no-models",), 0), ((), 1), (("--no-models",), 0)):
        client = track(run_here, results, digits, *options)
        experiment = client.get_experiment_by_name("takeoff/small").experiment_id
        assert len(client.search_logged_models([experiment])) == expected


def test_the_best_network_loads_and_predicts_as_it_did(
    run_here: Callable[..., None], results: Path, digits: Path, tmp_path: Path
) -> None:
    runs = pd.read_parquet(results / "arms" / ARM / "runs.parquet").set_index("seed")
    client = track(run_here, results, digits)
    experiment = client.get_experiment_by_name("takeoff/small").experiment_id
    (model,) = client.search_logged_models([experiment])
    arm = client.get_run(model.source_run_id)
    assert (arm.data.tags["takeoff.arm"], arm.data.tags["takeoff.role"]) == (ARM, "arm")

    test = load_prepared(digits, 8, "all", 0.2)
    images, out = tmp_path / "images.npy", tmp_path / "probabilities.npy"
    np.save(images, test.test_images)
    line = [sys.executable, "-c", PREDICT, f"models:/{model.model_id}", str(images), str(out)]
    alone = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    alone["MLFLOW_TRACKING_URI"] = f"sqlite:///{results.parent / 'mlflow.db'}"
    done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, env=alone, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert Path(said["at"]).is_relative_to(results.parent / "mlartifacts")  # its own code, not the clone's
    assert said["example"] == [2, 10]
    best = max(runs.index, key=lambda seed: (runs["validation_accuracy"][seed], -seed))
    assert said["metadata"] == {"classes": [str(digit) for digit in range(10)], "seed": str(best)}
    probabilities = np.load(out)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    right = (probabilities.argmax(axis=1) == test.test_labels).mean()
    assert right == pytest.approx(runs["test_accuracy"][best], abs=0.0021)  # an image of 500


def test_a_model_goes_with_its_run_and_stays_with_it(
    command: Command, run_here: Callable[..., None], results: Path, digits: Path
) -> None:
    client = track(run_here, results, digits)
    experiment = client.get_experiment_by_name("takeoff/small").experiment_id

    def models() -> list[str]:
        return [one.model_id for one in client.search_logged_models([experiment])]

    first = models()
    track(run_here, results, digits)
    assert models() == first
    # Without the best seed its weights are of none of the runs. Those of the others were not kept.
    arm = results / "arms" / ARM
    path = arm / "weights.safetensors"
    with safe_open(path, framework="numpy") as file:
        best = file.metadata()["seed"]
    planned = json.loads((arm / "arm.json").read_text())
    planned["seeds"] = [seed for seed in planned["seeds"] if str(seed) != best]
    for block in planned["blocks"]:
        block["seeds"] = [seed for seed in block["seeds"] if str(seed) != best]
    (arm / "arm.json").write_text(json.dumps(planned))
    command.done("train", "--data", digits, "--device", "cpu", "--keep-weights", 10**6, arm)
    assert not path.exists()
    track(run_here, results, digits)
    assert models() == []


def test_damaged_weights_are_no_model(
    command: Command, run_here: Callable[..., None], results: Path, digits: Path
) -> None:
    path = results / "arms" / ARM / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    client = track(run_here, results, digits)
    assert client.search_logged_models([client.get_experiment_by_name("takeoff/small").experiment_id]) == []
    shutil.rmtree(results / "arms" / ARM / "runs")
    command.done("train", "--data", digits, "--device", "cpu", "--keep-weights", 10**6, path.parent)
    with safe_open(path, framework="numpy") as file:
        assert int(file.metadata()["seed"]) in range(3)


def test_which_weights_are_kept() -> None:
    assert Configuration().weights_kept == 10**6
    assert Configuration(log_models=False).weights_kept == 0
    assert Configuration(log_models=True).weights_kept > 10**9
    assert Configuration(tracking_uri="off").weights_kept == Configuration(tracking_uri="").weights_kept == 0


def test_weights_of_another_run_than_the_best_are_no_model(
    run_here: Callable[..., None], results: Path, digits: Path
) -> None:
    """As where the best run was trained elsewhere, and brought here without its weights."""
    path = results / "arms" / ARM / "runs.parquet"
    runs = pd.read_parquet(path)
    best = runs["validation_accuracy"].idxmax()
    runs.loc[[seed for seed in runs.index if seed != best][:1], "validation_accuracy"] = 1.0
    runs.to_parquet(path)
    client = track(run_here, results, digits)
    assert client.search_logged_models([client.get_experiment_by_name("takeoff/small").experiment_id]) == []


def test_weights_that_cannot_be_written_end_no_training(command: Command, results: Path, digits: Path) -> None:
    arm = results / "arms" / ARM
    shutil.rmtree(arm / "runs")
    (arm / "weights.safetensors").unlink()
    (arm / "weights.safetensors").mkdir()
    before = pd.read_parquet(arm / "runs.parquet")
    done = command.done("train", "--data", digits, "--device", "cpu", "--keep-weights", 10**6, arm)
    assert "weights are not kept" in done.stdout
    assert pd.read_parquet(arm / "runs.parquet")["test_accuracy"].equals(before["test_accuracy"])
