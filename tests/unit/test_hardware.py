"""Where and in which precision a job trains, and what becomes of memory that a CPU frees."""

import os
import platform
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from conftest import SCRIPTS
from takeoff.errors import TakeoffError
from takeoff.study.arms import Arm, Run
from takeoff.training.checkpoints import Checkpoints
from takeoff.training.engine import train
from takeoff.training.hardware import Hardware, choose
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
