"""The MLflow importer: what it logs, and that twice is as once."""

import json
import math
import sqlite3
import subprocess
from collections import Counter
from contextlib import closing
from types import SimpleNamespace

import pandas as pd
import pytest
from results_folder import CARD, START, diverge, make_results, retrain
from scipy import stats
from takeoff.experiments.registry import enabled, wanted
from takeoff.study.loading import load_study, study_path
from takeoff.study.names import short_names
from takeoff.study.planned import planned_arms
from takeoff.tracking.importer import origin_tags
from takeoff.tracking.reading import settings_of
from takeoff.tracking.server import settle
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
    assert len(run.data.metrics) == 11
    # The rate is a setting, and not where its schedule ends.
    assert "learning_rate" not in run.data.metrics


def test_an_arm_has_the_means_over_its_seeds(imported):
    arm = imported.runs()["tanh"]
    metrics, half = arm.data.metrics, stats.t.ppf(0.975, 1) * 0.01 / 2
    assert metrics["test_accuracy"] == pytest.approx((0.55 + 0.56) / 2)
    assert [metrics[f"test_{name}"] for name in ("sd", "ci_low", "ci_high")] == pytest.approx(
        [0.01 / 2**0.5, 0.555 - half, 0.555 + half]
    )
    assert max(len(str(metrics[f"test_{name}"])) for name in ("accuracy", "sd", "ci_low", "ci_high")) < 11  # a column
    assert metrics["n_seeds"] == 2
    assert "Test accuracy over 2 seeds: 0.5550" in arm.data.tags["mlflow.note.content"]
    assert [(step, value) for step, _, value in imported.history(arm, "train_loss")] == [
        (epoch, pytest.approx(2.2 / (epoch + 1) + 0.005)) for epoch in range(4)
    ]


def test_no_interval_of_accuracies_goes_beyond_them(fresh_results, monkeypatch):
    folder = fresh_results()
    retrain(folder, "relu", seed=1)  # 0.987, far from the other seed
    import_into_mlflow(folder, monkeypatch)
    metrics = Store(folder).runs()["relu"].data.metrics
    assert (metrics["test_ci_low"], metrics["test_ci_high"]) == (0, 1)


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


def test_an_experiment_is_found_by_its_name_and_a_role(imported):
    found = imported.client.search_runs(
        [imported.experiment.experiment_id], "tags.`experiment.factorial` = 'yes' and tags.`takeoff.role` = 'arm'"
    )
    assert {run.info.run_name for run in found} == {"tanh", "relu"}


def test_runs_that_tuned_an_arm_are_logged_below_it(fresh_results, monkeypatch):
    tried = [(1_000_000, 0.1, 0.5), (1_000_000, 0.3, 0.6), (1_000_001, 0.1, 0.7)]
    keys = ("seed", "learning_rate", "validation_accuracy")
    rows = [dict(zip(keys, one, strict=True)) | {"weight_decay": 0.0005, "diverged": False} for one in tried]
    choice = {"at_edge": True, "untuned": False, "block": 0, "learning_rate": 0.3, "weight_decay": 0.0005, "runs": rows}
    folder = fresh_results()
    folder.runs("relu").with_name("learning_rate.json").write_text(json.dumps({"choices": [choice]}))
    import_into_mlflow(folder, monkeypatch)
    runs = Store(folder).runs()
    tuning = [run for run in runs.values() if run.data.tags["takeoff.role"] == "tuning"]
    assert len(tuning) == 3
    assert {run.data.tags["mlflow.parentRunId"] for run in tuning} == {runs["relu"].info.run_id}
    run = runs["relu tuning seed 1000000, learning rate 0.3 weight decay 0.0005"]
    assert run.data.metrics == {"validation_accuracy": 0.6}
    assert (run.data.params["learning_rate"], run.data.params["seed"], run.data.params["block"]) == (
        "0.3",
        "1000000",
        "0",
    )
    assert "Learning rates chosen: 0.3." in runs["relu"].data.tags["mlflow.note.content"]


@pytest.mark.parametrize("name", ["digits", "cifar10", "cifar10-cpu", "cifar10-extended"])
def test_no_two_arms_of_a_study_have_the_same_params_or_name(name):
    path = study_path(name)
    study = load_study(path)
    arms = planned_arms(study, wanted(enabled(study, str(path))), 1297 if name == "digits" else 50_000)
    assert len({tuple(sorted(settings_of(arm).items())) for arm in arms}) == len(arms)
    names = short_names(arms)
    assert len(set(names.values())) == len(arms)
    assert all(names[arm.name] == arm.name for arm in arms if "factorial" in arm.experiments)
    if "race" in study.experiments:
        assert {"race: relu", "race: tanh", "race: sigmoid"} <= set(names.values())


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
    assert [step for step, _, _ in store.history(run, "batch_loss")] == list(range(1, 201))


def test_an_older_method_without_epochs(fresh_results, monkeypatch):
    folder = fresh_results()
    folder.runs("tanh").with_name("curves.parquet").unlink()
    import_into_mlflow(folder, monkeypatch)
    store = Store(folder)
    run = store.runs()["tanh seed 0"]
    assert "batch_loss" not in run.data.metrics
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
    (tmp_path / "mine.yaml").touch()
    assert origin_tags(tmp_path)["takeoff.dirty"] == "false"
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "new.py").touch()
    assert origin_tags(tmp_path)["takeoff.dirty"] == "true"


@pytest.mark.parametrize(("kind", "journal"), [("ext4", "wal"), ("nfs4", "delete"), ("fuse.sshfs", "delete")])
def test_a_store_on_a_local_disk_alone_writes_its_journal_ahead(fresh_results, monkeypatch, kind, journal):
    disks = [SimpleNamespace(mountpoint="/", fstype=kind)]
    monkeypatch.setattr("psutil.disk_partitions", lambda all: disks)  # noqa: A006 (psutil's own name)
    folder = fresh_results()
    settled = []

    def settle_later(uri):
        settled.append(mode_of(folder))
        settle(uri)

    monkeypatch.setattr("takeoff.tracking.server.settle", settle_later)
    assert import_into_mlflow(folder, monkeypatch)["created"] == 7
    assert settled == [journal]
    # What is left may be read where nobody may write.
    assert mode_of(folder) == "delete"
    assert not folder.database.with_name("mlflow.db-wal").exists()
    assert len(Store(folder).runs()) == 7


def mode_of(folder):
    """How a database keeps its journal."""
    with closing(sqlite3.connect(folder.database)) as database:
        return database.execute("PRAGMA journal_mode").fetchone()[0]
