"""The benchmark: plain loops that train the same network as the engine, what is measured, and its ratios."""

import math
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pandas as pd
import pytest
import torch
from takeoff.benchmarking import growth, large, loops, startup, table, throughput
from takeoff.benchmarking.images import load_images, made_up
from takeoff.benchmarking.loops import WAYS, Engine, EngineWay, Setting, plain_loops
from takeoff.benchmarking.summary import markdown
from takeoff.benchmarking.table import Row, Timed, summarised
from takeoff.errors import TakeoffError
from takeoff.experiments.registry import arms_of
from takeoff.models import architecture
from takeoff.study.loading import load_study
from takeoff.study.settings import Network
from takeoff.training.hardware import Hardware
from torch import nn

plain = plain_loops()
CPU = torch.device("cpu")
HARDWARE = Hardware(CPU, "float32", "cpu", 1)
TINY = Setting(8, 0.0625, 16, 1)
STEPS = 6


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def task(images, chosen=slice(None), **changes):
    """What plain loops train on: `chosen` of the images."""
    pixels, labels = images.on_host()
    given = {
        "images": pixels[chosen],
        "labels": labels[chosen],
        "mean": images.card["mean"],
        "deviation": images.card["std"],
        "network": TINY.network,
        "classes": images.classes,
        "batch": 16,
        "device": CPU,
        "learning_rate": loops.LEARNING_RATE,
    }
    return plain.Task(**(given | changes))


# Fairness ----------------------------------------------------------------------------------------------


def test_plain_loops_and_the_engine_train_the_same_network_to_the_same_losses(monkeypatch) -> None:
    """Without dropout and augmentation, from one start, on one batch of all images, in whatever order.

    The activation is smooth: rounding alone can switch a unit of ReLU, and then losses differ by thousandths.
    """
    monkeypatch.setattr(loops, "LEARNING_RATE", 0.02)
    images, network = made_up(8, 1, 41), Network(norm="batch", width=0.125, activation="gelu")
    data = images.resident(CPU)
    chosen, held_out = data.split(None, 0)
    assert (len(chosen), len(held_out)) == (40, 1)
    recipe = {"batch_size": 40, "augmentation": "none", "weight_decay": 0.01}
    engine = Engine(WAYS[0], network, recipe, data, steps=1, hardware=HARDWARE)
    engine.ready()
    ours = [engine.epochs()[0]["batch_loss"] for _ in range(STEPS)]

    same = task(
        images,
        torch.from_numpy(chosen),
        network=network,
        batch=40,
        learning_rate=0.02,
        weight_decay=0.01,
        augment=False,
    )
    losses = {
        "dataloader": list(islice(plain.dataloader(same), STEPS)),
        "memory": [float(loss) for loss in islice(plain.memory(same), STEPS)],
    }
    assert ours[0] > ours[-1] + 0.1
    for name, theirs in losses.items():
        assert theirs == pytest.approx(ours, rel=1e-5), name


@pytest.mark.parametrize(("side", "channels", "width"), [(32, 3, 0.25), (8, 1, 0.25)])
def test_the_plain_network_is_the_engines(side: int, channels: int, width: float) -> None:
    setting = Setting(side, width, 64, 1)
    built = plain.network_of(task(made_up(side, channels, 20), network=setting.network))
    layers = architecture.layers(setting.network, side, channels, 10)
    assert sum(p.numel() for p in built.parameters()) == architecture.parameters(layers)
    assert [m.p for m in built if isinstance(m, nn.Dropout)] == [0.5, 0.5]
    assert any(isinstance(m, nn.BatchNorm2d) for m in built)


def test_crops_are_windows_of_the_framed_image_some_mirrored() -> None:
    images = torch.arange(1, 8 * 8 + 1, dtype=torch.uint8).view(1, 1, 8, 8).expand(60, 1, 8, 8)
    framed = nn.functional.pad(images[:1], (1, 1, 1, 1))
    windows = [framed[0, :, top : top + 8, left : left + 8] for top in range(3) for left in range(3)]
    valid = {tuple(w.flatten().tolist()) for window in windows for w in (window, window.flip(-1))}
    found = {tuple(image.flatten().tolist()) for image in plain.flip_and_crop(images)}
    assert found <= valid
    assert len(found) > 5


def test_own_transforms_stand_in_for_torchvisions(monkeypatch) -> None:
    given = task(made_up(8, 1, 20), augment=False)
    theirs = plain.transform_of(given)(given.images[3])
    monkeypatch.setattr(plain, "has_torchvision", lambda: False)
    own = plain.transform_of(given)
    assert isinstance(own, plain.OwnTransform)
    assert torch.allclose(own(given.images[3]), theirs, atol=1e-5)
    assert plain.transform_of(task(made_up(8, 1, 20)))(given.images[3]).shape == (1, 8, 8)


