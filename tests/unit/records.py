"""What the engine tells of runs, by run, and whether two tell the same."""

import pytest
from takeoff.study.arms import Arm, Run
from takeoff.training.checkpoints import Checkpoints
from takeoff.training.engine import Record, train
from takeoff.training.hardware import Hardware
from takeoff.training.resident import Resident
from takeoff.training.ways import Way

RUNS = [Run(0, 0.05), Run(3, 0.05), Run(1_000_000, 0.1, final=False)]


def records(
    images: Resident, arm: Arm, hardware: Hardware, way: Way, **more: object
) -> dict[Run, list[Record]]:
    """By run, in the order told."""
    found: dict[Run, list[Record]] = {}
    for record in train(
        images, arm, more.pop("runs", RUNS), hardware, more.pop("checkpoints", Checkpoints()), way
    ):
        found.setdefault(record.run, []).append(record)
    return found


def assert_same(found: dict[Run, list[Record]], expected: dict[Run, list[Record]], within: float) -> None:
    assert set(found) == set(expected)
    for run, theirs in expected.items():
        for own, other in zip(found[run], theirs, strict=True):
            assert type(own) is type(other)
            for key, value in other.values.items():
                if key in {"seconds", "images_per_second"} or isinstance(value, bytes):
                    continue
                # An image on the line between two classes may fall on either side.
                slack = 0.01 if "accuracy" in key else 0.0
                words = f"{run}, {key}"
                assert own.values[key] == pytest.approx(value, rel=within, abs=slack + 1e-9, nan_ok=True), (
                    words
                )
