"""The benchmark: plain loops that train the same network as the engine, its ratios, its commands and its figure."""

import csv
import json
import multiprocessing
from collections.abc import Generator
from contextlib import nullcontext
from dataclasses import fields, replace
from itertools import count, islice
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from takeoff.benchmark import plain_loops, throughput
from takeoff.benchmark.setting import SETTINGS, Setting, arm_of, made_up
from takeoff.benchmark.table import Speed, summarised
from takeoff.benchmark.throughput import Loop
from takeoff.engine import architecture
from takeoff.engine.hardware import Hardware
from takeoff.jobs.loading import dataset_of
from takeoff.jobs.ways import ONE_AFTER_ANOTHER
from takeoff.speed.timing import Timed
from takeoff.study.settings import Network
from torch import nn

CPU = torch.device("cpu")
HARDWARE = Hardware(CPU, "float32", "cpu", 1)
TINY = Setting(8, 0.0625, 16)
STEPS = 6


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_plain_loops_and_the_engine_train_the_same_network_to_the_same_losses(monkeypatch) -> None:
    """Without dropout and augmentation, from one start, on one batch of all images, in whatever order.

    The activation is smooth: rounding alone can switch a unit of ReLU, and then losses differ by thousandths.
    """
    monkeypatch.setattr(throughput, "LEARNING_RATE", 0.02)
    images = made_up(8, 1, 10, 41, held_out=1.5 / 41)
    network = Network(norm="batch", width=0.125, activation="gelu")
    chosen, held_out = images.split(None, 0)
    assert (len(chosen), len(held_out)) == (40, 1)
    arm = arm_of(network, 40, "none")
    losses = throughput.engine(ONE_AFTER_ANOTHER, arm, dataset_of(images, CPU), HARDWARE)
    ours = [loss for (loss,) in islice(losses, STEPS)]

    trained = replace(images, images=images.images[chosen], labels=images.labels[chosen])
    task = plain_loops.Task(trained, network, 40, CPU, 0.02, augment=False)
    assert ours[0] > ours[-1] + 0.1
    assert list(islice(plain_loops.dataloader(task), STEPS)) == pytest.approx(ours, rel=1e-5)
    assert [float(x) for x in islice(plain_loops.memory(task), STEPS)] == pytest.approx(ours, rel=1e-5)


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_plain_network_is_the_engines(setting: Setting) -> None:
    built = plain_loops.Task(setting.images, setting.network, setting.batch, CPU, 0.01).model()
    layers = architecture.layers(setting.network, *setting.shape)
    assert sum(p.numel() for p in built.parameters()) == architecture.parameters(layers)
    assert [m.p for m in built if isinstance(m, nn.Dropout)] == [0.5, 0.5]
    assert any(isinstance(m, nn.BatchNorm2d) for m in built)


def windows_of(image: torch.Tensor) -> list[set[tuple[int, ...]]]:
    """The crops of an image of 8 × 8 from its black frame, and their mirror images."""
    framed = nn.functional.pad(image, (1, 1, 1, 1))
    windows = [framed[top : top + 8, left : left + 8] for top in range(3) for left in range(3)]
    return [{tuple(own.flatten().tolist()) for own in kind} for kind in (windows, [own.flip(-1) for own in windows])]


def assert_augmented(images: torch.Tensor, one: torch.Tensor) -> None:
    """That they are crops of one image, many of them, and some mirrored."""
    straight, mirrored = windows_of(one)
    found = {tuple(image.flatten().tolist()) for image in images}
    assert found <= straight | mirrored
    assert len(found) > 5
    assert found & straight
    assert found & mirrored


def test_crops_are_windows_of_the_framed_image_some_mirrored() -> None:
    image = torch.arange(1, 8 * 8 + 1, dtype=torch.uint8).view(8, 8)
    assert_augmented(plain_loops.flip_and_crop(image.expand(60, 1, 8, 8)), image)


def test_plain_loops_train_on_augmented_images(monkeypatch) -> None:
    """As the engine does beside them; here each image is the same one."""
    torch.manual_seed(0)
    images = made_up(8, 1, 10, 64)
    images = replace(images, images=images.images[:1].repeat(64, 0))
    monkeypatch.setattr(Setting, "images", images)
    seen: list[torch.Tensor] = []
    model = plain_loops.Task.model

    def watched(task: plain_loops.Task) -> nn.Sequential:
        own = model(task)
        own.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        return own

    monkeypatch.setattr(plain_loops.Task, "model", watched)
    for loop in throughput.loops_of(TINY, "cpu", 1)[:2]:
        loop()
    assert len(seen) == 2
    (mean,), (deviation,) = images.card.mean, images.card.std
    for batch in seen:
        pixels = ((batch * deviation + mean) * 255).round().byte()
        assert_augmented(pixels, torch.from_numpy(images.images[0, :, :, 0]))


