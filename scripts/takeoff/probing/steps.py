"""Seconds per training step of arms, side by side, with the engine's own code, but for one thing: activations come
before poolings, as in the papers. The engine's other order spares tanh most of its price, and with it what is claimed.
"""

import torch

from takeoff.models import architecture
from takeoff.models.network import activation_first
from takeoff.probing.clock import interleaved
from takeoff.probing.table import Row
from takeoff.study.arms import Arm, Run
from takeoff.study.model import Study
from takeoff.training.hardware import Hardware
from takeoff.training.resident import Resident
from takeoff.training.state import Training
from takeoff.training.steps import OneStep

MOST_PARAMETERS = 50_000_000
"""Of all arms that stay in memory between their blocks; beyond, each is built anew for every block."""


class Stepping:
    """The training of one arm, a step per call: batch, forward, backward, optimiser."""

    def __init__(self, data: Resident, arm: Arm, run: Run, hardware: Hardware, keep: bool = True) -> None:
        self.data, self.arm, self.run, self.hardware, self.keep = data, arm, run, hardware, keep
        self.device = hardware.device
        self.training: Training | None = None
        self.batch_size = 0

    def ready(self) -> None:
        """Set the threads, and build the network where there is none."""
        if self.hardware.threads is not None:
            torch.set_num_threads(self.hardware.threads)
        if self.training is None:
            self.training = Training(self.data, self.arm, self.run, self.hardware)
            activation_first(self.training.model)
            self.training.model.train()
            self.batch_size = self.training.batch_size
            self._reshuffle()

    def __call__(self) -> None:
        """One step; a new order begins where the images run out."""
        assert self.training is not None
        if self.place == len(self.batches):
            self._reshuffle()
        self.step([self.batches[self.place]])
        self.place += 1

    def release(self) -> None:
        """Drop the network, unless there is room for it."""
        if not self.keep:
            self.training = None

    def flops(self) -> int:
        """Floating-point operations of one step."""
        batch = min(
            self.arm.recipe.batch_size, len(self.data.split(self.arm.train_samples, self.run.seed)[0])
        )
        return batch * architecture.training_flops(_layers(self.arm, self.data))

    def _reshuffle(self) -> None:
        assert self.training is not None
        self.step, self.batches, self.place = OneStep(self.training), self.training.batches(), 0


def time_steps(
    study: Study, arms: list[Arm], data: Resident, hardware: Hardware, seconds: float
) -> list[Row]:
    """A row per arm and block: the mean seconds of a step of that arm in that block.

    Every arm has the batch size of its recipe, the first tuning seed, and the smallest rate of its grid, at which
    nothing diverges: infinite numbers can be slower than others.

    Args:
        study: gives grid and seed.
        arms: in whatever number; all are timed beside each other.
        data: the images, on the hardware's device.
        hardware: device, precision and, on a CPU, threads.
        seconds: of all blocks of one arm together, about.

    """
    parameters = sum(architecture.parameters(_layers(arm, data)) for arm in arms)
    stepping = [
        Stepping(data, arm, _run(study, arm), hardware, keep=parameters <= MOST_PARAMETERS) for arm in arms
    ]
    flops = [steps.flops() for steps in stepping]
    timed = interleaved(stepping, seconds)
    return [
        Row(
            kind="step",
            name=steps.arm.name,
            device=hardware.name,
            threads=hardware.threads or 1,
            precision=hardware.precision,
            batch=steps.batch_size,
            block=block,
            seconds=spent,
            flops=count,
        )
        for steps, count, blocks in zip(stepping, flops, timed, strict=True)
        for block, spent in enumerate(blocks)
    ]


def _layers(arm: Arm, data: Resident) -> list[architecture.Layer]:
    return architecture.layers(arm.network, data.resolution, data.channels, data.classes)


def _run(study: Study, arm: Arm) -> Run:
    rate = arm.learning_rate or min(arm.rates or study.tuning.learning_rates)
    return Run(study.tuning_seeds[0], rate, final=False)
