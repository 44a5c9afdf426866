"""Graphs without a GPU: a double records what a step does, operation by operation, and does it again on the same
memory. What a capture would freeze, a batch, a rate or a stream, shows as another loss.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from engine import NETWORKS, WORDS, noise
from takeoff.engine import graphs
from takeoff.engine import images as engine_images
from takeoff.engine.dataset import Dataset
from takeoff.engine.graphs import Graphed, _Captured
from takeoff.engine.images import Streamed, _Ahead, _GpuSlot
from takeoff.engine.state import Training
from takeoff.jobs.ways import Way
from takeoff.study.arms import Run
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

WAYS = [Way(graph=True), Way(3, graph=True), Way(3, fused=True, graph=True)]


class Recorded(TorchDispatchMode):
    """A graph: the operations of a capture, which are done once more at each replay."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.name() == "aten::_local_scalar_dense":
            raise RuntimeError("operation not permitted when stream is capturing")
        out = func(*args, **(kwargs or {}))
        self.done.append((func, args, kwargs or {}, out))
        return out

    def replay(self) -> None:
        with torch._C._AutoDispatchBelowAutograd():  # the backward pass is recorded, too
            self._again()

    def _again(self) -> None:
        for func, args, kwargs, out in self.done:
            fresh = func(*args, **kwargs)
            given = {_memory(tensor) for tensor in tree_leaves((args, kwargs)) if isinstance(tensor, Tensor)}
            for kept, new in zip(tree_leaves(out), tree_leaves(fresh), strict=True):
                if isinstance(kept, Tensor) and _memory(kept) not in given:
                    kept.copy_(new)


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


@contextmanager
def _capture(graph: Recorded, **_: object) -> Iterator[None]:
    with graph:
        yield


