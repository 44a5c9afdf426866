"""`make ui`: where a study's runs are, on a free port, and what it refuses; results that were moved."""

import json
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Command
from mlflow import MlflowClient
from results_folder import ResultsFolder, make_results
from takeoff.tracking.server import VIEW
from unit.mlflow_store import Store, import_into_mlflow


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ResultsFolder:
    """A study's results, logged."""
    made = make_results(tmp_path / "here")
    import_into_mlflow(made, monkeypatch)
    return made


def test_the_runs_are_served_on_a_free_port_as_a_view_of_the_arms(
    folder: ResultsFolder, run_here: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    served: list[list[str]] = []
    done = subprocess.CompletedProcess([], 3)
    monkeypatch.setattr(subprocess, "run", lambda line, **_: served.append(line) or done)
    with pytest.raises(SystemExit) as ended:
        run_here("ui", "study=digits", f"results={folder.results.parent}")
    assert ended.value.code == 3  # that of the server
    assert served[0][:4] == ["mlflow", "ui", "--backend-store-uri", folder.uri]
    port = served[0][served[0].index("--port") + 1]
    experiment = Store(folder).experiment
    printed = capsys.readouterr().out
    assert f"http://127.0.0.1:{port}/#/experiments/{experiment.experiment_id}/runs?" in printed
    assert f"viewStateShareKey={VIEW}&" in printed
    view = json.loads(experiment.tags[f"mlflow.sharedViewState.{VIEW}"])
    assert view["searchFilter"] == "tags.`takeoff.role` = 'arm'"
    assert {"params.`activation`", "metrics.`test_accuracy`"} <= set(view["selectedColumns"])
    found = MlflowClient(folder.uri).search_runs([experiment.experiment_id], view["searchFilter"])
    assert {run.info.run_name for run in found} == {"tanh", "relu"}


def test_what_cannot_be_served_is_one_line(folder: ResultsFolder, command: Command, tmp_path: Path) -> None:
    given = ("study=digits", f"results={folder.results.parent}")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port {port}: taken" in command.refused("ui", *given, "--port", port)
    assert "port 99999" in command.refused("ui", *given, "--port", 99999)
    assert "no runs are logged yet" in command.refused("ui", "study=digits", f"results={tmp_path / 'empty'}")
    assert "nothing is logged" in command.refused("ui", *given, "tracking_uri=off")
    assert "no such key" in command.refused("ui", *given, "stduy=digits")


def test_moved_results_are_logged_anew_where_they_are(
    folder: ResultsFolder, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.move(folder.root, tmp_path / "there")
    moved = ResultsFolder(tmp_path / "there")
    assert "make track" in command.refused("ui", "study=digits", f"results={moved.results.parent}")
    assert import_into_mlflow(moved, monkeypatch)["created"] == 7
    store = Store(moved)
    run = store.runs()["factorial"]
    assert run.info.artifact_uri.startswith((moved.database.parent / "mlartifacts").as_uri())
    assert store.client.list_artifacts(run.info.run_id, "figures")
    assert import_into_mlflow(moved, monkeypatch)["unchanged"] == 7
