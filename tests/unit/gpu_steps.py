"""Epochs on a GPU where there is none, operation by operation: torch's fake tensors have a device, a type and a shape.

python tests/unit/gpu_steps.py [waits | mixes]

Says of each network and way in which function the host first waits for a value, or what an operation raised. Tensors
of two devices in one operation raise, as does a value that the host reads; `waits` and `mixes` let a batch do so. Left
out are numbers, and the backward pass, whose engine wants a driver. A process of its own: torch is told that there is
a GPU.
"""

import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"
sys.path += [str(SCRIPTS), str(ROOT / "tests")]

import numpy as np  # noqa: E402 (its path is known only now)
import torch  # noqa: E402
from engine import NETWORKS, WORDS  # noqa: E402
from takeoff.models import network, streams  # noqa: E402
from takeoff.study.arms import Arm, Run, make_arm  # noqa: E402
from takeoff.study.loading import load_study  # noqa: E402
from takeoff.training import state  # noqa: E402
from takeoff.training.hardware import Hardware  # noqa: E402
from takeoff.training.resident import Resident, on_device  # noqa: E402
from takeoff.training.state import Training  # noqa: E402
from takeoff.training.ways import Way  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch._subclasses.fake_tensor import (  # noqa: E402
    DataDependentOutputException,
    FakeTensorMode,
    unset_fake_temporarily,
)

GPU = Hardware(torch.device("cuda", 0), "bfloat16", "a GPU")
WAYS = [Way(), Way(3, fused=True), Way(3, graph=True), Way(3, fused=True, graph=True)]
SIDE, IMAGES, BATCH = 32, 200, 64


def main() -> None:
    """Try every way with every network."""
    how = sys.argv[1] if len(sys.argv) > 1 else ""
    images = noise()
    pretend()
    for levels, words in list(zip(NETWORKS, WORDS, strict=True))[: 1 if how else None]:
        arm = arm_of(levels)
        for way in WAYS:
            print(words, way.name, found(images, arm, way, how), sep="\t")


def found(images: Resident, arm: Arm, way: Way, how: str) -> str:
    """In which function the host first waits in an epoch, or what an operation raised."""
    with FakeTensorMode() as fake:
        state.build = partial(built, fake)
        there = moved(images, fake)
        if how == "waits":
            there = Waiting(**vars(there))
        if how == "mixes":
            there = replace(there, scale=torch.ones(images.channels))
        trainings = [Training(there, arm, Run(seed, 0.05), GPU) for seed in range(way.at_once)]
        try:
            way.stepper(trainings).epoch()
        except DataDependentOutputException as error:
            frames = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
            own = [code.co_qualname for code in frames if Path(code.co_filename).is_relative_to(SCRIPTS)]
            return f"waits in {own[-1].removesuffix('.<locals>.<listcomp>')}"
        except Exception as error:
            return f"{type(error).__name__}: {str(error).splitlines()[0]}"
    return "never waits"


class Waiting(Resident):
    """Images whose batches the host looks at."""

    def batch(self, chosen: Sequence[Tensor], *how: object) -> tuple[Tensor, Tensor]:
        """A batch."""
        pixels, labels = super().batch(chosen, *how)
        return pixels * float(pixels.max()), labels


def noise() -> Resident:
    """Noise as a dataset, on the host."""
    pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, SIDE, SIDE, 3), dtype=np.uint8)
    card = {"mean": [0.5] * 3, "std": [0.3] * 3, "digest": "noise", "classes": [*"0123456789"]}
    labels = np.arange(IMAGES, dtype=np.int64) % 10
    return on_device((pixels, labels), (pixels, labels), card, 0.2, torch.device("cpu"))


def arm_of(levels: dict) -> Arm:
    """An arm of the default study, with a network and levels of factors."""
    levels = dict(levels)
    recipe = {"epochs": 2, "batch_size": BATCH, "augmentation": levels.pop("augmentation", "none")}
    study = load_study(ROOT / "config" / "studies" / "digits.yaml")
    return make_arm(study, levels, network=levels.pop("network", None), recipe=recipe)


def moved(images: Resident, fake: FakeTensorMode) -> Resident:
    """The images on the GPU."""
    return Resident(
        **{
            key: fake.from_tensor(value).to(GPU.device) if isinstance(value, Tensor) else value
            for key, value in vars(images).items()
        }
    )


def built(fake: FakeTensorMode, *arguments: object) -> nn.Sequential:
    """What `network.build` makes, on the GPU; the streams stay with the host, which has the only ones."""
    with unset_fake_temporarily():
        model = network.build(*arguments[:-1], torch.device("cpu")).requires_grad_(False)
    for module in model:
        for name, own in list(module.named_parameters()):
            setattr(module, name, nn.Parameter(fake.from_tensor(own).to(GPU.device)))
        for name, own in list(module.named_buffers()):
            module.register_buffer(name, fake.from_tensor(own).to(GPU.device))
    return model


def pretend() -> None:
    """Tell torch that there is a GPU, and stand in for what only a driver does."""
    torch._C._ensureCUDADeviceGuardSet()
    torch.cuda.is_available = lambda: True
    torch.cuda.is_bf16_supported = lambda **_: True
    torch.cuda.Stream = lambda device: SimpleNamespace(wait_stream=lambda other: None)
    torch.cuda.stream = nullcontext
    torch.cuda.current_stream = torch.cuda.synchronize = lambda: None
    torch.cuda.CUDAGraph = lambda: SimpleNamespace(
        register_generator_state=lambda stream: None, replay=lambda: None
    )
    torch.cuda.graph = lambda graph, **how: nullcontext()
    torch._fused_sgd_ = descend
    Tensor.backward = backward
    state.stream = lambda seed, purpose, device: streams.stream(seed, purpose, torch.device("cpu"))


def backward(loss: Tensor) -> None:
    """Give every parameter that the loss depends on a gradient."""
    for parameter in leaves(loss):
        parameter.grad = torch.empty_like(parameter)


def leaves(loss: Tensor) -> Iterator[Tensor]:
    """The parameters."""
    seen, left = set(), [loss.grad_fn]
    while left:
        node = left.pop()
        if node is not None and node not in seen:
            seen.add(node)
            left += [following for following, _ in node.next_functions]
            if hasattr(node, "variable"):
                yield node.variable


def descend(
    parameters: Sequence[Tensor], gradients: Sequence[Tensor], momenta: Sequence[Tensor], *, lr: object, **_
) -> None:
    """What torch's fused descent asks of its tensors on a GPU (`check_fast_path_restrictions`)."""
    for together in zip(parameters, gradients, momenta, strict=True):
        kinds = {(tensor.device, tensor.dtype, tensor.stride()) for tensor in together}
        if len(kinds) > 1 or not together[0].is_cuda or not together[0].is_contiguous():
            raise RuntimeError(f"descent of unlike tensors: {kinds}")
    if isinstance(lr, Tensor) and (lr.device != parameters[0].device or lr.ndim):
        raise RuntimeError(f"a rate of shape {lr.shape} on {lr.device}")


if __name__ == "__main__":
    main()
