"""Jobs of a machine with several GPUs take different ones."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import SCRIPTS

JOB = """
import sys, tempfile
from types import SimpleNamespace
current = []
cuda = SimpleNamespace(
    device_count=lambda: int(sys.argv[2]),
    get_device_properties=lambda number: SimpleNamespace(uuid=f"GPU-{number}"),
    set_device=current.append,
)
sys.modules["torch"] = SimpleNamespace(cuda=cuda)
from takeoff.training.devices import take_gpu
tempfile.tempdir = sys.argv[1]
print(take_gpu(), take_gpu(), current, flush=True)
sys.stdin.read()
"""


def start(folder: Path, gpus: int) -> subprocess.Popen:
    """A job that takes a GPU and keeps it until its input ends."""
    return subprocess.Popen(
        [sys.executable, "-c", JOB, folder, str(gpus)],
        env={"PYTHONPATH": str(SCRIPTS)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_each_job_has_a_gpu_of_its_own_as_long_as_there_are_any(tmp_path: Path) -> None:
    jobs: list[subprocess.Popen] = []
    told = []
    for _ in range(3):
        jobs.append(start(tmp_path, gpus=2))
        told.append(jobs[-1].stdout.readline().split(maxsplit=2))
    assert told[:2] == [["0", "0", "[0]\n"], ["1", "1", "[1]\n"]]
    assert told[2][0] in {"0", "1"}  # more jobs than GPUs
    jobs[0].kill()
    jobs[0].wait()
    jobs.append(start(tmp_path, gpus=2))
    assert jobs[-1].stdout.readline().startswith("0 0")
    for job in jobs:
        job.kill()
        job.communicate()


def test_a_job_on_a_gpu_takes_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from takeoff.training import hardware

    asked = []
    monkeypatch.setattr(hardware, "take_gpu", lambda: asked.append("a GPU"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA Made-up")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    for setting in ("benchmark", "deterministic", "allow_tf32"):
        monkeypatch.setattr(torch.backends.cudnn, setting, getattr(torch.backends.cudnn, setting))
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    assert hardware.choose("auto").name == "NVIDIA Made-up"
    assert asked == ["a GPU"]
    hardware.choose("cpu")
    assert asked == ["a GPU"]


def test_where_no_lock_can_be_had_jobs_share(tmp_path: Path) -> None:
    jobs = [start(tmp_path / "missing", gpus=2) for _ in range(2)]
    assert {job.stdout.readline().split()[0] for job in jobs} <= {"0", "1"}
    for job in jobs:
        _, told = job.communicate("")
        assert job.returncode == 0, told


def test_the_only_gpu_is_everyones(tmp_path: Path) -> None:
    jobs = [start(tmp_path, gpus=1) for _ in range(2)]
    assert [job.stdout.readline() for job in jobs] == ["0 0 [0]\n"] * 2
    assert not list(tmp_path.iterdir())
    for job in jobs:
        job.communicate("")
