"""Floating-point operations per second: of a network's forward and backward pass, and of matrix products."""

from collections.abc import Callable, Sequence

import torch
from torch.nn import functional

from takeoff.engine import architecture
from takeoff.engine.dataset import Dataset
from takeoff.engine.hardware import Hardware
from takeoff.engine.network import build
from takeoff.jobs.hardware import hardware_of
from takeoff.speed.timing import Timed, Timing, measured, time_calls
from takeoff.study.arms import Arm, make_arm
from takeoff.study.model import Study

BATCHES = {"cpu": (32, 128, 512), "cuda": (128, 512, 2048, 8192)}
"""Images per pass that are tried."""
SIDES = {"cpu": (1024, 2048), "cuda": (2048, 4096, 8192)}
"""Sides of the square matrices that are tried."""
BYTES = {"cpu": 1 << 30, "cuda": 8 << 30}
"""Memory that a pass may take, by the estimate of `activation_bytes`."""
TRIALS = 5
"""Calls by which sizes are compared, at most."""
EMULATED = "left out: this device does not multiply in bfloat16, so that torch would only emulate it"


def passes(arm: Arm, data: Dataset, batch: int, hardware: Hardware) -> Timed:
    """Forward and backward pass of an arm's network on one batch, with the cross-entropy, without the optimiser."""
    device = hardware.device
    # Training speed does not depend on which images they are; small sets are repeated.
    chosen = (torch.arange(batch) % len(data.labels)).to(data.labels.device)
    pixels = data.normalised(data.images.take(chosen)).to(device)
    labels = data.labels.index_select(0, chosen).to(device)
    model = build(arm.network, *data.shape, 0, device).train()

    def both_ways() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=hardware.half):
            loss = functional.cross_entropy(model(pixels).float(), labels)
        model.zero_grad()
        loss.backward()

    flops = batch * architecture.training_flops(architecture.layers(arm.network, *data.shape))
    return Timed("training", arm.name, hardware, both_ways, flops, batch)


def product(side: int, hardware: Hardware) -> Timed:
    """The product of two square matrices: a multiplication and an addition for each of side³ terms."""
    kind = torch.bfloat16 if hardware.half else torch.float32
    generator = torch.Generator(hardware.device).manual_seed(0)
    one, other = torch.randn(2, side, side, generator=generator, device=hardware.device).to(kind)
    out = torch.empty_like(one)
    return Timed("matrix", str(side), hardware, lambda: torch.mm(one, other, out=out), 2 * side**3)


def measured_rates(study: Study, data: Dataset, cuda: bool, threads: int, seconds: float) -> list[Timing]:
    """A row per setting, kind (`training`, `matrix`) and block, all timed beside each other.

    The network is the study's with ReLU, at the batch size that is fastest of `BATCHES`; the product that of the
    fastest of `SIDES`. Settings are one CPU thread, all CPU threads, and the GPU, in float32 and bfloat16 where
    the device computes in it. The images may lie on any device.
    """
    arm = make_arm(study, {"activation": "relu"})
    chosen, left_out = settings(cuda, threads)
    actions: list[Timed] = []
    for hardware in chosen:
        actions += [fastest_pass(arm, data, hardware, seconds), fastest_product(hardware, seconds)]
    return left_out + measured(actions, seconds)


def settings(cuda: bool, threads: int) -> tuple[list[Hardware], list[Timing]]:
    """What to measure, and rows without numbers for what is left out."""
    devices: list[tuple[str, int]] = [("cpu", n) for n in sorted({1, threads})]
    devices += [("cuda", 1)] if cuda else []
    chosen, left_out = [], []
    for device, n in devices:
        for precision in ("float32", "bfloat16"):
            hardware = hardware_of(device, precision, n)
            if precision == "bfloat16" and not hardware_of(device, "auto", n).half:
                left_out.append(Timing("training", "", hardware.name, n, precision, note=EMULATED))
            else:
                chosen.append(hardware)
    return chosen, left_out


def fastest_pass(arm: Arm, data: Dataset, hardware: Hardware, seconds: float) -> Timed:
    """The pass at the batch size with the highest rate, of those that fit into memory; the smallest always does."""
    sizes = BATCHES[hardware.device.type]
    image = activation_bytes(architecture.layers(arm.network, *data.shape))
    most = max(BYTES[hardware.device.type] // image, sizes[0])
    fitting = [batch for batch in sizes if batch <= most]
    return _fastest(lambda batch: passes(arm, data, batch, hardware), fitting, seconds)


def fastest_product(hardware: Hardware, seconds: float) -> Timed:
    """The product at the side with the highest rate."""
    return _fastest(lambda side: product(side, hardware), SIDES[hardware.device.type], seconds)


def activation_bytes(layers: Sequence[architecture.Layer]) -> int:
    """Memory that one image takes in a pass, about: of each layer with weights its maps, those of the norm,
    activation and pooling behind it, and a gradient, in float32.
    """
    units = sum(
        layer.outputs * (layer.side**2 if isinstance(layer, architecture.Convolution) else 1)
        for layer in layers
        if isinstance(layer, architecture.Convolution | architecture.Linear)
    )
    return 4 * 4 * units


def _fastest(make: Callable[[int], Timed], sizes: Sequence[int], seconds: float) -> Timed:
    """The action with the highest rate in its best call; sizes go up, and stop where a call takes too long, or where
    there is no memory for more than the smallest.
    """
    best: Timed | None = None
    highest = 0.0
    for size in sizes:
        try:
            action = make(size)
            action.ready()
            action()  # the first call chooses kernels and takes memory
            spent = time_calls(action, 1)
            # Of short calls the best of several: what else the machine does must not choose.
            for _ in range(min(TRIALS, int(seconds / (4 * spent)))):
                spent = min(spent, time_calls(action, 1))
        except torch.OutOfMemoryError:
            if best is None:
                raise
            break
        if action.flops / spent > highest:
            best, highest = action, action.flops / spent
        if spent > seconds:
            break
    assert best is not None
    return best
