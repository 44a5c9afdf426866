"""Finished runs on disk: a file each, written whole, under a key of everything that the run depends on."""

import json
import math
from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from takeoff.digests import ENGINE, code_digest
from takeoff.files import digest_of, write_text
from takeoff.study.arms import Arm, Run
from takeoff.training.hardware import Hardware
from takeoff.training.resident import Resident

Row = dict[str, Any]
BITS = ("test_correct", "test_top5_correct")
"""What of a run is bytes."""


def run_key(arm: Arm, run: Run, data: Resident, hardware: Hardware) -> str:
    """Sixteen hexadecimal digits of all that a run's numbers depend on, but for which runs it is fused with.

    The engine's code and torch's version, the arm (not its name, which is a label, nor how its rate is chosen), the
    data, the run, and the kind of device with its precision and threads. Fused runs differ from single ones by
    rounding alone.
    """
    return digest_of(
        {
            "engine": [code_digest(*ENGINE), torch.__version__],
            "arm": arm.model_dump(include={"network", "recipe", "train_samples", "probed"}),
            "data": data.digest,
            "run": asdict(run),
            "hardware": [hardware.device.type, hardware.precision, hardware.threads],
        }
    )


@dataclass(frozen=True)
class Trained:
    """A finished run: its row, a row per epoch, and of a probed arm a row per moment and layer."""

    run: Row
    curve: list[Row]
    probe: list[Row] = field(default_factory=list)


def save_run(path: Path, trained: Trained) -> None:
    """Write a finished run. What is no number (a loss that diverged) is null, bytes are base64."""
    write_text(path, json.dumps(_plain(asdict(trained)), allow_nan=False) + "\n")


def load_run(path: Path) -> Trained | None:
    """A finished run, or None where there is none or it is damaged: then it is trained anew."""
    try:
        found = Trained(**json.loads(path.read_text(encoding="utf-8")))
        bits = {key: b64decode(found.run[key]) for key in BITS if key in found.run}
        return replace(found, run=found.run | bits)
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return None if isinstance(value, float) and not math.isfinite(value) else value
