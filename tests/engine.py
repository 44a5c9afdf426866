"""What tests of the engine share: networks of every kind, images of noise, training, and whether two records agree."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from takeoff.engine.augmentation import Batches
from takeoff.engine.dataset import Dataset, on_device
from takeoff.engine.hardware import Hardware
from takeoff.engine.images import Resident
from takeoff.engine.state import Record
from takeoff.engine.steps import Step
from takeoff.jobs.checkpoints import Checkpoints
from takeoff.jobs.running import train as train_runs
from takeoff.jobs.ways import Way
from takeoff.study.arms import Arm, Run

NETWORKS = [
    {"norm": "batch", "dropout": 0.5, "augmentation": "flip-crop-colour"},
    {"activation": "tanh", "response_norm": "local", "pooling": "plain"},
    {"network": {"family": "four-layer"}, "dropout": 0.2},
    {"network": {"family": "plain", "depth": 3}, "norm": "batch", "dropout": 0.2},
    {"activation": "sigmoid", "train_samples": 50},
]
WORDS = ["norm, dropout, colour", "tanh, response norm", "four layers", "plain with norm", "less than a batch"]
RUNS = [Run(0, 0.05), Run(3, 0.05), Run(1_000_000, 0.1, final=False)]
CLOCK = {"seconds", "images_per_second", "way"}


def noise(images: int, side: int, channels: int = 1) -> Dataset:
    """Noise as a dataset of ten classes, on the host."""
    pixels = np.random.default_rng(0).integers(0, 256, (images, side, side, channels), dtype=np.uint8)
    return dataset(pixels, np.arange(images, dtype=np.int64) % 10)


def dataset(pixels: np.ndarray, labels: np.ndarray, **card: Any) -> Dataset:
    """Pixels on the host, N × H × W × C, for training as for tests, of ten classes."""
    channels = pixels.shape[-1]
    card = {"mean": [0.1, 0.5, 0.9][:channels], "std": [0.2, 0.3, 0.4][:channels]} | card
    card = {"colours": (0.2 * np.eye(channels) + 0.05).tolist()} | card
    own = Resident(torch.from_numpy(pixels))
    rest = {"classes": 10, "validation_fraction": 0.2, "digest": "noise", "device": torch.device("cpu")}
    return on_device(own, labels, own, labels, **card, **rest)


def on(device: torch.device, images: Dataset) -> Dataset:
    """The images on another device."""
    there = {key: own.to(device) for key, own in vars(images).items() if isinstance(own, torch.Tensor)}
    there |= {key: Resident(getattr(images, key).pixels.to(device)) for key in ("images", "test_images")}
    return replace(images, **there)


def watched(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The images of every batch from now on, of its first run."""
    seen: list[list[int]] = []
    usual = Step.batch

    def batch(self: Step, chosen: Sequence[Batches]) -> tuple[torch.Tensor, torch.Tensor]:
        seen.append(chosen[0].positions.tolist())
        return usual(self, chosen)

    monkeypatch.setattr(Step, "batch", batch)
    return seen


def train(images: Dataset, arm: Arm, run: Run, hardware: Hardware, checkpoints: Checkpoints | None = None):
    return list(train_runs(images, arm, [run], hardware, checkpoints or Checkpoints()))


def numbers(records: list[Record]) -> list[dict]:
    return [{k: v for k, v in r.values.items() if k not in CLOCK and v == v} for r in records]


def records(
    images: Dataset, arm: Arm, hardware: Hardware, way: Way, runs=RUNS, checkpoints=None, report=print
) -> dict[Run, list[Record]]:
    """By run, each run's in order."""
    found: dict[Run, list[Record]] = {}
    for record in train_runs(images, arm, runs, hardware, checkpoints or Checkpoints(), way, report):
        found.setdefault(record.run, []).append(record)
    return found


def assert_same(found: dict[Run, list[Record]], expected: dict[Run, list[Record]], within: float) -> None:
    assert set(found) == set(expected)
    for run, theirs in expected.items():
        for own, other in zip(found[run], theirs, strict=True):
            assert type(own) is type(other)
            for key, value in other.values.items():
                if key in CLOCK or isinstance(value, bytes):
                    continue
                # An image on the line between two classes may fall on either side.
                slack = 0.01 if "accuracy" in key else 0.0
                near = pytest.approx(value, rel=within, abs=slack + 1e-9, nan_ok=True)
                assert own.values[key] == near, f"{run}, {key}"
