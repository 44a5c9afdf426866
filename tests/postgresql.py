"""A real PostgreSQL for tests: a new cluster on a free port, stopped and removed with all that it holds."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mlflow_server import free_port

USER = "takeoff"
PASSWORD = "s3cret"


def _program(name: str) -> str:
    """Where Debian puts it, which is not on PATH."""
    beside = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")))
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *beside]))
    if not found:
        pytest.skip(f"needs {name} of PostgreSQL (Debian: apt install postgresql)")
    return found


@contextmanager
def postgresql() -> Iterator[str]:
    """The address of an empty database, with user and password."""
    programs = {name: _program(name) for name in ("initdb", "pg_ctl", "createdb")}
    # It refuses to be root; what belongs to another user lies where that one may go.
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="takeoff-postgresql-"))
    data, port = folder / "data", free_port()
    (folder / "password").write_text(PASSWORD)

    def run(name: str, *arguments: str) -> None:
        line = [programs[name], *arguments]
        environment = {"PATH": os.environ["PATH"], "PGPASSWORD": PASSWORD, "LC_ALL": "C.UTF-8"}
        with (folder / f"{name}.log").open("w") as log:
            done = subprocess.run(
                line, user=user, cwd=folder, env=environment, stdout=log, stderr=log, timeout=120, check=False
            )
        assert done.returncode == 0, (folder / f"{name}.log").read_text()

    try:
        if user:
            shutil.chown(folder, user)
            shutil.chown(folder / "password", user)
        run("initdb", "-D", str(data), "-U", USER, "--auth=scram-sha-256", f"--pwfile={folder / 'password'}")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        run("pg_ctl", "-D", str(data), "-w", "-o", options, "start")
        try:
            run("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", USER, "mlflow")
            yield f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{port}/mlflow"
        finally:
            run("pg_ctl", "-D", str(data), "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)
