"""Where and in which precision a job trains, and what becomes of memory that a CPU frees."""

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from conftest import SCRIPTS
from takeoff.errors import TakeoffError
from takeoff.study.arms import Arm, Run
from takeoff.training.checkpoints import Checkpoints
from takeoff.training.engine import train
from takeoff.training.hardware import Hardware, choose, first_line, out_of_memory
from takeoff.training.resident import Resident


def test_asking_for_a_gpu_where_there_is_none_says_so() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(TakeoffError, match="sees no GPU"):
        choose("cuda")


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
    monkeypatch.setattr("takeoff.training.hardware._cpu_computes_bfloat16", lambda: computes)
    assert choose("cpu", asked, side=side).precision == found


def test_a_gpus_float32_is_no_tensor_float(monkeypatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", torch.backends.cudnn.allow_tf32)
    gpu = Hardware(torch.device("cuda"), "float32", "NVIDIA Made-up")
    for precision, allowed in (("float32", False), ("bfloat16", True), ("float32", False)):
        replace(gpu, precision=precision).keep_to_precision()
        assert torch.backends.cudnn.allow_tf32 == allowed


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
from takeoff.training.memory import keep_freed_memory
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


def test_training_on_a_cpu_keeps_freed_memory(
    images: Resident, arm: Callable[..., Arm], hardware: Hardware, monkeypatch
) -> None:
    kept: list[bool] = []
    monkeypatch.setattr("takeoff.training.engine.keep_freed_memory", lambda: kept.append(True))
    list(train(images, arm({"epochs": 1}), [Run(0, 0.05)], hardware, Checkpoints()))
    assert kept == [True]
