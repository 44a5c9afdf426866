"""MLflow's store failing, killed, locked, damaged or changed by others at random: a line, and the next import ends
complete, with no run twice and none missing.
"""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random

import pytest
from conftest import SCRIPTS, copy_database
from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from results_folder import ResultsFolder, retrain
from sqlalchemy.exc import OperationalError
from takeoff.tracking.server import connect, settle
from unit.mlflow_store import Store, import_into_mlflow

from faults.bounds import bounded
from faults.damage import damaged

SECONDS = 60
NAMES = {"factorial", "tanh", "relu", *(f"{arm} seed {seed}" for arm in ("tanh", "relu") for seed in (0, 1))}
CALLS = ("create_run", "log_inputs", "log_batch", "log_artifact", "set_terminated", "search_runs", "set_experiment_tag")
"""Of MLflow's client, those that an import makes."""
CHANGES = (
    ("delete_run",),
    ("update_run", "RUNNING"),
    ("delete_tag", "takeoff.digest"),
    ("set_tag", "takeoff.digest", "another"),
    ("set_tag", "mine", "x"),
)
KILLED = """
import os, signal, sys
import track
from mlflow import MlflowClient
left = [int(sys.argv.pop(1))]
def counted(method):
    def call(*args, **more):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return method(*args, **more)
    return call
for name in sys.argv.pop(1).split():
    setattr(MlflowClient, name, counted(getattr(MlflowClient, name)))
track.main()
"""
MADE_KILLED = """
import os, signal, sys
from sqlalchemy import Engine, event
from takeoff.tracking.server import connect
left = [int(sys.argv[1])]
@event.listens_for(Engine, "before_cursor_execute")
def count(*_):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
connect(sys.argv[2])
"""
Import = Callable[..., str | None]


@pytest.fixture
def folder(fresh_results: Callable[..., ResultsFolder]) -> ResultsFolder:
    return fresh_results()


@pytest.fixture
def log_to(folder: ResultsFolder, monkeypatch: pytest.MonkeyPatch) -> Import:
    """Import; the line with which that is refused, or None."""

    def run(uri: str | None = None) -> str | None:
        with bounded(SECONDS):
            try:
                import_into_mlflow(folder, monkeypatch, uri)
            except SystemExit as stopped:
                line = str(stopped.code)
            else:
                return None
        if line != "130":
            assert line.startswith("error: ")
            assert line.isprintable()
            assert "that Takeoff does not know" not in line
        return line

    return run


def assert_complete(folder: ResultsFolder) -> None:
    """Every run is there, once, and whole."""
    runs = Store(folder).runs()
    assert runs.keys() == NAMES
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    for name in ("relu seed 1", "tanh seed 0"):
        run = runs[name]
        assert run.data.tags["mlflow.parentRunId"] == runs[name.split()[0]].info.run_id
        assert len(Store(folder).history(run, "train_loss")) == 4
        assert len(run.data.params) > 20


@contextmanager
def failing(call: str, at: int, error: BaseException) -> Iterator[None]:
    """Let a call of MlflowClient fail, the `at`-th time that it is made."""
    whole, made = getattr(MlflowClient, call), []

    def counted(*args: object, **more: object) -> object:
        made.append(call)
        if len(made) == at:
            raise error
        return whole(*args, **more)

    setattr(MlflowClient, call, counted)
    try:
        yield
    finally:
        setattr(MlflowClient, call, whole)


@pytest.mark.tries(quick=2, whole=40)
def test_a_call_fails(dice: Random, folder: ResultsFolder, log_to: Import) -> None:
    errors = [
        MlflowException("API request failed with error code 500 != 200. Response body: '<html>\n</html>'"),
        OperationalError("INSERT", {}, sqlite3.OperationalError("database or disk is full")),
        OSError(28, "No space left on device"),
        KeyboardInterrupt(),
    ]
    for _ in range(dice.choice([1, 2])):
        with failing(dice.choice(CALLS), dice.randrange(1, 8), dice.choice(errors)):
            log_to()
    assert log_to() is None
    assert_complete(folder)


@pytest.mark.tries(quick=1, whole=15)
def test_killed_at_any_call(dice: Random, folder: ResultsFolder, log_to: Import) -> None:
    line = [sys.executable, "-c", KILLED, str(dice.randrange(1, 40)), " ".join(CALLS), *folder.command()[2:]]
    done = subprocess.run(
        line, env=os.environ | {"PYTHONPATH": str(SCRIPTS)}, capture_output=True, timeout=600, check=False
    )
    assert done.returncode in {0, -signal.SIGKILL}
    assert log_to() is None
    assert_complete(folder)


