"""What a step is made of: the kernels that a device runs in it, by what they take. The rows of kernels.csv."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import torch
from torch.profiler import ProfilerActivity, profile

from takeoff.benchmark.setting import Setting
from takeoff.common.gpus import lets_one_in
from takeoff.engine.hardware import Hardware
from takeoff.engine.state import Training
from takeoff.jobs.loading import dataset_of
from takeoff.jobs.ways import Way
from takeoff.study.arms import Run

STEPS, WARM_UP = 20, 5
"""Of an epoch, whose start counts little; and before it."""
MOST = 20
"""Kernels of a way, those that take most."""
LONGEST = 90
"""Seconds that a way's profile may take."""


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


def step_kernels(way: Way, setting: Setting, hardware: Hardware) -> list[Kernel]:
    """The kernels of a way's steps that take most; on a CPU its operators.

    Raises:
        RuntimeError: where the driver lets nobody see them.

    """
    cuda = hardware.device.type == "cuda"
    hardware.keep_to_precision()
    activities = [ProfilerActivity.CUDA if cuda else ProfilerActivity.CPU]
    if cuda:
        torch.cuda.set_device(hardware.device)
        os.environ["TEARDOWN_CUPTI"] = "0"  # its profiler must start before a capture, and end after the last replay
        with profile(activities=activities):
            torch.zeros(1, device=hardware.device)
    data, arm = dataset_of(setting.images, hardware.device), setting.arm(STEPS * setting.batch)
    stepper = way.stepper([Training(data, arm, Run(seed, 0.01), hardware) for seed in range(way.at_once)])
    stepper.epoch(WARM_UP)
    with profile(activities=activities) as profiled:
        stepper.epoch()  # of so many steps, with what an epoch does once
        if cuda:
            torch.cuda.synchronize()
    took = "self_device_time_total" if cuda else "self_cpu_time_total"
    rows = sorted(profiled.key_averages(), key=lambda row: -getattr(row, took))
    if not (whole := sum(getattr(row, took) for row in rows)):
        raise RuntimeError(f"{way.name}: the profiler sees no kernel")
    found = []
    for row in rows[:MOST]:
        spent = getattr(row, took)
        found.append(Kernel(way.name, row.key, row.count / STEPS, spent / STEPS, spent / whole))
    return found


def step_kernels_apart(way: Way, setting: Setting, hardware: Hardware) -> list[Kernel]:
    """The same, found by a process of its own, which a profiler may end: what it holds of a GPU goes with it. Where a
    GPU lets one process in, it is found in this.

    Raises:
        RuntimeError: where it sees nothing, ends, or takes too long.

    """
    if hardware.device.type == "cuda" and lets_one_in(hardware.device.index or 0):
        return step_kernels(way, setting, hardware)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        before = multiprocessing.active_children()
        found = pool.submit(step_kernels, way, setting, hardware)
        try:
            return found.result(LONGEST)
        except TimeoutError:
            raise RuntimeError(f"{way.name}: the profiler took more than {LONGEST} s") from None
        finally:  # also where this process is to end: the pool would wait
            if not found.done():
                for process in multiprocessing.active_children():
                    if process not in before:
                        process.kill()
