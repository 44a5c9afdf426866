"""Epochs on a GPU, tried without one: what the host waits for, operation by operation, the backward pass too."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from engine import WORDS

LOSSES, STARTS = "a value read in Graphed.epoch", "a copy to the GPU in _Captured.load"
CAPTURES, ENDS = "all awaited in _Captured._capture", "all awaited in Graphed.epoch"
EPOCH = {
    "one after another": {"a value read in Eager.epoch": 1},
    "3 fused": {"a value read in Eager.epoch": 3},
    "3 overlapped, graph": {STARTS: 3, LOSSES: 3, ENDS: 1, CAPTURES: 3},
    "3 fused, graph": {STARTS: 1, LOSSES: 3, ENDS: 1, CAPTURES: 1},
}
"""Each run's loss at an epoch's end; of a graph its capture, once for all epochs, and each group's rates."""

Seen = dict[str, dict[str, int]]


@pytest.fixture(scope="module")
def seen() -> dict[str, Seen]:
    """What the script counts, by network, or by what was done to it, and by way."""
    script = Path(__file__).with_name("gpu_steps.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Seen] = {}
    for words, way, counts in (line.split("\t") for line in done.stdout.splitlines()):
        found.setdefault(words, {})[way] = json.loads(counts)
    return found


def test_the_host_waits_for_an_epochs_losses_and_for_no_step(seen) -> None:
    assert {words: seen[words] for words in WORDS} == dict.fromkeys(WORDS, EPOCH)


@pytest.mark.parametrize(
    ("how", "what"), [("waits", "a value read"), ("copies", "a copy to the GPU"), ("undoes", "a value read")]
)
def test_a_step_that_waits_is_found(seen, how: str, what: str) -> None:
    """In its batch; in its backward pass, which flattens only where runs are fused."""
    assert set(seen[how]) == set(EPOCH)
    for way, counts in seen[how].items():
        place = "FusedStep.__call__" if how == "undoes" else "Step.batch"
        groups = 3 if "overlapped" in way else 1
        # Two steps an epoch, or three to warm up and the one that is captured.
        more = {f"{what} in {place}": groups * (4 if "graph" in way else 2)}
        assert counts == EPOCH[way] | (more if "fused" in way or how != "undoes" else {})


def test_an_operation_on_both_devices_is_found(seen) -> None:
    assert set(seen["mixes"]) == set(EPOCH)
    for counts in seen["mixes"].values():
        assert next(iter(counts)).startswith("FakeTensorDeviceMismatchError: Expected all tensors to be on the same")


def test_no_score_copies_the_images(seen) -> None:
    """A run begins and ends with scores of whole splits, where images may fill most of a GPU."""
    (found,) = seen["largest"].values()
    assert found["images"] > 3e9
    assert found["made"] < 1e8


def test_a_compiler_sees_each_network_whole_and_on_the_gpu(seen) -> None:
    """A value that the host reads would break its graph."""
    found = dict(seen["traced"])
    assert set(found.pop("reads")) == {"DataDependentOutputException"}
    assert set(found) == set(WORDS)
    for devices in found.values():
        assert set(devices) == {"cuda:0"}
        assert devices["cuda:0"] > 30
