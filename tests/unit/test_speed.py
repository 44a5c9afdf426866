"""The probe: counted operations, interleaved blocks, and the command that measures this machine."""

import csv
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from takeoff.models import architecture
from takeoff.models.network import build
from takeoff.probing import clock, rates
from takeoff.probing.clock import interleaved
from takeoff.probing.rates import Passes, Product, activation_bytes, fastest_pass, measured_rates, settings
from takeoff.probing.steps import Stepping, time_steps
from takeoff.probing.table import Row, write_rows
from takeoff.study.arms import Run, make_arm
from takeoff.study.loading import load_study
from takeoff.study.settings import Network
from takeoff.training.hardware import Hardware, choose
from takeoff.training.resident import on_device
from torch.utils.flop_counter import FlopCounterMode

CPU = torch.device("cpu")
HARDWARE = Hardware(CPU, "float32", "cpu", 1)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")


@pytest.fixture(autouse=True)
def _same_threads():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def made_up(images=60, side=8, classes=10):
    """Noise as a dataset."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (images, side, side, 1), dtype=np.uint8)
    labels = np.arange(images, dtype=np.int64) % classes
    card = {"mean": [0.5], "std": [0.3], "digest": "made-up", "classes": [str(c) for c in range(classes)]}
    return on_device((pixels, labels), (pixels, labels), card, 0.2, CPU)


def forward(model, size):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(size))
    return counter.get_total_flops()


# Counted operations ------------------------------------------------------------------------------------


def test_alexnet_at_224_px_is_0_71_gmac_and_as_torchvision_counts(monkeypatch) -> None:
    from torchvision.models import alexnet

    # Shapes are enough to count: no weight is drawn.
    monkeypatch.setattr("takeoff.models.network.initialise", lambda *given: None)
    layers = architecture.layers(Network(), 224, 3, 1000)
    with torch.device("meta"):
        ours = forward(build(Network(), 224, 3, 1000, 0, torch.device("meta")).eval(), (1, 3, 224, 224))
        theirs = forward(alexnet(weights=None).eval(), (1, 3, 224, 224))
    assert ours == theirs == architecture.forward_flops(layers)
    assert ours / 2e9 == pytest.approx(0.71, abs=0.005)


@pytest.mark.parametrize(
    "network",
    [
        Network(width=0.0625),
        Network(width=0.0625, norm="batch", dropout=0.5, response_norm="local", pooling="plain"),
        Network(family="four-layer", width=0.25, activation="tanh"),
        Network(family="plain", depth=3, width=0.1, activation="sigmoid"),
    ],
    ids=["alexnet", "alexnet-all", "four-layer", "plain"],
)
def test_torch_counts_what_the_plan_counts_forward_and_backward(network: Network) -> None:
    layers = architecture.layers(network, 8, 1, 10)
    passes = Passes(network, made_up(), 12, HARDWARE)
    with FlopCounterMode(display=False) as counter:
        passes()
    assert passes.flops() == counter.get_total_flops() == 12 * architecture.training_flops(layers)


def test_steps_are_timed_in_the_papers_order(study) -> None:
    steps = Stepping(made_up(), make_arm(study, {}), Run(0, 0.01, final=False), HARDWARE)
    steps.ready()
    kinds = [type(module).__name__ for module in steps.training.model]
    poolings = [place for place, kind in enumerate(kinds) if kind == "MaxPool2d"]
    assert len(poolings) == 2
    assert all(kinds[place - 1] in {"ReLU", "Tanh", "Sigmoid"} for place in poolings)


def test_torch_counts_what_is_counted_of_a_step(study) -> None:
    arm = make_arm(study, {"norm": "batch"})
    steps = Stepping(made_up(), arm, Run(0, 0.01, final=False), HARDWARE)
    steps.ready()
    with FlopCounterMode(display=False) as counter:
        steps()
    assert steps.flops() == counter.get_total_flops() > 0


def test_a_product_is_two_operations_per_term() -> None:
    product = Product(16, HARDWARE)
    with FlopCounterMode(display=False) as counter:
        product()
    assert counter.get_total_flops() == product.flops() == 2 * 16**3
    assert torch.allclose(product.out, product.one @ product.other)


# The clock ---------------------------------------------------------------------------------------------


class Scripted:
    """An action that takes a known time on a clock of its own, and remembers when it was called."""

    def __init__(self, name, seconds, machine):
        self.name, self.seconds, self.machine, self.device = name, seconds, machine, CPU

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
    monkeypatch.setattr(clock.time, "perf_counter", lambda: made.now)
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


def test_a_step_is_the_engines_and_goes_through_every_image(study) -> None:
    data, arm = made_up(images=60), make_arm(study, {}, recipe={"batch_size": 16})
    steps = Stepping(data, arm, Run(0, 0.01, final=False), HARDWARE)
    steps.ready()
    before = [weights.clone() for weights in steps.training.model.parameters()]
    seen = []
    batch = steps.data.batch
    object.__setattr__(data, "batch", lambda chosen, *how: (seen.append(chosen[0]), batch(chosen, *how))[1])
    for _ in range(4):
        steps()
    assert steps.training.model.training
    assert not all(torch.equal(a, b) for a, b in zip(before, steps.training.model.parameters(), strict=True))
    first = torch.cat(seen[:3]).tolist()
    assert len(set(first)) == 48
    assert set(first) == set(steps.training.training.tolist())  # 12 of the 60 are held out
    assert set(seen[3].tolist()) <= set(first)


@pytest.mark.parametrize("room", [True, False], ids=["kept", "built anew"])
def test_every_arm_has_a_row_per_block(study, monkeypatch, room: bool) -> None:
    monkeypatch.setattr("takeoff.probing.steps.MOST_PARAMETERS", 10**9 if room else 0)
    arms = [make_arm(study, {"norm": norm}) for norm in ("none", "batch")]
    rows = time_steps(study, arms, made_up(), HARDWARE, seconds=0.01)
    layers = architecture.layers(arms[0].network, 8, 1, 10)
    assert [(row.name, row.block) for row in rows] == [(arm.name, b) for arm in arms for b in range(6)]
    for row in rows:
        assert (row.kind, row.device, row.threads, row.precision, row.batch) == (
            "step",
            "cpu",
            1,
            "float32",
            48,
        )
        assert row.flops == 48 * architecture.training_flops(layers)
        assert row.seconds > 0


# Rates -------------------------------------------------------------------------------------------------


def test_large_images_are_passed_in_smaller_batches(study, monkeypatch) -> None:
    layers = architecture.layers(study.network, 8, 1, 10)
    monkeypatch.setitem(rates.BYTES, "cpu", 40 * activation_bytes(layers))
    assert fastest_pass(study.network, made_up(), HARDWARE, 0.01).action.batch == 32
    monkeypatch.setitem(rates.BYTES, "cpu", 0)
    assert fastest_pass(study.network, made_up(), HARDWARE, 0.01).action.batch == 32


def test_bfloat16_is_measured_where_it_is_computed_and_else_left_out_with_the_reason(monkeypatch) -> None:
    for computes in (True, False):
        monkeypatch.setattr("takeoff.training.hardware._cpu_computes_bfloat16", lambda c=computes: c)
        chosen, left_out = settings(cuda=False, threads=2)
        measured = {(hardware.threads, hardware.precision) for hardware in chosen}
        assert measured >= {(1, "float32"), (2, "float32")}
        assert ((1, "bfloat16") in measured) == ((2, "bfloat16") in measured) == computes
        assert [(row.threads, row.precision) for row in left_out] == [(1, "bfloat16"), (2, "bfloat16")] * (
            not computes
        )
        assert all("emulate" in row.note and row.seconds is None for row in left_out)


def test_one_core_is_measured_once(monkeypatch) -> None:
    monkeypatch.setattr("takeoff.training.hardware._cpu_computes_bfloat16", lambda: True)
    assert [hardware.threads for hardware in settings(cuda=False, threads=1)[0]] == [1, 1]


def test_rates_are_of_passes_and_products_of_the_same_settings(study, monkeypatch) -> None:
    monkeypatch.setitem(rates.SIDES, "cpu", (64,))
    monkeypatch.setitem(rates.BATCHES, "cpu", (8, 16))
    monkeypatch.setattr("takeoff.training.hardware._cpu_computes_bfloat16", lambda: False)
    rows = measured_rates(study, made_up(), cuda=False, threads=2, seconds=0.01)
    counts = Counter((row.kind, row.threads, row.precision) for row in rows if row.seconds is not None)
    assert counts == {(kind, n, "float32"): 6 for kind in ("training", "matrix") for n in (1, 2)}
    assert {row.flops for row in rows if row.kind == "matrix"} == {2 * 64**3}
    assert all(row.rate == pytest.approx(row.flops / row.seconds) for row in rows if row.seconds is not None)


@needs_gpu
def test_the_gpu_is_measured_in_both_precisions(study) -> None:
    rows = measured_rates(study, made_up(), cuda=True, threads=1, seconds=0.05)
    gpu = [row for row in rows if row.device != "cpu" and row.seconds is not None]
    assert {(row.kind, row.precision) for row in gpu} >= {("training", "float32"), ("matrix", "float32")}
    assert {row.device for row in gpu} == {torch.cuda.get_device_name()}
    arms, hardware = [make_arm(study, {})], choose("cuda", "float32")
    data = made_up()
    on_gpu = type(data)(
        **{
            key: value.to("cuda") if isinstance(value, torch.Tensor) else value
            for key, value in vars(data).items()
        }
    )
    assert len(time_steps(study, arms, on_gpu, hardware, 0.05)) == 6


# The command -------------------------------------------------------------------------------------------


def test_what_was_not_measured_is_empty_in_the_table(tmp_path: Path) -> None:
    write_rows(tmp_path / "speed.csv", [Row("training", "", "cpu", 1, "bfloat16", note="left out")])
    (row,) = csv.DictReader((tmp_path / "speed.csv").open())
    assert row["seconds"] == row["block"] == row["flops"] == ""
    assert row["note"] == "left out"


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--threads", 0, "valid: 1 or more"),
        ("--seconds", -1, "valid: above 0"),
        ("--device", "tpu", "invalid choice"),
    ],
)
def test_wrong_options_are_told(
    command, write_study, tmp_path: Path, option: str, value: object, words: str
) -> None:
    given = ["--study", write_study(), "--data", tmp_path, "--out", tmp_path / "speed.csv", option, value]
    done = command("probe", *given)
    assert done.returncode != 0
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_measures_this_machine(command, write_study, digits: Path, tmp_path: Path) -> None:
    path = write_study(experiments={"compute": {}})
    given = [
        "--study",
        path,
        "--data",
        digits,
        "--device",
        "cpu",
        "--precision",
        "float32",
        "--seconds",
        0.02,
    ]
    done = command("probe", *given, "--threads", 2, "--out", tmp_path / "speed.csv")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "speed.csv").open() as file:
        rows = list(csv.DictReader(file))
    wanted = "kind name device threads precision batch block seconds flops".split()
    assert list(rows[0])[:9] == wanted
    found = Counter((row["kind"], row["threads"]) for row in rows if row["precision"] == "float32")
    assert found == {(kind, n): 6 for kind in ("training", "matrix") for n in ("1", "2")}
    assert "GFLOP/s" in done.stdout
