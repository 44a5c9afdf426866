"""The way to MLflow: which addresses are valid, whether one answers, and the study's experiment there."""

import json
import logging
import os
import re
import sqlite3
import traceback
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from takeoff.common.addresses import check_address, check_folder, check_path, without_secrets
from takeoff.common.errors import TakeoffError
from takeoff.common.files import atomic_path
from takeoff.common.spelling import one_line

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from sqlalchemy import Engine

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
VALID = "Valid: sqlite:///results/mlflow.db, postgresql://host/database, http://host:5000, or off for no tracking"
LOCAL = set("ext2 ext3 ext4 xfs btrfs zfs f2fs tmpfs overlay apfs hfs NTFS".split())
"""File systems of one machine."""
_ENGINES: "WeakSet[Engine]" = WeakSet()
"""MLflow's, which keep a database open."""
PATIENCE = 5
"""Seconds to wait for an answer from an address that may be wrong."""
SETTINGS = {
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
}
"""What MLflow reads from the environment: no chatter, no usage reports, no minutes of retries."""
VIEW = "takeoff-arms"
"""The key of the view of an experiment's runs that is kept in it."""
GUIDE = (
    "Search for ``tags.`takeoff.role` = 'arm'`` to compare the arms: each has the means over its seeds, and a "
    "run per seed below it (role `run`). The run of an experiment (role `experiment`) has its figures and "
    "tables as artifacts."
)
"""What the experiment's page says above its runs."""


AT_ONCE = 8
"""Requests that a server gets at once, from an import."""


def _refused(uri: str, problem: str) -> TakeoffError:
    return TakeoffError(f"tracking_uri={one_line(without_secrets(uri))}: {problem}. {VALID}")


