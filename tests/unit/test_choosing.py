"""Which way trains an arm: on a GPU the fastest of those whose steps go where one run after another goes."""

import gc
import math
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from engine import RUNS, noise
from takeoff.engine import fused
from takeoff.engine.fused import FusedStep
from takeoff.engine.hardware import Hardware
from takeoff.engine.network import SeededDropout
from takeoff.engine.state import Training
from takeoff.jobs import choosing, trials
from takeoff.jobs.ways import ONE_AFTER_ANOTHER, Way
from takeoff.study.arms import Arm, Run

GPU = Hardware(torch.device("cuda"), "bfloat16", "a GPU")


def rates(monkeypatch: pytest.MonkeyPatch, rate: Callable[[Way], float]) -> list[Way]:
    """The ways that were measured, in order, from now on; each has this rate."""
    asked: list[Way] = []

    def measure(way: Way, *_: object) -> float:
        asked.append(way)
        return rate(way)

    def here(shape: tuple, arm: Arm, runs: int, images: int, *rest: object) -> dict[Way, float]:
        own = [Run(seed, 0.1) for seed in range(runs)]
        return trials.measured(SimpleNamespace(shape=shape), arm, own, *rest, images)  # type: ignore[arg-type]

    monkeypatch.setattr(trials, "speed", measure)
    monkeypatch.setattr(trials, "moves", lambda way, *_: [torch.ones(2)] * way.at_once)
    monkeypatch.setattr(trials, "free_gpu_memory", lambda hardware: None)
    monkeypatch.setattr(choosing, "tried", here)
    return asked


def test_on_a_cpu_small_steps_are_fused_and_nothing_is_measured(images, arm, hardware, monkeypatch, tmp_path) -> None:
    asked = rates(monkeypatch, lambda way: 1.0)
    many = [Run(seed, 0.1) for seed in range(20)]
    ways = {
        name: choosing.choose_way(images, own, runs, hardware, tmp_path)
        for name, own, runs in (
            ("small", arm(), RUNS),
            ("many", arm(), many),
            ("alone", arm(), RUNS[:1]),
            ("none", arm(), []),
            ("large", arm(width=2.0), RUNS),
        )
    }
    assert ways == {
        "small": Way(3, fused=True),
        "many": Way(choosing.CPU_RUNS, fused=True),
        "alone": ONE_AFTER_ANOTHER,
        "none": ONE_AFTER_ANOTHER,
        "large": ONE_AFTER_ANOTHER,
    }
    assert not asked


def test_the_fastest_way_is_measured_once_for_all_activations(images, arm, monkeypatch, tmp_path) -> None:
    said: list[str] = []
    speed = {(2, True): 90.0, (8, True): 900.0, (16, True): 920.0, (32, True): 930.0, (40, True): 5000.0}

    def rate(way: Way) -> float:
        return speed.get((way.at_once, way.fused), 100.0 * way.at_once if way.fused else 100.0)

    asked = rates(monkeypatch, rate)
    runs = [Run(seed, 0.1) for seed in range(40)]
    chosen = choosing.choose_way(images, arm(), runs, GPU, tmp_path, said.append)
    # Two doublings in a row that gain less than a twentieth end the search: 40 at a time is never tried. One does not.
    assert [way.at_once for way in asked if way.fused] == [2, 4, 8, 16, 32]
    assert [way.at_once for way in asked if way.graph and not way.fused] == [1, 2, 4]
    assert chosen == Way(32, fused=True, graph=True)
    assert "32 fused, graph 930" in said[0]
    asked.clear()
    assert choosing.choose_way(images, arm(activation="tanh"), runs, GPU, tmp_path) == chosen
    assert not asked
    for changed in (arm(norm="batch"), arm({"batch_size": 32})):
        choosing.choose_way(images, changed, runs, GPU, tmp_path, said.append)
        assert asked
        asked.clear()
    for path in tmp_path.glob("*.json"):
        path.write_text("{")
    choosing.choose_way(images, arm(), runs, GPU, tmp_path, said.append)
    assert asked


