"""The Slurm executor forgets no job, and gives no job back that Slurm will take later."""

import asyncio
import logging
import threading
from types import SimpleNamespace
from typing import Any

import pytest
import snakemake_executor_plugin_slurm as plugin
from snakemake_executor_plugin_slurm.job_status_query import query_job_status
from takeoff.workflow.patience import PASSING, be_patient

LOG = logging.getLogger(__name__)
FULL = (
    "SLURM sbatch failed. The error message was 'sbatch: error: AssocMaxSubmitJobLimit\nsbatch: error: Batch job "
    "submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)'."
)
GROUP_FULL = FULL.replace("AssocMaxSubmitJobLimit", "QOSGrpSubmitJobsLimit")
AWAY = "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)"
FOR_GOOD = FULL.replace("AssocMaxSubmitJobLimit", "QOSMaxWallDurationPerJobLimit")


@pytest.fixture(autouse=True)
def executor(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The plugin's own names, changed, and put back after the test."""
    monkeypatch.setattr(plugin, "query_job_status", query_job_status)
    for name in ("_report_job_error_threadsafe", "shutdown"):
        monkeypatch.setattr(plugin.Executor, name, getattr(plugin.Executor, name))
    monkeypatch.setattr(plugin.Executor, "stops", None, raising=False)
    monkeypatch.delattr(plugin.Executor, "stops")
    return plugin.Executor


def states(command: str) -> dict[str, str]:
    be_patient()
    return asyncio.run(plugin.query_job_status(command, LOG))[0]


def test_no_answer_says_nothing_of_any_job() -> None:
    assert states("false") == {}


def test_who_cancelled_a_job_is_no_state_of_it() -> None:
    assert states("printf '%s|%s\\n' 1 'CANCELLED by 0' 2 OUT_OF_MEMORY") == {"1": "CANCELLED", "2": "OUT_OF_MEMORY"}


@pytest.mark.parametrize(("message", "later"), [(FULL, True), (GROUP_FULL, True), (AWAY, True), (FOR_GOOD, False)])
def test_what_slurm_takes_later(message: str, later: bool) -> None:
    assert bool(PASSING.search(message)) == later


def test_a_refused_job_is_submitted_again_until_the_workflow_stops(
    executor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported, again = [], []
    monkeypatch.setattr(executor, "_report_job_error_threadsafe", lambda self, info, message: reported.append(message))
    monkeypatch.setattr(executor, "shutdown", lambda self: None)
    monkeypatch.setattr(threading.Event, "wait", lambda self, seconds: again.append(seconds))
    be_patient()
    pool = SimpleNamespace(submit=lambda run, job: None, shutdown=lambda **_: None)
    own = SimpleNamespace(run_job=None, _job_submission_executor=pool, logger=LOG)
    info = SimpleNamespace(job=SimpleNamespace(jobid=1))
    for message in [FULL] * 7 + [FOR_GOOD]:
        executor._report_job_error_threadsafe(own, info, message)
    assert again == [2, 4, 8, 16, 32, 60, 60]
    executor.shutdown(own)
    executor._report_job_error_threadsafe(own, info, AWAY)
    assert reported == [FOR_GOOD, AWAY]
