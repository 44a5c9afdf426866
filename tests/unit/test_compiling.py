"""torch.compile as a way to train: it gives what one run after another gives, and where it or a graph fails, it goes
on without.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from records import RUNS, assert_same, records
from takeoff.study.arms import Arm, Run
from takeoff.training import fused, trials
from takeoff.training.checkpoints import Checkpoints
from takeoff.training.engine import Record, train
from takeoff.training.hardware import Hardware
from takeoff.training.resident import Resident
from takeoff.training.ways import ONE_AFTER_ANOTHER, Way


def test_where_compiling_fails_runs_are_trained_uncompiled(
    images: Resident, arm: Callable[..., Arm], hardware: Hardware, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A way remembered from another node, whose compiler this one lacks."""

    def no_compiler(function: Callable) -> Callable:
        raise FileNotFoundError("no compiler\nand much more")

    monkeypatch.setattr(fused, "compile_once", no_compiler)
    own, said = arm({"epochs": 2}), []
    way = Way(3, fused=True, compiled=True)
    told: dict[Run, list[Record]] = {}
    for record in train(images, own, RUNS, hardware, Checkpoints(), way, said.append):
        told.setdefault(record.run, []).append(record)
    assert said == [f"{own.name}: no compiler; now without torch.compile"]
    assert_same(told, records(images, own, hardware, Way(3, fused=True)), within=1e-6)


def test_where_a_capture_fails_runs_are_trained_without_graphs(
    images: Resident, arm: Callable[..., Arm], hardware: Hardware
) -> None:
    """A way remembered from another GPU; a CPU captures no graph at all."""
    own, said = arm({"epochs": 2}), []
    told: dict[Run, list[Record]] = {}
    for record in train(
        images, own, RUNS, hardware, Checkpoints(), Way(3, fused=True, graph=True), said.append
    ):
        told.setdefault(record.run, []).append(record)
    assert said == [f"{own.name}: only a GPU captures graphs; now without graphs"]
    assert_same(told, records(images, own, hardware, Way(3, fused=True)), within=1e-6)


def test_a_compiler_that_fails_leaves_its_way_out(
    images: Resident, arm: Callable[..., Arm], hardware: Hardware, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "LONG", 0)
    monkeypatch.setattr(fused, "compile_once", lambda function: Path("/no/such/file").read_text())
    said: list[str] = []
    rates = trials.measured(images, arm(), RUNS, hardware, said.append)
    (compiled,) = (way for way in rates if way.compiled)
    assert rates[compiled] == 0
    assert "compiled does not run here: [Errno 2]" in said[-1]


@pytest.mark.slow  # a compiler takes its half a minute
@pytest.mark.skipif(
    shutil.which("g++") is None, reason="torch.compile needs a C++ compiler, and there is none here"
)
@pytest.mark.parametrize(
    ("way", "levels"),
    [
        (Way(compiled=True), {"network": {"family": "plain", "depth": 1}, "norm": "batch", "dropout": 0.2}),
        (
            Way(3, fused=True, compiled=True),
            {"norm": "batch", "dropout": 0.5, "augmentation": "flip-crop-colour"},
        ),
    ],
    ids=["one after another", "fused"],
)
def test_compiled_runs_give_what_one_after_another_gives(
    images: Resident,
    arm: Callable[..., Arm],
    hardware: Hardware,
    way: Way,
    levels: dict,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    levels = dict(levels)
    own = arm({"epochs": 2, "augmentation": levels.pop("augmentation", "none")}, **levels)
    runs = RUNS[: way.at_once]
    expected = records(images, own, hardware, ONE_AFTER_ANOTHER, runs=runs)
    assert_same(records(images, own, hardware, way, runs=runs), expected, within=2e-3)
    assert any(tmp_path.rglob("*.cpp"))  # compiled indeed