def test_overlapped_runs_are_tried_on_though_the_best_fused_way_is_faster_at_first(images, arm, monkeypatch) -> None:
    """As where a GPU's grouped convolutions are slow."""
    overlapped = {2: 180.0, 4: 290.0, 8: 420.0, 16: 500.0}
    asked = rates(monkeypatch, lambda way: 300.0 if way.fused else overlapped.get(way.at_once, 100.0))
    found = trials.measured(images, arm(), [Run(seed, 0.1) for seed in range(16)], GPU)
    assert max(found, key=lambda way: found[way]) == Way(16, graph=True)
    assert [way.at_once for way in asked if way.fused] == [2, 4, 8]


def test_all_runs_at_a_time_are_tried_too(images, arm, monkeypatch) -> None:
    asked = rates(monkeypatch, lambda way: 100.0 * way.at_once)
    trials.measured(images, arm(), [Run(seed, 0.1) for seed in range(6)], GPU)
    assert [way.at_once for way in asked if way.fused] == [2, 4, 6]


def test_the_fastest_way_of_a_long_job_is_tried_compiled(images, arm, monkeypatch, tmp_path) -> None:
    """And only of a long one: what compiling takes counts against it."""
    asked = rates(monkeypatch, lambda way: 100.0 * way.at_once * (2 if way.compiled else 1))
    choices = []
    for number, long in enumerate((math.inf, 0.0)):
        monkeypatch.setattr(trials, "LONG", long)
        choices.append(choosing.choose_way(images, arm(), RUNS, GPU, tmp_path / str(number)))
        assert [way for way in asked if way.compiled] == choices[1:]
    assert choices == [Way(3, fused=True, graph=True), Way(3, fused=True, graph=True, compiled=True)]
    asked.clear()
    assert choosing.choose_way(images, arm(), RUNS, GPU, tmp_path / "1") == choices[1]
    assert not asked
    slow = choosing.images_of(images, arm(), RUNS) / 1.0
    monkeypatch.setattr(trials.time, "perf_counter", count(step=slow).__next__)
    assert choosing.choose_way(images, arm(), RUNS, GPU, tmp_path / "2") == choices[0]


def test_where_graphs_do_not_run_fused_runs_do(images, arm, hardware) -> None:
    """With the CPU's own steps: graphs cannot be captured there."""
    said: list[str] = []
    own = trials.measured(images, arm({"warmup_epochs": 1}, dropout=0.5), RUNS, hardware, said.append)
    assert all(rate > 0 for way, rate in own.items() if not way.graph)
    assert {way.at_once for way in own if way.fused} == {2, 3}
    assert [line for line in said if "does not run here" in line] == said
    assert "one after another, graph does not run here" in said[0]


def test_ways_are_compared_in_float32_and_timed_in_the_runs_precision(images, arm, monkeypatch) -> None:
    """In bfloat16 two right ways can be a third apart."""
    rates(monkeypatch, lambda way: 1.0)
    seen: dict[str, set] = {"moves": set(), "speed": set()}
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    for setting in ("benchmark", "deterministic", "allow_tf32"):
        monkeypatch.setattr(torch.backends.cudnn, setting, getattr(torch.backends.cudnn, setting))

    def moves(way: Way, data: object, arm: Arm, runs: Sequence[Run], hardware: Hardware) -> list[torch.Tensor]:
        seen["moves"].add((hardware.precision, torch.backends.cudnn.allow_tf32))
        return [torch.ones(2)] * way.at_once

    def speed(way: Way, data: object, arm: Arm, runs: Sequence[Run], hardware: Hardware) -> float:
        seen["speed"].add((hardware.precision, torch.backends.cudnn.allow_tf32))
        return 1.0

    monkeypatch.setattr(trials, "moves", moves)
    monkeypatch.setattr(trials, "speed", speed)
    trials.measured(images, arm(), RUNS, GPU)
    assert seen == {"moves": {("float32", False)}, "speed": {("bfloat16", True)}}


