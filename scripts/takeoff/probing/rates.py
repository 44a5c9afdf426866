"""Floating-point operations per second: of a network's forward and backward pass, and of matrix products."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from takeoff.models import architecture
from takeoff.models.network import build
from takeoff.probing.clock import interleaved, time_calls
from takeoff.probing.table import Row
from takeoff.study.arms import make_arm
from takeoff.study.model import Study
from takeoff.study.settings import Network
from takeoff.training.hardware import Hardware, choose
from takeoff.training.resident import Resident

BATCHES = {"cpu": (32, 128, 512), "cuda": (128, 512, 2048, 8192)}
"""Images per pass that are tried."""
SIDES = {"cpu": (1024, 2048), "cuda": (2048, 4096, 8192)}
"""Sides of the square matrices that are tried."""
BYTES = {"cpu": 1 << 30, "cuda": 8 << 30}
"""Memory that a pass may take, by the estimate of `activation_bytes`."""
TRIALS = 5
"""Calls by which sizes are compared, at most."""
EMULATED = "left out: this device does not multiply in bfloat16, so that torch would only emulate it"


class Passes:
    """Forward and backward pass of one network on one batch, with the cross-entropy, without the optimiser."""

    def __init__(self, network: Network, data: Resident, batch: int, hardware: Hardware) -> None:
        self.hardware, self.device, self.batch = hardware, hardware.device, batch
        # Training speed does not depend on which images they are; small sets are repeated.
        chosen = (torch.arange(batch) % len(data.images)).to(data.images.device)
        self.pixels: Tensor = data.normalised(data.images.index_select(0, chosen)).to(self.device)
        self.labels: Tensor = data.labels.index_select(0, chosen).to(self.device)
        shape = (data.resolution, data.channels, data.classes)
        self.layers = architecture.layers(network, *shape)
        self.model = build(network, *shape, 0, self.device).train()

    def ready(self) -> None:
        """Set the threads, and the precision of a GPU's convolutions."""
        _set_up(self.hardware)

    def __call__(self) -> None:
        """One forward and one backward pass."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.hardware.half):
            loss = functional.cross_entropy(self.model(self.pixels).float(), self.labels)
        self.model.zero_grad(set_to_none=True)
        loss.backward()

    def release(self) -> None:
        """Gradients are not needed between blocks."""
        self.model.zero_grad(set_to_none=True)

    def flops(self) -> int:
        """Floating-point operations of a call."""
        return self.batch * architecture.training_flops(self.layers)


class Product:
    """The product of two square matrices."""

    def __init__(self, side: int, hardware: Hardware) -> None:
        self.hardware, self.device, self.side = hardware, hardware.device, side
        kind = torch.bfloat16 if hardware.half else torch.float32
        generator = torch.Generator().manual_seed(0)
        one, other = torch.randn(2, side, side, generator=generator).to(self.device, kind)
        self.one, self.other, self.out = one, other, torch.empty_like(one)

    def ready(self) -> None:
        """Set the threads, and a GPU's precision."""
        _set_up(self.hardware)

    def __call__(self) -> None:
        """One product."""
        torch.mm(self.one, self.other, out=self.out)

    def release(self) -> None:
        """Matrices stay."""

    def flops(self) -> int:
        """A multiplication and an addition for each of side³ terms."""
        return 2 * self.side**3


@dataclass(frozen=True)
class Candidate:
    """A pass or a product of one size, and how many floating-point operations it is."""

    action: Passes | Product
    flops: int
    rate: float


def measured_rates(study: Study, data: Resident, cuda: bool, threads: int, seconds: float) -> list[Row]:
    """A row per setting, kind (`training`, `matrix`) and block.

    The network is the study's with ReLU, at the batch size that is fastest of `BATCHES`; the product that of the
    fastest of `SIDES`. Settings are one CPU thread, all CPU threads, and the GPU, in float32 and bfloat16 where
    the device computes in it; all are timed in interleaved blocks.

    Args:
        study: gives the network.
        data: its images, on any device.
        cuda: whether to measure the GPU.
        threads: what "all threads" are.
        seconds: of all blocks of one measurement together, about.

    """
    arm = make_arm(study, {"activation": "relu"})
    ready, rows = settings(cuda, threads)
    chosen: list[tuple[Hardware, Candidate]] = []
    for hardware in ready:
        chosen.append((hardware, fastest_pass(arm.network, data, hardware, seconds)))
        chosen.append((hardware, fastest_product(hardware, seconds)))
    timed = interleaved([candidate.action for _, candidate in chosen], seconds)
    for (hardware, candidate), blocks in zip(chosen, timed, strict=True):
        action = candidate.action
        rows += [
            Row(
                kind="training" if isinstance(action, Passes) else "matrix",
                name=arm.name if isinstance(action, Passes) else str(action.side),
                device=hardware.name,
                threads=hardware.threads or 1,
                precision=hardware.precision,
                batch=action.batch if isinstance(action, Passes) else None,
                block=block,
                seconds=spent,
                flops=candidate.flops,
            )
            for block, spent in enumerate(blocks)
        ]
    return rows


def settings(cuda: bool, threads: int) -> tuple[list[Hardware], list[Row]]:
    """What to measure, and rows without numbers for what is left out."""
    devices: list[tuple[str, int]] = [("cpu", n) for n in sorted({1, threads})]
    devices += [("cuda", 1)] if cuda else []
    chosen, left_out = [], []
    for device, n in devices:
        for precision in ("float32", "bfloat16"):
            hardware = choose(device, precision, n)
            if precision == "bfloat16" and not choose(device, "auto", n).half:
                left_out.append(Row("training", "", hardware.name, n, precision, note=EMULATED))
            else:
                chosen.append(hardware)
    return chosen, left_out


def fastest_pass(network: Network, data: Resident, hardware: Hardware, seconds: float) -> Candidate:
    """The batch size with the highest rate, of those that fit into memory; the smallest always does."""
    layers = architecture.layers(network, data.resolution, data.channels, data.classes)
    kind = hardware.device.type
    most = BYTES[kind] // activation_bytes(layers)
    sizes = [batch for batch in BATCHES[kind] if batch <= max(most, BATCHES[kind][0])]
    return _fastest((lambda n=n: Passes(network, data, n, hardware) for n in sizes), seconds)  # type: ignore[misc]


def fastest_product(hardware: Hardware, seconds: float) -> Candidate:
    """The side with the highest rate."""
    sides = SIDES[hardware.device.type]
    return _fastest((lambda n=n: Product(n, hardware) for n in sides), seconds)  # type: ignore[misc]


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


def _fastest(makers: Iterable[Callable[[], Passes | Product]], seconds: float) -> Candidate:
    """The candidate with the highest rate in its best call; sizes go up, and stop where a call takes too long."""
    best: Candidate | None = None
    for make in makers:
        try:
            action = make()
            action.ready()
            action()  # the first call chooses kernels and asks for memory
            flops, spent = action.flops(), time_calls(action, 1)
            # Of short calls the best of several: what else the machine does must not choose.
            for _ in range(min(TRIALS, int(seconds / (4 * spent)))):
                spent = min(spent, time_calls(action, 1))
            action.release()
        except torch.OutOfMemoryError:
            if best is None:
                raise
            break
        if best is None or flops / spent > best.rate:
            best = Candidate(action, flops, flops / spent)
        if spent > seconds:
            break
    if best is None:
        raise ValueError("nothing to try")
    return best


def _set_up(hardware: Hardware) -> None:
    if hardware.threads is not None:
        torch.set_num_threads(hardware.threads)
    hardware.keep_to_precision()
