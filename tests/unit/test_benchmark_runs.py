"""What the benchmark makes of whole runs and of a step's kernels, and how it goes on where a part fails."""

import csv
from argparse import Namespace
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from engine import numbers, train
from takeoff.benchmark import throughput
from takeoff.benchmark.measurement import Measurement
from takeoff.benchmark.step_kernels import step_kernels
from takeoff.benchmark.throughput import Setting
from takeoff.benchmark.whole_runs import ArmSpeed
from takeoff.common.errors import TakeoffError
from takeoff.data.prepared import load_prepared
from takeoff.engine.hardware import Hardware
from takeoff.jobs.loading import dataset_of
from takeoff.jobs.ways import ONE_AFTER_ANOTHER
from takeoff.study.arms import Run, make_arm
from takeoff.study.loading import load_study

HARDWARE = Hardware(torch.device("cpu"), "float32", "cpu", 1)
FACTORS = {"norm": {"baseline": "none", "treatment": "batch"}, "dropout": {"baseline": 0, "treatment": 0.5}}


@pytest.fixture(scope="module")
def digits(tmp_path_factory, command) -> Path:
    """The default study's images, prepared."""
    folder = tmp_path_factory.mktemp("digits")
    command.done("prepare", "--dataset", "digits", "--resolution", "8", "--out", folder)
    return folder


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_arm_of_a_study_is_trained_to_its_end(command, write_study, digits: Path, tmp_path: Path) -> None:
    """All seeds, at the middle one of the rates, to the numbers of its runs by themselves."""
    tuning = {"learning_rates": [0.1, 0.01, 0.05], "seeds": 2}
    path = write_study(factors=FACTORS, tuning=tuning)
    out = tmp_path / "out"
    command.done("benchmark", "--out", out, "--device", "cpu", "--parts", "arms", "--study", path, "--data", digits)
    assert {own.name for own in out.iterdir()} == {"machine.json", "arms.csv"}
    rows = table(out / "arms.csv")
    assert list(rows[0]) == [field.name for field in fields(ArmSpeed)]
    names = ["relu", "relu+dropout0.5", "relu+batch", "relu+batch+dropout0.5"]
    assert [row["arm"] for row in rows] == [f"{name}+rate0.05" for name in names]
    study = load_study(path)
    data = dataset_of(load_prepared(digits, 8, "all", 0.2), HARDWARE.device)
    arm = make_arm(study, {"norm": "batch"}, learning_rate=0.05)
    alone = [numbers(train(data, arm, Run(seed, 0.05), HARDWARE))[-1]["test_accuracy"] for seed in (0, 1)]
    batch = rows[2]
    assert (batch["runs"], batch["epochs"], batch["learning_rate"], batch["way"]) == ("2", "2", "0.05", "2 fused")
    assert float(batch["test_accuracy"]) == pytest.approx(sum(alone) / 2, abs=0.01)
    assert float(batch["test_accuracy_low"]) == pytest.approx(min(alone), abs=0.01)
    assert sum(alone) / 2 > 0.2
    for row in rows:
        presented = float(row["images_per_second"]) * float(row["seconds"])
        assert presented == pytest.approx(2 * 2 * 0.8 * 1297, rel=0.01)
        assert row["diverged"] == "0"


def test_what_a_step_is_made_of_is_read_from_a_profile() -> None:
    found = list(step_kernels(ONE_AFTER_ANOTHER, Setting(8, 0.0625, 16), HARDWARE))
    calls = {row.kernel: row.calls for row in found}
    # Five convolutions, but three of maps so small that each is a product; norms behind all layers but the last.
    assert calls["aten::convolution_backward"] == 2
    assert calls["aten::native_batch_norm"] == 7
    assert [row.share for row in found] == sorted((row.share for row in found), reverse=True)
    assert 0.5 < sum(row.share for row in found) <= 1


def test_nothing_begins_after_the_time_is_up(command, tmp_path: Path) -> None:
    command.done("benchmark", "--out", tmp_path, "--device", "cpu", "--quick", "--minutes", "1e-9")
    assert {own.name for own in tmp_path.iterdir()} == {"machine.json"}


def test_images_without_their_study_are_refused(command, digits: Path, tmp_path: Path) -> None:
    words = command.refused("benchmark", "--out", tmp_path / "out", "--data", digits)
    assert "--study" in words
    assert not (tmp_path / "out").exists()


@pytest.fixture
def measurement(monkeypatch) -> Callable:
    """The benchmark's parts, of which throughput fails as a GPU may."""

    def fail(*_: object) -> None:
        raise RuntimeError("no kernel image is available\nfor this device")

    def run(out: Path, measured: Callable = fail, **given: object) -> str:
        monkeypatch.setattr(throughput, "measure", measured)
        usual = {"device": "cpu", "threads": 1, "quick": True, "seconds": 0.01, "minutes": None}
        try:
            Measurement(Namespace(out=out, **usual, **given)).run()
        except TakeoffError as error:
            return str(error)
        return ""

    return run


def test_a_part_that_fails_is_a_line_and_the_others_are_measured(
    measurement, write_study, digits: Path, tmp_path: Path
) -> None:
    given = {"parts": ["throughput", "arms"], "study": write_study(), "data": digits}
    said = measurement(tmp_path / "out", **given)
    assert said == "throughput: no kernel image is available"
    assert len(table(tmp_path / "out" / "arms.csv")) == 2
    assert not (tmp_path / "out" / "throughput.csv").exists()


def test_a_part_that_sees_nothing_writes_nothing(measurement, tmp_path: Path) -> None:
    given = {"parts": ["throughput"], "study": None, "data": None}
    assert measurement(tmp_path / "out", lambda *_: [], **given) == ""
    assert {own.name for own in (tmp_path / "out").iterdir()} == {"machine.json"}
