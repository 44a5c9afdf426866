"""`make ui`: where a study's runs are, on a free port, and what it refuses; results that were moved."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import requests
from conftest import SCRIPTS, Command
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
    usual = subprocess.Popen

    def serves(line: list[str], **options: object) -> subprocess.Popen:
        served.append(line)
        return usual(["sh", "-c", "exit 3"], **options)

    monkeypatch.setattr(subprocess, "Popen", serves)
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


@pytest.mark.parametrize(("number", "serving"), [(signal.SIGINT, False), (signal.SIGHUP, True)])
def test_what_ends_it_ends_the_server_without_a_traceback(folder: ResultsFolder, number: int, serving: bool) -> None:
    line = [sys.executable, SCRIPTS / "ui.py", "study=digits", f"results={folder.results.parent}"]
    said = folder.root / "said"
    with said.open("w") as file:
        ui = subprocess.Popen(line, stdout=file, stderr=file, start_new_session=True)

    def wait_for(what: Callable[[], object]) -> None:
        until = time.monotonic() + 120
        while not what():
            assert ui.poll() is None, said.read_text()
            assert time.monotonic() < until
            time.sleep(0.1)

    servers = Path(f"/proc/{ui.pid}/task/{ui.pid}/children")
    wait_for(lambda: servers.read_text().split())
    server = Path("/proc", servers.read_text().split()[0])
    address = re.search(r"http://127.0.0.1:\d+", said.read_text())[0]
    if serving:
        wait_for(lambda: answers(address))
    else:
        wait_for(lambda: (server / "cmdline").read_text().startswith(sys.executable))
        time.sleep(0.5)  # it imports
    os.killpg(ui.pid, number)
    assert ui.wait(timeout=30) == 128 + number
    assert "Traceback" not in said.read_text()
    assert not server.exists()
    assert not answers(address)


def answers(address: str) -> bool:
    with suppress(requests.ConnectionError):
        return requests.get(f"{address}/health", timeout=10).ok
    return False


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
