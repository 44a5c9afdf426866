"""What a step is made of: the kernels that a device runs in it, by what they take. The rows of kernels.csv."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.profiler import ProfilerActivity, profile

from takeoff.benchmark.throughput import Setting
from takeoff.engine.hardware import Hardware
from takeoff.engine.state import Training
from takeoff.jobs.loading import dataset_of
from takeoff.jobs.ways import Way
from takeoff.study.arms import Arm, Run
from takeoff.study.settings import Recipe

STEPS, WARM_UP = 20, 5
MOST = 20
"""Kernels of a way, those that take most."""


@dataclass(frozen=True)
class Kernel:
    """A kernel in the steps of one way: the columns of kernels.csv."""

    way: str
    kernel: str
    calls: float
    """In a step of all runs."""
    microseconds: float
    """Of the device, in a step, all calls together."""
    share: float
    """Of what all kernels of a step take."""


def step_kernels(way: Way, setting: Setting, hardware: Hardware) -> Iterator[Kernel]:
    """The kernels of a way's steps that take most; on a CPU its operators."""
    recipe = Recipe(epochs=1, batch_size=setting.batch, augmentation="flip-crop", schedule="constant", warmup_epochs=0)
    arm = Arm(name="benchmark", network=setting.network, recipe=recipe, learning_rate=0.01)
    data = dataset_of(setting.images, hardware.device)
    stepper = way.stepper([Training(data, arm, Run(seed, 0.01), hardware) for seed in range(way.at_once)])
    stepper.epoch(WARM_UP)
    cuda = hardware.device.type == "cuda"
    with profile(activities=[ProfilerActivity.CUDA if cuda else ProfilerActivity.CPU]) as profiled:
        stepper.epoch(STEPS)
        if cuda:
            torch.cuda.synchronize()
    took = "self_device_time_total" if cuda else "self_cpu_time_total"
    rows = sorted(profiled.key_averages(), key=lambda row: -getattr(row, took))
    whole = sum(getattr(row, took) for row in rows) or 1
    for row in rows[:MOST]:
        spent = getattr(row, took)
        yield Kernel(way.name, row.key, row.count / STEPS, spent / STEPS, spent / whole)
