"""A workflow that is stopped while it trains."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import REPOSITORY, small_study
from snakemake_command import BIN


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_workflow_leaves_no_job_that_trains(
    tmp_path: Path, write_study: Callable[..., Path], number: int
) -> None:
    study = write_study(recipe=small_study()["recipe"] | {"epochs": 100_000}, budget={"runs": 20, "core_hours": 99})
    arguments = ("--cores", "1", "--config", f"study={study}", "tracking_uri=''")
    here = tmp_path / "here"
    here.mkdir()
    line = [BIN / "snakemake", "-s", REPOSITORY / "Snakefile", "--directory", here, *arguments]
    with (tmp_path / "shown").open("w") as shown:
        running = subprocess.Popen(line, stdout=shown, stderr=shown, start_new_session=True)

    def trains() -> bool:
        """Whether a job has written how far it is in the last seconds."""
        written = [path.stat().st_mtime for path in here.glob("results/small/arms/*/progress.json")]
        return bool(written) and time.time() - max(written) < 10

    def wait_for(what: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 120
        while not what():
            assert time.monotonic() < deadline
            time.sleep(0.5)

    wait_for(trains)
    if number == signal.SIGINT:
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does
        assert running.wait(60) == 1
        assert (tmp_path / "shown").read_text().splitlines()[-1].startswith("stopped: 0 of 12 runs")
    else:
        running.kill()
        running.wait()
    wait_for(lambda: not trains())
