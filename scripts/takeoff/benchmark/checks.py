"""Whether a device computes right, before anybody asks how fast: each network's gradients against those in float64, and
each way of training against one run after another. The rows of numbers.csv.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from takeoff.benchmark.setting import arm_of
from takeoff.engine.dataset import Dataset
from takeoff.engine.hardware import Hardware
from takeoff.engine.network import build
from takeoff.jobs.hardware import first_line, free_gpu_memory
from takeoff.jobs.trials import AGREE, distance, moves, noise
from takeoff.jobs.ways import ONE_AFTER_ANOTHER, Way
from takeoff.study.arms import Arm, Run
from takeoff.study.settings import Network

NETWORKS: dict[str, dict[str, Any]] = {
    "relu": {},
    "relu, norm, dropout": {"norm": "batch", "dropout": 0.5},
    "tanh, response norm": {"activation": "tanh", "response_norm": "local", "pooling": "plain"},
    "four layers, dropout": {"family": "four-layer", "dropout": 0.2},
    "plain, sigmoid, norm": {"family": "plain", "depth": 3, "activation": "sigmoid", "norm": "batch"},
}
RUNS = [Run(0, 0.01), *(Run(seed, 0.02) for seed in range(1, 6))]
FAR = {"float32": 2e-2, "bfloat16": 0.95}
"""How far the gradients of a layer may be from those in float64, relative to their norm: those of early layers behind
norms are up to 0.8 off in bfloat16; none at all are 1 off, and 1.4 if they point anywhere."""
HALF = 0.45
"""How far a run's first steps may be off in bfloat16: right ones are up to 0.37, with another's rate most are 0.46 and
more. Smaller faults, as others' crops, show in float32 alone, in which the same ways are checked, too."""
BATCH, SHAPE = 64, (32, 3, 10)


@dataclass(frozen=True)
class Check:
    """One comparison: the columns of numbers.csv."""

    network: str
    what: str
    """`gradients`, or a way of training."""
    precision: str
    off: float | None = None
    """Relative to the size of what is compared: of gradients the worst layer's error, of a way the worst run's."""
    limit: float | None = None
    repeats: bool | None = None
    """Whether the same steps give the same bits once more."""
    note: str = ""
    """Why it could not be made."""

    @property
    def right(self) -> bool:
        """Whether the device may be trusted with it. What does not run there is not wrong: it is left out."""
        return self.off is None or (self.limit is not None and self.off <= self.limit)

    def __str__(self) -> str:
        found = self.note if self.off is None else f"{self.off:.1e} off" + ", other bits" * (self.repeats is False)
        return f"{self.network}: {self.what}, {self.precision}: {found}" + "  WRONG" * (not self.right)


def checks(hardware: Hardware, width: float) -> Iterator[Check]:
    """Every network of a width, in float32 and, where the device computes in it, in bfloat16; on a GPU gradients at the
    full width, whose speed is its question.
    """
    precisions = ["float32", "bfloat16"] if hardware.half else ["float32"]
    data = noise(SHAPE, BATCH, hardware.device)
    for name, own in NETWORKS.items():
        network = Network(**{"width": width} | own)
        for precision in precisions:
            there = replace(hardware, precision=precision)
            there.keep_to_precision()
            wide = {"width": 1.0} if hardware.device.type == "cuda" else {}
            yield _gradients(name, network.model_copy(update=wide), data, there)
            yield from _ways(name, network, data, there)
            free_gpu_memory(there)
    hardware.keep_to_precision()


def _gradients(name: str, network: Network, data: Dataset, hardware: Hardware) -> Check:
    """Those of one batch, without dropout."""
    still = network.model_copy(update={"dropout": 0.0})
    pixels = data.normalised(data.images.take(torch.arange(BATCH, device=hardware.device)))
    labels = data.labels[:BATCH]
    exact = build(still, *SHAPE, 0, torch.device("cpu")).double().train()
    expected = _of(exact, pixels.cpu().double(), labels.cpu())
    model = build(still, *SHAPE, 0, hardware.device).train()
    with torch.autocast(hardware.device.type, torch.bfloat16, enabled=hardware.half):
        found = _of(model, pixels, labels)
    # No layer before a norm has a bias: its gradient would be nothing but rounding.
    pairs = zip(found, expected, strict=True)
    off = _worst(float((own.cpu().double() - other).norm() / other.norm()) for own, other in pairs)
    return Check(name, "gradients", hardware.precision, off, FAR[hardware.precision])


def _worst(offs: Iterable[float]) -> float:
    """The greatest; infinite where one is no number."""
    return max(off if math.isfinite(off) else math.inf for off in offs)


def _of(model: torch.nn.Module, pixels: Tensor, labels: Tensor) -> list[Tensor]:
    logits = model(pixels)
    logits = logits if logits.dtype == torch.float64 else logits.float()
    return list(torch.autograd.grad(functional.cross_entropy(logits, labels), [*model.parameters()]))


def _ways(name: str, network: Network, data: Dataset, hardware: Hardware) -> Iterator[Check]:
    arm = arm_of(network, BATCH, "flip-crop-colour")
    ways = [ONE_AFTER_ANOTHER, Way(3, fused=True)]
    if hardware.device.type == "cuda":
        ways += [Way(graph=True), Way(3, graph=True), Way(3, fused=True, graph=True)]
    limit = HALF if hardware.half else AGREE
    for way in ways:
        try:
            off, same = agreement(way, arm, data, hardware)
        except RuntimeError as error:  # one GPU, or its driver, captures what another does not
            yield Check(name, way.name, hardware.precision, note=first_line(error))
            continue
        yield Check(name, way.name, hardware.precision, off, limit, same)


def agreement(way: Way, arm: Arm, data: Dataset, hardware: Hardware) -> tuple[float, bool]:
    """How far a way's runs end, at most, from where each ends alone, relative to its way there; infinite where one is
    no number. And whether they end at the same bits once more.
    """
    runs = RUNS[: max(3, way.at_once)]
    expected = [moves(ONE_AFTER_ANOTHER, data, arm, [run], hardware)[0] for run in runs]
    once, again = (moves(way, data, arm, runs, hardware) for _ in range(2))
    off = _worst(distance(own, other) for own, other in zip(once, expected, strict=False))
    finite = all(own.isfinite().all() for own in expected)
    return off if finite else math.inf, all(torch.equal(own, other) for own, other in zip(once, again, strict=True))