def test_another_order_of_sums_is_no_fault(images, arm, hardware, monkeypatch) -> None:
    """Kernels that add up half of a product's terms after the other half, of a network whose rounding grows fastest."""

    class InHalves:
        """Torch's functions, and convolutions in two halves."""

        def __getattr__(self, name: str) -> object:
            return getattr(torch.nn.functional, name)

        def conv2d(self, values, weight, bias, *how: object, groups: int) -> torch.Tensor:
            if weight.shape[1] < 2:
                return torch.nn.functional.conv2d(values, weight, bias, *how, groups=groups)
            each, half = values.unflatten(1, (groups, -1)), weight.shape[1] // 2
            parts = ((each[:, :, :half], weight[:, :half]), (each[:, :, half:], weight[:, half:]))
            first, second = (
                torch.nn.functional.conv2d(v.flatten(1, 2), w, None, *how, groups=groups) for v, w in parts
            )
            return first + second if bias is None else first + second + bias[:, None, None]

    photographs, way = noise(600, 32, 3), Way(3, fused=True)
    own = arm({"batch_size": 64, "warmup_epochs": 0}, activation="relu", norm="batch", width=0.25)
    runs = [replace(run, learning_rate=rate) for run, rate in zip(RUNS, trials.RATES, strict=True)]
    expected = trials.moves(way, photographs, own, runs, hardware)
    monkeypatch.setattr(fused, "functional", InHalves())
    found = trials.moves(way, photographs, own, runs, hardware)
    off = max(trials.distance(*pair) for pair in zip(found, expected, strict=True))
    assert off > 0.02
    monkeypatch.setattr(trials, "speed", lambda *_: 1.0)
    rates = trials.measured(photographs, own, runs, hardware)
    assert all(rate > 0 for way, rate in rates.items() if way.fused)


def test_trials_on_one_gpu_wait_for_each_other(images, arm, monkeypatch, tmp_path) -> None:
    """Of different choices, too."""
    beside, most, lock = [0], [0], threading.Lock()

    def tried(*_: object) -> dict[Way, float]:
        with lock:
            beside[0] += 1
            most[0] = max(most[0], beside[0])
        time.sleep(0.3)
        with lock:
            beside[0] -= 1
        return {ONE_AFTER_ANOTHER: 1.0}

    monkeypatch.setattr(choosing, "tried", tried)
    monkeypatch.setattr(choosing.tempfile, "gettempdir", lambda: str(tmp_path))
    with ThreadPoolExecutor(3) as pool:
        choices = [arm(norm=norm, dropout=rate) for norm, rate in (("none", 0), ("batch", 0), ("batch", 0.5))]
        waiting = [pool.submit(choosing.choose_way, images, one, RUNS, GPU, tmp_path / "ways") for one in choices]
        assert [one.result() for one in waiting] == [ONE_AFTER_ANOTHER] * 3
    assert most == [1]


def test_a_trial_has_a_process_of_its_own(arm, hardware, tmp_path) -> None:
    """Where graphs cannot be captured, the rest is measured; where nothing comes back, nothing is chosen."""
    said: list[str] = []
    own = trials.tried((8, 1, 10), arm(), 2, 1000, hardware, said.append)
    assert {way.name for way, rate in own.items() if rate} == {"one after another", "2 fused"}
    assert "graph does not run here" in said[0]
    assert trials.tried((7, 1, 10), arm(), 2, 1000, hardware, said.append) == {}
    assert "the trial of ways ended with status" in said[-1]


def test_on_a_gpu_that_lets_one_process_in_the_trial_is_made_in_this_one(arm, monkeypatch) -> None:
    made: list[tuple] = []

    def measured(data: object, own: Arm, runs: list[Run], *rest: object) -> dict[Way, float]:
        made.append((data, own.train_samples, len(runs), rest[-1]))
        return {ONE_AFTER_ANOTHER: 7.0}

    def elsewhere(*_: object, **__: object) -> None:
        raise ChildProcessError

    monkeypatch.setattr(trials, "lets_one_in", lambda number: number == 1)
    monkeypatch.setattr(trials, "noise", lambda *shape: shape)
    monkeypatch.setattr(trials, "measured", measured)
    monkeypatch.setattr(trials.subprocess, "run", elsewhere)
    shape, second = (8, 1, 10), replace(GPU, device=torch.device("cuda", 1))
    own = arm(train_samples=50)
    assert trials.tried(shape, own, 2, 1000, second) == {ONE_AFTER_ANOTHER: 7.0}
    assert made == [((shape, own.recipe.batch_size, second.device), None, 2, 1000)]
    with pytest.raises(ChildProcessError):
        trials.tried(shape, own, 2, 1000, replace(GPU, device=torch.device("cuda", 0)))


