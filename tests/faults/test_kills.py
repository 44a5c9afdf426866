"""A study whose workflow is killed at random moments: run again it is complete, with the same values to the bit."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import psutil
import pytest
import yaml
from conftest import REPOSITORY, small_study
from snakemake_command import BIN
from takeoff.common.parent import EVERY, GRACE

from faults.conftest import SIZE
from faults.finished import assert_same, temporary

pytestmark = pytest.mark.slow

ARMS = ("relu", "relu+batch")
FAST = [f"results/small/arms/{arm}/runs.parquet" for arm in ARMS]
TARGETS = FAST if SIZE == "quick" else []
"""In the quick part the study ends where its arms are trained."""


@dataclass
class Study:
    """A small study in a folder of its own."""

    folder: Path
    seconds: float = 0.0

    @property
    def results(self) -> Path:
        return self.folder / "results" / "small"

    def start(self, *arguments: str) -> subprocess.Popen:
        """Snakemake, in a process group of its own."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / "small.yaml").write_text(yaml.safe_dump(small_study(), sort_keys=False))
        line = [str(BIN / "snakemake"), "-s", str(REPOSITORY / "Snakefile"), "--cores", "2", *(arguments or TARGETS)]
        line += ["--config", "study=small.yaml"]
        with (self.folder / "said.txt").open("a") as log:
            return subprocess.Popen(line, cwd=self.folder, stdout=log, stderr=log, start_new_session=True)

    def run(self) -> None:
        """Run it to its end, as a user would go on."""
        began = time.monotonic()
        assert self.start().wait(1800) == 0, (self.folder / "said.txt").read_text()[-3000:]
        self.seconds = time.monotonic() - began

    def processes(self) -> Iterator[psutil.Process]:
        """What runs for it: in its folder, or with a file in it."""
        for process in psutil.process_iter(["cwd", "cmdline", "status"]):
            words = [process.info["cwd"] or "", *(process.info["cmdline"] or [])]
            if any(str(self.folder) in word for word in words) and process.info["status"] != psutil.STATUS_ZOMBIE:
                yield process

    def is_at_rest(self, seconds: float) -> bool:
        """Whether nothing runs for it any more, within so many seconds."""
        until = time.monotonic() + seconds
        while any(self.processes()):
            if time.monotonic() > until:
                return False
            time.sleep(0.5)
        return True


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The study, run without a break."""
    study = Study(tmp_path_factory.mktemp("unbroken") / "here")
    study.run()
    return study


def whole_group(number: int) -> Callable[[Study, subprocess.Popen], None]:
    return lambda study, workflow: os.killpg(workflow.pid, number)


def workflow_alone(number: int) -> Callable[[Study, subprocess.Popen], None]:
    return lambda study, workflow: os.kill(workflow.pid, number)


def a_job(study: Study, workflow: subprocess.Popen) -> None:
    """Of those that run, one, by whatever ends it."""
    for process in study.processes():
        if process.pid != workflow.pid and any("scripts/" in word for word in process.info["cmdline"] or []):
            process.kill()
            return


KILLS = {
    "the group": whole_group(signal.SIGKILL),
    "the group, terminated": whole_group(signal.SIGTERM),
    "the group, interrupted": whole_group(signal.SIGINT),
    "the workflow": workflow_alone(signal.SIGKILL),
    "the workflow, terminated": workflow_alone(signal.SIGTERM),
    "a job": a_job,
}


@pytest.mark.tries(quick=2, whole=40)
def test_killed_at_any_moment(dice: Random, unbroken: Study, tmp_path: Path) -> None:
    study = Study(tmp_path / "here")
    how = dice.choice([*KILLS])
    workflow = study.start()
    try:
        workflow.wait(dice.uniform(0, unbroken.seconds))
    except subprocess.TimeoutExpired:
        KILLS[how](study, workflow)
    workflow.wait(1800)
    # A job sees in seconds that its workflow is gone.
    assert study.is_at_rest(EVERY + GRACE + unbroken.seconds), how
    if how in {"the group", "the workflow"}:
        assert study.start("--unlock").wait(600) == 0
    study.run()
    for arm in ARMS:
        assert_same(study.results / "arms" / arm, unbroken.results / "arms" / arm)
    for place in unbroken.results.rglob("*.csv"):
        assert (study.results / place.relative_to(unbroken.results)).is_file()
    assert temporary(study.folder / "results") == []
    assert not list(study.results.rglob("*.checkpoint"))
    assert study.is_at_rest(5)
