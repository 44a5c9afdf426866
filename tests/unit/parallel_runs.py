"""Runs of every family, trained by the ranks that torchrun started; the first one prints their numbers.

TAKEOFF_RANKS=2 python -m torch.distributed.run --standalone --nproc-per-node=2 tests/unit/parallel_runs.py
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path += [str(ROOT / "scripts"), str(ROOT / "tests")]

from engine import NETWORKS, WORDS, noise, numbers, train  # noqa: E402
from takeoff.engine.evaluation import BATCH  # noqa: E402
from takeoff.jobs.hardware import hardware_of  # noqa: E402
from takeoff.jobs.ranks import leave  # noqa: E402
from takeoff.study.arms import Run, make_arm  # noqa: E402
from takeoff.study.loading import load_study  # noqa: E402


def main() -> None:
    """A line per family."""
    hardware = hardware_of("cpu", "float32")
    BATCH["cpu"] = 50  # so that every rank has parts of each score, one of them more than another
    study = load_study(ROOT / "config" / "studies" / "digits.yaml")
    images = noise(300, 16, 3)
    for levels, words in zip(NETWORKS, WORDS, strict=True):
        # Smooth ones: rounding alone can switch a unit of ReLU, and then numbers differ by thousandths.
        own = {"activation": "gelu"} | {key: level for key, level in levels.items() if key != "network"}
        # No number of ranks divides it.
        recipe = {"epochs": 2, "batch_size": 30}
        arm = make_arm(study, own, network={"width": 0.125} | levels.get("network", {}), recipe=recipe)
        found = numbers(train(images, arm, Run(0, 0.01), hardware))
        if hardware.rank == 0:
            plain = [{key: value for key, value in one.items() if not isinstance(value, bytes)} for one in found]
            print(json.dumps([words, plain]), flush=True)
    leave()


main()
