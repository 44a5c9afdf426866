"""What the Slurm executor is made to take for what it is: a controller that is away, a queue that is full, and a job
that was cancelled. By itself it forgets jobs that it cannot ask for, or waits for them without end.

It does not know what the jobs are. A later executor that has other names is left as it is; a test holds that the one
of requirements.lock has these.
"""

import re
import sys
import threading
from collections import Counter
from contextlib import suppress
from typing import Any

EXECUTOR = "snakemake_executor_plugin_slurm"
PASSING = re.compile(
    "unable to contact slurm controller|temporarily un|SubmitJob|connection (refused|failure)|in standby", re.IGNORECASE
)
"""Why `sbatch` refuses a job that it will take later. A time-out is none: the job may have been taken."""
LONGEST = 60.0
"""Seconds, at most, until a job that was refused is submitted again."""


def be_patient() -> None:
    """Change the Slurm executor, if it is there; once."""
    plugin = sys.modules.get(EXECUTOR)
    executor = getattr(plugin, "Executor", None)
    if hasattr(executor, "stops"):
        return
    if hasattr(plugin, "query_job_status"):
        _ask_patiently(plugin)
    if all(hasattr(executor, name) for name in ("_report_job_error_threadsafe", "run_job", "shutdown")):
        _submit_patiently(executor)


def _ask_patiently(plugin: Any) -> None:
    ask = plugin.query_job_status

    async def query_job_status(command: str, logger: Any) -> tuple[dict[str, str], float]:
        states, seconds = await ask(command, logger)
        if states is None:
            # A job of unknown state is asked for again; where there is no answer at all, every job would be forgotten.
            logger.warning(f"{command.split(maxsplit=1)[0]} does not answer; Slurm is asked again")
            return {}, 0.0
        # `sacct` says who cancelled a job, and the executor knows one word alone.
        return {job: state.partition(" by ")[0] for job, state in states.items()}, seconds

    plugin.query_job_status = query_job_status


def _submit_patiently(executor: Any) -> None:
    report, shut_down = executor._report_job_error_threadsafe, executor.shutdown
    stops, refusals = threading.Event(), Counter[int]()

    def report_job_error(self: Any, info: Any, message: str) -> None:
        """Called by the executor's threads that submit jobs: while one waits, it submits no other."""
        if stops.is_set() or not PASSING.search(message.partition("sbatch call:")[0]):
            return report(self, info, message)
        refusals[info.job.jobid] += 1
        seconds = min(LONGEST, 2.0 ** min(refusals[info.job.jobid], 6))
        self.logger.warning(f"Slurm takes no job now; another try in {seconds:g} s. {message.splitlines()[0]}")
        stops.wait(seconds)
        with suppress(RuntimeError):  # nothing is submitted any more
            self._job_submission_executor.submit(self.run_job, info.job)
        return None

    def shutdown(self: Any) -> None:
        stops.set()
        self._job_submission_executor.shutdown(wait=False, cancel_futures=True)
        shut_down(self)

    executor.stops = stops
    executor._report_job_error_threadsafe = report_job_error
    executor.shutdown = shutdown
