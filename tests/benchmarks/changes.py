"""What was tried to make a step faster on a CPU, kept or not, side by side: a table on the standard output.

python tests/benchmarks/changes.py

Milliseconds per step and run on one thread, the fastest of interleaved blocks. It takes some minutes, most of them
torch.compile's.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from takeoff.benchmarking.images import load_images
from takeoff.models import network, small_maps
from takeoff.models.small_maps import SmallMapConv2d
from takeoff.study.arms import Arm, Run
from takeoff.study.settings import Network, Recipe
from takeoff.training import fused
from takeoff.training.hardware import choose
from takeoff.training.resident import Resident
from takeoff.training.state import Training
from takeoff.training.ways import Way
from torch import nn
from torch.optim.sgd import sgd

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
    kept = [f"+ {words}" for words in KEPT]
    titles = ["network", "as torch comes", *kept, "8 runs, gradients turned", *UNDONE, "torch.compile"]
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
        turned = with_turned_gradients(made(Way(8, fused=True)))
        undone = [made(Way(), change) for change in UNDONE.values()]
        actions = [plain, *map(made, KEPT.values()), turned, *undone]
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


def kernels_as_they_are(training: Training) -> None:
    """Kernels channels last for torch's fused function, which copies them."""
    recipe, own = training.arm.recipe, training.descent

    def step(gradients: Sequence[torch.Tensor], rate: float | torch.Tensor) -> None:
        with torch.no_grad():
            sgd(
                list(own.parameters),
                list(gradients),
                [*own.momenta],
                fused=True,
                weight_decay=recipe.weight_decay,
                momentum=recipe.momentum,
                lr=float(rate),
                dampening=0.0,
                nesterov=False,
                maximize=False,
            )

    own.step = step  # type: ignore[method-assign]


class ChannelsFirst(nn.Module):
    """Lays images out channel by channel."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Of the same shape."""
        return images.contiguous()


Change = Callable[[Training], None]
UNDONE: dict[str, Change] = {
    "activation before pooling": lambda training: network.activation_first(training.model),
    "kernels copied": kernels_as_they_are,
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


def with_turned_gradients(timed: Timed) -> Timed:
    """Runs fused by torch's own batched product, whose weights' gradients have to be copied."""

    def torchs_own(
        values: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
    ) -> torch.Tensor:
        turned = weight.transpose(1, 2)
        return torch.bmm(values, turned) if bias is None else torch.baddbmm(bias[:, None], values, turned)

    def epoch(most: int) -> None:
        own = fused.batched_linear
        fused.batched_linear = small_maps.batched_linear = torchs_own
        try:
            timed.epoch(most)
        finally:
            fused.batched_linear = small_maps.batched_linear = own

    return replace(timed, epoch=epoch)


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
    stepper = Way(compiled=True).stepper([training])
    began = time.perf_counter()
    stepper.epoch(2)
    first = time.perf_counter() - began
    best = float("inf")
    for _ in range(BLOCKS):
        began = time.perf_counter()
        stepper.epoch(5)
        best = min(best, (time.perf_counter() - began) / 5)
    return f"{1000 * best:.2f} after {first:.0f} s"


if __name__ == "__main__":
    main()
