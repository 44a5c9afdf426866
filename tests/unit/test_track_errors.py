"""The MLflow importer: what it says when it cannot, and the secrets that it keeps."""

import json
import os
import subprocess
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from time import monotonic

import pandas as pd
import pytest
from mlflow_server import free_port
from takeoff.common.addresses import without_secrets
from unit.mlflow_store import import_into_mlflow


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
        ("postgresql://me:s3cret@127.0.0.1:{port}/runs?password=s3cret", "Connection refused"),
        ("mysql://me:s3cret@127.0.0.1:{port}/runs?password=s3cret", "needs the Python package MySQLdb"),
    ],
)
def test_a_wrong_address_is_one_line(fresh_results, monkeypatch, uri, problem):
    folder = fresh_results()
    uri = uri.format(results=folder.results, card=folder.card, port=free_port())
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


def test_a_server_that_refuses_is_one_line(fresh_results, monkeypatch):
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
            import_into_mlflow(fresh_results(), monkeypatch, uri)
    finally:
        server.shutdown()
        server.server_close()


def test_a_missing_table_names_the_file(fresh_results, monkeypatch):
    folder = fresh_results()
    folder.runs("relu").unlink()
    with pytest.raises(SystemExit, match=r"arms/relu/runs\.parquet: there is no such file"):
        import_into_mlflow(folder, monkeypatch)


def test_the_environments_address_is_the_default(fresh_results):
    folder = fresh_results()
    line = folder.command()
    line = line[: line.index("--tracking-uri")]
    bare = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    nowhere = subprocess.run(line, env=bare, capture_output=True, text=True, check=False)
    assert nowhere.returncode == 1
    assert nowhere.stderr == ("error: say where to log to: --tracking-uri, or MLFLOW_TRACKING_URI in the environment\n")
    wrong = subprocess.run(
        line, env=bare | {"MLFLOW_TRACKING_URI": "nonsense"}, capture_output=True, text=True, check=False
    )
    assert "tracking_uri=nonsense: MLflow keeps no runs there" in wrong.stderr
    assert not folder.out.exists()


def test_a_table_without_a_column_names_it(fresh_results, monkeypatch):
    folder = fresh_results()
    pd.read_parquet(folder.runs("relu")).drop(columns="run_key").to_parquet(folder.runs("relu"))
    with pytest.raises(SystemExit, match=r"arms/relu/runs\.parquet: no column run_key"):
        import_into_mlflow(folder, monkeypatch)


@pytest.mark.parametrize("uri", ["", "off"])
def test_tracking_can_be_off(fresh_results, monkeypatch, uri):
    folder = fresh_results()
    folder.database.unlink()
    import_into_mlflow(folder, monkeypatch, uri=uri)
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
