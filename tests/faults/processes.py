"""Commands in processes of their own, to be killed: a server that has imported torch forks them, in no time."""

import runpy
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from conftest import SCRIPTS

_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload(["torch", "pandas", "pyarrow.parquet", "takeoff.jobs.arm_job"])


def started(command: str, *arguments: object, log: Path) -> ForkServerProcess:
    """A command of `scripts/` that runs; all that it says goes to a log."""
    process = _CONTEXT.Process(target=_run, args=(command, list(map(str, arguments)), log))
    process.start()
    return process


def _run(command: str, arguments: list[str], log: Path) -> None:
    sys.stdout = sys.stderr = log.open("a", encoding="utf-8")
    sys.argv = [command, *arguments]
    with suppress(KeyboardInterrupt):
        runpy.run_path(str(SCRIPTS / f"{command}.py"), run_name="__main__")


def ended(process: ForkServerProcess, kill: Callable[[ForkServerProcess], None] | None = None) -> int:
    """How a process ended, by itself or where it was killed before."""
    if kill and process.is_alive():
        kill(process)
    process.join(600)
    assert process.exitcode is not None
    return process.exitcode
