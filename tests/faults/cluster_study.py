"""A small study on a Slurm cluster, whose trainings can be held in the middle."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from cluster.slurm import Job, Layout, Slurm, wait_for
from conftest import REPOSITORY, small_study
from snakemake_command import clone, run_snakemake

from faults.finished import assert_same

CLUSTER = REPOSITORY / "tests" / "cluster"
ARMS, RULES = ("relu", "relu+batch"), ("train_0", "train_1")
PARTITIONS = """
PartitionName=cpu Nodes=n1,n2 Default=YES PriorityTier=1
PartitionName=gpu Nodes=g1 PriorityTier=1
PartitionName=urgent Nodes=n1,n2 PriorityTier=2
"""
SETTINGS = """
# A node that is gone is missed soon.
SlurmdTimeout=10
# Jobs of a higher tier take nodes from others, which start again later.
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
# Without cgroups, jobs that take more memory than they asked for are ended by their account of it.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
"""


def layout(accounting: bool) -> Layout:
    """Two nodes, and one with a GPU, each kind in a partition of its own."""
    return Layout(("n1", "n2", "g1"), ("g1",), PARTITIONS, SETTINGS, accounting)


def held_workflow(folder: Path) -> Path:
    """A clone of the workflow whose trainings can be held, and ask for little memory."""
    home = clone(folder)
    (home / "scripts" / "train.py").rename(home / "scripts" / "training.py")
    shutil.copy(CLUSTER / "held_training.py", home / "scripts" / "train.py")
    rules = home / "workflow" / "rules" / "common.smk"
    rules.write_text(rules.read_text().replace("memory(4000, 2,", "memory(1500, 2,"))
    return home


def new_study(folder: Path) -> Path:
    """Write the study: its runs are large enough to be trained one after another, to the same bits in any company."""
    study = small_study()
    study["network"]["width"] = 0.25
    folder.mkdir(exist_ok=True)
    (folder / "small.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    return folder


def trained_here(folder: Path, home: Path) -> Path:
    """The study, trained on this machine, where nothing happens to it."""
    config = (f"study={new_study(folder) / 'small.yaml'}", "device=cpu")
    run_snakemake(folder, "--cores", "2", "--until", "train_0", config=config, snakefile=home / "Snakefile")
    return folder


@dataclass
class Study:
    """The study on a cluster."""

    cluster: Slurm
    status: str
    """The command that says how jobs are."""
    home: Path
    folder: Path
    unbroken: Path

    @contextmanager
    def running(self, *config: str, jobs: int = 1) -> Iterator[subprocess.Popen[bytes]]:
        """The workflow as it runs, with so many trainings, which are held; what it says is in `log`."""
        new_study(self.folder)
        shutil.copytree(self.unbroken / "results" / "data", self.folder / "results" / "data")
        self.hold.touch()
        line = [
            sys.executable, CLUSTER / "fast_snakemake.py", "-s", self.home / "Snakefile",
            "--workflow-profile", self.home / "workflow" / "profiles" / "slurm", "--latency-wait", "5",
            "--slurm-status-command", self.status, "--slurm-init-seconds-before-status-checks", "1",
            # One question that is not answered is as many that are not.
            "--slurm-status-attempts", "1", "--until", *RULES[:jobs],
            "--config", "study=small.yaml", "device=cpu", f"arms_per_job={2 // jobs}", *config,
        ]  # fmt: skip
        with (self.folder / "log").open("wb") as log:
            running = subprocess.Popen(line, cwd=self.folder, env=self.cluster.environment, stdout=log, stderr=log)
            try:
                yield running
            finally:
                running.kill()
                running.wait()

    @property
    def hold(self) -> Path:
        """While it is there, trainings hold after their first run."""
        return self.folder / "hold"

    def said(self) -> str:
        return (self.folder / "log").read_text()

    def snakemake_log(self) -> str:
        """What Snakemake says that is not for a person."""
        return "".join(path.read_text() for path in self.folder.glob(".snakemake/log/*.log"))

    def says(self, words: str) -> None:
        """Wait until the workflow says something."""
        wait_for(lambda: words in self.said(), words, seconds=120)

    def jobs(self) -> list[Job]:
        """The training jobs, in order."""
        return [job for job in self.cluster.jobs(self.folder) if job.rule in RULES]

    def running_jobs(self) -> list[Job]:
        return [job for job in self.jobs() if job.state == "RUNNING"]

    def becomes(self, job: Job, *states: str) -> None:
        """Wait until a job is in one of these states."""

        def there() -> bool:
            return next(each for each in self.jobs() if each.number == job.number).state in states

        wait_for(there, f"{job.rule} {' or '.join(states)}", seconds=150)

    def shown(self, number: str, key: str) -> str:
        """What Slurm says of a job."""
        words = self.cluster("scontrol", "show", "job", number).split()
        return next(word.partition("=")[2] for word in words if word.startswith(f"{key}="))

    def start_again(self, job: Job) -> None:
        """Start a job now that Slurm holds back for two minutes, as it took its node from it."""
        self.cluster("scontrol", "update", f"JobId={job.number}", "StartTime=now")

    def runs(self) -> dict[Path, int]:
        """The runs that are finished, and when each was."""
        return {path: path.stat().st_mtime_ns for path in self.folder.glob("results/small/arms/*/runs/[!.]*.json")}

    def first_runs(self, number: int = 1) -> dict[Path, int]:
        """The runs that are finished when so many jobs hold."""
        wait_for(lambda: len(self.runs()) == number, f"{number} runs", seconds=180)
        return self.runs()

    def ends(self, workflow: subprocess.Popen[bytes], kept: dict[Path, int]) -> None:
        """Let it go on: it ends whole, with the runs it had, and all numbers as they are where nothing happens."""
        self.hold.unlink(missing_ok=True)
        assert workflow.wait(300) == 0, self.said()
        assert self.runs().items() >= kept.items()
        for arm in ARMS:
            own = Path("results") / "small" / "arms" / arm
            assert_same(self.folder / own, self.unbroken / own)
