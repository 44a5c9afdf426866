"""Epochs on a GPU, tried without one: no operation mixes devices, and the host waits once, at the end."""

import subprocess
import sys
from pathlib import Path

import pytest
from engine import WORDS

ENDS = {
    "one after another": "Eager._epoch",
    "3 fused": "Eager._epoch",
    "3 overlapped, graph": "Graphed.epoch",
    "3 fused, graph": "Graphed.epoch",
}
"""The function that reads an epoch's losses, by way."""


def told(*arguments: str) -> dict[tuple[str, str], str]:
    """What the script says, by network and way."""
    script = Path(__file__).with_name("gpu_steps.py")
    done = subprocess.run(
        [sys.executable, script, *arguments], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return {(words, way): said for words, way, said in rows}


def test_the_host_waits_once_an_epoch_and_no_operation_mixes_devices() -> None:
    assert told() == {(words, way): f"waits in {end}" for words in WORDS for way, end in ENDS.items()}


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("waits", ("waits in OneStep.__call__", "waits in FusedStep.__call__")),
        ("mixes", ("FakeTensorDeviceMismatchError: Expected all tensors to be on the same device",)),
    ],
)
def test_a_batch_that_waits_or_mixes_devices_is_found(how: str, expected: tuple[str, ...]) -> None:
    found = told(how)
    assert len(found) == len(ENDS)
    assert all(said.startswith(expected) for said in found.values()), found