@pytest.mark.tries(quick=1, whole=10)
def test_killed_while_a_store_is_made(dice: Random, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    line = [sys.executable, "-c", MADE_KILLED, str(dice.randrange(2, 700)), uri]
    done = subprocess.run(line, env=os.environ | {"PYTHONPATH": str(SCRIPTS)}, timeout=600, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(connect(uri).search_experiments()) == 1
    settle(uri)
    assert {path.name for path in tmp_path.iterdir()} == {"mlflow.db", ".mlflow.db.lock"}


@pytest.mark.tries(quick=2, whole=30)
def test_changed_by_others(dice: Random, folder: ResultsFolder, log_to: Import) -> None:
    """Runs that were deleted, renamed or begun anew in the UI, runs trained anew, an experiment in the trash."""
    assert log_to() is None
    store = Store(folder)
    client, runs = store.client, store.runs()
    for name in dice.sample(sorted(NAMES), dice.randrange(1, 5)):
        call, *given = dice.choice(CHANGES)
        getattr(client, call)(runs[name].info.run_id, *given)
    if dice.random() < 0.3:
        retrain(folder, "relu", seed=1)
    if dice.random() < 0.3:
        client.delete_experiment(store.experiment.experiment_id)
    assert log_to() is None
    assert_complete(folder)
    trash = store.runs(ViewType.DELETED_ONLY)
    assert not {run.info.run_id for run in trash.values()} & set(store.ids().values())
    before = store.ids()
    assert log_to() is None
    assert store.ids() == before


@pytest.mark.tries(quick=2, whole=30)
def test_a_file_that_is_damaged(dice: Random, folder: ResultsFolder, log_to: Import, blank_database: Path) -> None:
    """It is named where that shows, and without it everything is logged anew."""
    if dice.random() < 0.5:
        assert log_to() is None
    folder.database.write_bytes(damaged(folder.database.read_bytes(), dice))
    line = log_to()
    assert line is None or folder.database.name in line
    for path in folder.database.parent.glob("mlflow.db*"):
        path.unlink()
    copy_database(blank_database, folder.database)
    settle(folder.uri)  # MLflow may have the damaged one open
    assert log_to() is None
    assert_complete(folder)


@pytest.mark.tries(quick=1, whole=5)
def test_a_file_that_another_process_locks(dice: Random, folder: ResultsFolder, log_to: Import) -> None:
    if dice.random() < 0.5:
        assert log_to() is None
    with closing(sqlite3.connect(folder.database, isolation_level=None)) as other:
        other.execute(f"BEGIN {dice.choice(['EXCLUSIVE', 'IMMEDIATE'])}")
        line = log_to()
    assert line is not None
    assert folder.database.name in line
    assert log_to() is None
    assert_complete(folder)


ANSWERS = (
    b"",
    b"{}",
    b"[]",
    b"null",
    b"<html>Sign in</html>",
    b'{"error_code": "X"}',
    b"{" * 2000,
    b"\xff\0",
    b'{"runs": 1}',
)
ANSWERS += (b'{"experiment": {}}', b'{"experiment": {"experiment_id": "7", "lifecycle_stage": "active"}}', b'"x"')
STATUSES = (200, 200, 204, 301, 302, 400, 401, 403, 404, 409, 429, 500, 502, 503, 520)


@pytest.mark.tries(quick=2, whole=30)
def test_a_server_that_answers_anything(dice: Random, folder: ResultsFolder, log_to: Import) -> None:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            if dice.random() < 0.2 and self.path != "/health":
                return  # nothing, and the connection is closed
            status, body = dice.choice(STATUSES), dice.choice(ANSWERS)
            self.send_response(200 if self.path == "/health" else status)
            if status in {301, 302}:
                self.send_header("Location", dice.choice(["/login", "http://127.0.0.1:9/", self.path]))
            self.send_header("Content-Length", str(len(body) + 9 * (dice.random() < 0.1)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 (as http.server calls them)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        line = log_to(f"http://me:s3cret@127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()
    assert line is not None
    assert f"127.0.0.1:{server.server_port}" in line
    assert "s3cret" not in line
    assert log_to() is None
    assert_complete(folder)


@pytest.mark.slow
@pytest.mark.tries(quick=0, whole=3)
def test_two_imports_into_a_new_store(dice: Random, folder: ResultsFolder, log_to: Import) -> None:
    folder.database.unlink()
    both = [subprocess.Popen(folder.command(), stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [one.wait(600) for one in both] == [0, 0]
    assert_complete(folder)
