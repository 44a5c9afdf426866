"""Where and in which precision a job trains, and what becomes of memory that a CPU frees."""

import os
import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import SCRIPTS
from takeoff.common.errors import TakeoffError
from takeoff.engine.hardware import Hardware, _medium_is_exact
from takeoff.jobs.checkpoints import Checkpoints
from takeoff.jobs.hardware import first_line, found_gpus, hardware_of, out_of_memory, say
from takeoff.jobs.ranks import STARTED
from takeoff.jobs.running import train
from takeoff.study.arms import Run


@pytest.fixture(autouse=True)
def unsaid() -> None:
    """What a process says once."""
    say.cache_clear()


def test_asking_for_a_gpu_where_there_is_none_says_so() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(TakeoffError, match="sees no GPU"):
        hardware_of("cuda")


@pytest.mark.parametrize(
    ("computes", "side", "asked", "found"),
    [
        (True, None, "auto", "bfloat16"),
        (True, 32, "auto", "bfloat16"),
        (True, 8, "auto", "float32"),
        (True, 8, "bfloat16", "bfloat16"),
        (False, 32, "auto", "float32"),
    ],
)
def test_small_images_are_trained_on_in_float32_on_every_machine(
    monkeypatch, computes: bool, side: int | None, asked: str, found: str
) -> None:
    monkeypatch.setattr("takeoff.jobs.hardware._cpu_computes_bfloat16", lambda: computes)
    assert hardware_of("cpu", asked, side=side).precision == found


