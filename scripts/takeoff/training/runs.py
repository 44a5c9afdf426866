"""Finished runs on disk: a file each, written whole, under a key of everything that the run depends on."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from takeoff.digests import ENGINE, code_digest
from takeoff.files import digest_of, write_text
from takeoff.study.arms import Arm, Run
from takeoff.training.hardware import Hardware
from takeoff.training.resident import Resident


def run_key(arm: Arm, run: Run, data: Resident, hardware: Hardware) -> str:
    """Sixteen hexadecimal digits of all that a run's numbers depend on, rounding included.

    The engine's code and torch's version, the arm (its name is left out: it is a label), the data, the run, and
    the kind of device with its precision and threads.
    """
    return digest_of(
        {
            "engine": [code_digest(*ENGINE), torch.__version__],
            "arm": arm.model_dump(exclude={"name"}),
            "data": data.digest,
            "run": asdict(run),
            "hardware": [hardware.device.type, hardware.precision, hardware.threads],
        }
    )


def save_run(path: Path, row: dict[str, Any], curve: list[dict[str, Any]]) -> None:
    """Write a finished run: its row, and a row per epoch. What is no number (a loss that diverged) is null."""
    content = {"run": row, "curve": curve}
    write_text(path, json.dumps(_without_nan(content), allow_nan=False) + "\n")


def load_run(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
    """A finished run's row and curve, or None where there is none or it is damaged: then it is trained anew."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return content["run"], content["curve"]
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        return None


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