def test_workers_change_nothing_but_the_order() -> None:
    given = task(made_up(8, 1, 40))
    losses = plain.dataloader(given, workers=2)
    assert all(math.isfinite(loss) for loss in islice(losses, 5))
    losses.close()


# What is measured --------------------------------------------------------------------------------------


def test_a_call_of_the_engine_is_an_epoch_of_so_many_steps() -> None:
    engine = Engine(WAYS[0], TINY.network, {"batch_size": 16}, made_up(8, 1, 200).resident(CPU), 3, HARDWARE)
    assert engine.images_per_call == 48
    engine.ready()
    assert [engine.epochs()[0]["step"] for _ in range(3)] == [3, 6, 9]


@pytest.mark.parametrize("quick", [True, False])
def test_settings_have_both_widths_all_batches_and_threads(quick: bool) -> None:
    chosen = throughput.settings("cpu", 2, quick)
    assert {s.resolution for s in chosen} == {8, 32}
    if not quick:
        assert {s.width for s in chosen} == {0.25, 1}
        assert {s.batch for s in chosen} == {64, 128, 256}
        assert {s.threads for s in chosen} == {1, 2}
    on_gpu = throughput.settings("cuda", 16, quick)
    assert {s.threads for s in on_gpu} == {1}
    assert throughput.worker_counts(on_gpu[0], "cuda", 4) == (0, 2)
    assert throughput.worker_counts(Setting(32, 0.25, 64, 1), "cpu", 2) == (0,)
    assert throughput.worker_counts(Setting(32, 0.25, 64, 2), "cpu", 2) == (0, 2)


@pytest.mark.slow
def test_another_way_of_the_engine_is_another_row(monkeypatch) -> None:
    monkeypatch.setattr(throughput, "WAYS", (*WAYS, EngineWay("engine, once more", WAYS[0].way)))
    monkeypatch.setattr("takeoff.probing.rates.SIDES", {"cpu": (64,)})
    # As on a CPU that multiplies in bfloat16: the loop in memory does, the engine does not on small images.
    monkeypatch.setattr("takeoff.training.hardware._cpu_computes_bfloat16", lambda: True)
    lines: list[str] = []
    found = throughput.measure(TINY, made_up(8, 1, 200), "cpu", 1, 0.01, lines.append)
    names = ["dataloader", "memory", "engine", "engine, 8 fused", "engine, once more"]
    assert [row.loop for row in found] == names
    assert len(lines) == 5
    for row in found:
        precision = "bfloat16" if row.loop == "memory" else "float32"
        assert (row.blocks, row.device, row.precision) == (throughput.BLOCKS, "cpu", precision)
        assert 0 < (row.low or 0) <= (row.images_per_second or 0) <= (row.high or 0)
        assert (row.share_of_ceiling or 0) > 0


def test_a_way_that_does_not_run_here_is_left_out_and_says_why(monkeypatch) -> None:
    def no_compiler(function):
        raise FileNotFoundError("no compiler\nand much more")

    monkeypatch.setattr("takeoff.training.fused.compile_once", no_compiler)
    compiled = next(way for way in WAYS if way.way.compiled)
    assert compiled.fits("cpu", compiled.alone or TINY)
    assert not compiled.fits("cpu", TINY)
    images = made_up(8, 1, 200)
    both = [
        (throughput.row_of(way.name, TINY, images, HARDWARE), throughput.engine(way, TINY, images, HARDWARE))
        for way in (WAYS[0], compiled)
    ]
    run, failed = throughput.runnable(both)
    assert [row.loop for row, _ in run] == [WAYS[0].name]
    assert [(row.loop, row.note) for row in failed] == [(compiled.name, "left out: no compiler")]


def test_what_a_gpus_goals_are_about_is_measured_first() -> None:
    first, *others = throughput.settings("cuda", 16, quick=False)
    assert (first.resolution, first.width, first.batch) == (32, 1, 128)
    assert len(others) == 6
    lines: list[str] = []
    row = throughput.left_out(TINY, made_up(8, 1, 200), "cpu", "4 minutes were over", lines.append)
    assert row.images_per_second is None
    assert lines == ["8 px, width 0.0625, batch 16, 1 thread: engine: left out: 4 minutes were over"]


def timed(loop: str, blocks: list[float], workers: int | None = None, images: int = 10) -> Timed:
    return Timed(Row(loop, 0.25, 10, 1, "float32", workers=workers, device="cpu"), images, blocks)


def test_ratios_are_to_the_better_dataloader_and_ranges_from_block_to_block() -> None:
    found = summarised(
        [
            timed("dataloader", [1, 1, 1, 4, 1], workers=0),
            timed("dataloader", [0.5, 0.5, 0.4, 0.5, 1], workers=2),
            timed("engine", [0.5, 0.25, 0.2, 0.5, 0.25], images=20),
        ],
        flops=1000,
        ceilings={"float32": 1e6},
    )
    plain_row, engine = found
    assert (plain_row.workers, plain_row.images_per_second, plain_row.ratio_to_plain) == (2, 20, 1)
    assert "10 with 0" in plain_row.note
    assert (engine.images_per_second, engine.ratio_to_plain) == (80, 4)
    assert (engine.low, engine.high) == (40, 100)
    assert (engine.ratio_low, engine.ratio_high) == (2, 8)
    assert engine.share_of_ceiling == pytest.approx(0.08)
    assert engine.step_milliseconds == pytest.approx(125)


