"""A real MLflow server for tests: started on a free port, waited for, stopped with all that it started."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def mlflow_server(folder: Path, store: str | None = None) -> Iterator[str]:
    """The address of a server whose database is at `store`, or a new one in `folder`, where its artifacts lie."""
    port, store = free_port(), store or f"sqlite:///{folder / 'server.db'}"
    uri = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", store, "--artifacts-destination", str(folder / "artifacts")]
    env = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    log = folder / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(command, env=env, stdout=output, stderr=output, start_new_session=True, cwd=folder)
    try:
        await_answer(f"{uri}/health", server, log)
        yield uri
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


@contextmanager
def proxy(server: str, prefix: str) -> Iterator[str]:
    """The address of `server` behind a proxy that has it under `prefix` alone, as in front of a team's server."""

    class Handler(BaseHTTPRequestHandler):
        """Hands on what comes, without the prefix."""

        protocol_version = "HTTP/1.1"

        def _forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if not self.path.startswith(f"{prefix}/"):
                self._answer(404, b"", "text/plain")
                return
            headers = {key: value for key, value in self.headers.items() if key.lower() != "host"}
            there = requests.request(
                self.command, server + self.path.removeprefix(prefix), data=body, headers=headers, timeout=60
            )
            self._answer(there.status_code, there.content, there.headers.get("Content-Type", "text/plain"))

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _forward  # noqa: N815 (as http.server calls them)

        def _answer(self, status: int, content: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.server_port}{prefix}"
    finally:
        listener.shutdown()
        listener.server_close()


def await_answer(address: str, server: subprocess.Popen, log: Path) -> None:
    """Wait until a server that was started answers."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if requests.get(address, timeout=2).ok:
                return
        except requests.RequestException:
            time.sleep(0.1)
    raise AssertionError(f"{address} does not answer:\n{log.read_text()[-2000:]}")
