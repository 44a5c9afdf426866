"""torch.compile as a way to train: it gives what one run after another gives, within rounding."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from records import RUNS, assert_same, records
from takeoff.study.arms import Arm
from takeoff.training.hardware import Hardware
from takeoff.training.resident import Resident
from takeoff.training.ways import ONE_AFTER_ANOTHER, Way


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
