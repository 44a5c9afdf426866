"""What training leaves behind: a record per run and epoch, and one at each run's end."""

from dataclasses import dataclass, field
from typing import Any

from takeoff.study.arms import Run


@dataclass(frozen=True)
class Epoch:
    """What one scored epoch of one run left behind; epoch 0 is before training."""

    run: Run
    values: dict[str, Any]


@dataclass(frozen=True)
class Finished:
    """What a run ended with."""

    run: Run
    values: dict[str, Any]
    probe: list[dict[str, Any]] = field(default_factory=list)
    """Of a probed arm: a row per moment and layer."""


Record = Epoch | Finished