@contextmanager
def reported(uri: str) -> Iterator[None]:
    """Report what MLflow or its database refuses in one line that names the address, without passwords."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except ModuleNotFoundError as error:
        raise _refused(uri, f"needs the Python package {error.name}, which is not installed here") from None
    except (MlflowException, SQLAlchemyError, sqlite3.Error, RequestException) as error:
        raise _refused(uri, _first_line(error, uri)) from None
    except Exception as error:
        # What a damaged database or a strange server makes MLflow raise is nearly anything.
        if isinstance(error, TakeoffError | OSError) or not _raised_in_mlflow(error):
            raise
        raise _refused(uri, f"MLflow fails there: {type(error).__name__}: {_first_line(error, uri)}") from None


def _raised_in_mlflow(error: Exception) -> bool:
    """Whether MLflow raised an error, or a library that it called."""
    names = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
    return any(name.partition(".")[0] == "mlflow" for name in names)


def _first_line(error: Exception, uri: str) -> str:
    text = (str(error).strip() or type(error).__name__).splitlines()[0].replace(uri, without_secrets(uri))
    for secret in re.findall(r"^[\w+.-]+://[^/]*?:(.+)@", uri) + re.findall(r"\?(.+)$", uri):
        text = text.replace(secret, "***")
    return text[:300].rstrip(".")


def kind_of(uri: str) -> str:
    """What is at an address: `sqlite`, `http` and so on; TakeoffError where it is of no known kind."""
    kind = re.split(r"[+:]", uri)[0]
    if "://" not in uri or kind not in (*DATABASES, "http", "https"):
        raise _refused(uri, "MLflow keeps no runs there")
    try:
        if kind == "sqlite":
            _check_file(uri)
        else:
            check_address(uri, host=kind not in DATABASES)
    except ValueError as error:
        problem = str(error).removeprefix(f"{one_line(without_secrets(uri))}: ").partition(";")[0]
        raise _refused(uri, problem) from None
    if kind in DATABASES and kind != "sqlite":
        _check_driver(uri)
    return kind


def at_once(uri: str) -> int:
    """How many runs are logged at once: a server answers several, a database in this process has one writer."""
    return 1 if kind_of(uri) in DATABASES else AT_ONCE


def _check_file(uri: str) -> None:
    path = uri.partition(":///")[2].partition("?")[0]
    if path in ("", ":memory:"):
        raise ValueError("names no file")
    if Path(check_path(path)).is_dir():
        raise ValueError("unable to open database file: it is a folder")
    check_folder(Path(path).parent)


def _check_driver(uri: str) -> None:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    try:
        make_url(uri).get_dialect().import_dbapi()
    except ModuleNotFoundError as error:
        raise _refused(uri, f"needs the Python package {error.name}, which is not installed here") from None
    except (SQLAlchemyError, ValueError):
        raise _refused(uri, "no such kind of database is known") from None


def connect(uri: str) -> "MlflowClient":
    """A client of the database or server at `uri`, once that has answered.

    Raises TakeoffError where the address is of no known kind, or nothing answers there.
    """
    server = kind_of(uri) not in DATABASES
    if server:
        _await_server(uri)
    for key, value in SETTINGS.items():
        os.environ.setdefault(key, value)
    from mlflow import MlflowClient

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    with reported(uri):
        if not server:
            _await_database(uri)
        if file := uri.startswith("sqlite") and Path(_database(uri)):
            _make_whole(file)
        return MlflowClient(tracking_uri=uri)


def _make_whole(path: Path) -> None:
    """Make a SQLite store that has no tables yet beside its place, and put it there whole: MLflow takes seconds to make
    its tables, and cannot go on where it was killed among them.
    """
    from filelock import FileLock
    from mlflow import MlflowClient

    if _has_tables(path):
        return
    with FileLock(path.parent / f".{path.name}.lock"):
        if _has_tables(path):
            return
        for stray in path.parent.glob(f".{path.stem}-????????{path.suffix}*"):
            stray.unlink()
        with atomic_path(path) as temporary:
            MlflowClient(tracking_uri=f"sqlite:///{temporary}")
            settle(f"sqlite:///{temporary}")


def _has_tables(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] > 0


def _await_server(uri: str) -> None:
    import requests

    try:
        requests.get(f"{uri.rstrip('/')}/health", timeout=PATIENCE)
    except requests.exceptions.SSLError:
        return  # MLflow has its own settings for certificates
    except requests.Timeout:
        raise _refused(uri, f"no answer within {PATIENCE} seconds") from None
    except (requests.RequestException, ValueError):
        raise _refused(uri, "nothing answers there") from None


def _await_database(uri: str) -> None:
    """Connect once: MLflow itself tries again for minutes. A new SQLite file gets its folder."""
    from sqlalchemy import Engine, create_engine, event
    from sqlalchemy.engine import make_url

    try:
        url = make_url(uri)
    except ValueError:
        raise _refused(uri, "not an address") from None
    kind = url.get_backend_name()
    if kind == "sqlite":
        if url.database in (None, "", ":memory:"):
            raise _refused(uri, "names no file")
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    arguments = {"connect_timeout": PATIENCE} if kind in ("postgresql", "mysql") else {}
    engine = create_engine(url, connect_args=arguments)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA schema_version" if kind == "sqlite" else "SELECT 1")
    engine.dispose()
    if not event.contains(Engine, "connect", _write_ahead):
        event.listen(Engine, "connect", _write_ahead)
        event.listen(Engine, "engine_connect", lambda opened: _ENGINES.add(opened.engine))


def _write_ahead(connection: Any, _: Any) -> None:
    """Let a SQLite file on a local disk keep its journal as a log: an import is thousands of transactions, and takes
    three times as long where each waits for the disk to have written it.

    Source: sqlite.org/wal.html, which warns of file systems that several machines share.
    """
    if not isinstance(connection, sqlite3.Connection):
        return
    import psutil

    path = Path(connection.execute("PRAGMA database_list").fetchone()[2])
    mounted = {one.mountpoint: one.fstype for one in psutil.disk_partitions(all=True)}
    local = next((mounted[str(place)] for place in path.parents if str(place) in mounted), "") in LOCAL
    with suppress(sqlite3.OperationalError):  # another process has the file open in the other mode, which is slower
        connection.execute(f"PRAGMA journal_mode = {'WAL' if local else 'DELETE'}")
        connection.execute(f"PRAGMA synchronous = {'NORMAL' if local else 'FULL'}")


def settle(uri: str) -> None:
    """Let a SQLite file be whole by itself again, so that it may be copied, and read where nobody may write."""
    if not uri.startswith("sqlite"):
        return
    for engine in list(_ENGINES):
        engine.dispose()
    with closing(sqlite3.connect(_database(uri))) as connection, suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode = DELETE")  # not while another process has it open


@contextmanager
def one_at_a_time(uri: str, results: Path) -> Iterator[None]:
    """Wait until no other import goes on into the SQLite file at `uri` or, of a server, from the folder of `results`.

    Where a server's import cannot lock the folder, since nobody may write there, it goes on without.
    """
    from filelock import FileLock, Timeout

    file = uri.startswith("sqlite") and _database(uri)
    folder = Path(file or results).absolute().parent
    lock = FileLock(folder / ".tracking.lock")
    try:
        if file:
            folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        print(f"another import holds {lock.lock_file}: waiting for it", flush=True)
        lock.acquire()
    except OSError:
        if file:
            raise
    try:
        yield
    finally:
        lock.release()


def _database(uri: str) -> str:
    """The file of a SQLite address; empty where it names none."""
    from sqlalchemy.engine import make_url

    return make_url(uri).database or ""


def artifacts_of(uri: str, results: Path) -> str | None:
    """Where a database's artifacts go: to `mlartifacts` beside it, beside the SQLite file, or in the folder `results`
    of all studies; None of a server, which decides for itself.
    """
    from sqlalchemy.engine import make_url

    if uri.startswith("http"):
        return None
    folder = Path(str(make_url(uri).database)).resolve().parent if uri.startswith("sqlite") else results.resolve()
    return (folder / "mlartifacts").as_uri()


def is_elsewhere(uri: str, experiment: str, results: Path) -> bool:
    """Whether an experiment's artifacts are not where they would go today: the database was moved, or copied."""
    client = connect(uri)
    with reported(uri):
        return client.get_experiment(experiment).artifact_location != artifacts_of(uri, results)


