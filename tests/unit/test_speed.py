"""The probe: counted operations, interleaved blocks, and the command that measures this machine."""

import csv
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from engine import noise, on, watched
from takeoff.common.files import write_rows
from takeoff.engine import architecture
from takeoff.engine.hardware import Hardware
from takeoff.engine.network import build
from takeoff.jobs.hardware import hardware_of
from takeoff.jobs.ways import Way
from takeoff.speed import rates, timing
from takeoff.speed.rates import activation_bytes, fastest_pass, measured_rates, passes, product, settings
from takeoff.speed.steps import Stepping, time_steps
from takeoff.speed.timing import Timed, Timing, interleaved
from takeoff.study.arms import Arm, Run, make_arm
from takeoff.study.loading import load_study
from takeoff.study.planned import planned_arms
from takeoff.study.settings import Network, Recipe
from torch.utils.flop_counter import FlopCounterMode

CPU = torch.device("cpu")
HARDWARE = Hardware(CPU, "float32", "cpu", 1)
GPU = Hardware(torch.device("cuda"), "float32", "a GPU")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")


@pytest.fixture(autouse=True)
def _same_threads():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def stepping(data, arm) -> Stepping:
    """One run of the arm, ready for its first step."""
    steps = Stepping(data, arm, [Run(0, 0.01, final=False)], HARDWARE, Way(), keep=True)
    steps.ready()
    return steps


# Counted operations ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["a pass", "a step", "a product"])
def test_torch_counts_what_is_counted(study, kind: str) -> None:
    network = Network(width=0.0625, norm="batch", dropout=0.5, response_norm="local", pooling="plain")
    if kind == "a pass":
        timed = passes(Arm(name="x", network=network, recipe=Recipe()), noise(60, 8), 12, HARDWARE)
        expected = 12 * architecture.training_flops(architecture.layers(network, 8, 1, 10))
    elif kind == "a step":
        timed = stepping(noise(60, 8), make_arm(study, {}))
        expected = 48 * architecture.training_flops(architecture.layers(study.network, 8, 1, 10))
    else:
        timed, expected = product(16, HARDWARE), 2 * 16**3  # two operations per term
    with FlopCounterMode(display=False) as counter:
        timed()
    assert counter.get_total_flops() == timed.flops == expected


# The clock ---------------------------------------------------------------------------------------------


class Scripted:
    """An action that takes a known time on a clock of its own, and remembers when it was called."""

    def __init__(self, name, seconds, machine):
        self.name, self.seconds, self.machine, self.hardware = name, seconds, machine, HARDWARE

    def ready(self):
        self.machine.log.append(("ready", self.name))

    def __call__(self):
        self.machine.now += self.seconds
        self.machine.log.append(("call", self.name))

    def release(self):
        self.machine.log.append(("release", self.name))


@pytest.fixture
def machine(monkeypatch):
    made = SimpleNamespace(now=0.0, log=[])
    monkeypatch.setattr(timing.time, "perf_counter", lambda: made.now)
    return made


def test_blocks_are_interleaved_rotated_and_timed_right(machine) -> None:
    actions = [Scripted(name, seconds, machine) for name, seconds in (("a", 0.01), ("b", 0.02), ("c", 3.0))]
    timed = interleaved(actions, seconds=0.6, blocks=6)
    assert [len(blocks) for blocks in timed] == [6, 6, 6]
    for action, blocks in zip(actions, timed, strict=True):
        assert blocks == pytest.approx([action.seconds] * 6)
    order = [name for what, name in machine.log if what == "ready"][3:]
    assert order == list("abcbcacababcbcacab")
    calls = Counter(name for what, name in machine.log if what == "call")
    # Two to begin with; then ten (five) a block and one before them; a slow one just once a block.
    assert calls == {"a": 2 + 6 * 11, "b": 2 + 6 * 6, "c": 2 + 6}
    assert sum(what == "release" for what, _ in machine.log) == 3 * 7


# Steps -------------------------------------------------------------------------------------------------


@pytest.fixture
def study(write_study):
    return load_study(write_study())


