"""What jobs ask of a machine: the GPUs that its driver shows, as many at once as there are, and memory."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import small_study
from gpu_driver import Shown, make_driver
from snakemake_command import jobs, run_snakemake, said

LARGER = small_study()["dataset"] | {"resolution": 16, "train_samples": 200, "test_samples": 100}
"""Images that train on a GPU, where there is one."""


@pytest.mark.slow
def test_bare_cores_all_keeps_to_the_gpu_slots(
    tmp_path: Path, write_study: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A machine whose driver shows a GPU, and whose torch uses none: what is tested is the order of jobs.
    make_driver(tmp_path / "driver")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path / "driver"))

    def at_once(*arguments: str) -> int:
        shutil.rmtree(tmp_path / "here" / "results" / "small", ignore_errors=True)
        until = ("--until", "train_0", "train_1")
        config = (f"study={write_study(dataset=LARGER)}", "arms_per_job=1")
        done = run_snakemake(tmp_path / "here", "--cores", "2", *until, *arguments, config=config)
        running = most = 0
        for line in said(done).splitlines():
            running += bool(re.match(r"(?:local)?rule train_\d+:", line)) - bool(
                re.search(r"Finished .*train_\d+", line)
            )
            most = max(most, running)
        assert {"train_0", "train_1"} <= jobs(done)
        return most

    assert at_once() == 1
    assert at_once("--resources", "gpu=2") == 2
    make_driver(tmp_path / "driver", gpus=[("NVIDIA H200", (9, 0))] * 2)
    assert at_once() == 2


def _of(done: subprocess.CompletedProcess[str], rule: str) -> str:
    """What a dry run says of a rule."""
    (own,) = re.findall(rf"^rule {rule}:\n(?:[ ]+.*\n)+", done.stdout, re.MULTILINE)
    return own


@pytest.mark.parametrize(
    ("gpus", "side", "taken", "words"),
    [
        ([], 16, 0, None),
        ([("NVIDIA H200", (9, 0))] * 3, 16, 1, None),
        ([("NVIDIA H200", (9, 0))] * 3, 8, 0, None),  # images that a CPU trains sooner
        ([("Tesla K80", (3, 7))], 16, 0, "Tesla K80 (3.7)"),
        ([("Tesla K80", (3, 7)), ("NVIDIA H200", (9, 0))], 16, 1, "Tesla K80 (3.7)"),
    ],
)
def test_jobs_take_the_gpus_that_the_driver_shows_and_torch_can_use(
    tmp_path: Path,
    write_study: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    gpus: Shown,
    side: int,
    taken: int,
    words: str | None,
) -> None:
    tool = tmp_path / "bin" / "nvidia-smi"  # one that says nothing of what there is
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\nexit 0\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    make_driver(tmp_path / "driver", gpus=gpus)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path / "driver"))
    config = (f"study={write_study(dataset=LARGER | {'resolution': side})}",)
    done = run_snakemake(tmp_path / "here", "--cores", "2", "--dry-run", config=config)
    assert ("gpu=1" in _of(done, "train_0")) == bool(taken)
    lines = [line for line in done.stderr.splitlines() if "not used" in line]
    assert len(lines) == (words is not None)
    assert all(str(words) in line for line in lines)


def test_jobs_are_packed_for_the_gpus_that_the_driver_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the configuration had named a GPU; on a cluster, whose nodes nobody knows, as without one."""

    def packs(device: str, *words: str) -> int:
        config = ("study=cifar10-quick", "set=recipe.epochs=3", f"device={device}")
        done = run_snakemake(tmp_path / "here", "--dry-run", *(words or ("--cores", "2")), config=config)
        return len([name for name in jobs(done) if name.startswith("train_")])

    alone = packs("auto")
    make_driver(tmp_path / "driver")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path / "driver"))
    assert packs("auto") == packs("cuda") < alone
    assert packs("auto", "--executor", "slurm", "--jobs", "2") == packs("cpu") == alone


def test_what_jobs_are_packed_for_is_written_down_where_something_is_made(
    tmp_path: Path, write_study: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_driver(tmp_path / "driver")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path / "driver"))
    packed = tmp_path / "here" / "results" / "small" / "packed.json"

    def snakemake(*words: str, side: int = 16) -> None:
        config = (f"study={write_study(dataset=LARGER | {'resolution': side})}",)
        run_snakemake(tmp_path / "here", "--cores", "2", "--until", "study", *words, config=config)

    snakemake("--dry-run")
    snakemake(side=8)  # images that a CPU trains sooner
    assert not packed.exists()
    snakemake()
    assert json.loads(packed.read_text()) == {"device": "cuda"}


def test_a_run_has_as_many_gpus_as_there_are_at_most(
    tmp_path: Path, write_study: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_driver(tmp_path / "driver", gpus=[("NVIDIA H200", (9, 0))] * 2 + [("Tesla K80", (3, 7))])
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path / "driver"))

    def dry(ranks: int, side: int = 16, *looks: str, fails: bool = False) -> subprocess.CompletedProcess[str]:
        study = write_study(dataset=LARGER | {"resolution": side})
        config = (f"study={study}", f"gpus_per_run={ranks}")
        words = looks or ("--dry-run",)
        return run_snakemake(tmp_path / "here", "--cores", "4", *words, config=config, fails=fails)

    own = _of(dry(2), "train_0")
    assert "gpu=2" in own
    line = dry(3, fails=True).stderr.splitlines()[-1]
    assert line.startswith("error: gpus_per_run: 3 ")
    assert line.endswith("valid: 1 to 2")
    assert "threads: 3" in _of(dry(3, 8), "train_0")  # processes of the CPU
    dry(3, 16, "--summary")
    assert "gpu=3" in _of(dry(3, 16, "--dry-run", "--executor", "slurm", "--jobs", "2"), "train_0")


def test_each_process_that_trains_has_memory(tmp_path: Path, write_study: Callable[..., Path]) -> None:
    """Once its images are there; what times steps is one process."""
    study = f"study={write_study(experiments={'compute': {}})}"
    run_snakemake(tmp_path / "here", "--cores", "2", "--until", "study", config=(study,))
    asked = []
    for ranks in (1, 3):
        config = (study, f"gpus_per_run={ranks}")
        done = run_snakemake(tmp_path / "here", "--cores", "3", "--dry-run", config=config)
        asked.append([int(re.findall(r"mem_mb=(\d+)", _of(done, rule))[0]) for rule in ("train_0", "probe")])
    (alone, probe), (together, still) = asked
    assert 3 * 4000 <= together < 3 * 4100
    assert 4000 <= alone == probe == still < 4100
