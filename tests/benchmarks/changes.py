"""What was tried to make a step faster on a CPU, kept or not, side by side: a table on the standard output.

python tests/benchmarks/changes.py

Milliseconds per step and run on one thread, the fastest of interleaved blocks. It takes some minutes, most of them
torch.compile's.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from takeoff.benchmarking.images import load_images
from takeoff.models import network
from takeoff.models.small_maps import SmallMapConv2d
from takeoff.study.arms import Arm, Run
from takeoff.study.settings import Network, Recipe
from takeoff.training.descent import gradients_of
from takeoff.training.hardware import choose
from takeoff.training.resident import Resident
from takeoff.training.state import Training
from takeoff.training.ways import Way
from torch import nn
from torch.nn import functional

BLOCKS, SECONDS = 6, 0.6
DATA = Path("results/data")
NETWORKS = {
    "8 px, width 0.25, batch 64, no norm": (8, 64, Network(width=0.25)),
    "8 px, width 0.25, batch 64, norm and dropout": (8, 64, Network(width=0.25, norm="batch", dropout=0.5)),
    "8 px, width 0.0625, batch 64, norm": (8, 64, Network(width=0.0625, norm="batch")),
    "8 px, 20 plain layers, batch 64, norm": (
        8,
        64,
        Network(family="plain", depth=20, width=0.25, norm="batch"),
    ),
    "32 px, width 0.125, batch 64, norm and dropout": (
        32,
        64,
        Network(width=0.125, norm="batch", dropout=0.5),
    ),
    "32 px, width 0.25, batch 128, norm and dropout": (
        32,
        128,
        Network(width=0.25, norm="batch", dropout=0.5),
    ),
}
COMPILED = (1, 4)
"""Of the networks, those that torch.compile is tried on."""


KEPT = {
    "2 × 2 maps as products": Way(),
    "4 runs fused": Way(4, fused=True),
    "8 runs fused": Way(8, fused=True),
}
"""Each with what stands before it."""


def main() -> None:
    """Measure and print, a row per network."""
    hardware = choose("cpu", "float32", 1)
    titles = ["network", "as torch comes", *(f"+ {words}" for words in KEPT), *UNDONE, "torch.compile"]
    print("| " + " | ".join(titles) + " |")
    print("|" + " --- |" * len(titles))
    for place, (words, (side, batch, settings)) in enumerate(NETWORKS.items()):
        data = load_images(DATA, side).resident(hardware.device, held_out=0.2)
        recipe = Recipe(epochs=1000, batch_size=batch, schedule="constant", warmup_epochs=0)
        arm = Arm(name="x", network=settings, recipe=recipe, learning_rate=1e-3)

        def training(seed: int = 0, arm: Arm = arm, data: Resident = data) -> Training:
            return Training(data, arm, Run(seed, 1e-3), hardware)

        def made(way: Way, change: Change = unchanged, training: Callable[..., Training] = training) -> Timed:
            runs = [training(seed) for seed in range(way.at_once)]
            for run in runs:
                change(run)
            return Timed(way.stepper(runs).epoch, way.at_once, runs[0].steps_per_epoch)

        network.SmallMapConv2d = nn.Conv2d  # type: ignore[misc,assignment]
        plain = made(Way())
        network.SmallMapConv2d = SmallMapConv2d  # type: ignore[misc]
        actions = [plain, *map(made, KEPT.values()), *(made(Way(), change) for change in UNDONE.values())]
        cells = [f"{1000 * seconds:.2f}" for seconds in fastest(actions)]
        compiled = compiled_step(training()) if place in COMPILED else ""
        print("| " + " | ".join([words, *cells, compiled]) + " |", flush=True)


def unchanged(training: Training) -> None:
    """The engine's own step."""


def without_seeds(training: Training) -> None:
    """Torch's dropout instead of one with a stream of its own for each seed."""
    for place, module in enumerate(training.model):
        if isinstance(module, network.SeededDropout):
            training.model[place] = nn.Dropout(module.rate)


def with_torchs_class(training: Training) -> None:
    """`torch.optim.SGD` as it comes instead of its fused function."""
    descent = training.descent
    recipe = training.arm.recipe
    groups = [
        {"params": [p for p, own in zip(descent.parameters, descent.decays, strict=True) if own == decays]}
        | {"weight_decay": recipe.weight_decay * decays}
        for decays in (True, False)
    ]
    optimiser = torch.optim.SGD(groups, lr=training.run.learning_rate, momentum=recipe.momentum)
    descent.step = lambda gradients, rate: optimiser.step()  # type: ignore[method-assign,assignment]


def channels_first(training: Training) -> None:
    """Images and weights channel by channel instead of pixel by pixel."""
    model = training.model.to(memory_format=torch.contiguous_format)
    training.model = nn.Sequential(ChannelsFirst(), *model)


class ChannelsFirst(nn.Module):
    """Lays images out channel by channel."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Of the same shape."""
        return images.contiguous()


Change = Callable[[Training], None]
UNDONE: dict[str, Change] = {
    "torch's dropout": without_seeds,
    "torch.optim.SGD": with_torchs_class,
    "channels first": channels_first,
}
"""What one run's step would be without a choice of the engine's."""


@dataclass
class Timed:
    """An epoch of several runs, of which the first so many steps can be made."""

    epoch: Callable[[int], object]
    runs: int
    most: int
    """Steps of a whole epoch."""
    steps: int = 1
    """Of a block."""

    def seconds(self) -> float:
        """Of a block."""
        began = time.perf_counter()
        self.epoch(self.steps)
        return time.perf_counter() - began


def fastest(actions: list[Timed]) -> list[float]:
    """Seconds per step and run of each action; blocks take turns."""
    for action in actions:
        action.seconds()
        action.steps = min(action.most, max(1, round(SECONDS / action.seconds())))
    blocks = [[action.seconds() for action in actions] for _ in range(BLOCKS)]
    best = map(min, zip(*blocks, strict=True))
    return [seconds / action.steps / action.runs for seconds, action in zip(best, actions, strict=True)]


def compiled_step(training: Training) -> str:
    """Milliseconds of a step whose forward and backward pass are compiled, and how long compiling took."""
    model, descent = training.model, training.descent
    without_seeds(training)  # a generator cannot be compiled
    pixels, labels = training.data.batch(training.batches()[0], "none", training.crops, training.colours)
    loss_of = torch.compile(lambda: functional.cross_entropy(model(pixels), labels))

    def step() -> None:
        model.zero_grad(set_to_none=True)
        loss_of().backward()
        descent.step(gradients_of(descent.parameters), training.run.learning_rate)

    model.train()
    began = time.perf_counter()
    step()
    step()
    first = time.perf_counter() - began
    best = float("inf")
    for _ in range(BLOCKS):
        began = time.perf_counter()
        for _ in range(5):
            step()
        best = min(best, (time.perf_counter() - began) / 5)
    return f"{1000 * best:.2f} after {first:.0f} s"


if __name__ == "__main__":
    main()
