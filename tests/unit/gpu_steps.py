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

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch._dynamo  # noqa: E402
from engine import NETWORKS, WORDS, noise  # noqa: E402
from takeoff.engine import fused, layers, network, state, streams  # noqa: E402
from takeoff.engine.dataset import Dataset  # noqa: E402
from takeoff.engine.fused import FusedStep  # noqa: E402
from takeoff.engine.images import Resident  # noqa: E402
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
MANY = 1_000_000
"""Images of a set that fills much of a GPU."""


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
    for levels, words in zip(NETWORKS, WORDS, strict=True):
        print("traced", words, json.dumps(traced(images, arm_of(levels))), sep="\t")
    fused.flattened_apart = lambda maps, runs: layers.flattened_apart(maps * float(maps.max()), runs)
    print("traced", "reads", json.dumps(traced(images, arm_of(NETWORKS[0]))), sep="\t")
    print("largest", "of a run's beginning and end", json.dumps(largest(images, arm_of(NETWORKS[0]))), sep="\t")


def traced(images: Dataset, arm: Arm) -> dict[str, int | str]:
    """The operations of a fused forward pass by the device of what they give, as torch.compile traces it: in one graph,
    or the error that says why not.
    """
    found: Counter[str] = Counter()

    def read(graph: torch.fx.GraphModule, _: object) -> Callable:
        given = [node.meta.get("example_value") for node in graph.graph.nodes]
        found.update(str(own.device) for own in given if isinstance(own, Tensor))
        return graph.forward

    compile_once, available = fused.compile_once, torch.cuda.is_available
    fused.compile_once = partial(torch.compile, backend=read, fullgraph=True, dynamic=False)
    with FakeTensorMode(allow_non_fake_inputs=True) as fake:
        state.build = partial(built, fake)
        step = FusedStep([Training(moved(images, fake), arm, Run(seed, 0.05), GPU) for seed in range(3)], compiled=True)
        chosen = step.epoch()
        step.feed.advance()
        pixels, labels = step.batch([own.step(0) for own in chosen])
        masks = step._masks(len(pixels))
        # The compiler would ask a driver for its streams.
        torch.cuda.is_available = torch.accelerator.is_available = lambda: False
        try:
            step.compiled(pixels, labels, masks)
        except Exception as error:
            return {type(error).__name__: 1}
        finally:
            torch._dynamo.reset()
            fused.compile_once, torch.cuda.is_available = compile_once, available
    return dict(found)


def largest(few: Dataset, arm: Arm) -> dict[str, int]:
    """Bytes of a GPU's images, so many that they fill half of it, and of the largest tensor that a run makes besides,
    as it begins and ends with a score of them all.
    """
    torch.Tensor.numpy = lambda own: np.zeros(own.shape, (own.dtype.is_floating_point and np.float32) or bool)
    torch.Tensor.tolist = lambda own: own
    with FakeTensorMode() as fake:
        state.build = partial(built, fake)
        there = moved(few, fake)
        pixels = torch.empty((MANY, SIDE, SIDE, 3), dtype=torch.uint8, device=GPU.device)
        labels = np.arange(MANY, dtype=np.int64) % 10
        on_gpu = torch.empty(MANY, dtype=torch.int64, device=GPU.device)
        there = replace(there, images=Resident(pixels), labels=on_gpu, labels_on_host=labels)
        with Watch() as watch:
            training = Training(there, arm, Run(0, 0.05), GPU)
            training.begin()
            training.epoch = arm.recipe.epochs
            training.finished()
    return {"images": pixels.nbytes, "made": watch.largest}


def tell(words: str, images: Dataset, arm: Arm, how: str = "") -> None:
    """A line for each way."""
    for way in WAYS:
        print(words, way.name, json.dumps(seen(images, arm, way, how)), sep="\t")


def seen(images: Dataset, arm: Arm, way: Way, how: str) -> dict[str, int]:
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
        self.largest = 0
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
        made_here = [t for t in tree_leaves(out) if isinstance(t, Tensor) and t.is_cuda and not t._is_view()]
        self.largest = max([self.largest, *(tensor.nbytes for tensor in made_here)])
        given, made = ([t for t in tree_leaves(of) if isinstance(t, Tensor)] for of in ((args, kwargs), out))
        if name in {"aten::_to_copy", "aten::copy_"}:
            if len({tensor.is_cuda for tensor in (*given, *made)}) > 1:
                self.note(f"a copy to the {'GPU' if made[0].is_cuda else 'host'}")
        elif len({tensor.is_cuda for tensor in given}) > 1:
            self.note(f"both devices at {name}")
        return out


def _waiting(batch: Callable, *what: object) -> tuple[Tensor, Tensor]:
    pixels, labels = batch(*what)
    return pixels * float(pixels.max()), labels


def _copying(batch: Callable, *what: object) -> tuple[Tensor, Tensor]:
    pixels, labels = batch(*what)
    return pixels * torch.ones(1).to(pixels.device), labels


BATCHES = {"waits": _waiting, "copies": _copying}


def arm_of(levels: dict) -> Arm:
    """An arm of the default study, with a network and levels of factors."""
    study = load_study(ROOT / "config" / "studies" / "digits.yaml")
    own = {key: level for key, level in levels.items() if key != "network"}
    return make_arm(study, own, network=levels.get("network"), recipe={"epochs": 2, "batch_size": BATCH})


def moved(images: Dataset, fake: FakeTensorMode) -> Dataset:
    """The images on the GPU."""
    there = {key: fake.from_tensor(own).to(GPU.device) for key, own in vars(images).items() if isinstance(own, Tensor)}
    for key in ("images", "test_images"):
        there[key] = Resident(fake.from_tensor(getattr(images, key).pixels).to(GPU.device))
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


def gradients(of: Tensor, wanted: Tensor | Sequence[Tensor], **_: object) -> list[Tensor]:
    """The gradient of every parameter that is wanted, or of what a layer gave, node by node."""
    wanted = [wanted] if isinstance(wanted, Tensor) else wanted
    places = {(own.grad_fn, own.output_nr): id(own) for own in wanted if own.grad_fn is not None}
    found_for: dict[int, Tensor] = {}
    upstream = {of.grad_fn: {of.output_nr: torch.ones_like(of)}}
    with torch.no_grad():
        for node in _from_the_loss(of.grad_fn):
            given = upstream.pop(node, {})
            found_for |= {places[node, number]: own for number, own in given.items() if (node, number) in places}
            if hasattr(node, "variable"):
                found_for[id(node.variable)] = given[0]
                continue
            if all(id(own) in found_for for own in wanted):
                break
            step = node if callable(node) else node.apply
            found = step(*[given.get(number) for number in range(len(node._input_metadata))])
            found = found if isinstance(found, tuple) else (found,)
            for (following, number), gradient in zip(node.next_functions, found, strict=False):
                if following is not None and gradient is not None:
                    meta, own = following._input_metadata[number], upstream.setdefault(following, {})
                    summed = gradient.sum_to_size(meta.shape).to(meta.dtype)
                    own[number] = own[number] + summed if number in own else summed
    return [found_for[id(own)] for own in wanted]


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
