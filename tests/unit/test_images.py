"""Images on disk train as those on the device do, to the bit: read ahead by a thread, whatever becomes of it."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from engine import noise, numbers, records, train
from takeoff.data.prepared import load_prepared
from takeoff.engine import images as engine_images
from takeoff.engine.dataset import Dataset
from takeoff.engine.hardware import Hardware
from takeoff.engine.images import AHEAD, Resident, Streamed
from takeoff.engine.state import Epoch
from takeoff.jobs import loading
from takeoff.jobs.checkpoints import Checkpoints
from takeoff.jobs.running import train as train_runs
from takeoff.jobs.ways import Way
from takeoff.study.arms import Run

RUN = Run(0, 0.02)


@pytest.fixture
def both(tmp_path: Path) -> tuple[Dataset, Dataset]:
    """Noise in colour in memory, and the same on disk."""
    resident = noise(300, 16, 3)
    pixels = resident.images.take(torch.arange(300)).numpy()
    pixels.tofile(tmp_path / "images")
    there = Streamed(np.memmap(tmp_path / "images", np.uint8, "r", shape=pixels.shape), torch.device("cpu"))
    return resident, replace(resident, images=there, test_images=there)


@pytest.mark.parametrize("way", [Way(), Way(3, fused=True), Way(3)], ids=lambda way: way.name)
@pytest.mark.parametrize("how", ["none", "flip-crop", "flip-crop-colour"])
def test_streamed_images_train_as_resident_ones_do(both, arm, hardware: Hardware, how: str, way: Way) -> None:
    resident, streamed = both
    own = arm(augmentation=how, norm="batch", dropout=0.5)
    runs = [Run(seed, 0.02) for seed in range(way.at_once)]
    expected = records(resident, own, hardware, way, runs)
    found = records(streamed, own, hardware, way, runs)
    assert {run: numbers(one) for run, one in found.items()} == {run: numbers(one) for run, one in expected.items()}


def test_a_killed_run_goes_on_in_the_middle_of_a_pass(both, arm, hardware: Hardware, tmp_path: Path) -> None:
    """Whose rest, a third of the images, it keeps."""
    resident, streamed = both
    own = arm({"epochs": 6, "epoch_images": 80, "batch_size": 16}, augmentation="flip-crop")
    kept = Checkpoints(tmp_path, every_seconds=0)
    killed = train_runs(streamed, own, [RUN], hardware, kept)
    for record in killed:
        if isinstance(record, Epoch) and record.values["epoch"] == 4:
            break
    killed.close()
    assert len(list(tmp_path.glob("*.checkpoint"))) == 1
    assert numbers(train(streamed, own, RUN, hardware, kept)) == numbers(train(resident, own, RUN, hardware))


@pytest.mark.parametrize("fault", ["slow", "failing", "gone"])
def test_what_becomes_of_the_thread_changes_no_number(both, arm, hardware, monkeypatch, fault: str) -> None:
    resident, streamed = both
    usual, calls = np.take, [0]

    def take(*arguments: object, **how: object) -> np.ndarray:
        calls[0] += 1
        if fault == "slow":
            time.sleep(0.02)
        if fault == "failing" and calls[0] % 5 == 2:
            raise OSError("the disk is away for a moment")
        return usual(*arguments, **how)

    begin = engine_images._Ahead.begin

    def begins(self: engine_images._Ahead, batches: list) -> None:
        if fault == "gone":
            self.thread.shutdown()
        begin(self, batches)

    own = arm(augmentation="flip-crop")
    expected = numbers(train(resident, own, RUN, hardware))
    monkeypatch.setattr(engine_images.np, "take", take)
    monkeypatch.setattr(engine_images._Ahead, "begin", begins)
    assert numbers(train(streamed, own, RUN, hardware)) == expected
    assert calls[0] >= 10


def test_what_cannot_be_read_ends_the_run(both, arm, hardware, monkeypatch) -> None:
    def take(*_: object, **__: object) -> np.ndarray:
        raise OSError("the disk is gone")

    monkeypatch.setattr(engine_images.np, "take", take)
    with pytest.raises(OSError, match="the disk is gone"):
        train(both[1], arm(), RUN, hardware)


@pytest.mark.parametrize("kind", ["cuda", "cpu", "a given room"])
def test_images_lie_on_the_device_where_both_splits_fit(digits, monkeypatch, kind: str) -> None:
    """Up to the last byte of a share of a GPU's free memory, of what a host keeps, or of what is given."""
    found = load_prepared(digits, 8, "all", 0.2)
    size = found.images.nbytes + found.test_images.nbytes
    monkeypatch.setattr(loading, "on_device", lambda images, labels, test_images, *_, **__: (images, test_images))
    monkeypatch.setattr(loading, "_copied", lambda pixels, device: pixels)

    def kinds(room: int) -> set[type]:
        free = int(np.ceil(room / 0.6))
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 100 * free))
        monkeypatch.setattr(loading, "HOST_MB", room / 10**6)
        device = torch.device("cuda" if kind == "cuda" else "cpu")
        return {type(own) for own in loading.dataset_of(found, device, room if kind == "a given room" else None)}

    assert kinds(size) == {Resident}
    assert kinds(size - 1) == {Streamed}


def test_few_batches_are_in_memory(both) -> None:
    feed = both[1].images.feed()
    feed.begin(list(torch.arange(300).split(10)))
    for part in torch.arange(300).split(10):
        feed.advance()
        assert torch.equal(feed.take(part), both[0].images.take(part))
    assert sum(len(slot.host) for slot in feed.slots) == AHEAD * 10
