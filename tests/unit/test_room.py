"""How much memory a run needs beside the images: what is estimated is held against tensors that lived at one time."""

import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from engine import noise
from takeoff.data.prepared import load_prepared
from takeoff.engine.evaluation import evaluate
from takeoff.engine.hardware import Hardware
from takeoff.engine.images import Resident, Streamed
from takeoff.engine.state import Training
from takeoff.jobs import command as job_command
from takeoff.jobs import loading
from takeoff.jobs.room import needed_by
from takeoff.jobs.ways import ONE_AFTER_ANOTHER
from takeoff.study.arms import Arm, Run
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

IMAGES, SIDE, SCORED = 600, 32, 520
"""A CPU scores so many images at a time."""
MOST = 3
"""Times what is measured, which an estimate may be: in bfloat16 half of its numbers are smaller."""


class Memory(TorchDispatchMode):
    """Bytes of the tensors that are alive, of every operation, and the most that there were."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.alive: dict[int, weakref.ref] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                self.count(tensor.untyped_storage())
        return made

    def count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self.alive:
            return
        self.now += size
        self.most = max(self.most, self.now)

        def gone(_: weakref.ref) -> None:
            self.now -= size
            del self.alive[key]

        self.alive[key] = weakref.ref(storage, gone)


def test_memory_is_counted_as_long_as_a_tensor_or_a_view_of_it_lives() -> None:
    with Memory() as memory:
        one = torch.zeros(1000)
        view = one[:2]
        both = one + 1
        del one
        assert memory.now == 8000
        del view, both
        torch.zeros(10)
    assert (memory.now, memory.most) == (0, 8000)


NARROW = {"width": 0.125}


@pytest.mark.parametrize(
    ("batch", "half", "network", "levels"),
    [
        (64, False, {"family": "four-layer"}, {}),  # a score takes the most
        (64, False, NARROW, {"activation": "tanh", "response_norm": "local"}),
        (600, False, NARROW, {"norm": "batch", "dropout": 0.5, "augmentation": "flip-crop-colour"}),  # a step does
        (600, True, NARROW, {"norm": "batch", "activation": "gelu"}),
        (600, False, {"family": "plain", "depth": 3}, {"dropout": 0.2}),
        (8, False, {"family": "plain", "depth": 1, "width": 16.0}, {}),  # weights do
    ],
    ids=["four layers", "response norm", "batch norm", "bfloat16", "plain", "weights"],
)
def test_a_run_needs_no_more_than_is_estimated_and_a_third_of_it_at_least(
    arm, batch: int, half: bool, network: dict, levels: dict
) -> None:
    own = arm({"batch_size": batch, "epochs": 1}, network=network, **levels)
    cpu = Hardware(torch.device("cpu"), "bfloat16" if half else "float32", "cpu", 1)
    data = noise(IMAGES + IMAGES // 4, SIDE, 3)  # a fifth is held out
    with Memory() as memory:
        training = Training(data, own, Run(0, 0.01), cpu)
        assert training.batch_size == batch
        ONE_AFTER_ANOTHER.stepper([training]).epoch(1)
        evaluate(training.model, data, data.images, data.labels, torch.arange(SCORED), cpu)
    assert memory.most <= needed_by(own, data.shape, IMAGES, "cpu") <= MOST * memory.most


def test_a_gpu_scores_more_images_at_a_time(arm) -> None:
    own = arm({"batch_size": 8}, network={"family": "four-layer"})
    cpu, gpu = (needed_by(own, (SIDE, 3, 10), IMAGES, kind) for kind in ("cpu", "cuda"))
    assert 3 < gpu / cpu < 2000 / SCORED


@pytest.mark.parametrize("short", [0, 1])
def test_images_leave_a_gpu_the_room_that_a_run_needs(digits, arm, monkeypatch, short: int) -> None:
    """To the last byte: the wider of two networks needs more than the share that is left anyhow."""
    found = load_prepared(digits, 8, "all", 0.2)
    size, shape = found.images.nbytes + found.test_images.nbytes, (8, 1, 10)
    arms = [arm(width=0.0625), arm(width=1.0)]
    needs = [needed_by(own, shape, len(found.images), "cuda") for own in arms]
    assert needs[0] < needs[1] > size
    monkeypatch.setattr(loading, "on_device", lambda images, *_, **__: images)
    monkeypatch.setattr(loading, "_copied", lambda pixels, device: pixels)

    def kind(arms: list[Arm], free: int, room: int | None = None) -> type:
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 100 * free))
        return type(loading.dataset_of(found, torch.device("cuda"), room, arms))

    expected = Streamed if short else Resident
    assert kind(arms, size + needs[1] - short) is expected
    assert kind(arms[::-1], size + needs[1] - short) is expected
    assert kind(arms[:1], size + needs[1] - short) is Resident
    assert kind([], int(np.ceil(size / loading.SHARE)) - short) is expected
    assert kind(arms, needs[1] // 2) is Streamed
    assert kind(arms, needs[1] // 2, room=size - short) is expected  # where the configuration says how much


def test_a_job_leaves_room_for_each_of_its_arms(
    digits, write_study: Callable[..., Path], plan_arms, tmp_path, monkeypatch
) -> None:
    """Of those that share the images."""
    plan_arms(write_study(), tmp_path)
    seen: list[list[str]] = []

    def dataset(found: object, device: object, room: int | None, arms: list) -> None:
        assert (str(device), room) == ("cpu", 7_000_000)
        seen.append([arm.name for arm in arms])

    monkeypatch.setattr(loading, "dataset_of", dataset)
    given = SimpleNamespace(
        arms=sorted((tmp_path / "arms").iterdir()),
        data=digits,
        device="cpu",
        precision="auto",
        threads=1,
        gpus_per_run=1,
        image_memory_mb=7,
        checkpoint_minutes=10,
    )
    names = [job.arm.name for job in job_command.jobs(given)]  # type: ignore[arg-type]
    assert seen == [names]
    assert len(names) == 2
