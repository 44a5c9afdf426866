"""The MLflow importer: what it logs, and that twice is as once."""

import json
import math
import subprocess
from collections import Counter

import pandas as pd
import pytest
from results_folder import CARD, START, diverge, make_results
from takeoff.tracking.importer import origin_tags
from unit.mlflow_store import Store, import_into_mlflow


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """Two arms of two seeds, one of which diverged, imported into a database that was not there."""
    folder = make_results(tmp_path_factory.mktemp("imported"))
    diverge(folder, "relu", seed=1, epoch=2)
    done = subprocess.run(folder.command(), capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "takeoff/digits: 7 created, 0 updated, 0 unchanged, 0 deleted\n"
    return Store(folder)


def test_one_run_per_experiment_arm_and_seed(imported):
    runs = imported.runs()
    seeds = {f"{arm} seed {seed}" for arm in ("tanh", "relu") for seed in (0, 1)}
    assert set(runs) == {"factorial", "tanh", "relu"} | seeds
    for name in seeds:
        assert runs[name].data.tags["mlflow.parentRunId"] == runs[name.split()[0]].info.run_id
    assert not any("mlflow.parentRunId" in runs[name].data.tags for name in ("factorial", "tanh", "relu"))
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    roles = Counter(run.data.tags["takeoff.role"] for run in runs.values())
    assert roles == {"run": 4, "arm": 2, "experiment": 1}
    default = imported.client.search_runs(["0"])
    assert not default


def test_artifacts_lie_beside_the_database(imported):
    folder = imported.folder.database.parent / "mlartifacts"
    assert imported.experiment.artifact_location == folder.as_uri()
    run = imported.runs()["factorial"]
    figures = [file.path for file in imported.client.list_artifacts(run.info.run_id, "figures")]
    assert figures == [f"figures/factorial-effects.{suffix}" for suffix in ("csv", "png", "svg")]
    for path, source in {
        "figures/factorial-effects.png": "figures/factorial-effects.png",
        "tables/effects.csv": "factorial/effects.csv",
        "study/plan.csv": "plan.csv",
        "study/study.json": "study.json",
    }.items():
        stored = folder / run.info.run_id / "artifacts" / path
        assert stored.read_bytes() == (imported.folder.results / source).read_bytes()


def test_levels_are_params_and_tags(imported):
    runs = imported.runs()
    for arm in ("tanh", "relu"):
        for run in (runs[arm], runs[f"{arm} seed 0"]):
            assert run.data.params["activation"] == run.data.tags["activation"] == arm
            assert run.data.params["dropout"] == "0"
            assert run.data.params["learning_rate"] == "0.1"
            assert run.data.params["train_samples"] == "1037"
    assert runs["relu seed 1"].data.params["seed"] == "1"
    assert "seed" not in runs["relu"].data.params


def test_every_setting_of_an_arm_is_a_param(imported):
    runs = imported.runs()
    arm = json.loads((imported.folder.runs("relu").with_name("arm.json")).read_text())
    for run in (runs["relu"], runs["relu seed 0"]):
        params = run.data.params
        for part in ("network", "recipe", "images"):
            for key, value in arm[part].items():
                assert params.get(f"{part}.{key}") == (
                    None if value is None else f"{value:.12g}" if isinstance(value, float) else str(value)
                )
        assert params["learning_rates"] == str(arm["learning_rates"])
        assert params["tuning_seeds"] == str(arm["tuning_seeds"])
        assert params["probed"] == "false"
        assert len(params) < 100


def test_tags_say_what_a_run_is(imported):
    runs = imported.runs()
    tags = runs["relu seed 1"].data.tags
    row = pd.read_parquet(imported.folder.runs("relu")).iloc[1]
    assert tags["takeoff.run_key"] == row["run_key"]
    assert (tags["takeoff.arm"], tags["takeoff.seed"], tags["takeoff.study"]) == ("relu", "1", "digits")
    assert runs["relu"].data.tags["takeoff.rate_at_edge"] == "true"


def test_curves_keep_epochs_and_times(imported):
    run = imported.runs()["tanh seed 1"]
    start = round(1000 * START.timestamp()) + 60_000
    assert (run.info.start_time, run.info.end_time) == (start, start + 2500)
    curve = pd.read_parquet(imported.folder.runs("tanh").with_name("curves.parquet")).query("seed == 1")
    expected = [(e, start + 500 * e, v) for e, v in zip(curve["epoch"], curve["train_loss"], strict=True)]
    assert imported.history(run, "train_loss") == expected
    # Before the first epoch there is no batch: a gap, not a NaN.
    assert [step for step, _, _ in imported.history(run, "batch_loss")] == [1, 2, 3]
    assert imported.history(run, "test_accuracy") == [(0, start + 2500, pytest.approx(0.56))]
    assert run.data.metrics["generalisation_gap"] == pytest.approx(0.56 * 0.875 - 0.56)
    assert len(run.data.metrics) == 12


def test_an_arm_has_the_means_over_its_seeds(imported):
    arm = imported.runs()["tanh"]
    assert arm.data.metrics["test_accuracy"] == pytest.approx((0.55 + 0.56) / 2)
    assert [(step, value) for step, _, value in imported.history(arm, "train_loss")] == [
        (epoch, pytest.approx(2.2 / (epoch + 1) + 0.005)) for epoch in range(4)
    ]


def test_a_diverged_run_is_logged_with_nan(imported):
    runs = imported.runs()
    lost = runs["relu seed 1"]
    assert lost.data.tags["diverged"] == "true"
    assert runs["relu seed 0"].data.tags["diverged"] == "false"
    for key in ("train_loss", "batch_loss"):  # null and infinity in the table
        steps = {step: value for step, _, value in imported.history(lost, key)}
        assert math.isfinite(steps[1])
        assert math.isnan(steps[2])
        assert math.isnan(steps[3])
    assert math.isnan(lost.data.metrics["test_loss"])
    assert lost.data.metrics["test_accuracy"] == pytest.approx(0.1)
    # The arm's mean loss is no number either, and its mean accuracy counts the run at chance.
    arm = runs["relu"]
    assert arm.data.tags["takeoff.diverged_seeds"] == "1"
    assert math.isnan(arm.data.metrics["train_loss"])
    assert arm.data.metrics["test_accuracy"] == pytest.approx((0.55 + 0.1) / 2)


def test_dataset_with_its_digest_is_an_input(imported):
    for run in imported.runs().values():
        inputs = run.inputs.dataset_inputs
        contexts = {i.dataset.name: i.tags[0].value for i in inputs}
        assert contexts == {"digits-8px-train": "training", "digits-8px-test": "testing"}
        assert {i.dataset.digest for i in inputs} == {CARD["digest"][:16]}
        rows = {i.dataset.name: json.loads(i.dataset.profile)["num_rows"] for i in inputs}
        assert rows == {"digits-8px-train": 1297, "digits-8px-test": 500}


def test_an_experiment_has_its_effects_on_test_accuracy(imported):
    metrics = imported.runs()["factorial"].data.metrics
    assert metrics == {"effect/activation": 0.01, "effect/activation_shapley": 0.01}


def test_second_import_changes_nothing(imported):
    ids, rows = imported.ids(), imported.rows()
    artifacts = [p for p in (imported.folder.database.parent / "mlartifacts").rglob("*") if p.is_file()]
    times = [path.stat().st_mtime_ns for path in artifacts]
    done = subprocess.run(imported.folder.command(), capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout == "takeoff/digits: 0 created, 0 updated, 7 unchanged, 0 deleted\n"
    assert imported.ids() == ids
    assert imported.rows() == rows
    assert [path.stat().st_mtime_ns for path in artifacts] == times
    assert json.loads(imported.folder.out.read_text()) == {
        "tracking": "on",
        "tracking_uri": imported.folder.uri,
        "experiment": "takeoff/digits",
        "experiment_id": imported.experiment.experiment_id,
        "runs": 7,
        "created": 0,
        "updated": 0,
        "unchanged": 7,
        "deleted": 0,
    }


def test_a_run_of_more_points_than_a_batch_holds(fresh_results, monkeypatch):
    folder = fresh_results(seeds=1, epochs=200)
    import_into_mlflow(folder, monkeypatch)
    store = Store(folder)
    run = store.runs()["relu seed 0"]
    assert [step for step, _, _ in store.history(run, "validation_loss")] == list(range(201))
    assert [step for step, _, _ in store.history(run, "learning_rate")] == list(range(1, 201))


def test_an_older_method_without_epochs(fresh_results, monkeypatch):
    folder = fresh_results()
    folder.runs("tanh").with_name("curves.parquet").unlink()
    import_into_mlflow(folder, monkeypatch)
    store = Store(folder)
    run = store.runs()["tanh seed 0"]
    assert "learning_rate" not in run.data.metrics
    assert store.history(run, "train_accuracy") == [(0, run.info.end_time, pytest.approx(0.55 * 0.875))]


def test_origin_names_the_commit_and_whether_it_was_changed(tmp_path):
    assert "mlflow.source.git.commit" not in origin_tags(tmp_path)
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    git = ["git", "-C", str(tmp_path), *identity]
    subprocess.run([*git, "init", "--quiet"], check=True)
    assert "mlflow.source.git.commit" not in origin_tags(tmp_path)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "first"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    tags = origin_tags(tmp_path)
    assert (tags["mlflow.source.git.commit"], tags["takeoff.dirty"]) == (head, "false")
    (tmp_path / "new.py").touch()
    assert origin_tags(tmp_path)["takeoff.dirty"] == "true"
