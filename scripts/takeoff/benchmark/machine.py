"""The machine at hand and the versions on it, without torch: a measurement means nothing without them."""

import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from takeoff.benchmark.parts import PARTS
from takeoff.common.digests import ENGINE, code_digest
from takeoff.common.errors import TakeoffError
from takeoff.common.files import digest_of, load_json, write_json
from takeoff.common.gpus import driver
from takeoff.common.machine import commit, cores_at_hand, cpu_name

FILE = "machine.json"


def measured_digest() -> str:
    """What a measurement depends on: the code that makes it, with the engine's, torch, and the machine."""
    own = driver()
    machine = [cpu_name(), cores_at_hand(), version("torch"), own and [own.version, own.gpus]]
    return digest_of([code_digest("benchmark/measurement.py"), machine])


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


class Machine:
    """The file beside the tables that says of each what made it; several calls may each have made some of them."""

    def __init__(self, folder: Path, own: dict[str, Any]) -> None:
        self.path, self.own, self.parts = folder / FILE, own, {}
        if self.path.exists():
            self.parts = {part: its for part, its in load_json(self.path).items() if part in PARTS}

    def measured(self, part: str) -> None:
        """Add this call's facts to those of a part, if they are not there."""
        if self.parts.get(part) != self.own:
            self.parts[part] = self.own
            write_json(self.path, self.parts)


def facts_of(folder: Path, part: str) -> dict[str, Any]:
    """What made the table of a part; a TakeoffError where nothing says so."""
    found = load_json(folder / FILE).get(part)
    if not isinstance(found, dict):
        raise TakeoffError(f"{folder / FILE}: {part} is missing; scripts/benchmark.py writes it with {part}.csv")
    return found
