"""Seconds per training step of arms, side by side: the engine's own steps, in the way that trains the arm's runs."""

from collections.abc import Sequence
from pathlib import Path

from takeoff.engine import architecture
from takeoff.engine.dataset import Dataset
from takeoff.engine.graphs import Graphed
from takeoff.engine.hardware import Hardware
from takeoff.engine.state import Training
from takeoff.engine.steps import Eager
from takeoff.jobs.choosing import batch_of, choose_way
from takeoff.jobs.hardware import keep_freed_memory
from takeoff.jobs.ways import Way
from takeoff.speed.timing import Timed, Timing, measured
from takeoff.study.arms import Arm, Run
from takeoff.study.planned import PlannedArm

MOST_PARAMETERS = 50_000_000
"""Of all runs that stay in memory between their blocks; beyond, each is built anew for every block."""
STEPS = {"cpu": 1, "cuda": 50}
"""Steps of a call: a GPU's host waits at the end of one only, as at an epoch's in training."""


class Stepping(Timed):
    """The training of an arm's `runs`, as many at once as the way takes: batches, forward, backward, optimiser."""

    def __init__(self, data: Dataset, arm: Arm, runs: Sequence[Run], hardware: Hardware, way: Way, keep: bool) -> None:
        batch = batch_of(data, arm)
        flops = batch * architecture.training_flops(architecture.layers(arm.network, *data.shape))
        self.runs, steps = runs[: way.at_once], STEPS[hardware.device.type]
        super().__init__("step", arm.name, hardware, self._steps, flops, batch, steps * len(self.runs), way.name)
        self.build = way.stepper
        # Of an epoch of a few steps the rest of a pass is kept, so that images are shuffled once a pass.
        recipe = arm.recipe.model_copy(update={"epoch_images": steps * batch})
        self.data, self.arm, self.keep = data, arm.model_copy(update={"recipe": recipe}), keep
        self.stepper: Eager | Graphed | None = None

    def ready(self) -> None:
        """Set the machine up, and build the networks where there are none."""
        super().ready()
        if self.stepper is None:
            self.stepper = self.build([Training(self.data, self.arm, run, self.hardware) for run in self.runs])

    def _steps(self) -> list[float]:
        assert self.stepper is not None
        return self.stepper.epoch()

    def release(self) -> None:
        """Drop the networks, unless there is room for them."""
        if not self.keep:
            self.stepper = None


def time_steps(arms: list[PlannedArm], data: Dataset, hardware: Hardware, seconds: float, ways: Path) -> list[Timing]:
    """A row per arm and block: the mean seconds of a step of one of that arm's runs in that block.

    An arm's final runs are timed in the way that trains them (on a GPU measured, and kept in the folder `ways`), at the
    least learning rate of its grid, at which nothing diverges: infinite numbers can be slower than others. The images
    lie on the hardware's device.
    """
    if hardware.device.type == "cpu":
        keep_freed_memory()  # as training does
    chosen = []
    for arm in arms:
        runs = [Run(seed, arm.learning_rate or min(arm.learning_rates), final=False) for seed in arm.seeds]
        chosen.append((arm, runs, choose_way(data, arm, runs, hardware, ways)))
    networks = [(architecture.layers(arm.network, *data.shape), way.at_once) for arm, _, way in chosen]
    keep = sum(architecture.parameters(layers) * at_once for layers, at_once in networks) <= MOST_PARAMETERS
    return measured([Stepping(data, arm, runs, hardware, way, keep) for arm, runs, way in chosen], seconds)