@pytest.mark.parametrize("place", ["noise", "measured"])
def test_a_trial_in_this_process_that_has_no_memory_leaves_it_to_the_runs(
    place: str, arm, monkeypatch, tmp_path
) -> None:
    """They train one after another, as where a trial's own process ends; what it held is free, and the next job tries
    again.
    """
    held: list[weakref.ref] = []
    freed: list[bool] = []
    said: list[str] = []

    def fails(*_: object) -> None:
        images = np.zeros(8)
        held.append(weakref.ref(images))
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 7 GiB\nand much more")

    monkeypatch.setattr(trials, "lets_one_in", lambda number: True)
    monkeypatch.setattr(trials, "noise", lambda *_: None)
    monkeypatch.setattr(trials, place, fails)
    monkeypatch.setattr(trials, "free_gpu_memory", lambda hardware: freed.append(held[-1]() is None))
    own, data = arm(), SimpleNamespace(shape=(8, 1, 10), split=lambda samples, seed: (range(500), range(100)))
    gc.disable()
    try:
        for _ in range(2):
            chosen = choosing.choose_way(data, own, RUNS, GPU, tmp_path, said.append)  # type: ignore[arg-type]
            assert chosen == ONE_AFTER_ANOTHER
    finally:
        gc.enable()
    words = "the trial of ways failed: CUDA out of memory. Tried to allocate 7 GiB; runs train one after another"
    assert said == [f"{own.name}: {words}"] * 2
    assert freed == [True, True]
    assert not [*tmp_path.glob("*.json")]


def no_update(step: FusedStep) -> None:
    for training in step.trainings:
        training.rates = lambda: [0.0] * step.trainings[0].steps_per_epoch  # type: ignore[method-assign]


def anothers_masks(step: FusedStep) -> None:
    module = next(m for m in step.models[1] if isinstance(m, SeededDropout))
    module.generator.manual_seed(7)


def anothers_rate(step: FusedStep) -> None:
    for training in step.trainings:
        training.rates = step.trainings[0].rates  # type: ignore[method-assign]


def anothers_images(step: FusedStep) -> None:
    step.trainings[1].order.manual_seed(7)


@pytest.mark.parametrize("fault", [no_update, anothers_masks, anothers_rate, anothers_images])
def test_a_way_whose_steps_are_others_is_left_out(
    fault: Callable[[FusedStep], None], images, arm, hardware, monkeypatch
) -> None:
    """A recipe whose warm-up hides what a step does, and faults that the loss of a few steps would not show."""
    rightly = FusedStep.__init__

    def wrongly(step: FusedStep, trainings: Sequence[Training], compiled: bool) -> None:
        rightly(step, trainings, compiled)
        fault(step)

    monkeypatch.setattr(FusedStep, "__init__", wrongly)
    said: list[str] = []
    own = trials.measured(images, arm({"warmup_epochs": 1}, dropout=0.5), RUNS, hardware, said.append)
    assert [way for way, rate in own.items() if rate] == [ONE_AFTER_ANOTHER]
    assert "fused is left out: a run's first steps are" in said[-1]


def test_without_memory_no_way_is_worth_anything(images, arm, hardware, monkeypatch) -> None:
    monkeypatch.setattr(Way, "stepper", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("too large")))
    assert set(trials.measured(images, arm(), RUNS, hardware).values()) == {0.0}


@pytest.mark.parametrize(
    ("move", "expected", "agree"),
    [(1.1, 1.0, True), (1.5, 1.0, False), (math.nan, 1.0, False), (1.0, math.inf, False), (math.nan,) * 2 + (True,)],
)
def test_runs_that_are_no_numbers_agree_with_none_that_are(move: float, expected: float, agree: bool) -> None:
    off = trials.distance(torch.full((3,), move), torch.full((3,), expected))
    assert (off <= trials.AGREE) is agree


def test_where_nothing_runs_nothing_is_remembered(images, arm, monkeypatch, tmp_path) -> None:
    asked = rates(monkeypatch, lambda way: 0.0)
    memory = tmp_path / "ways"
    assert choosing.choose_way(images, arm(), RUNS, GPU, memory) == ONE_AFTER_ANOTHER
    assert asked == [ONE_AFTER_ANOTHER, Way(graph=True)]
    assert not [*memory.glob("*.json")]
