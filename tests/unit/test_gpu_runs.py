"""Runs on a GPU from the first score to the last, tried without one: killed, they go on from checkpoints."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

GROUPS = {"one after another": 1, "3 fused": 1, "3 overlapped, graph": 3, "3 fused, graph": 1}
"""How many of them load an epoch's batches, or are captured, apart."""
PARTS = {"norm, dropout, colour": (44, 23), "tanh, response norm": (16, 16)}
"""A network's tensors, and its momenta."""
LAYERS, HIDDEN = 8, 7
ON_GPU = {"model": ["cuda:0"], "momenta": ["cuda:0"], "ahead": ["cuda:0"]}
MIXED = "FakeTensorDeviceMismatchError: Expected all tensors to be on the same device"

Found = dict[str, dict]


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, Found]]:
    """What the script finds, by network or fault, by way, and by what was before a kill and behind it."""
    script = Path(__file__).with_name("gpu_runs.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    by_words: dict[str, dict[str, Found]] = {}
    for words, way, halves in (line.split("\t") for line in done.stdout.splitlines()):
        by_words.setdefault(words, {})[way] = json.loads(halves)
    return by_words


def waits(way: str, scores: int, probed: int) -> dict[str, int]:
    """What an epoch waits for, and each run's scores, whatever their batches, and its probe."""
    runs, graph = 1 if way == "one after another" else 3, "graph" in way
    captured = {"a copy to the GPU in _Captured.load": GROUPS[way], "all awaited in _Captured._capture": GROUPS[way]}
    return {
        "a value read in evaluate": scores * runs,
        "a copy to the host in evaluate": scores * runs,
        "a value read in probe": probed * runs,
        f"a value read in {'Graphed' if graph else 'Eager'}.epoch": runs,
        **(captured | {"all awaited in Graphed.epoch": 1} if graph else {}),
    }


@pytest.mark.parametrize("way", GROUPS)
@pytest.mark.parametrize("words", PARTS)
def test_a_run_waits_for_few_values_from_its_start_to_its_end(found, words: str, way: str) -> None:
    begun, resumed = found[words][way]["begun"], found[words][way]["resumed"]
    runs, (tensors, momenta) = 1 if way == "one after another" else 3, PARTS[words]
    assert "error" not in begun | resumed
    assert begun["seen"] == waits(way, 4, LAYERS + 2 * HIDDEN)
    moved = {
        "a copy to the GPU in Training.load_state": (tensors + momenta + 1) * runs,
        "a copy to the GPU in Training.finished": tensors * runs,  # the best epoch's, from the checkpoint
        "a copy to the host in keep_if_best": (tensors + 2) * runs,
    }
    assert resumed["seen"] == waits(way, 4, 2 * LAYERS + 2 * HIDDEN) | moved
    assert (begun["scored"], begun["ended"]) == (2 * runs, 0)
    # What was kept, and an epoch more; rows of both moments.
    assert (resumed["scored"], resumed["ended"], resumed["probed"]) == (3 * runs, runs, 2 * LAYERS * runs)


@pytest.mark.parametrize("way", GROUPS)
@pytest.mark.parametrize("words", PARTS)
def test_a_checkpoint_comes_back_to_the_gpu(found, words: str, way: str) -> None:
    """From a file that could be read where there is none; kept weights lie on the host."""
    begun, resumed = found[words][way]["begun"], found[words][way]["resumed"]
    assert begun["written"] == ON_GPU | {"streams": ["cpu"], "best": ["cuda:0"]}
    assert begun["tensors"] == resumed["tensors"] == ON_GPU
    assert resumed["written"]["weights"] == ["cpu"]
    assert resumed["files"] == []


@pytest.mark.parametrize("words", PARTS)
def test_a_checkpoint_holds_its_own_run_alone(found, words: str) -> None:
    """Fused runs share memory, of which each saves its part."""
    (alone,) = found[words]["one after another"]["begun"]["files"]
    for way in set(GROUPS) - {"one after another"}:
        assert found[words][way]["begun"]["files"] == pytest.approx([alone] * 3, rel=0.01)


FAULTS = {
    "a probe mixes": ("begun", MIXED),
    "a checkpoint's rest stays": ("resumed", MIXED),
    "a checkpoint loads to where it was": ("resumed", "RuntimeError: Attempting to deserialize object on CUDA"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_lies_on_the_wrong_device_is_found(found, fault: str) -> None:
    half, error = FAULTS[fault]
    assert found[fault]["3 fused"][half]["error"].startswith(error)


def test_a_score_that_waits_for_each_batch_is_found(found) -> None:
    """Of 160 training images three batches, where a score before has one; of 200 test images four."""
    begun, resumed = found["a score reads each batch"]["3 fused"].values()
    more = {"begun": 3 * 4, "resumed": 3 * (2 + 3 + 4)}
    for half, seen in (("begun", begun["seen"]), ("resumed", resumed["seen"])):
        assert seen["a value read in evaluate"] == 3 * 4 + more[half]


def test_a_checkpoint_of_shared_memory_is_found(found) -> None:
    (alone,) = {*found["a score reads each batch"]["3 fused"]["begun"]["files"]}
    views = found["a checkpoint keeps views"]["3 fused"]["begun"]["files"]
    assert min(views) > 1.5 * alone