def open_experiment(client: "MlflowClient", uri: str, name: str, title: str, results: Path) -> str:
    """The id of the MLflow experiment `name`, made or taken out of the trash if need be; `results` is the folder of all
    studies. One whose SQLite file was moved or copied is put into the trash under another name, and made anew: MLflow
    keeps the place of artifacts for good.
    """
    found, folder = client.get_experiment_by_name(name), artifacts_of(uri, results)
    if found is not None and uri.startswith("sqlite") and found.artifact_location != folder:
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        client.rename_experiment(found.experiment_id, f"{name} {found.experiment_id}, at {found.artifact_location}")
        client.delete_experiment(found.experiment_id)
        print(f"{name}: the results were moved: logged anew, with figures where they are now")
        found = None
    if found is None:
        tags = {"mlflow.experimentKind": "custom_model_development", "mlflow.note.content": f"{title}. {GUIDE}"}
        return client.create_experiment(name, artifact_location=folder, tags=tags)
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
        print(f"{name}: restored from MLflow's trash")
    return found.experiment_id


def keep_view(client: "MlflowClient", experiment: str, factors: Iterable[str]) -> None:
    """Keep the view that `address_of` opens: the arms, the best first, with their factors and accuracies as columns.

    MLflow keeps a shared view as a tag of the experiment.
    """
    shown = ["test_accuracy", "test_ci_low", "test_ci_high", "n_seeds", "train_accuracy"]
    view = {
        "searchFilter": "tags.`takeoff.role` = 'arm'",
        "orderByKey": "metrics.`test_accuracy`",
        "orderByAsc": False,
        "selectedColumns": [
            *(f"params.`{name}`" for name in (*factors, "learning_rate", "epochs")),
            *(f"metrics.`{name}`" for name in shown),
        ],
    }
    client.set_experiment_tag(experiment, f"mlflow.sharedViewState.{VIEW}", json.dumps(view))


def address_of(server: str, experiment: str) -> str:
    """The page of an experiment's runs in a server's UI, among those for training, as a chart of the arms."""
    page = f"{server.rstrip('/')}/#/experiments/{experiment}/runs"
    return f"{page}?workflowType=machine_learning&viewStateShareKey={VIEW}&compareRunsMode=CHART"
