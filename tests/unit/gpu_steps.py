"""Epochs on a GPU where there is none, operation by operation: torch's fake tensors have a device, a type and a shape.

python tests/unit/gpu_steps.py

Says of each network and way where the host waits for the GPU in an epoch, and how often: where it reads a value, where
something is copied from one to the other, where it waits for all; and where an operation has tensors of both. Then of
one network, where a batch or a backward pass was made to do so. Left out are numbers. The backward pass goes node by
node, since torch's engine wants a driver. A process of its own: torch is told that there is a GPU.
"""

import json
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"
sys.path += [str(SCRIPTS), str(ROOT / "tests")]

import torch  # noqa: E402
from engine import NETWORKS, WORDS, noise  # noqa: E402
from takeoff.engine import layers, network, state, streams  # noqa: E402
from takeoff.engine.resident import Resident  # noqa: E402
from takeoff.engine.state import Training  # noqa: E402
from takeoff.jobs.hardware import Hardware  # noqa: E402
from takeoff.jobs.ways import Way  # noqa: E402
from takeoff.study.arms import Arm, Run, make_arm  # noqa: E402
from takeoff.study.loading import load_study  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils._pytree import tree_leaves  # noqa: E402

GPU = Hardware(torch.device("cuda", 0), "bfloat16", "a GPU")
WAYS = [Way(), Way(3, fused=True), Way(3, graph=True), Way(3, fused=True, graph=True)]
SIDE, IMAGES, BATCH = 32, 200, 64


def main() -> None:
    """Try every way with every network, and what is to be found with the first."""
    images = noise(IMAGES, SIDE, 3)
    pretend()
    for levels, words in zip(NETWORKS, WORDS, strict=True):
        tell(words, images, arm_of(levels))
    for how in ("waits", "copies", "mixes"):
        tell(how, images, arm_of(NETWORKS[0]), how)
    undone = layers._Rearranged.backward
    layers._Rearranged.backward = staticmethod(lambda ctx, up: undone(ctx, up * float(up.max())))
    tell("undoes", images, arm_of(NETWORKS[0]))


def tell(words: str, images: Resident, arm: Arm, how: str = "") -> None:
    """A line for each way."""
    for way in WAYS:
        print(words, way.name, json.dumps(seen(images, arm, way, how)), sep="\t")


def seen(images: Resident, arm: Arm, way: Way, how: str) -> dict[str, int]:
    """What the host waits for in an epoch, by function, and how often."""
    with FakeTensorMode() as fake:
        state.build = partial(built, fake)
        there = moved(images, fake)
        if how in BATCHES:
            object.__setattr__(there, "batch", partial(BATCHES[how], there.batch))
        if how == "mixes":
            there = replace(there, scale=torch.ones(len(images.scale)))
        trainings = [Training(there, arm, Run(seed, 0.05), GPU) for seed in range(way.at_once)]
        with Watch() as watch:
            try:
                way.stepper(trainings).epoch()
            except RuntimeError as error:
                return {f"{type(error).__name__}: {str(error).splitlines()[0]}": 1}
    return dict(sorted(watch.seen.items()))


class Watch(TorchDispatchMode):
    """Counts what waits; a value that the host reads is a half."""

    now: "Watch"

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()
        Watch.now = self

    def note(self, what: str) -> None:
        """Count it, where the project's code does it."""
        frames = [frame.f_code for frame, _ in traceback.walk_stack(None)]
        own = [code.co_qualname for code in frames if Path(code.co_filename).is_relative_to(SCRIPTS)]
        self.seen[f"{what} in {own[0].partition('.<locals>')[0] if own else 'torch'}"] += 1

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.name()
        if name == "aten::_local_scalar_dense" and args[0].is_cuda:
            self.note("a value read")
            return 0.5 if args[0].is_floating_point() else 1
        out = func(*args, **(kwargs or {}))
        given, made = ([t for t in tree_leaves(of) if isinstance(t, Tensor)] for of in ((args, kwargs), out))
        if name in {"aten::_to_copy", "aten::copy_"}:
            if len({tensor.is_cuda for tensor in (*given, *made)}) > 1:
                self.note(f"a copy to the {'GPU' if made[0].is_cuda else 'host'}")
        elif len({tensor.is_cuda for tensor in given}) > 1:
            self.note(f"both devices at {name}")
        return out


def _waiting(batch: Callable, chosen: Sequence[Tensor], *how: object) -> tuple[Tensor, Tensor]:
    pixels, labels = batch(chosen, *how)
    return pixels * float(pixels.max()), labels


def _copying(batch: Callable, chosen: Sequence[Tensor], *how: object) -> tuple[Tensor, Tensor]:
    pixels, labels = batch(chosen, *how)
    return pixels * torch.ones(1).to(pixels.device), labels


BATCHES = {"waits": _waiting, "copies": _copying}


def arm_of(levels: dict) -> Arm:
    """An arm of the default study, with a network and levels of factors."""
    study = load_study(ROOT / "config" / "studies" / "digits.yaml")
    own = {key: level for key, level in levels.items() if key != "network"}
    return make_arm(study, own, network=levels.get("network"), recipe={"epochs": 2, "batch_size": BATCH})


def moved(images: Resident, fake: FakeTensorMode) -> Resident:
    """The images on the GPU."""
    there = {key: fake.from_tensor(own).to(GPU.device) for key, own in vars(images).items() if isinstance(own, Tensor)}
    return replace(images, **there)


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
    torch.cuda.current_stream = lambda: None
    torch.cuda.synchronize = lambda: Watch.now.note("all awaited")
    torch.cuda.CUDAGraph = lambda: SimpleNamespace(register_generator_state=lambda stream: None, replay=lambda: None)
    torch.cuda.graph = lambda graph, **how: nullcontext()
    torch._fused_sgd_ = descend
    torch.autograd.grad = gradients
    state.stream = lambda seed, purpose, device: streams.stream(seed, purpose, torch.device("cpu"))


def gradients(loss: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    """The gradient of every parameter, node by node."""
    found_for: dict[int, Tensor] = {}
    upstream = {loss.grad_fn: {0: torch.ones_like(loss)}}
    with torch.no_grad():
        for node in _from_the_loss(loss.grad_fn):
            given = upstream.pop(node, {})
            if hasattr(node, "variable"):
                found_for[id(node.variable)] = given[0]
                continue
            step = node if callable(node) else node.apply
            found = step(*[given.get(number) for number in range(len(node._input_metadata))])
            found = found if isinstance(found, tuple) else (found,)
            for (following, number), gradient in zip(node.next_functions, found, strict=False):
                if following is not None and gradient is not None:
                    meta, own = following._input_metadata[number], upstream.setdefault(following, {})
                    summed = gradient.sum_to_size(meta.shape).to(meta.dtype)
                    own[number] = own[number] + summed if number in own else summed
    return [found_for[id(parameter)] for parameter in parameters]


def _from_the_loss(root: object) -> list:
    """The nodes of the backward pass, each behind all that it needs."""
    order: list = []
    met, left = {root}, [(root, iter(root.next_functions))]
    while left:
        node, following = left[-1]
        for other, _ in following:
            if other is not None and other not in met:
                met.add(other)
                left.append((other, iter(other.next_functions)))
                break
        else:
            order.append(node)
            left.pop()
    return order[::-1]


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