def test_a_job_of_tiny_runs_is_a_studys_job() -> None:
    found = growth.measure_growth(made_up(8, 1, 400), HARDWARE, quick=True, say=lambda line: None)
    assert [row.runs for row in found] == list(growth.QUICK)
    for row in found:
        assert (row.seconds_per_run or 0) * row.runs == pytest.approx(row.seconds)


def test_commands_are_started_with_all_that_they_import(tmp_path: Path) -> None:
    script = tmp_path / "verb.py"
    script.write_text(
        "import os\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import never\n"
        "def main():\n    from json import loads\n"
    )
    command = startup._imports(script).command
    assert command[-1].endswith("import os, typing, json")
    failed = startup.Start("x", "imports", [command[0], "-c", "import no_such_module"])
    assert "no_such_module" in startup._seconds(failed)[1]


@pytest.mark.slow
def test_two_processes_against_one_of_two_threads(monkeypatch) -> None:
    from takeoff.benchmarking.processes import measure_processes

    monkeypatch.setattr("takeoff.benchmarking.processes.BLOCKS", 2)
    images, lines = made_up(8, 1, 200), []
    many, one, memory, plain = measure_processes(TINY, images, 2, 0.01, lines.append)
    assert (many.processes, many.threads, one.processes, one.threads) == (2, 1, 1, 2)
    assert (memory.loop, memory.threads, plain.loop, plain.threads) == ("memory", 2, "dataloader", 2)
    assert many.ratio_to_plain == pytest.approx(many.images_per_second / plain.images_per_second)
    assert many.images_per_second
    assert one.images_per_second
    assert f"{many.images_per_second / one.images_per_second:.2f} times" in many.note
    (left_out,) = measure_processes(TINY, images, 1, 0.01, lines.append)
    assert left_out.images_per_second is None


# Images ------------------------------------------------------------------------------------------------


def test_images_are_prepared_ones_where_there_are_and_else_made_up(digits: Path, tmp_path: Path) -> None:
    home = tmp_path / "digits"
    home.mkdir()
    (home / "8px").symlink_to(digits)
    real, invented = load_images(tmp_path, 8), load_images(tmp_path, 32)
    assert (real.source, real.pixels.shape[1:]) == ("digits", (8, 8, 1))
    assert invented.pixels.shape == (10_000, 32, 32, 3)
    assert "does not depend" in invented.source


def test_without_the_plain_loops_there_is_nothing_to_compare_with(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(loops, "PLAIN_LOOPS", tmp_path)
    with pytest.raises(TakeoffError, match=r"plain_loops\.py: there is no such file"):
        plain_loops()


def test_the_short_table_takes_the_fastest_way_and_names_it() -> None:
    rows = summarised(
        [timed("dataloader", [1.0, 1.0]), timed("memory", [0.5, 0.5]), timed("engine", [0.5, 0.5])],
        flops=1,
        ceilings={},
    )
    rows.append(replace(rows[-1], loop="engine, graph", images_per_second=40.0, ratio_to_plain=4.0))
    facts = {"device": "cpu", "cpu": "a CPU", "cores": 2, "python": "3", "torch": "2", "commit": None}
    text = markdown(rows, facts | {"engine": "abc", "load_before": 0.5})
    assert "| 10 | 20 | 40 (engine, graph) | 4.00 (2.00 to 2.00) | 2.00 |" in text
    assert "commit unknown" in text
    assert table.setting_words(rows[0]) == "32 px, width 0.25, batch 10, 1 thread"


@pytest.mark.slow
def test_made_up_studies_are_as_large_as_they_say(tmp_path: Path) -> None:
    large.write_many_arms(tmp_path / "arms.json")
    arms = arms_of(load_study(tmp_path / "arms.json"), "arms.json")["dropout"]
    assert len({arm.name for arm in arms}) == large.NUMBER
    large.write_many_runs(tmp_path)
    runs = pd.concat(pd.read_parquet(file) for file in tmp_path.glob("arms/*/runs.parquet"))
    assert len(runs) == large.NUMBER
    analyse = next(start for start in startup.large_starts(tmp_path) if start.name.startswith("analyse"))
    assert startup._seconds(analyse)[1] == ""
    effects = pd.read_csv(tmp_path / "factorial" / "effects.csv")
    norm = effects.query("term == 'norm' and kind == 'main' and response == 'test_accuracy'")
    assert norm["estimate"].item() == pytest.approx(0.1, abs=0.002)