def _stream(device: torch.device | None = None) -> SimpleNamespace:
    """One that has done all that it was asked for."""
    return SimpleNamespace(device=device, wait_stream=lambda other: None, wait_event=lambda event: None)


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for what a driver does."""
    cuda = {
        "Stream": _stream,
        "Event": lambda: SimpleNamespace(record=lambda stream: None, synchronize=lambda: None),
        "stream": lambda stream: nullcontext(),
        "current_stream": _stream,
        "synchronize": lambda: None,
        "CUDAGraph": Recorded,
        "graph": _capture,
    }
    for name, stand_in in cuda.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)

    def begun(self: Graphed, steps: list) -> None:
        self.captured = [_Captured(step) for step in steps]

    monkeypatch.setattr(Graphed, "__init__", begun)


def trained(way: Way, arm, images, hardware) -> list[list[float]]:
    """Each run's loss in three epochs, and its weights' sum."""
    runs = [Run(0, 0.02), Run(3, 0.02), Run(7, 0.01)][: way.at_once]
    trainings = [Training(images, arm, run, hardware) for run in runs]
    stepper = way.stepper(trainings)
    losses = []
    for epoch in range(3):
        losses.append(stepper.epoch())
        for training in trainings:
            training.epoch = epoch + 1
    weights = [float(sum(own.detach().double().sum() for own in training.model.parameters())) for training in trainings]
    return [*losses, weights]


@pytest.fixture
def eager_and_graphed(double, arm, hardware) -> Callable[..., tuple]:
    def both(way: Way, **levels: object) -> tuple[list, list]:
        own = arm({"epochs": 3, "batch_size": 32, "warmup_epochs": 1}, **levels)
        images = noise(200, 8)
        alone = Way(way.at_once, way.fused)
        return trained(alone, own, images, hardware), trained(way, own, images, hardware)

    return both


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
@pytest.mark.parametrize("levels", NETWORKS, ids=WORDS)
def test_a_graph_replays_what_steps_do(eager_and_graphed, levels: dict, way: Way) -> None:
    eager, graphed = eager_and_graphed(way, **levels)
    for own, other in zip(graphed, eager, strict=True):
        assert own == pytest.approx(other, rel=1e-5)
    assert len({round(loss, 6) for epoch in eager[:3] for loss in epoch}) == 3 * way.at_once


def first_batch(body: Callable, captured: _Captured) -> None:
    captured.number.zero_()
    body(captured)


def first_rate(body: Callable, captured: _Captured) -> None:
    captured.rates.copy_(captured.rates[:, :1].expand_as(captured.rates))


def masks_of_the_capture(body: Callable, captured: _Captured) -> None:
    seeds = [(mask, mask.get_state()) for training in captured.trainings for mask in training.masks()]
    body(captured)
    for mask, state in seeds:
        mask.set_state(state)


@pytest.mark.parametrize("fault", [first_batch, first_rate, masks_of_the_capture])
def test_what_a_capture_froze_is_found(eager_and_graphed, monkeypatch, fault: Callable) -> None:
    """That the double would show it."""
    body = _Captured._body
    if fault is not masks_of_the_capture:
        monkeypatch.setattr(_Captured, "_body", lambda captured: fault(body, captured))
    else:
        replay = Recorded.replay
        held: list[_Captured] = []
        usual = _Captured._capture

        def capture(captured: _Captured) -> None:
            held.append(captured)
            usual(captured)

        monkeypatch.setattr(_Captured, "_capture", capture)
        monkeypatch.setattr(Recorded, "replay", lambda graph: fault(lambda _: replay(graph), held[0]))
    eager, graphed = eager_and_graphed(WAYS[0], dropout=0.5)
    assert graphed[1] != pytest.approx(eager[1], rel=1e-5)


def test_a_value_read_in_a_capture_is_refused(eager_and_graphed, monkeypatch) -> None:
    usual = graphs._Captured._body

    def reads(captured: _Captured) -> None:
        usual(captured)
        float(captured.total[0])

    monkeypatch.setattr(_Captured, "_body", reads)
    with pytest.raises(RuntimeError, match="not permitted"):
        eager_and_graphed(WAYS[0])


@pytest.fixture
def both(double, monkeypatch, tmp_path: Path) -> tuple[Dataset, Dataset]:
    """Noise in colour on the device, and the same on disk, from where it comes as to a GPU, whose memory is the host's:
    through a thread, the memory of one batch after another, and a buffer.
    """

    def empty(shape: tuple[int, ...], dtype: torch.dtype, **_: object) -> Tensor:
        return torch.empty(shape, dtype=dtype)

    monkeypatch.setattr(engine_images, "torch", SimpleNamespace(empty=empty, uint8=torch.uint8, cuda=torch.cuda))
    resident = noise(200, 8, 3)
    pixels = resident.images.pixels.numpy()
    pixels.tofile(tmp_path / "images")
    there = Streamed(np.memmap(tmp_path / "images", np.uint8, "r", shape=pixels.shape), torch.device("cuda", 0))
    return resident, replace(resident, images=there, test_images=there)


@pytest.fixture
def resident_and_streamed(both, arm, hardware) -> Callable[..., tuple]:
    def each(way: Way, **levels: object) -> tuple[list, list]:
        own = arm({"epochs": 3, "batch_size": 32, "warmup_epochs": 1}, **levels)
        return tuple(trained(way, own, images, hardware) for images in both)

    return each


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
@pytest.mark.parametrize("how", ["none", "flip-crop", "flip-crop-colour"])
def test_a_graph_reads_streamed_images_as_resident_ones(resident_and_streamed, how: str, way: Way) -> None:
    """To the bit: every epoch's batches pass through the memory that its capture has read."""
    resident, streamed = resident_and_streamed(way, augmentation=how, norm="batch", dropout=0.5)
    assert streamed == resident
    assert len({loss for epoch in resident[:3] for loss in epoch}) == 3 * way.at_once


def fresh_buffer(slot: _GpuSlot, buffer: Tensor) -> Tensor:
    return BRING(slot, buffer).clone()


def slots_own_memory(slot: _GpuSlot, buffer: Tensor) -> Tensor:
    BRING(slot, buffer)
    return slot.there


def first_batch_only(feed: _Ahead) -> None:
    if feed.now is None:
        ADVANCE(feed)


BRING, ADVANCE = _GpuSlot.bring, _Ahead.advance
STREAMING_FAULTS = {
    "a fresh buffer": (_GpuSlot, "bring", fresh_buffer),
    "the memory of one batch": (_GpuSlot, "bring", slots_own_memory),
    "the first batch": (_Ahead, "advance", first_batch_only),
}


@pytest.mark.parametrize("fault", STREAMING_FAULTS)
def test_a_graph_that_reads_other_memory_is_found(resident_and_streamed, monkeypatch, fault: str) -> None:
    monkeypatch.setattr(*STREAMING_FAULTS[fault])
    resident, streamed = resident_and_streamed(WAYS[0], augmentation="flip-crop")
    assert streamed[0] != pytest.approx(resident[0], rel=1e-4)
    assert streamed[1] != pytest.approx(resident[1], rel=1e-4)
