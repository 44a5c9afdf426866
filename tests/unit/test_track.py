"""The MLflow importer: what it logs, that twice is as once, and what it says when it cannot."""

import json
import math
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections import Counter
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from time import monotonic

import pandas as pd
import pytest
import track
from mlflow import MlflowClient
from mlflow.entities import ViewType
from results_folder import CARD, REPOSITORY, START, ResultsFolder, diverge, make_results, retrain
from takeoff.errors import run_command
from takeoff.tracking import importer
from takeoff.tracking.origin import origin_tags
from takeoff.tracking.server import connect, without_secrets

TWO_FACTORS = {
    "activation": {"baseline": "tanh", "treatment": "relu"},
    "norm": {"baseline": "none", "treatment": "batch"},
}
KILL_AT_THIRD_RUN = """
import os, signal, sys
import track
from mlflow import MlflowClient
finish, calls = MlflowClient.set_terminated, []
def kill_at_third(*args):
    calls.append(args)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    finish(*args)
MlflowClient.set_terminated = kill_at_third
track.main()
"""


class Store:
    """What MLflow holds of a study."""

    def __init__(self, folder: ResultsFolder) -> None:
        self.folder = folder
        self.client = MlflowClient(folder.uri)
        self.experiment = self.client.get_experiment_by_name("takeoff/digits")

    def runs(self, state=ViewType.ACTIVE_ONLY):
        """The runs by name; a name that stands twice fails."""
        found = self.client.search_runs(
            [self.experiment.experiment_id], run_view_type=state, max_results=1000
        )
        assert state != ViewType.ACTIVE_ONLY or len({run.info.run_name for run in found}) == len(found)
        return {run.info.run_name: run for run in found}

    def ids(self):
        return {name: run.info.run_id for name, run in self.runs().items()}

    def history(self, run, key):
        return [(m.step, m.timestamp, m.value) for m in self.client.get_metric_history(run.info.run_id, key)]

    def rows(self):
        """How many rows every table has."""
        with sqlite3.connect(self.folder.database) as database:
            tables = [
                name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            ]
            return {
                table: database.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] for table in tables
            }


@pytest.fixture(scope="module")
def blank_database(tmp_path_factory):
    """A migrated, empty database: MLflow takes seconds to make one."""
    path = tmp_path_factory.mktemp("blank") / "mlflow.db"
    connect(f"sqlite:///{path}")
    return path


@pytest.fixture
def make(tmp_path, blank_database):
    """Make a results folder with a blank database."""

    def made(**options):
        folder = make_results(tmp_path, **options)
        shutil.copy(blank_database, folder.database)
        return folder

    return made


def import_into_mlflow(folder: ResultsFolder, monkeypatch, uri=None):
    """Run the command in this process; what it counted."""
    monkeypatch.setattr(sys, "argv", folder.command(uri)[1:])
    run_command(track.main)
    written = json.loads(folder.out.read_text())
    return {key: written[key] for key in ("created", "updated", "unchanged", "deleted") if key in written}


def change_study(folder: ResultsFolder, **changes):
    folder.study.write_text(json.dumps(json.loads(folder.study.read_text()) | changes))


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """Two arms of two seeds, one of which diverged, imported into a database that was not there."""
    folder = make_results(tmp_path_factory.mktemp("imported"))
    diverge(folder, "relu", seed=1, epoch=2)
    done = subprocess.run(folder.command(), capture_output=True, text=True, timeout=60, check=False)
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
    done = subprocess.run(imported.folder.command(), capture_output=True, text=True, timeout=60, check=True)
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


def test_a_changed_run_is_replaced_not_doubled(make, monkeypatch):
    folder = make()
    import_into_mlflow(folder, monkeypatch)
    store = Store(folder)
    before = store.ids()
    retrain(folder, "relu", seed=1)
    counts = import_into_mlflow(folder, monkeypatch)
    assert counts == {
        "created": 0,
        "updated": 2,
        "unchanged": 5,
        "deleted": 0,
    }  # the run, and its arm's means
    runs, after = store.runs(), store.ids()
    assert {name for name in after if after[name] != before[name]} == {"relu", "relu seed 1"}
    assert runs["relu seed 1"].data.metrics["test_accuracy"] == pytest.approx(0.987)
    assert len(store.history(runs["relu seed 1"], "test_accuracy")) == 1
    assert runs["relu"].data.metrics["test_accuracy"] == pytest.approx((0.55 + 0.987) / 2)
    assert {runs[f"relu seed {s}"].data.tags["mlflow.parentRunId"] for s in (0, 1)} == {after["relu"]}
    trash = store.runs(ViewType.DELETED_ONLY).values()
    assert {run.info.run_id for run in trash} == {before["relu"], before["relu seed 1"]}
    assert import_into_mlflow(folder, monkeypatch)["unchanged"] == 7