def test_a_gpus_float32_is_no_tensor_float(monkeypatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", torch.backends.cudnn.allow_tf32)
    gpu = Hardware(torch.device("cuda"), "float32", "NVIDIA Made-up")
    for precision, allowed in (("float32", False), ("bfloat16", True), ("float32", False)):
        replace(gpu, precision=precision).keep_to_precision()
        assert torch.backends.cudnn.allow_tf32 == allowed


def test_a_gpus_algorithms_are_those_that_repeat(monkeypatch) -> None:
    for setting, before in (("deterministic", False), ("benchmark", True), ("allow_tf32", True)):
        monkeypatch.setattr(torch.backends.cudnn, setting, before)
    for given, kept in ((None, ":4096:8"), (":16:8", ":16:8")):
        monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", given or "")
        if given is None:
            del os.environ["CUBLAS_WORKSPACE_CONFIG"]
        Hardware(torch.device("cuda"), "float32", "NVIDIA Made-up").keep_to_precision()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == kept
    assert torch.backends.cudnn.deterministic
    assert not torch.backends.cudnn.benchmark


@pytest.mark.parametrize(("tiles", "precision"), [(True, "highest"), (False, "medium")])
def test_a_cpus_float32_is_full_also_where_it_has_tiles(monkeypatch, tiles: bool, precision: str) -> None:
    """With which torch's precision `medium` multiplies in bfloat16."""
    before = torch.get_float32_matmul_precision()

    def multiplies(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        if tiles and one.dtype == torch.float32 and torch.get_float32_matmul_precision() == "medium":
            one, other = one.bfloat16(), other.bfloat16()
        return torch.mm(one.double(), other.double())

    monkeypatch.setattr(torch.Tensor, "__matmul__", multiplies)
    _medium_is_exact.cache_clear()
    try:
        Hardware(torch.device("cpu"), "float32", "cpu", 1).keep_to_precision()
        assert torch.get_float32_matmul_precision() == precision
    finally:
        _medium_is_exact.cache_clear()
        torch.set_float32_matmul_precision(before)


def test_a_lack_of_memory_is_known_behind_the_error_that_it_brought_about() -> None:
    def capture() -> None:
        try:
            raise torch.OutOfMemoryError("CUDA out of memory")
        finally:
            raise RuntimeError("the capture was ended\nin a bad state")

    with pytest.raises(RuntimeError, match="bad state") as raised:
        capture()
    assert out_of_memory(raised.value)
    assert first_line(raised.value) == "CUDA out of memory"
    assert not out_of_memory(RuntimeError("a bad state"))
    assert first_line(RuntimeError("a bad state\nand more")) == "a bad state"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
def test_what_a_step_frees_the_next_one_has_without_asking_the_system() -> None:
    script = """
import resource, sys, torch
from takeoff.jobs.hardware import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
for step in range(40):
    if step == 20:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    parts = [torch.ones(2**20 + 2**18 * (step % 2)) for _ in range(3)]
    del parts
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    faults = {}
    for mode in ("keep", "as torch comes"):
        command = [sys.executable, "-c", script, mode]
        # What glibc does by itself depends on where things lie; with this it hands all of it back.
        environment = {**os.environ, "PYTHONPATH": str(SCRIPTS), "MALLOC_MMAP_THRESHOLD_": "131072"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        faults[mode] = int(done.stdout)
    assert faults["keep"] < 100 < faults["as torch comes"], faults


def test_training_on_a_cpu_keeps_freed_memory(images, arm, hardware, monkeypatch) -> None:
    kept: list[bool] = []
    monkeypatch.setattr("takeoff.jobs.running.keep_freed_memory", lambda: kept.append(True))
    list(train(images, arm({"epochs": 1}), [Run(0, 0.05)], hardware, Checkpoints()))
    assert kept == [True]


# Several GPUs ----------------------------------------------------------------------------------------

JOB = """
import sys, tempfile
from types import SimpleNamespace
current = []
cuda = SimpleNamespace(
    is_available=lambda: True,
    device_count=lambda: int(sys.argv[2]),
    get_device_capability=lambda number: (3, 7) if number == int(sys.argv[3]) else (9, 0),
    get_arch_list=lambda: ["sm_75", "sm_90"],
    get_device_properties=lambda number: SimpleNamespace(uuid=f"GPU-{number}"),
    set_device=current.append,
)
sys.modules["torch"] = SimpleNamespace(cuda=cuda, version=SimpleNamespace(hip=None), device=object, distributed=None)
from takeoff.jobs.hardware import take_gpu
tempfile.tempdir = sys.argv[1]
print(take_gpu(), take_gpu(), current, flush=True)
sys.stdin.read()
"""


def start(folder: Path, gpus: int, old: int = -1, ranks: int = 1) -> subprocess.Popen:
    """A job, or one of its `ranks`, that takes a GPU and keeps it until its input ends; torch has no code for the one
    of number `old`.
    """
    return subprocess.Popen(
        [sys.executable, "-c", JOB, folder, str(gpus), str(old)],
        env={"PYTHONPATH": str(SCRIPTS), STARTED: str(ranks)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_each_job_has_a_gpu_of_its_own_as_long_as_there_are_any(tmp_path) -> None:
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


def test_no_job_takes_a_gpu_that_torch_has_no_code_for(tmp_path) -> None:
    jobs = [start(tmp_path, gpus=3, old=0) for _ in range(3)]
    taken = [job.stdout.readline().split()[0] for job in jobs]
    assert set(taken) == {"1", "2"}
    for job in jobs:
        job.kill()
        job.communicate()


def test_a_job_on_a_gpu_takes_one(monkeypatch, capsys) -> None:
    asked = []
    monkeypatch.setattr("takeoff.jobs.hardware.gpus_here", lambda: [0])
    monkeypatch.setattr("takeoff.jobs.hardware.take_gpu", lambda: asked.append("a GPU") or 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA Made-up")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    for setting in ("benchmark", "deterministic", "allow_tf32"):
        monkeypatch.setattr(torch.backends.cudnn, setting, getattr(torch.backends.cudnn, setting))
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    assert hardware_of("auto").name == "NVIDIA Made-up"
    assert asked == ["a GPU"]
    hardware_of("cpu")
    assert asked == ["a GPU"]
    assert not capsys.readouterr().err
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    assert hardware_of("auto").precision == hardware_of("auto").precision == "float32"
    assert capsys.readouterr().err.count("\n") == 1


def test_where_no_lock_can_be_had_jobs_share(tmp_path) -> None:
    jobs = [start(tmp_path / "missing", gpus=2) for _ in range(2)]
    assert {job.stdout.readline().split()[0] for job in jobs} <= {"0", "1"}
    for job in jobs:
        _, told = job.communicate("")
        assert job.returncode == 0, told


def test_the_only_gpu_is_everyones(tmp_path) -> None:
    jobs = [start(tmp_path, gpus=1) for _ in range(2)]
    assert [job.stdout.readline() for job in jobs] == ["0 0 [0]\n"] * 2
    assert not list(tmp_path.iterdir())
    for job in jobs:
        job.communicate("")


@pytest.mark.parametrize(("gpus", "old"), [(1, -1), (2, -1), (2, 0)])
def test_processes_that_train_a_run_together_share_no_gpu(tmp_path, gpus: int, old: int) -> None:
    """More of them than GPUs would meet, and then fail, or wait for ever."""
    usable = [str(number) for number in range(gpus) if number != old]
    jobs = []
    for number in usable:
        jobs.append(start(tmp_path, gpus, old, ranks=len(usable) + 1))
        assert jobs[-1].stdout.readline().split()[0] == number
    last = start(tmp_path, gpus, old, ranks=len(usable) + 1)
    told = last.communicate()[1]
    assert last.returncode == 1
    assert f"TakeoffError: gpus_per_run: {len(usable) + 1}; " in told.splitlines()[-1]
    assert f"valid: 1 to {len(usable)}" in told
    for job in jobs:
        job.communicate("")
        assert job.returncode == 0


def test_where_no_lock_can_be_had_processes_of_one_run_end(tmp_path) -> None:
    job = start(tmp_path / "missing", gpus=2, ranks=2)
    assert "TakeoffError: gpus_per_run: 2; " in job.communicate("")[1]
    assert job.returncode == 1


@pytest.mark.parametrize(("multiplies", "found"), [(True, "bfloat16"), (False, "float32")])
def test_a_gpu_that_would_only_emulate_bfloat16_trains_in_float32(
    monkeypatch, capsys, multiplies: bool, found: str
) -> None:
    """With a line, as on Turing: torch emulates it there."""
    asked = "takeoff.jobs.hardware"
    monkeypatch.setattr(f"{asked}.gpus_here", lambda: [0])
    monkeypatch.setattr(f"{asked}.take_gpu", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla T4")
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or multiplies
    )
    for setting in ("benchmark", "deterministic", "allow_tf32"):
        monkeypatch.setattr(torch.backends.cudnn, setting, getattr(torch.backends.cudnn, setting))
    assert hardware_of("cuda", side=32).precision == found
    assert ("Tesla T4" in capsys.readouterr().err) == (not multiplies)


def test_amds_gpus_are_torchs_own_count(monkeypatch, tmp_path) -> None:
    """Where its driver is there, and torch was built for it."""
    (there := tmp_path / "kfd").touch()
    monkeypatch.setattr("takeoff.jobs.hardware.driver", lambda: None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for hip, place, expected in (("7.0", there, 2), (None, there, 0), ("7.0", tmp_path / "none", 0)):
        monkeypatch.setattr(torch.version, "hip", hip)
        monkeypatch.setattr("takeoff.jobs.hardware.AMD", place)
        assert found_gpus.__wrapped__().gpus == expected