def test_a_step_is_the_engines_and_goes_through_every_image(study, monkeypatch) -> None:
    steps = stepping(noise(60, 8), make_arm(study, {}, recipe={"batch_size": 16}))
    (training,) = steps.stepper.steps[0].trainings
    before = [weights.clone() for weights in training.model.parameters()]
    assert list(map(type, training.model)) == list(map(type, build(study.network, 8, 1, 10, 0, CPU)))  # and its order
    seen = watched(monkeypatch)
    for _ in range(4):
        steps()
    assert training.model.training
    assert not all(torch.equal(a, b) for a, b in zip(before, training.model.parameters(), strict=True))
    first = [*seen[0], *seen[1], *seen[2]]
    assert len(set(first)) == 48
    assert set(first) == set(training.training.tolist())  # 12 of the 60 are held out
    assert set(seen[3]) <= set(first)


@pytest.mark.parametrize("room", [True, False], ids=["kept", "built anew"])
def test_every_arm_has_a_row_per_block(study, monkeypatch, tmp_path: Path, room: bool) -> None:
    monkeypatch.setattr("takeoff.speed.steps.MOST_PARAMETERS", 10**9 if room else 0)
    arms = planned_arms(study, {"factorial": [make_arm(study, {"norm": norm}) for norm in ("none", "batch")]})
    groups, stepper = [], Way.stepper
    monkeypatch.setattr(Way, "stepper", lambda way, group: groups.append((way, len(group))) or stepper(way, group))
    rows = time_steps(arms, noise(60, 8), HARDWARE, 0.01, tmp_path)
    # The study's seeds are trained in one network where images have 8 px, and are timed so.
    assert set(groups) == {(Way(len(study.seed_list), fused=True), len(study.seed_list))}
    layers = architecture.layers(arms[0].network, 8, 1, 10)
    assert [(row.name, row.block) for row in rows] == [(arm.name, b) for arm in arms for b in range(6)]
    for row in rows:
        assert (row.kind, row.device, row.threads, row.precision) == ("step", "cpu", 1, "float32")
        assert row.batch == 48
        assert row.flops == 48 * architecture.training_flops(layers)
        assert row.seconds > 0
        assert row.way == f"{len(study.seed_list)} fused"


# Rates -------------------------------------------------------------------------------------------------


def test_large_images_are_passed_in_smaller_batches(study, monkeypatch) -> None:
    layers = architecture.layers(study.network, 8, 1, 10)
    for room in (40 * activation_bytes(layers), 0):
        monkeypatch.setitem(rates.BYTES, "cpu", room)
        assert fastest_pass(make_arm(study, {}), noise(60, 8), HARDWARE, 0.01).batch == 32


def test_bfloat16_is_measured_where_it_is_computed_and_else_left_out_with_the_reason(monkeypatch) -> None:
    for computes in (True, False):
        monkeypatch.setattr("takeoff.jobs.hardware._cpu_computes_bfloat16", lambda c=computes: c)
        chosen, left_out = settings(cuda=False, threads=2)
        measured = {(hardware.threads, hardware.precision) for hardware in chosen}
        assert measured >= {(1, "float32"), (2, "float32")}
        assert ((1, "bfloat16") in measured) == ((2, "bfloat16") in measured) == computes
        absent = [] if computes else [(1, "bfloat16"), (2, "bfloat16")]
        assert [(row.threads, row.precision) for row in left_out] == absent
        assert all(row.note and row.seconds is None for row in left_out)
        # One core is measured once.
        assert [hardware.threads for hardware in settings(cuda=False, threads=1)[0]] == [1] * (1 + computes)


def test_rates_are_of_passes_and_products_of_the_same_settings(study, monkeypatch) -> None:
    monkeypatch.setitem(rates.SIDES, "cpu", (64,))
    monkeypatch.setitem(rates.BATCHES, "cpu", (8, 16))
    monkeypatch.setattr("takeoff.jobs.hardware._cpu_computes_bfloat16", lambda: False)
    rows = measured_rates(study, noise(60, 8), cuda=False, threads=2, seconds=0.01)
    counts = Counter((row.kind, row.threads, row.precision) for row in rows if row.seconds is not None)
    assert counts == {(kind, n, "float32"): 6 for kind in ("training", "matrix") for n in (1, 2)}
    assert {row.flops for row in rows if row.kind == "matrix"} == {2 * 64**3}
    assert all(row.rate == pytest.approx(row.flops / row.seconds) for row in rows if row.seconds is not None)


