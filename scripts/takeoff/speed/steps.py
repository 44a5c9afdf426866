"""Seconds per training step of arms, side by side, with the engine's own code, but for one thing: activations come
before poolings, as in the papers. The engine's other order spares tanh most of its price, and with it what is claimed.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from takeoff.engine import architecture
from takeoff.engine.hardware import Hardware
from takeoff.engine.network import MONOTONE
from takeoff.engine.resident import Resident
from takeoff.engine.state import Training
from takeoff.engine.steps import OneStep
from takeoff.speed.timing import Row, Timed, measured
from takeoff.study.arms import Arm, Run
from takeoff.study.planned import PlannedArm

MOST_PARAMETERS = 50_000_000
"""Of all arms that stay in memory between their blocks; beyond, each is built anew for every block."""


class Stepping(Timed):
    """The training of one arm, a step per call: batch, forward, backward, optimiser."""

    def __init__(self, data: Resident, arm: Arm, run: Run, hardware: Hardware, keep: bool = True) -> None:
        batch = min(arm.recipe.batch_size, len(data.split(arm.train_samples, run.seed)[0]))
        flops = batch * architecture.training_flops(architecture.layers(arm.network, *data.shape))
        super().__init__("step", arm.name, hardware, self._step, flops, batch)
        self.data, self.arm, self.run, self.keep = data, arm, run, keep
        self.training: Training | None = None
        self.left: list[Tensor] = []

    def ready(self) -> None:
        """Set the machine up, and build the network where there is none."""
        super().ready()
        if self.training is None:
            self.training = Training(self.data, self.arm, self.run, self.hardware)
            activation_first(self.training.model)
            self.training.model.train()

    def _step(self) -> Tensor:
        assert self.training is not None
        if not self.left:  # a new order begins where the images run out
            self.left = [*self.training.batches()]
        return OneStep([self.training])([self.left.pop(0)], [self.run.learning_rate])

    def release(self) -> None:
        """Drop the network, unless there is room for it."""
        if not self.keep:
            self.training = None


def time_steps(arms: Sequence[PlannedArm], data: Resident, hardware: Hardware, seconds: float) -> list[Row]:
    """A row per arm and block: the mean seconds of a step of that arm in that block.

    Every arm has the batch size of its recipe, its first tuning seed, and the least learning rate of its grid, at
    which nothing diverges: infinite numbers can be slower than others. The images lie on the hardware's device.
    """
    sizes = [architecture.parameters(architecture.layers(arm.network, *data.shape)) for arm in arms]
    stepping = []
    for arm in arms:
        run = Run(arm.blocks[0].tuning_seeds[0], arm.learning_rate or min(arm.learning_rates), final=False)
        stepping.append(Stepping(data, arm, run, hardware, keep=sum(sizes) <= MOST_PARAMETERS))
    return measured(stepping, seconds)


def activation_first(model: nn.Sequential) -> None:
    """Put each activation before its pooling again, as the papers have them."""
    for place in range(1, len(model)):
        if isinstance(model[place], MONOTONE) and isinstance(model[place - 1], nn.MaxPool2d):
            model[place - 1], model[place] = model[place], model[place - 1]
