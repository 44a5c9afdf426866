"""Faults of a Slurm cluster in the middle of training: the study ends by itself, with the same values to the bit."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from cluster.slurm import Slurm, slurm, wait_for, why_not

from faults.cluster_study import ARMS, Study, held_workflow, layout, trained_here
from faults.conftest import SIZE

pytestmark = pytest.mark.slow

Fault = Callable[[Study], None]
whole_part = pytest.mark.skipif(SIZE == "quick", reason="`make test-faults` tries it")
on = partial(pytest.mark.parametrize, "cluster", indirect=True, scope="module")


def cancelled(study: Study) -> None:
    job = study.running_jobs()[0]
    study.cluster("scancel", job.number)
    study.becomes(job, "CANCELLED")


def out_of_time(study: Study) -> None:
    job = study.running_jobs()[0]
    study.cluster("scontrol", "update", f"JobId={job.number}", "TimeLimit=1")
    study.becomes(job, "TIMEOUT")


def out_of_memory(study: Study) -> None:
    """The next try asks for twice as much."""
    (study.folder / "memory").touch()
    wait_for(lambda: len(study.jobs()) == 2, "another try")
    assert [study.shown(job.number, "MinMemoryNode") for job in study.jobs()] == ["1500M", "3000M"]


def preempted(study: Study) -> None:
    """By a job that needs the whole node."""
    (job,) = study.running_jobs()
    urgent = ("--partition=urgent", f"--nodelist={job.node}", "--exclusive", "--output=/dev/null", "--wrap=true")
    number = study.cluster("sbatch", "--parsable", *urgent)
    study.becomes(job, "PENDING")
    wait_for(lambda: study.shown(number, "JobState") == "COMPLETED", "the urgent job to end")
    study.start_again(job)


def node_gone(study: Study) -> None:
    """The job goes on, on another node."""
    (job,) = study.running_jobs()
    study.cluster.kill(job.node)
    study.becomes(job, "PENDING")
    study.start_again(job)
    study.becomes(job, "RUNNING")
    assert study.jobs()[0].node != job.node
    study.cluster.start(job.node)


def controller_gone(study: Study) -> None:
    """The jobs end while it is away."""
    study.cluster.kill("slurmctld")
    study.hold.unlink()
    arms = study.folder / "results" / "small" / "arms"
    wait_for(lambda: len([*arms.glob("*/runs.parquet")]) == len(ARMS), "the job to end")
    if study.status == "squeue":
        study.says("does not answer")
    study.cluster.start("slurmctld")


def accounts_gone(study: Study) -> None:
    study.cluster.kill("slurmdbd")
    study.says("sacct does not answer")
    study.hold.unlink()
    study.cluster.start("slurmdbd")


IN_TRAINING = [cancelled, out_of_time, out_of_memory, preempted, node_gone, controller_gone]
QUICK = [controller_gone]
CASES = [("squeue", fault) for fault in (QUICK if SIZE == "quick" else IN_TRAINING)]
CASES += [("sacct", fault) for fault in ([] if SIZE == "quick" else [*IN_TRAINING, accounts_gone])]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return held_workflow(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Path:
    return trained_here(tmp_path_factory.mktemp("unbroken"), home)


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Slurm, str]]:
    """One without accounting, where `squeue` says how jobs are, and one with."""
    parts = layout(accounting=request.param == "sacct")
    if reason := why_not(parts):
        pytest.skip(reason)
    with slurm(tmp_path_factory.mktemp("slurm"), parts) as running:
        yield running, request.param


@pytest.fixture
def study(cluster: tuple[Slurm, str], home: Path, unbroken: Path, tmp_path: Path) -> Study:
    return Study(*cluster, home, tmp_path, unbroken)


@pytest.mark.parametrize(("cluster", "fault"), CASES, indirect=["cluster"], scope="module")
def test_a_fault_in_training(study: Study, fault: Fault) -> None:
    with study.running() as workflow:
        kept = study.first_runs()
        fault(study)
        study.ends(workflow, kept)


@whole_part
@on(["squeue", "sacct"])
def test_a_controller_that_is_away_when_jobs_are_submitted(study: Study) -> None:
    with study.running() as workflow:
        wait_for(lambda: "SLURM run ID" in study.snakemake_log(), "Snakemake", seconds=120)
        study.cluster.kill("slurmctld")
        study.says("Slurm takes no job now")
        study.cluster.start("slurmctld")
        study.ends(workflow, study.first_runs())


@whole_part
@on(["sacct"])
@pytest.mark.parametrize("status", ["squeue", "sacct"])
def test_a_queue_that_takes_one_job_at_a_time(study: Study, status: str) -> None:
    """The limit is one of Slurm's accounts."""
    study.status = status
    user = ("sacctmgr", "--immediate", "modify", "user", "where", "name=root", "set")
    study.cluster(*user, "MaxSubmitJobs=1")
    try:
        with study.running(jobs=2) as workflow:
            kept = study.first_runs()
            study.says("Slurm takes no job now")
            study.ends(workflow, kept)
    finally:
        study.cluster(*user, "MaxSubmitJobs=-1")
    assert [job.state for job in study.jobs()] == ["COMPLETED"] * 2


@whole_part
@on(["squeue", "sacct"])
def test_a_partition_of_its_own_for_a_gpu(study: Study) -> None:
    """Two jobs wait for the only GPU, in turn; nothing else goes there."""
    with study.running("resources={train: {gres: 'gpu:1', slurm_partition: gpu}}", jobs=2) as workflow:
        kept = study.first_runs()
        cancelled(study)
        study.ends(workflow, kept)
    assert {(job.partition, job.node) for job in study.jobs() if job.state == "COMPLETED"} == {("gpu", "g1")}
