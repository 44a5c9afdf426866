"""The importer against real MLflow servers: what it logs there is what it logs to SQLite."""

import json
import sys
from pathlib import Path

import pytest
import track
from mlflow import MlflowClient
from mlflow_server import mlflow_server, proxy
from postgresql import PASSWORD, postgresql
from results_folder import diverge, keep_weights, make_results

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path):
    """As a team has it: on PostgreSQL."""
    (tmp_path / "server").mkdir()
    with postgresql() as database, mlflow_server(tmp_path / "server", database) as uri:
        yield uri


def content(uri):
    """All that users see of the experiment's runs, by name, their ids left out; NaN written as text."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("takeoff/digits")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    names = {run.info.run_id: run.info.run_name for run in runs}
    models = {model.source_run_id: model for model in client.search_logged_models([experiment.experiment_id])}
    return {
        run.info.run_name: {
            "times": (run.info.start_time, run.info.end_time, run.info.status),
            "params": run.data.params,
            "tags": run.data.tags | {"mlflow.parentRunId": names.get(run.data.tags.get("mlflow.parentRunId"))},
            "metrics": {
                key: [(m.step, m.timestamp, repr(m.value)) for m in client.get_metric_history(run.info.run_id, key)]
                for key in run.data.metrics
            },
            "inputs": sorted((i.dataset.name, i.dataset.digest) for i in run.inputs.dataset_inputs),
            "model": model_of(client, models.get(run.info.run_id)),
            "figures": [f.path for f in client.list_artifacts(run.info.run_id, "figures")],
        }
        for run in runs
    }


def model_of(client, model):
    """A model's name and state, and its files; None where a run has none."""
    if model is None:
        return None
    files = sorted(file.path for file in client.list_logged_model_artifacts(model.model_id))
    return model.name, str(model.status), files


@pytest.fixture
def import_to(monkeypatch, capsys):
    """Run the command; what it printed."""

    def run(folder, uri):
        monkeypatch.setattr(sys, "argv", folder.command(uri)[1:])
        track.main()
        printed = capsys.readouterr()
        assert printed.err == ""
        return printed.out

    return run


def test_a_server_holds_what_sqlite_holds(server, tmp_path, import_to):
    folder = make_results(tmp_path)
    diverge(folder, "relu", seed=1, epoch=2)
    keep_weights(folder, "relu")
    import_to(folder, folder.uri)
    printed = import_to(folder, server)
    assert printed == "takeoff/digits: 7 created, 0 updated, 0 unchanged, 0 deleted\n"
    there = content(server)
    assert there == content(folder.uri)
    name, status, files = there["relu"]["model"]
    assert (name, status.rpartition(".")[2]) == ("relu", "READY")
    assert {"MLmodel", "artifacts", "code", "served.py"} <= set(files)
    assert there["tanh"]["model"] is None
    assert there["relu seed 1"]["metrics"]["train_loss"][-1][2] == "nan"
    assert json.loads(folder.out.read_text())["tracking_uri"] == server

    run = MlflowClient(server).search_runs(["1"], "attributes.run_name = 'factorial'")[0]
    assert run.info.artifact_uri.startswith("mlflow-artifacts:")
    image = MlflowClient(server).download_artifacts(run.info.run_id, "figures/factorial-effects.png", str(tmp_path))
    original = folder.results / "figures" / "factorial-effects.png"
    assert Path(image).read_bytes() == original.read_bytes()

    printed = import_to(folder, server)
    assert printed == "takeoff/digits: 0 created, 0 updated, 7 unchanged, 0 deleted\n"
    assert content(server) == there


def test_a_proxy_may_have_the_server_under_a_prefix(tmp_path, import_to):
    folder = make_results(tmp_path)
    keep_weights(folder, "relu")
    (tmp_path / "server").mkdir()
    with mlflow_server(tmp_path / "server") as behind, proxy(behind, "/team/mlflow") as uri:
        printed = import_to(folder, f"{uri}/")
        assert printed == "takeoff/digits: 7 created, 0 updated, 0 unchanged, 0 deleted\n"
        assert json.loads(folder.out.read_text())["tracking_uri"] == f"{uri}/"
        there = content(behind)
        figures = "figures/factorial-effects.png"
        run = MlflowClient(uri).search_runs(["1"], "attributes.run_name = 'factorial'")[0]
        image = Path(MlflowClient(uri).download_artifacts(run.info.run_id, figures, str(tmp_path)))
        assert image.read_bytes() == (folder.results / figures).read_bytes()
    import_to(folder, folder.uri)
    assert there == content(folder.uri)


def test_a_database_may_be_reached_without_a_server(tmp_path, import_to):
    """Its password is shown nowhere."""
    folder = make_results(tmp_path)
    keep_weights(folder, "relu")
    with postgresql() as uri:
        printed = import_to(folder, uri)
        assert printed == "takeoff/digits: 7 created, 0 updated, 0 unchanged, 0 deleted\n"
        there = content(uri)
        assert import_to(folder, uri) == "takeoff/digits: 0 created, 0 updated, 7 unchanged, 0 deleted\n"
        location = MlflowClient(uri).get_experiment_by_name("takeoff/digits").artifact_location
    assert location == (folder.results.parent / "mlartifacts").as_uri()
    written = folder.out.read_text()
    assert PASSWORD not in written
    assert json.loads(written)["tracking_uri"].startswith("postgresql://127.0.0.1:")
    import_to(folder, folder.uri)
    assert there == content(folder.uri)
