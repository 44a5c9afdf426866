"""Open MLflow's UI on a study's runs, its arms compared: ui.py study=digits --port 5001."""

import argparse
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from takeoff.common.addresses import without_secrets
from takeoff.common.commands import run_command
from takeoff.common.errors import TakeoffError
from takeoff.common.files import load_json
from takeoff.tracking.server import DATABASES, address_of, is_elsewhere, kind_of
from takeoff.workflow.project import project_of

LOGGED = ("tracked.json", "tracked_runs.json", "tracked_finished.json")
"""What says that, and where, runs were logged: of all with figures, of all, of finished arms while others train."""
PORTS = range(5000, 5100)
"""Tried in turn where none is given."""


def main() -> None:
    """Say where the runs are, and serve them until the user stops it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", nargs="*", metavar="KEY=VALUE", help="keys of config.yaml that have another value")
    parser.add_argument("--port", type=int, help="of this machine (default: the first that is free from 5000 on)")
    given = parser.parse_args()
    project = project_of(given.config)
    uri, folder = project.tracking_uri, project.folder
    if not uri:
        raise TakeoffError("tracking_uri=off: nothing is logged; valid: a database or a server")
    logged = [path for name in LOGGED if (path := folder / name).is_file()]
    if not logged:
        raise TakeoffError(f"{folder}: no runs are logged yet; valid: make study STUDY={project.configuration.study}")
    experiment = str(load_json(logged[0]).get("experiment_id"))
    if kind_of(uri) not in DATABASES:
        print(f"This study's runs: {address_of(without_secrets(uri), experiment)}")
        return
    if is_elsewhere(uri, experiment, Path(project.configuration.results)):
        raise TakeoffError(
            f"{folder}: the results were moved or copied, and MLflow looks for figures where they were; valid: make "
            f"track STUDY={project.configuration.study}, which logs them anew"
        )
    port = free_port(given.port)
    print(f"This study's runs: {address_of(f'http://127.0.0.1:{port}', experiment)}", flush=True)
    line = ["mlflow", "ui", "--backend-store-uri", uri, "--port", str(port), "--uvicorn-opts", "--log-level warning"]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_LOGGING_LEVEL": "ERROR", "PYTHONWARNINGS": "ignore"}
    sys.exit(serve(line, os.environ | quiet))


def serve(line: list[str], environment: dict[str, str]) -> int:
    """The status of a server; where a signal ended it, 128 and the signal's number, as a shell says.

    The server has a process group of its own: a terminal's Ctrl-C reaches this process alone, so that no server prints
    tracebacks of what it was importing. What ends this process ends the group; a second signal kills it.
    """
    ended: list[int] = []
    with subprocess.Popen(line, env=environment, process_group=0) as server:

        def stop(number: int, _: object) -> None:
            ended.append(number)
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM if len(ended) == 1 else signal.SIGKILL)

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, stop)
        status = server.wait()
    return 128 + ended[0] if ended else status


def free_port(wanted: int | None) -> int:
    """The wanted port, or the first that is free; TakeoffError where it is taken, or none is free."""
    for port in [wanted] if wanted is not None else PORTS:
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except (OSError, OverflowError):
                continue
            return port
    named = f"port {wanted}" if wanted is not None else f"ports {PORTS[0]} to {PORTS[-1]}"
    raise TakeoffError(f"{named}: taken, or none that may be used; valid: a free one, as in make ui PORT=5001")


if __name__ == "__main__":
    run_command(main)