def test_each_loop_trains_as_torch_comes_or_as_a_study_does(monkeypatch) -> None:
    """On a GPU: an outsider's loop pays for no deterministic algorithm, and keeps TensorFloat-32."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    gpu, cudnn = Hardware(torch.device("cuda"), "float32", "a GPU"), torch.backends.cudnn
    found = []
    with cudnn.flags(enabled=True):
        for name in ("engine", "dataloader", "memory", "engine, graph"):
            Loop(Speed(name, 1, 128, 1, "float32"), gpu, endless(), 128).ready()
            found.append((cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32))
    studys = (True, False, False)
    assert found == [studys, (False, False, True), (False, True, True), studys]


def test_three_settings_are_measured() -> None:
    measured = [(s.resolution, s.width, s.batch) for s in SETTINGS]
    assert measured == [(8, 0.25, 32), (32, 0.25, 128), (32, 1.0, 128)]
    assert len(throughput.ways("cuda", TINY)) == 5
    assert [way.compiled for way in throughput.COMPILED.values()] == [False, True]


def endless() -> Generator[int, None, None]:
    """A loop that counts its steps."""
    yield from count()


def test_what_workers_prepare_is_used_up_before_a_block_and_made_anew_after_it(monkeypatch) -> None:
    """A DataLoader's worker prepares two batches ahead."""
    before, slept = set(multiprocessing.active_children()), []
    monkeypatch.setattr(throughput, "time", SimpleNamespace(sleep=slept.append))
    task = plain_loops.Task(made_up(8, 1, 10, 40), TINY.network, 16, CPU, 0.01)
    row = Speed("dataloader", TINY.width, 16, 1, "float32", workers=2)
    loop = Loop(row, HARDWARE, (step for step, _ in enumerate(plain_loops.dataloader(task, 2))), 16)
    for first in (4, 4 + 1 + 4):
        loop.ready()
        assert loop() == first
        assert len(set(multiprocessing.active_children()) - before) == 2
        loop.release()
    assert len(slept) == 2
    loop.close()
    assert not set(multiprocessing.active_children()) - before
    with pytest.raises(StopIteration):
        loop()
    alone = Loop(replace(row, workers=0), HARDWARE, endless(), 16)
    alone.ready()
    assert alone() == 0
    alone.release()
    assert len(slept) == 2


@pytest.mark.parametrize("timed", [True, False])
def test_a_loop_that_fails_is_closed_before_others_are_timed_and_these_at_the_end(monkeypatch, timed: bool) -> None:
    """Also where timing fails."""
    events: list[str] = []

    class Watched(Loop):
        def close(self) -> None:
            super().close()
            events.append(self.row.loop)

    def failing() -> Generator[int, None, None]:
        yield from ()
        raise RuntimeError("no room\nleft")

    def timing(_: Setting, loops: list[Loop], *given: object) -> list[Speed]:
        events.append("timed")
        if not timed:
            raise RuntimeError("no room")
        return [loop.row for loop in loops]

    every = {"dataloader": endless(), "memory": endless(), "engine": failing()}
    loops = [Watched(Speed(name, 1, 16, 1, "float32"), HARDWARE, losses, 16) for name, losses in every.items()]
    monkeypatch.setattr(throughput, "loops_of", lambda *_: loops)
    monkeypatch.setattr(throughput, "_timed", timing)
    with nullcontext() if timed else pytest.raises(RuntimeError):
        rows = throughput.measure(TINY, "cpu", 1, 0.01)
        assert [row.note for row in rows] == ["", "", "left out: no room"]
    assert events == ["engine", "timed", *every]


def test_a_graph_that_does_not_run_here_is_left_out_with_its_reason(monkeypatch) -> None:
    monkeypatch.setattr("takeoff.speed.rates.SIDES", {"cpu": (64,)})
    monkeypatch.setattr(throughput, "ways", lambda device, setting: {"engine, graph": throughput.Way(graph=True)})
    rows = throughput.measure(TINY, "cpu", 1, 0.01, quick=True)
    assert [row.loop for row in rows] == ["dataloader", "memory", "engine, graph"]
    assert [row.images_per_second is None for row in rows] == [False, False, True]
    assert "only a GPU" in rows[-1].note


def test_ratios_are_to_the_dataloader_and_ranges_from_block_to_block() -> None:
    blocks = {"dataloader": [20.0, 20, 25, 20, 10], "engine": [40.0, 80, 100, 40, 80]}
    rates = {Speed(loop, 0.25, 10, 1, "float32"): each for loop, each in blocks.items()}
    plain, engine = summarised(rates, flops=1000, ceilings={"float32": 1e6}, rooflines={"float32": 200.0})
    assert (plain.images_per_second, plain.ratio_to_plain, plain.blocks) == (20, 1, 5)
    assert (engine.images_per_second, engine.ratio_to_plain) == (80, 4)
    assert (engine.low, engine.high) == (40, 100)
    assert (engine.ratio_low, engine.ratio_high) == (2, 8)
    assert engine.share_of_ceiling == pytest.approx(0.08)
    assert engine.share_of_roofline == pytest.approx(0.4)


