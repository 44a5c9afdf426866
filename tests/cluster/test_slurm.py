"""The workflow on a real Slurm cluster: the same jobs, the same numbers, and little lost with a job that is lost."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import REPOSITORY, small_study
from slurm import NODES, Job, Slurm, slurm, wait_for, why_not
from snakemake_command import clone, run_snakemake
from takeoff.common.gpus import any_gpu
from takeoff.workflow.wiring import TRY

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
LOST = {"train_0": ("scancel", "{}"), "train_1": ("scancel", "--signal=KILL", "{}.0")}
"""How the first try of each job is ended: cancelled, or its processes killed."""
MEASURED_ANEW = ["seconds", "images_per_second", "started_at"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    if reason := why_not():
        pytest.skip(reason)
    with slurm(tmp_path_factory.mktemp("slurm")) as running:
        yield running


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the workflow, so that it stays as it is while it runs."""
    return clone(tmp_path_factory.mktemp("home"))


@contextmanager
def snakemake(
    cluster: Slurm, home: Path, folder: Path, *arguments: str, config: tuple[str, ...]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the workflow of `home` in `folder` on the cluster; what it prints is added to `log` there."""
    line = [
        sys.executable, HERE / "fast_snakemake.py", "-s", home / "Snakefile", "--directory", folder,
        "--workflow-profile", home / "workflow" / "profiles" / "slurm", "--latency-wait", "5",
        "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1",
        *arguments, "--config", f"study={folder / 'small.yaml'}", *config,
    ]  # fmt: skip
    with (folder / "log").open("ab") as log:
        running = subprocess.Popen(line, env=cluster.environment, stdout=log, stderr=log)
        try:
            yield running
        finally:
            running.kill()
            running.wait()


@dataclass(frozen=True)
class Finished:
    """A study that ran on the cluster."""

    folder: Path
    jobs: list[Job]
    kept: dict[str, dict[Path, int]]
    """Rule → the runs that were on disk when its first job had ended, and when each was written."""

    @property
    def study(self) -> Path:
        return self.folder / "results" / "small"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def table(self, name: str) -> pd.DataFrame:
        return pd.concat(
            [pd.read_parquet(path) for path in sorted(self.study.glob(f"arms/*/{name}.parquet"))], ignore_index=True
        )


def new_study(folder: Path) -> Path:
    """Write the small study, with trainings long enough to be interrupted."""
    study = small_study(recipe=small_study()["recipe"] | {"epochs": 8}, experiments={"factorial": {"threshold": 0.5}})
    (folder / "small.yaml").write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
    return folder


def lose(cluster: Slurm, folder: Path, rule: str) -> dict[Path, int]:
    """End a rule's job once it has finished a run; what is on disk then."""

    def job() -> Job | None:
        return next((job for job in cluster.jobs(folder) if job.rule == rule), None)

    wait_for(job, rule, seconds=120)
    plan = folder / "results" / "small" / "plan.csv"
    wait_for(plan.exists, "the plan")
    arm = pd.read_csv(plan)["arm"].drop_duplicates().iloc[int(rule.removeprefix("train_"))]
    runs = folder / "results" / "small" / "arms" / arm / "runs"
    wait_for(lambda: any(runs.glob("*.json")), f"a run of {arm}", seconds=120)
    cluster(*(word.format(job().number) for word in LOST[rule]))
    wait_for(lambda: job().state in ("CANCELLED", "FAILED"), f"{rule} to end")
    return {path: path.stat().st_mtime_ns for path in runs.glob("*.json")}


@pytest.fixture(scope="module")
def finished(cluster: Slurm, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A study that ran to its end although each training job was lost on its first try."""
    folder = new_study(tmp_path_factory.mktemp("study"))
    config = ("device=cpu", "arms_per_job=1")
    with snakemake(cluster, home, folder, config=config) as running:
        with ThreadPoolExecutor() as pool:
            kept = list(pool.map(lambda rule: lose(cluster, folder, rule), LOST))
        assert running.wait(timeout=300) == 0, (folder / "log").read_text()
    return Finished(folder, cluster.jobs(folder), dict(zip(LOST, kept, strict=True)))


def test_every_rule_but_the_local_ones_ran_on_a_node(finished: Finished) -> None:
    completed = {job.rule: job for job in finished.jobs if job.state == "COMPLETED"}
    trainings, others = {"train_0", "train_1"}, {"probe", "analyse_factorial", "draw_factorial", "judge"}
    assert set(completed) == {"prepare"} | trainings | others
    for rule, job in completed.items():
        assert job.node in NODES
        assert (finished.folder / f".snakemake/slurm_logs/rule_{rule}/{job.number}.log").is_file()


def test_the_study_is_whole(finished: Finished) -> None:
    runs = finished.table("runs")
    assert runs.groupby("arm").size().tolist() == [2, 2]
    effects = pd.read_csv(finished.study / "factorial" / "effects.csv")
    assert set(effects["term"]) == {"norm"}
    assert len(list(finished.study.glob("figures/factorial-*.svg"))) == 5
    assert "not tested" in set(pd.read_csv(finished.study / "claims.csv")["verdict"])
    assert json.loads((finished.study / "tracked.json").read_text())


def test_the_numbers_are_those_of_one_machine(home: Path, finished: Finished, tmp_path: Path) -> None:
    """Both arms here share one job, and nothing interrupts it."""
    new_study(tmp_path)
    config = (f"study={tmp_path / 'small.yaml'}", "device=cpu")
    run_snakemake(tmp_path, "--cores", "2", "--until", "train_0", config=config, snakefile=home / "Snakefile")
    here = Finished(tmp_path, [], {})
    for table in ("runs", "curves"):
        expected, result = (each.table(table).drop(columns=MEASURED_ANEW, errors="ignore") for each in (here, finished))
        pd.testing.assert_frame_equal(result, expected, check_exact=True)


def test_processes_that_train_each_run_together_are_tasks_of_one_job(
    cluster: Slurm, home: Path, finished: Finished, tmp_path: Path
) -> None:
    new_study(tmp_path)
    with snakemake(cluster, home, tmp_path, "--until", "train_0", config=("device=cpu", "gpus_per_run=2")) as running:
        assert running.wait(timeout=600) == 0, (tmp_path / "log").read_text()
    (number,) = (job.number for job in cluster.jobs(tmp_path) if job.rule == "train_0")
    assert {"NumTasks=2", "CPUs/Task=1"} <= set(cluster("scontrol", "show", "job", number).split())
    together, alone = Finished(tmp_path, [], {}).table("runs"), finished.table("runs")
    assert set(together["way"]) == {"one after another, 2 ranks"}
    assert together["run_key"].tolist() == alone["run_key"].tolist()
    assert together["test_loss"].tolist() == pytest.approx(alone["test_loss"].tolist(), rel=0.1)


def test_a_lost_job_is_tried_again_and_trains_only_what_is_missing(finished: Finished) -> None:
    states = {rule: [job.state for job in finished.jobs if job.rule == rule] for rule in LOST}
    assert states == {"train_0": ["CANCELLED", "COMPLETED"], "train_1": ["FAILED", "COMPLETED"]}
    for rule, kept in finished.kept.items():
        log = (finished.study / "logs" / f"{rule.replace('_', '-')}.log").read_text()
        first, second = log.split(TRY)[1:]  # of both tries
        trained = second.count("  seed ")
        assert 1 <= len(kept) < 6
        assert first.count("  seed ") >= len(kept) - 1  # a run is written before it is said
        assert trained == 6 - len(kept)
        assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_a_second_run_submits_nothing(cluster: Slurm, home: Path, finished: Finished) -> None:
    before = len(cluster.jobs(finished.folder))
    with snakemake(cluster, home, finished.folder, config=("device=cpu", "arms_per_job=1")) as running:
        assert running.wait(timeout=300) == 0
    assert "Nothing to be done" in finished.log
    assert len(cluster.jobs(finished.folder)) == before


@pytest.fixture
def untrained(finished: Finished, tmp_path: Path) -> Path:
    """A clone of the workflow that trains nothing, in a folder with prepared images and the study."""
    clone(tmp_path)
    shutil.copy(HERE / "instead_of_training.py", tmp_path / "scripts" / "train.py")
    shutil.copytree(finished.folder / "results" / "data", tmp_path / "results" / "data")
    return new_study(tmp_path)


def given(cluster: Slurm, folder: Path, jobs: int, *config: str) -> list[dict[str, str | None]]:
    """Run so many training jobs at once, where only one partition has GPUs; what Slurm gave each arm."""
    partitions = {"cpu": {"max_runtime": "1d"}, "gpu": {"max_runtime": "1d", "max_gpu": 1}}
    file = folder / "partitions.yaml"
    file.write_text(yaml.safe_dump({"partitions": partitions}), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AT_ONCE", "2")
        arguments = ("--retries", "0", "--slurm-partition-config", str(file))
        arguments += ("--until", *(f"train_{number}" for number in range(jobs)))
        config = (f"arms_per_job={2 // jobs}", *config)
        with snakemake(cluster, folder, folder, *arguments, config=config) as running:
            assert running.wait(timeout=300) == 0, (folder / "log").read_text()
    return [json.loads(path.read_text()) for path in sorted(folder.glob("results/small/arms/*/runs.parquet"))]


def test_a_training_job_on_cuda_asks_for_a_gpu_and_jobs_run_at_once(cluster: Slurm, untrained: Path) -> None:
    received = given(cluster, untrained, 2, "device=cuda")
    assert [(job.partition, job.gpus) for job in cluster.jobs(untrained)] == [("gpu", "gres:gpu:1")] * 2
    assert {job["SLURMD_NODENAME"] for job in received} == set(NODES)
    assert [job["CUDA_VISIBLE_DEVICES"] for job in received] == ["0", "0"]


def test_the_configuration_says_what_each_kind_of_job_asks_for(cluster: Slurm, untrained: Path) -> None:
    given(cluster, untrained, 1, "device=cpu", "resources={train: {runtime: 90m, mem_mb: 700, gres: 'gpu:1'}}")
    (job,) = cluster.jobs(untrained)
    assert job.partition == "gpu"
    shown = cluster("scontrol", "show", "job", job.number).split()
    assert "TimeLimit=01:30:00" in next(word for word in shown if "TimeLimit=" in word)
    assert any(word.startswith("TresPerNode=") and word.endswith("gpu:1") for word in shown)
    assert any("mem=700M" in word for word in shown)


@pytest.mark.skipif(any_gpu(), reason="this machine has a GPU")
def test_where_jobs_are_submitted_decides_whether_they_ask_for_a_gpu(cluster: Slurm, untrained: Path) -> None:
    """The nodes show a GPU to `device: auto`, but a job that was given none must not require one."""
    received = given(cluster, untrained, 1, "device=auto")
    assert [(job.partition, job.gpus) for job in cluster.jobs(untrained)] == [("cpu", "N/A")]
    assert [job["CUDA_VISIBLE_DEVICES"] for job in received] == [None, None]


def test_a_job_runs_though_the_workflow_changed_while_it_waited(cluster: Slurm, untrained: Path) -> None:
    """A job reads the workflow anew, and must not take the plan for outdated and make that in its own place."""

    def change() -> None:
        wait_for(lambda: cluster.jobs(untrained), "the job", seconds=60)
        with (untrained / "scripts" / "takeoff" / "workflow" / "planning.py").open("a") as file:
            file.write("\nNEW = 1\n")
        cluster("scontrol", "update", "PartitionName=cpu", "State=UP")

    cluster("scontrol", "update", "PartitionName=cpu", "State=DOWN")
    with ThreadPoolExecutor() as pool:
        changed = pool.submit(change)
        assert len(given(cluster, untrained, 1, "device=cpu")) == 2
        changed.result()


def test_the_profile_of_one_machine_is_taken(tmp_path: Path) -> None:
    new_study(tmp_path)
    profile = ("--workflow-profile", str(REPOSITORY / "workflow" / "profiles" / "gpu"), "--dry-run")
    done = run_snakemake(tmp_path, *profile, config=(f"study={tmp_path / 'small.yaml'}", "device=cuda"))
    assert "gpu=1" in done.stdout
