"""The machine at hand and the versions on it, without torch: a measurement means nothing without them."""

import os
import platform
import sys
from importlib.metadata import version
from typing import Any

from takeoff.common.digests import ENGINE, code_digest
from takeoff.common.files import digest_of
from takeoff.common.machine import commit, cores_at_hand, cpu_name


def measured_digest() -> str:
    """What a measurement depends on: the loops' code, with the engine's, and the machine."""
    return digest_of([code_digest("benchmark/throughput.py"), cpu_name(), cores_at_hand()])


def facts(device: str) -> dict[str, Any]:
    """What identifies the machine, the versions and the code; `device` is `cpu`, or the GPU's name."""
    head, changed = commit() or (None, False)
    return {
        "device": device,
        "cpu": cpu_name(),
        "cores": cores_at_hand(),
        "system": platform.system(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "torchvision", "numpy")},
        "commit": head and head[:7] + "+" * changed,
        "engine": code_digest(ENGINE),
        "command": " ".join(["python", "scripts/benchmark.py", *sys.argv[1:]]),
        "load_before": round(os.getloadavg()[0], 2),
    }
