"""Ways of training several runs: each gives what one run after another gives, within rounding."""

import gc
import math
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from engine import NETWORKS, WORDS
from records import RUNS, assert_same, records
from takeoff.study.arms import Arm, Run
from takeoff.training.checkpoints import Checkpoints
from takeoff.training.engine import Epoch, Record, train
from takeoff.training.fused import FusedStep
from takeoff.training.hardware import Hardware, choose
from takeoff.training.resident import Resident
from takeoff.training.state import Training
from takeoff.training.ways import ONE_AFTER_ANOTHER, Way


@pytest.mark.parametrize("levels", NETWORKS, ids=WORDS)
def test_fused_runs_give_what_one_after_another_gives(
    images: Resident, arm: Callable[..., Arm], hardware: Hardware, levels: dict
) -> None:
    levels = dict(levels)
    recipe = {"epochs": 2, "augmentation": levels.pop("augmentation", "none")}
    own = arm(recipe, **levels)
    expected = records(images, own, hardware, ONE_AFTER_ANOTHER)
    fused = records(images, own, hardware, Way(at_once=3, fused=True))
    assert_same(fused, expected, within=2e-3)
    # The runs differ, so that agreement is no accident.
    losses = {run: own[-1].values["train_loss"] for run, own in expected.items()}
    assert len({round(loss, 4) for loss in losses.values()}) == 3


def test_a_step_that_nobody_has_any_more_is_gone_at_once(
    images: Resident, arm: Callable[..., Arm], hardware: Hardware
) -> None:
    """Without a search for garbage, which is rare: on a GPU much memory goes with it."""
    step = FusedStep([Training(images, arm(), run, hardware) for run in RUNS])
    gone = weakref.ref(step)
    gc.disable()
    try:
        del step
        assert gone() is None
    finally:
        gc.enable()


def test_a_run_that_diverges_leaves_its_group_alone(
    images: Resident, arm: Callable[..., Arm], hardware: Hardware
) -> None:
    runs = [Run(0, 0.05), Run(1, 1e4), Run(2, 0.05)]
    own = arm({"epochs": 3}, activation="relu")
    expected = records(images, own, hardware, ONE_AFTER_ANOTHER, runs=runs)
    found = records(images, own, hardware, Way(at_once=3, fused=True), runs=runs)
    assert found[runs[1]][-1].values["diverged"]
    assert_same({r: found[r] for r in runs[::2]}, {r: expected[r] for r in runs[::2]}, within=2e-3)


@pytest.mark.parametrize("seconds", [0, 1e-3], ids=["always", "when it is time"])
def test_a_killed_group_goes_on_from_its_checkpoints(
    images: Resident, arm: Callable[..., Arm], hardware: Hardware, tmp_path: Path, seconds: float
) -> None:
    """Runs of a group may stand at different epochs: those behind catch up first."""
    own, fused = arm({"epochs": 4}, norm="batch", dropout=0.5), Way(at_once=3, fused=True)
    whole = records(images, own, hardware, fused)
    kept = Checkpoints(tmp_path, every_seconds=seconds, key=lambda run: f"run-{run.seed}")
    killed = train(images, own, RUNS, hardware, kept, fused)
    for record in killed:
        if isinstance(record, Epoch) and (record.run, record.values["epoch"]) == (RUNS[0], 3):
            break
    killed.close()
    sizes = {path.stat().st_size for path in tmp_path.glob("*.checkpoint")}
    assert len(list(tmp_path.glob("*.checkpoint"))) == 3
    assert max(sizes) < 1.1 * min(sizes)  # each has its own weights, not the group's
    assert_same(records(images, own, hardware, fused, checkpoints=kept), whole, within=2e-3)
    assert not list(tmp_path.glob("*.checkpoint"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")
@pytest.mark.parametrize("levels", NETWORKS, ids=WORDS)
@pytest.mark.parametrize(
    "way",
    [
        Way(graph=True),
        Way(3, graph=True),
        Way(3, fused=True),
        Way(3, fused=True, graph=True),
        Way(compiled=True),
        Way(3, fused=True, graph=True, compiled=True),
    ],
    ids=str,
)
def test_every_way_on_a_gpu_gives_what_one_after_another_gives(
    images: Resident, arm: Callable[..., Arm], levels: dict, way: Way
) -> None:
    cuda = choose("cuda", "float32")
    there = Resident(
        **{k: v.to(cuda.device) if isinstance(v, torch.Tensor) else v for k, v in vars(images).items()}
    )
    levels = dict(levels)
    own = arm({"epochs": 2, "augmentation": levels.pop("augmentation", "none")}, **levels)
    expected = records(there, own, cuda, ONE_AFTER_ANOTHER)
    assert_same(records(there, own, cuda, way), expected, within=2e-3)
    assert all(math.isfinite(own[-1].values["train_loss"]) for own in expected.values())


# Memory ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("epochs_before", [0, 1])
def test_without_memory_for_all_runs_fewer_train_at_a_time(
    images: Resident,
    arm: Callable[..., Arm],
    hardware: Hardware,
    monkeypatch: pytest.MonkeyPatch,
    epochs_before: int,
) -> None:
    own, said = arm({"epochs": 3}), []
    make = Way.stepper

    class Scarce:
        """Trains so many epochs, and then has no memory."""

        def __init__(self, way: Way, trainings: list) -> None:
            self.stepper, self.left = make(way, trainings), epochs_before if len(trainings) > 2 else 99

        def epoch(self, most: int | None = None) -> list[float]:
            if self.left == 0:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            self.left -= 1
            return self.stepper.epoch(most)

    expected = records(images, own, hardware, ONE_AFTER_ANOTHER)

    def scarce(way: Way, trainings: list) -> Scarce:
        return Scarce(way, trainings)

    monkeypatch.setattr(Way, "stepper", scarce)
    told: dict[Run, list[Record]] = {}
    for record in train(images, own, RUNS, hardware, Checkpoints(), Way(3, fused=True), said.append):
        told.setdefault(record.run, []).append(record)
    assert said == [f"{own.name}: no memory for 3 runs at a time; now 1"]
    assert_same(told, expected, within=2e-3)  # each epoch once, though some were trained twice
    monkeypatch.setattr(Way, "stepper", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("too large")))
    with pytest.raises(torch.OutOfMemoryError, match="too large"):
        list(train(images, own, RUNS[:1], hardware, Checkpoints(), ONE_AFTER_ANOTHER, said.append))