def test_a_new_figure_replaces_only_the_experiment(make, monkeypatch):
    folder = make()
    import_into_mlflow(folder, monkeypatch)
    (folder.results / "figures" / "factorial-effects.csv").write_text("term,estimate\nactivation,0.02\n")
    assert import_into_mlflow(folder, monkeypatch) == {
        "created": 0,
        "updated": 1,
        "unchanged": 6,
        "deleted": 0,
    }


def test_more_seeds_add_only_their_runs(make, monkeypatch):
    folder = make()
    import_into_mlflow(folder, monkeypatch)
    before = Store(folder).ids()
    make_results(folder.root, seeds=3)
    counts = import_into_mlflow(folder, monkeypatch)
    # The arms' means and the experiment, which holds study.json, are new; the four trainings stay.
    assert counts == {"created": 2, "updated": 3, "unchanged": 4, "deleted": 0}
    after = Store(folder).ids()
    assert {name for name in before if after[name] == before[name]} == {n for n in before if "seed" in n}
    assert {"tanh seed 2", "relu seed 2"} == set(after) - set(before)


def test_what_left_the_study_is_deleted_and_told(make, monkeypatch, capsys):
    folder = make(factors=TWO_FACTORS)
    import_into_mlflow(folder, monkeypatch)
    store = Store(folder)
    mine = store.client.create_run(store.experiment.experiment_id, run_name="my own").info.run_id
    change_study(folder, factors={"activation": TWO_FACTORS["activation"]}, seeds=1)
    assert import_into_mlflow(folder, monkeypatch)["deleted"] == 8
    assert set(store.runs()) == {"factorial", "tanh", "tanh seed 0", "relu", "relu seed 0", "my own"}
    assert store.ids()["my own"] == mine
    told = [line.split(",")[0] for line in capsys.readouterr().out.splitlines() if "deleted " in line]
    assert "takeoff/digits: deleted relu seed 1" in told
    assert "takeoff/digits: deleted relu+batch" in told


def test_runs_are_known_again_on_every_page_and_under_another_name(make, monkeypatch):
    folder = make()
    import_into_mlflow(folder, monkeypatch)
    store = Store(folder)
    store.client.update_run(store.ids()["relu seed 0"], name="my favourite")
    monkeypatch.setattr(importer, "PAGE", 3)
    assert import_into_mlflow(folder, monkeypatch)["unchanged"] == 7
    assert "my favourite" in store.runs()


def test_a_killed_import_is_repaired(make, monkeypatch):
    folder = make()
    env = os.environ | {"PYTHONPATH": str(REPOSITORY / "scripts")}
    command = [sys.executable, "-c", KILL_AT_THIRD_RUN, *folder.command()[2:]]
    killed = subprocess.run(command, env=env, capture_output=True, timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not folder.out.exists()
    store = Store(folder)
    half = store.runs()
    assert len(half) == 3
    assert [run.info.status for run in half.values()].count("RUNNING") == 1
    assert import_into_mlflow(folder, monkeypatch) == {
        "created": 5,
        "updated": 0,
        "unchanged": 2,
        "deleted": 0,
    }
    assert len(store.runs()) == 7
    assert {run.info.status for run in store.runs().values()} == {"FINISHED"}
    assert import_into_mlflow(folder, monkeypatch)["unchanged"] == 7


def test_a_deleted_experiment_is_restored_without_its_trash(make, monkeypatch, capsys):
    folder = make()
    import_into_mlflow(folder, monkeypatch)
    retrain(folder, "relu", seed=1)
    import_into_mlflow(folder, monkeypatch)
    store = Store(folder)
    ids = store.ids()
    store.client.delete_experiment(store.experiment.experiment_id)
    # MLflow restores the runs that were in the trash before, too.
    assert import_into_mlflow(folder, monkeypatch)["unchanged"] == 7
    assert store.ids() == ids
    assert "restored from MLflow's trash" in capsys.readouterr().out


def test_a_run_of_more_points_than_a_batch_holds(make, monkeypatch):
    folder = make(seeds=1, epochs=200)
    import_into_mlflow(folder, monkeypatch)
    store = Store(folder)
    run = store.runs()["relu seed 0"]
    assert [step for step, _, _ in store.history(run, "validation_loss")] == list(range(201))
    assert [step for step, _, _ in store.history(run, "learning_rate")] == list(range(1, 201))


def test_an_older_method_without_epochs(make, monkeypatch):
    folder = make()
    folder.runs("tanh").with_name("curves.parquet").unlink()
    import_into_mlflow(folder, monkeypatch)
    store = Store(folder)
    run = store.runs()["tanh seed 0"]
    assert "learning_rate" not in run.data.metrics
    assert store.history(run, "train_accuracy") == [(0, run.info.end_time, pytest.approx(0.55 * 0.875))]


def closed_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("./mlruns", "MLflow keeps no runs there"),
        ("ftp://host/runs", "MLflow keeps no runs there"),
        ("sqlite://", "names no file"),
        ("sqlite:///{results}", "unable to open database file"),
        ("sqlite:///{card}", "not a database"),
        ("http://me:s3cret@127.0.0.1:{port}", "nothing answers there"),
        ("postgresql://me:s3cret@127.0.0.1:port/runs", "not an address"),
        ("postgresql://me:s3cret@127.0.0.1:{port}/runs?password=s3cret", "needs the Python package psycopg2"),
    ],
)
def test_a_wrong_address_is_one_line(make, monkeypatch, uri, problem):
    folder = make()
    uri = uri.format(results=folder.results, card=folder.card, port=closed_port())
    began = monotonic()
    with pytest.raises(SystemExit) as stopped:
        import_into_mlflow(folder, monkeypatch, uri)
    message = str(stopped.value)
    assert monotonic() - began < 15
    assert message.startswith(f"error: tracking_uri={without_secrets(uri)}: ")
    assert problem in message
    assert "Valid: sqlite:///results/mlflow.db" in message
    assert "\n" not in message
    assert "s3cret" not in message
    assert not folder.out.exists()


