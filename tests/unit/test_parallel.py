"""A run that several processes train together, over gloo: the numbers of one process, whatever their number."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from conftest import SCRIPTS, small_study
from engine import WORDS
from takeoff.jobs.ranks import STARTED, start

SCRIPT = Path(__file__).with_name("parallel_runs.py")
WITHIN = 1e-4


def trained(ranks: int) -> dict[str, list[dict]]:
    """What so many ranks print, by family."""
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}", SCRIPT]
    environment = os.environ | {"TAKEOFF_RANKS": str(ranks)}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(line) for line in done.stdout.splitlines())


@pytest.fixture(scope="module")
def alone() -> dict[str, list[dict]]:
    return trained(1)


@pytest.mark.parametrize("ranks", [2, 4])
def test_numbers_do_not_depend_on_the_number_of_ranks(alone, ranks: int) -> None:
    found = trained(ranks)
    assert [*found] == [*alone] == WORDS
    for words, expected in alone.items():
        assert len(found[words]) == len(expected)
        for own, other in zip(found[words], expected, strict=True):
            # An image on the line between two classes may fall on either side.
            slack = {key: 0.01 if "accuracy" in key else 1e-9 for key in other}
            assert own == {key: pytest.approx(value, rel=WITHIN, abs=slack[key]) for key, value in other.items()}, words


def arm_in(results: Path, plan_arms, write_study, **changes: object) -> Path:
    """An arm's folder, planned."""
    plan_arms(write_study(**changes), results)
    return results / "arms" / "tanh+batch"


SMOOTH = {"factors": {"activation": {"baseline": "relu", "treatment": "tanh"}}}


@pytest.fixture
def trains(command, digits) -> object:
    """Train an arm by so many processes, by the command."""

    def run(folder: Path, ranks: int) -> pd.DataFrame:
        command.done("train", "--data", digits, "--device", "cpu", "--gpus-per-run", ranks, folder)
        return pd.read_parquet(folder / "runs.parquet")

    return run


def test_the_command_trains_with_several_processes(trains, plan_arms, write_study, tmp_path) -> None:
    """And what is finished by some is finished for all."""
    study = {"network": small_study()["network"] | {"norm": "batch"}, **SMOOTH}
    alone, together = (
        trains(arm_in(tmp_path / str(ranks), plan_arms, write_study, **study), ranks) for ranks in (1, 2)
    )
    assert together["run_key"].tolist() == alone["run_key"].tolist()
    assert together["test_loss"].tolist() == pytest.approx(alone["test_loss"].tolist(), rel=1e-3)
    again = trains(tmp_path / "2" / "arms" / "tanh+batch", 1)
    pd.testing.assert_frame_equal(again, together)


def one_run(epochs: int) -> dict[str, object]:
    """A study whose arms have one run each."""
    return {
        "network": small_study()["network"] | {"norm": "batch"},
        "recipe": small_study()["recipe"] | {"epochs": epochs, "batch_size": 128},
        "tuning": {"learning_rates": [0.01], "seeds": 1},
        "seeds": 1,
        **SMOOTH,
    }


def begun(folder: Path, digits: Path) -> tuple[subprocess.Popen, list[int]]:
    """A job that trains an arm by two processes and has kept a checkpoint, and these."""
    words = [sys.executable, SCRIPTS / "train.py", "--data", digits, "--device", "cpu", "--gpus-per-run", 2]
    words += ["--checkpoint-minutes", 1e-6, folder]
    job = subprocess.Popen([*map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while not [*folder.glob("runs/*.checkpoint")]:
        assert job.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    ranks = [int(pid) for pid in Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()]
    assert len(ranks) == 2
    return job, ranks


def runs(process: int) -> bool:
    """Whether there is such a process, and not just its name, for which nobody waited."""
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_killed_rank_ends_the_job_and_the_next_one_goes_on(command, trains, digits, plan_arms, write_study, tmp_path):
    changes = one_run(epochs=20)
    whole = trains(arm_in(tmp_path / "whole", plan_arms, write_study, **changes), 2)
    folder = arm_in(tmp_path / "killed", plan_arms, write_study, **changes)
    job, ranks = begun(folder, digits)
    os.kill(ranks[1], signal.SIGKILL)
    assert job.wait(timeout=60) != 0
    assert not Path(f"/proc/{ranks[0]}").exists()
    assert not (folder / "runs.parquet").exists()
    done = command.done("train", "--data", digits, "--device", "cpu", "--gpus-per-run", 2, folder)
    assert "seed 0" in done.stdout
    drop = ["seconds", "images_per_second", "started_at", "finished_at"]
    found = pd.read_parquet(folder / "runs.parquet")
    pd.testing.assert_frame_equal(found.drop(columns=drop, errors="ignore"), whole.drop(columns=drop, errors="ignore"))
    assert not [*folder.glob("runs/*.checkpoint")]


def test_no_rank_trains_on_when_what_started_them_is_killed(digits, plan_arms, write_study, tmp_path) -> None:
    folder = arm_in(tmp_path, plan_arms, write_study, **one_run(epochs=100_000))
    job, ranks = begun(folder, digits)
    job.kill()
    job.wait()
    until = time.monotonic() + 30
    while any(map(runs, ranks)) and time.monotonic() < until:
        time.sleep(0.1)
    left = [*filter(runs, ranks)]
    for rank in left:
        os.kill(rank, signal.SIGKILL)
    assert not left
    assert [*folder.glob("runs/*.checkpoint")]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]),
        ({"SLURM_NTASKS": "4"}, [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]),
        ({"SLURM_NTASKS": "2"}, ["srun", "--ntasks=2", "--kill-on-bad-exit=1", sys.executable]),
        (
            {"SLURM_NTASKS": "2", "SLURM_CPUS_PER_TASK": "3"},
            ["srun", "--ntasks=2", "--kill-on-bad-exit=1", "--cpus-per-task=3", sys.executable],
        ),
    ],
)
def test_what_starts_the_processes_depends_on_where_the_job_is(monkeypatch, given: dict, words: list[str]) -> None:
    """On Slurm each has the cores that a task of the job has, of which srun itself would give it one."""
    started: list[list[str]] = []
    for name in ("SLURM_NTASKS", "SLURM_CPUS_PER_TASK", STARTED):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "execvpe", lambda program, all_words, environment: started.append(all_words))
    monkeypatch.setattr(sys, "argv", ["train.py", "an arm"])
    start(2)
    assert started == [[*words, "train.py", "an arm"]]
    monkeypatch.setenv(STARTED, "2")  # in one of them
    start(2)
    assert len(started) == 1
