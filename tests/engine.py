"""What tests of the engine share: networks of every kind, training one run, and its numbers without the clock's."""

from takeoff.study.arms import Arm, Run
from takeoff.training.checkpoints import Checkpoints
from takeoff.training.engine import Record
from takeoff.training.engine import train as train_runs
from takeoff.training.hardware import Hardware
from takeoff.training.resident import Resident

NETWORKS = [
    {"norm": "batch", "dropout": 0.5, "augmentation": "flip-crop-colour"},
    {"activation": "tanh", "response_norm": "local", "pooling": "plain"},
    {"network": {"family": "four-layer"}, "dropout": 0.2},
    {"network": {"family": "plain", "depth": 3}, "norm": "batch", "dropout": 0.2},
    {"activation": "sigmoid", "train_samples": 50},
]
WORDS = [
    "norm, dropout, colour",
    "tanh, response norm",
    "four layers",
    "plain with norm",
    "less than a batch",
]


def train(images: Resident, arm: Arm, run: Run, hardware: Hardware, checkpoints: Checkpoints | None = None):
    return list(train_runs(images, arm, [run], hardware, checkpoints or Checkpoints()))


def numbers(records: list[Record]) -> list[dict]:
    clock = {"seconds", "images_per_second"}
    return [{k: v for k, v in r.values.items() if k not in clock and v == v} for r in records]
