"""Ways of training several runs: each gives what one run after another gives, within rounding."""

import gc
import math
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from engine import NETWORKS, RUNS, WORDS, assert_same, on, records
from takeoff.common.errors import TakeoffError
from takeoff.engine import fused
from takeoff.engine.fused import FusedStep
from takeoff.engine.state import Epoch, Finished, Training
from takeoff.jobs import trials
from takeoff.jobs.checkpoints import Checkpoints
from takeoff.jobs.hardware import hardware_of
from takeoff.jobs.running import train
from takeoff.jobs.ways import ONE_AFTER_ANOTHER, Way
from takeoff.study.arms import Run


@pytest.mark.parametrize("levels", NETWORKS, ids=WORDS)
def test_fused_runs_give_what_one_after_another_gives(images, arm, hardware, levels: dict) -> None:
    own = arm(**levels)
    expected = records(images, own, hardware, ONE_AFTER_ANOTHER)
    fused = records(images, own, hardware, Way(at_once=3, fused=True))
    assert_same(fused, expected, within=2e-3)
    # The runs differ, so that agreement is no accident.
    losses = {run: own[-1].values["train_loss"] for run, own in expected.items()}
    assert len({round(loss, 4) for loss in losses.values()}) == 3


def test_a_step_that_nobody_has_any_more_is_gone_at_once(images, arm, hardware) -> None:
    """Without a search for garbage, which is rare: on a GPU much memory goes with it."""
    step = FusedStep([Training(images, arm(), run, hardware) for run in RUNS])
    gone = weakref.ref(step)
    gc.disable()
    try:
        del step
        assert gone() is None
    finally:
        gc.enable()


def test_a_run_that_diverges_leaves_its_group_alone(images, arm, hardware) -> None:
    runs = [Run(0, 0.05), Run(1, 1e4), Run(2, 0.05)]
    own = arm({"epochs": 3}, activation="relu")
    expected = records(images, own, hardware, ONE_AFTER_ANOTHER, runs=runs)
    found = records(images, own, hardware, Way(at_once=3, fused=True), runs=runs)
    assert found[runs[1]][-1].values["diverged"]
    assert_same({r: found[r] for r in runs[::2]}, {r: expected[r] for r in runs[::2]}, within=2e-3)


@pytest.mark.parametrize("way", [ONE_AFTER_ANOTHER, Way(3, fused=True)], ids=lambda way: way.name)
def test_what_trained_a_group_is_gone_before_its_last_score(images, arm, hardware, monkeypatch, way: Way) -> None:
    """Which takes memory itself: of a GPU much is a graph's."""
    made: list[weakref.ref] = []
    stepper, finished = Way.stepper, Training.finished

    def makes(own: Way, group: list[Training]) -> object:
        one = stepper(own, group)
        made.append(weakref.ref(one))
        return one

    def scores(training: Training) -> Finished:
        assert made
        assert not any(one() for one in made)
        return finished(training)

    monkeypatch.setattr(Way, "stepper", makes)
    monkeypatch.setattr(Training, "finished", scores)
    monkeypatch.setattr("takeoff.jobs.running.free_gpu_memory", lambda hardware: None)
    gc.disable()
    try:
        assert len(records(images, arm({"epochs": 2}), hardware, way)) == 3
    finally:
        gc.enable()


@pytest.mark.parametrize("seconds", [0, 1e-3], ids=["always", "when it is time"])
def test_a_killed_group_goes_on_from_its_checkpoints(images, arm, hardware, tmp_path, seconds: float) -> None:
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
def test_every_way_on_a_gpu_gives_what_one_after_another_gives(images, arm, levels: dict, way: Way) -> None:
    cuda = hardware_of("cuda", "float32")
    there = on(cuda.device, images)
    own = arm(**levels)
    expected = records(there, own, cuda, ONE_AFTER_ANOTHER)
    assert_same(records(there, own, cuda, way), expected, within=2e-3)
    assert all(math.isfinite(own[-1].values["train_loss"]) for own in expected.values())


@pytest.mark.parametrize("epochs_before", [0, 1])
def test_without_memory_for_all_runs_fewer_train_at_a_time(
    images, arm, hardware, monkeypatch, epochs_before: int
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
    found = records(images, own, hardware, Way(3, fused=True), report=said.append)
    assert said == [f"{own.name}: no memory for 3 runs at a time; now 1"]
    assert_same(found, expected, within=2e-3)  # each epoch once, though some were trained twice
    monkeypatch.setattr(Way, "stepper", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("too large")))
    with pytest.raises(TakeoffError, match="batch_size"):
        list(train(images, own, RUNS[:1], hardware, Checkpoints(), ONE_AFTER_ANOTHER, said.append))


@pytest.mark.parametrize(
    ("way", "line"),
    [
        (Way(3, fused=True, compiled=True), "no compiler; now without torch.compile"),
        (Way(3, fused=True, graph=True), "only a GPU captures graphs; now without graphs"),
    ],
    ids=["compiled", "graph"],
)
def test_where_a_remembered_way_fails_runs_are_trained_without_it(
    images, arm, hardware, monkeypatch, way: Way, line: str
) -> None:
    """A way of another node, whose compiler this one lacks, or of another GPU; a CPU captures no graph at all."""

    def no_compiler(function: Callable) -> Callable:
        raise FileNotFoundError("no compiler\nand much more")

    monkeypatch.setattr(fused, "compile_once", no_compiler)
    own, said = arm({"epochs": 2}), []
    found = records(images, own, hardware, way, report=said.append)
    assert said == [f"{own.name}: {line}"]
    assert_same(found, records(images, own, hardware, Way(3, fused=True)), within=1e-6)


def test_a_compiler_that_fails_leaves_its_way_out(images, arm, hardware, monkeypatch) -> None:
    monkeypatch.setattr(trials, "LONG", 0)
    monkeypatch.setattr(fused, "compile_once", lambda function: Path("/no/such/file").read_text())
    said: list[str] = []
    rates = trials.measured(images, arm(), RUNS, hardware, said.append)
    (compiled,) = (way for way in rates if way.compiled)
    assert rates[compiled] == 0
    assert "compiled does not run here: [Errno 2]" in said[-1]


@pytest.mark.slow  # a compiler takes its half a minute
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler, and there is none here")
@pytest.mark.parametrize(
    ("way", "levels"),
    [
        (Way(compiled=True), {"network": {"family": "plain", "depth": 1}, "norm": "batch", "dropout": 0.2}),
        (Way(3, fused=True, compiled=True), {"norm": "batch", "dropout": 0.5, "augmentation": "flip-crop-colour"}),
    ],
    ids=["one after another", "fused"],
)
def test_compiled_runs_give_what_one_after_another_gives(
    images, arm, hardware, way: Way, levels: dict, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    own = arm(**levels)
    runs = RUNS[: way.at_once]
    expected = records(images, own, hardware, ONE_AFTER_ANOTHER, runs=runs)
    assert_same(records(images, own, hardware, way, runs=runs), expected, within=2e-3)
    assert any(tmp_path.rglob("*.cpp"))  # compiled indeed