def test_a_server_that_refuses_is_one_line(make, monkeypatch):
    class Refusal(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/health" else 403)
            self.end_headers()
            self.wfile.write(b"Invalid Host header")

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Refusal)
    Thread(target=server.serve_forever, daemon=True).start()
    uri = f"http://127.0.0.1:{server.server_port}"
    try:
        with pytest.raises(SystemExit, match=f"tracking_uri={uri}: .*403.*Invalid Host header"):
            import_into_mlflow(make(), monkeypatch, uri)
    finally:
        server.shutdown()
        server.server_close()


def test_a_missing_table_names_the_file(make, monkeypatch):
    folder = make()
    folder.runs("relu").unlink()
    with pytest.raises(SystemExit, match=r"arms/relu/runs\.parquet: there is no such file"):
        import_into_mlflow(folder, monkeypatch)


def test_a_table_without_a_column_names_it(make, monkeypatch):
    folder = make()
    pd.read_parquet(folder.runs("relu")).drop(columns="run_key").to_parquet(folder.runs("relu"))
    with pytest.raises(SystemExit, match=r"arms/relu/runs\.parquet: lacks the columns run_key"):
        import_into_mlflow(folder, monkeypatch)


def test_empty_address_turns_tracking_off(make, monkeypatch):
    folder = make()
    folder.database.unlink()
    import_into_mlflow(folder, monkeypatch, uri="")
    assert json.loads(folder.out.read_text()) == {"tracking": "off", "tracking_uri": ""}
    assert not folder.database.exists()


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("sqlite:///results/mlflow.db", "sqlite:///results/mlflow.db"),
        ("sqlite:////data/a@b/mlflow.db", "sqlite:////data/a@b/mlflow.db"),
        ("postgresql+psycopg2://me:p@ss/w?rd@db:5432/runs", "postgresql+psycopg2://db:5432/runs"),
        ("https://token@mlflow.example.org/base?key=1", "https://mlflow.example.org/base"),
    ],
)
def test_addresses_are_shown_without_secrets(uri, shown):
    assert without_secrets(uri) == shown


def test_origin_names_the_commit_and_whether_it_was_changed(tmp_path):
    assert "mlflow.source.git.commit" not in origin_tags(tmp_path)
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    git = ["git", "-C", str(tmp_path), *identity]
    subprocess.run([*git, "init", "--quiet"], check=True)
    assert "mlflow.source.git.commit" not in origin_tags(tmp_path)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "first"], check=True)
    head = subprocess.run(
        [*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    tags = origin_tags(tmp_path)
    assert (tags["mlflow.source.git.commit"], tags["takeoff.dirty"]) == (head, "false")
    (tmp_path / "new.py").touch()
    assert origin_tags(tmp_path)["takeoff.dirty"] == "true"
