"""Batches that a stream brings to a GPU, tried without one: streams work late, in any order that events allow."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from takeoff.engine import images as engine_images
from takeoff.engine.images import Streamed

GPU = torch.device("cuda", 0)
PIXELS = np.random.default_rng(0).integers(0, 256, (200, 2, 2, 1), dtype=np.uint8)


class Event:
    """Done when its stream has done what was asked of it before the event was recorded; always if it never was."""

    def __init__(self, gpu: "Gpu") -> None:
        self.gpu, self.stream, self.number = gpu, None, 0

    def record(self, stream: "Stream") -> None:
        self.stream, self.number = stream, stream.asked

    def done(self) -> Callable[[], bool]:
        """Whether what it stands for now is done."""
        stream, number = self.stream, self.number
        return lambda: stream is None or stream.asked - len(stream.work) >= number

    def synchronize(self) -> None:
        done = self.done()
        while not done():
            self.gpu.work()


class Stream:
    """Does its work in order; each piece waits for what it has to."""

    def __init__(self, gpu: "Gpu") -> None:
        self.gpu, self.device, self.asked = gpu, GPU, 0
        self.work: deque[tuple[Callable[[], bool], Callable[[], None]]] = deque()
        gpu.streams.append(self)

    def ask(self, work: Callable[[], None], ready: Callable[[], bool] = lambda: True) -> None:
        with self.gpu.lock:
            self.work.append((ready, work))
            self.asked += 1
        while self.gpu.random.random() < self.gpu.haste:
            self.gpu.work()

    def wait_event(self, event: Event) -> None:
        self.ask(lambda: None, event.done())


class Memory:
    """Of the GPU, or pinned: what is copied there is there when the current stream has done it."""

    def __init__(self, gpu: "Gpu", values: np.ndarray) -> None:
        self.gpu, self.values = gpu, values

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, part: slice) -> "Memory":
        return Memory(self.gpu, self.values[part])

    def numpy(self) -> np.ndarray:
        return self.values

    def copy_(self, source: "Memory", non_blocking: bool) -> None:
        assert non_blocking
        self.gpu.current_stream().ask(lambda: np.copyto(self.values, source.values))


class Gpu:
    """Streams, of which any that has something to do does the next piece."""

    def __init__(self, seed: int) -> None:
        self.random, self.lock, self.streams = Random(seed), threading.RLock(), []
        self.haste = self.random.choice([0.0, 0.3, 0.6])
        self.current, self.default = threading.local(), Stream(self)
        cuda = SimpleNamespace(
            Stream=lambda device: Stream(self),
            Event=lambda: Event(self),
            stream=self.use,
            current_stream=self.current_stream,
        )
        self.torch = SimpleNamespace(empty=self.empty, uint8=torch.uint8, cuda=cuda)

    def work(self) -> bool:
        """Do a piece of work, if there is any."""
        with self.lock:
            ready = [stream for stream in self.streams if stream.work and stream.work[0][0]()]
            if ready:
                self.random.choice(ready).work.popleft()[1]()
            return bool(ready)

    def empty(self, shape: int | tuple[int, ...], **_: object) -> Memory:
        return Memory(self, np.zeros(shape, np.uint8))

    def current_stream(self, device: torch.device = GPU) -> Stream:
        return getattr(self.current, "stream", self.default)

    @contextmanager
    def use(self, stream: Stream) -> Iterator[None]:
        before = self.current_stream()
        self.current.stream = stream
        yield
        self.current.stream = before


@pytest.mark.parametrize("seed", range(20))
def test_every_batch_is_there_when_its_step_reads_it(monkeypatch, seed: int) -> None:
    """Over epochs that are left early, or whose batches are as many as there are slots, or fewer."""
    gpu, random = Gpu(seed), Random(seed)
    monkeypatch.setattr(engine_images, "torch", gpu.torch)
    feed, training = Streamed(PIXELS, GPU).feed(), Stream(gpu)
    expected, found, places = [], [], set()
    for _ in range(4):
        batches = [torch.tensor(random.sample(range(200), 8)) for _ in range(random.randint(1, 12))]
        feed.begin(batches)
        for batch in batches[: random.choice([len(batches), 1 + len(batches) // 2])]:
            with gpu.use(training):
                feed.advance()
                step = gpu.empty((8, 2, 2, 1))
                step.copy_(there := feed.take(batch), non_blocking=True)
            places.add(there.values.ctypes.data)
            expected.append(PIXELS[batch.numpy()])
            found.append(step.values)
    feed.thread.shutdown()
    while gpu.work():
        pass
    assert not any(stream.work for stream in gpu.streams)
    np.testing.assert_array_equal(found, expected)
    assert len(places) == 1  # that a graph captures, in every epoch