def test_the_commands_measure_every_loop_and_draw_them(command, tmp_path: Path) -> None:
    done = command.done("benchmark", "--out", tmp_path, "--device", "cpu", "--quick", "--seconds", 0.01)
    with (tmp_path / "numbers.csv").open(encoding="utf-8") as file:
        checks = list(csv.DictReader(file))
    assert {row["what"] for row in checks} == {"gradients", "one after another", "3 fused"}
    with (tmp_path / "bounds.csv").open(encoding="utf-8") as file:
        bounds = {row["unit"]: float(row["per_second"]) for row in csv.DictReader(file)}
    assert bounds["FLOP"] > bounds["bytes"] / 10 > 1e7
    assert len(done.stdout.splitlines()) > len(checks) + 7
    assert all(float(row["off"]) < 0.1 for row in checks if row["precision"] == "float32")
    with (tmp_path / "throughput.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = "loop width batch threads precision images_per_second ratio_to_plain".split()
    assert list(rows[0])[: len(names)] == names
    assert list(rows[0]) == [field.name for field in fields(Speed)]
    loops = ["dataloader", "memory", "engine"]
    assert [row["loop"] for row in rows] == [*loops, "engine, 8 fused", *loops]
    for start, end in ((0, 4), (4, 7)):
        reference = float(rows[start]["images_per_second"])
        for row in rows[start:end]:
            speed = float(row["images_per_second"])
            assert float(row["ratio_to_plain"]) == pytest.approx(speed / reference)
            assert float(row["low"]) <= speed <= float(row["high"])
            assert (row["device"], row["threads"]) == ("cpu", "1")
            assert float(row["share_of_ceiling"]) > 0
    made = json.loads((tmp_path / "machine.json").read_text())
    assert set(made) == {"numbers", "throughput", "bounds"}
    facts = made["throughput"]
    assert facts["torch"] == torch.__version__.partition("+")[0]
    assert facts["cores"] >= 1
    command.done("draw_benchmark", tmp_path)
    assert "engine, 8 fused" in (tmp_path / "throughput.svg").read_text()
    assert (tmp_path / "throughput.png").stat().st_size > 10_000


def test_what_is_wrong_is_named(command, tmp_path: Path) -> None:
    assert "nowhere/throughput.csv" in command.refused("draw_benchmark", "nowhere", cwd=tmp_path)
    (tmp_path / "throughput.csv").touch()
    (tmp_path / "machine.json").write_text("{}")
    assert "throughput is missing" in command.refused("draw_benchmark", tmp_path)
    done = command("benchmark", "--out", __file__, cwd=tmp_path)
    assert (done.returncode, "a file; valid: a folder" in done.stderr) == (2, True)
    assert {own.name for own in tmp_path.iterdir()} == {"throughput.csv", "machine.json"}


def test_images_of_all_runs_count() -> None:
    made = {loop.row.loop: (loop.images_per_call, loop.row.runs) for loop in throughput.loops_of(TINY, "cpu", 1)}
    one = 4 * TINY.batch
    plain = {"dataloader": (TINY.batch, 1), "memory": (TINY.batch, 1)}
    assert made == plain | {"engine": (one, 1), "engine, 8 fused": (8 * one, 8)}


@pytest.mark.parametrize(("product", "convolution"), [(3e9, 2e9), (2e9, 3e9)])
def test_the_ceiling_is_the_faster_of_product_and_convolution(monkeypatch, product: float, convolution: float) -> None:
    """Of blocks of a second each."""
    loops = throughput.loops_of(TINY, "cpu", 1)
    for name, flops in (("fastest_product", product), ("dense_convolution", convolution)):
        bound = Timed("matrix", name, HARDWARE, lambda: None, int(flops))
        monkeypatch.setattr(throughput, name, lambda *_, bound=bound: bound)
    monkeypatch.setattr(throughput, "interleaved", lambda actions, *_: [[1.0, 1.0]] * len(actions))
    monkeypatch.setattr(throughput, "bandwidth", lambda _: 1e12)
    rows = throughput._timed(TINY, loops, 1, 2)
    flops = architecture.training_flops(architecture.layers(TINY.network, *TINY.shape))
    assert [row.images_per_second for row in rows] == [loop.images_per_call for loop in loops]
    assert [row.share_of_ceiling for row in rows] == pytest.approx(
        [loop.images_per_call * flops / 3e9 for loop in loops]
    )