def test_a_gpus_float32_is_timed_in_full_beside_a_cpus(monkeypatch) -> None:
    """A CPU without tiles sets a precision that would be TensorFloat-32 on a GPU."""
    before, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    monkeypatch.setattr("takeoff.engine.hardware._medium_is_exact", lambda: True)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    try:
        for hardware, precision in ((HARDWARE, "medium"), (GPU, "highest"), (HARDWARE, "medium"), (GPU, "highest")):
            Timed("matrix", "8", hardware, lambda: None, 1).ready()
            assert torch.get_float32_matmul_precision() == precision
        assert not torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.set_float32_matmul_precision(before)
        torch.backends.cudnn.allow_tf32 = convolutions


@needs_gpu
def test_the_gpu_is_measured_in_both_precisions(study, tmp_path: Path) -> None:
    rows = measured_rates(study, noise(60, 8), cuda=True, threads=1, seconds=0.05)
    gpu = [row for row in rows if row.device != "cpu" and row.seconds is not None]
    assert {(row.kind, row.precision) for row in gpu} >= {("training", "float32"), ("matrix", "float32")}
    assert {row.device for row in gpu} == {torch.cuda.get_device_name()}
    arms, hardware = planned_arms(study, {"race": [make_arm(study, {})]}), hardware_of("cuda", "float32")
    assert len(time_steps(arms, on(hardware.device, noise(60, 8)), hardware, 0.05, tmp_path)) == 6


# The command -------------------------------------------------------------------------------------------


def test_what_was_not_measured_is_empty_in_the_table(tmp_path: Path) -> None:
    write_rows(tmp_path / "speed.csv", [Timing("training", "", "cpu", 1, "bfloat16", note="left out")])
    (row,) = csv.DictReader((tmp_path / "speed.csv").open())
    assert row["seconds"] == row["block"] == row["flops"] == ""
    assert row["note"] == "left out"


def test_the_command_measures_this_machine(command, write_study, plan_arms, digits: Path, tmp_path: Path) -> None:
    path = write_study()
    plan_arms(path, tmp_path)
    given = ["--study", path, "--data", digits, "--device", "cpu", "--precision", "float32"]
    speed = tmp_path / "results" / "small" / "speed.csv"
    given += ["--seconds", 0.02, "--threads", 2, "--out", speed, tmp_path / "arms" / "relu"]
    given += [tmp_path / "arms" / "relu+batch"]
    done = command.done("probe", *given)
    with speed.open() as file:
        rows = list(csv.DictReader(file))
    wanted = "kind name device threads precision batch block seconds flops".split()
    assert list(rows[0])[:9] == wanted
    found = Counter((row["kind"], row["threads"]) for row in rows if row["precision"] == "float32")
    assert found.pop(("step", "1")) == 2 * 6
    assert found == {(kind, n): 6 for kind in ("training", "matrix") for n in ("1", "2")}
    assert "GFLOP/s" in done.stdout
    # Another occasion would give other seconds, and be another look at the claims that rest on them.
    first = speed.read_bytes()
    command.done("probe", *given)
    assert speed.read_bytes() == first
    (kept,) = (tmp_path / "results" / "benchmark" / "timings").glob("*.json")
    kept.write_text(kept.read_text()[:-20])  # damaged
    command.done("probe", *given)
    assert speed.read_bytes() != first


def test_the_command_leaves_out_a_gpu_that_torch_has_no_code_for(
    run_here, write_study, plan_arms, digits: Path, tmp_path: Path, monkeypatch
) -> None:
    """As training does: torch sees it all the same."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number=0: "Tesla V100")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda number=0: (7, 0))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_90"])
    monkeypatch.setitem(rates.SIDES, "cpu", (64,))
    monkeypatch.setitem(rates.BATCHES, "cpu", (8,))
    study, speed = write_study(), tmp_path / "results" / "small" / "speed.csv"
    plan_arms(study, tmp_path)
    given = ["--study", study, "--data", digits, "--seconds", 0.01, "--threads", 1, "--out", speed]
    run_here("probe", *given, tmp_path / "arms" / "relu")
    with speed.open() as file:
        found = {(row["kind"], row["device"]) for row in csv.DictReader(file)}
    assert found == {(kind, "cpu") for kind in ("step", "training", "matrix")}
