"""How long a run's step takes here, and the score of an image: the engine's own, by the processor's clock, so that
other work on the machine counts for little. What a plan counts with.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from takeoff.engine.evaluation import BATCH, evaluate
from takeoff.engine.state import Training
from takeoff.jobs.choosing import choose_way
from takeoff.jobs.hardware import hardware_of, keep_freed_memory
from takeoff.jobs.trials import noise
from takeoff.study.arms import Arm, Run

WARM, SECONDS = 2, 0.3
"""Steps before those that are timed, and how long these take, about."""


def main() -> None:
    """Measure each arm that stands on standard input; a line of JSON for each: its key, and both seconds."""
    given = json.load(sys.stdin)
    keep_freed_memory()
    for one in given["arms"]:
        arm, shape = Arm.model_validate(one["arm"]), tuple(one["shape"])
        found = measured(arm, shape, one["runs"], given["precision"], given["threads"])
        print(json.dumps({"key": one["key"], "speed": found}), flush=True)


def measured(arm: Arm, shape: tuple[int, int, int], runs: int, precision: str, threads: int) -> tuple[float, float]:
    """Processor seconds of a step of one of so many runs of an arm, in the way that trains them on a CPU, and of the
    score of one image, of a side, channels and classes.
    """
    hardware = hardware_of("cpu", precision, threads, shape[0])
    one_step = {"schedule": "constant", "warmup_epochs": 0, "epoch_images": arm.recipe.batch_size}
    recipe = arm.recipe.model_copy(update=one_step)
    arm = arm.model_copy(update={"recipe": recipe, "train_samples": None})
    data = noise(shape, recipe.batch_size, hardware.device)
    every = [Run(seed, 1e-4) for seed in range(runs)]
    way = choose_way(data, arm, every, hardware, memory=Path())
    trainings = [Training(data, arm, run, hardware) for run in every[: way.at_once]]
    stepper, images = way.stepper(trainings), torch.arange(BATCH["cpu"])
    for _ in range(WARM):
        stepper.epoch(1)
    step = _seconds(lambda: stepper.epoch(1)) / len(trainings)
    model = trainings[0].model
    score = _seconds(lambda: evaluate(model, data, data.images, data.labels, images, hardware))
    return step, score / len(images)


def _seconds(call: Callable[[], object]) -> float:
    """Of one call, by the processor's clock."""
    began, calls = time.process_time(), 0
    while (spent := time.process_time() - began) < SECONDS or not calls:
        call()
        calls += 1
    return spent / calls
