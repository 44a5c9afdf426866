"""Under what conditions the benchmark measures: each part in a study's precision, and kernels that were chosen."""

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import torch
from engine import watched
from takeoff.benchmark import measurement, step_kernels
from takeoff.benchmark.checks import Check
from takeoff.benchmark.setting import Setting
from takeoff.engine.hardware import Hardware
from takeoff.jobs.ways import ONE_AFTER_ANOTHER


def test_each_part_begins_in_the_precision_of_a_study(monkeypatch, tmp_path: Path) -> None:
    """On a GPU, whatever the part before left, as plain loops leave their own settings."""
    gpu, cudnn = Hardware(torch.device("cuda"), "float32", "a GPU"), torch.backends.cudnn
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    monkeypatch.setattr(measurement, "hardware_of", lambda *_: gpu)
    monkeypatch.setattr(measurement, "_of_torch", lambda _: {})
    found = []

    def leaves_its_own(*_: object) -> Iterator[Check]:
        found.append((cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic))
        cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic = True, True, False
        yield Check("relu", "gradients", "float32", 0.01, 0.02)

    for part in ("bounds", "convolutions"):
        monkeypatch.setattr(measurement, part, leaves_its_own)
    usual = {"device": "auto", "threads": 1, "quick": True, "seconds": 0.01, "minutes": None}
    given = Namespace(out=tmp_path, parts=["bounds", "convolutions"], study=None, data=None, **usual)
    with cudnn.flags(enabled=True):
        measurement.Measurement(given).run()
    assert found == [(False, False, True)] * 2


def test_the_first_steps_are_not_in_a_profile(monkeypatch) -> None:
    """They choose kernels and take memory."""
    seen, begun, profile = watched(monkeypatch), [], step_kernels.profile
    monkeypatch.setattr(step_kernels, "profile", lambda **given: begun.append(len(seen)) or profile(**given))
    hardware = Hardware(torch.device("cpu"), "float32", "cpu", 1)
    step_kernels.step_kernels(ONE_AFTER_ANOTHER, Setting(8, 0.0625, 16), hardware)
    assert (begun, len(seen)) == ([5], 25)
