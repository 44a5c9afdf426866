"""What tests of the engine share: training one run, and its numbers without the clock's."""

from takeoff.study.arms import Arm, Run
from takeoff.training.checkpoints import Checkpoints
from takeoff.training.engine import Record
from takeoff.training.engine import train as train_runs
from takeoff.training.hardware import Hardware
from takeoff.training.resident import Resident


def train(images: Resident, arm: Arm, run: Run, hardware: Hardware, checkpoints: Checkpoints | None = None):
    return list(train_runs(images, arm, [run], hardware, checkpoints or Checkpoints()))


def numbers(records: list[Record]) -> list[dict]:
    clock = {"seconds", "images_per_second"}
    return [{k: v for k, v in r.values.items() if k not in clock and v == v} for r in records]
