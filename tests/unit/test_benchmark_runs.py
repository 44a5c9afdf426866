"""The benchmark's parts: which are measured and in what order, where one fails, whole runs, and a step's kernels."""

import csv
import json
import os
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import fields
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from engine import numbers, train
from takeoff.benchmark import measurement, scarce_memory, step_kernels, whole_runs
from takeoff.benchmark.bounds import Bound
from takeoff.benchmark.checks import Check
from takeoff.benchmark.setting import Setting
from takeoff.benchmark.whole_runs import ArmSpeed
from takeoff.common.errors import TakeoffError
from takeoff.data.prepared import load_prepared
from takeoff.engine.hardware import Hardware
from takeoff.jobs.hardware import first_line
from takeoff.jobs.loading import dataset_of
from takeoff.jobs.ways import ONE_AFTER_ANOTHER
from takeoff.study.arms import Run, make_arm
from takeoff.study.loading import load_study

HARDWARE = Hardware(torch.device("cpu"), "float32", "cpu", 1)
GPU = Hardware(torch.device("cuda"), "bfloat16", "a GPU", None)
FACTORS = {"norm": {"baseline": "none", "treatment": "batch"}, "dropout": {"baseline": 0, "treatment": 0.5}}
RIGHT = Check("relu", "gradients", "float32", 0.01, 0.02)
TINY = Setting(8, 0.0625, 16)
PASS = 1037 // 128 * 128
"""Images that an epoch of the small study presents, of 1,037."""


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


# What is asked for


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--data", "{digits}"], "--study"),
        (["--parts", "arms"], "needs --study and --data"),
        (["--parts", "numbers", "kernels", "--device", "cpu"], "kernels"),
        (["--parts", "numbers", "--study", "{study}", "--data", "{digits}"], "arms"),
        (["--study", "{study}", "--data", "{empty}"], "card.json"),
        (["--study", "{other}", "--data", "{digits}"], "images of digits; valid for"),
        (["--study", "{larger}", "--data", "{digits}"], "valid for this arm: 16 px"),
        (["--study", "{fewer}", "--data", "{digits}"], "valid for {fewer}: 0, 1"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is(
    command, write_study, digits: Path, tmp_path: Path, given: list[str], words: str
) -> None:
    (empty := tmp_path / "empty").mkdir()
    studies = {
        "study": write_study(),
        "other": write_study("other", dataset={"name": "mine", "resolution": 8, "archive": "mine.zip"}),
        "larger": write_study("larger", dataset={"name": "cifar10", "resolution": 16}),
        "fewer": write_study("fewer", dataset={"name": "digits", "resolution": 8, "classes": ["0", "1"]}),
    }
    line = [each.format(digits=digits, empty=empty, **studies) for each in given]
    assert words.format(**studies) in command.refused("benchmark", "--out", tmp_path / "out", *line)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--minutes", "x", "x is no number"),
        ("--minutes", "nan", "nan is not valid; valid: above 0"),
        ("--threads", "100000000", "1 to 1024"),
        ("--threads", "0.5", "1 to 1024"),
        ("--parts", "speed", "numbers"),
        ("--out", "", "valid: a folder"),
    ],
)
def test_an_option_that_is_not_valid_is_named(command, tmp_path: Path, option: str, value: str, words: str) -> None:
    done = command("benchmark", "--out", "out", option, value, cwd=tmp_path)
    assert (done.returncode, list(tmp_path.iterdir())) == (2, [])
    assert option in done.stderr
    assert words in done.stderr


def test_nothing_begins_after_the_time_is_up(command, tmp_path: Path) -> None:
    command.done("benchmark", "--out", tmp_path, "--device", "cpu", "--quick", "--minutes", "1e-9")
    assert not list(tmp_path.iterdir())


def test_each_table_keeps_what_made_it(command, write_study, digits: Path, tmp_path: Path) -> None:
    """Of two calls into one folder, as a GPU's time is divided."""
    given = ["--out", tmp_path / "out", "--device", "cpu", "--quick", "--seconds", 0.01]
    command.done("benchmark", *given, "--parts", "bounds")
    study = ["--parts", "arms", "--study", write_study(), "--data", digits]
    command.done("benchmark", *given, *study)
    made = json.loads((tmp_path / "out" / "machine.json").read_text())
    assert set(made) == {"bounds", "arms"}
    assert "--parts bounds" in made["bounds"]["command"]
    assert "--parts arms" in made["arms"]["command"]
    assert {own.name for own in (tmp_path / "out").iterdir()} == {"machine.json", "arms.csv", "runs.csv", "bounds.csv"}


# What is measured, and where something fails


@pytest.fixture
def parts(monkeypatch) -> Callable[..., tuple[list[str], str]]:
    """Measure on a GPU, or a CPU, with doubles of all parts: what was measured in turn, and the error at the end."""
    called: list[str] = []

    def double(name: str, rows: object, place: Callable | None = None) -> Callable:
        def measure(*given: object, **_: object) -> object:
            called.append(place(*given) if place else name)
            if isinstance(rows, Exception):
                raise rows
            return rows

        return measure

    def run(out: Path, hardware: Hardware = GPU, fails: dict[str, object] | None = None, **given: object):
        rows: dict[str, object] = {"numbers": [RIGHT], "throughput": [RIGHT], "memory": RIGHT, "bounds": [RIGHT]}
        rows |= {"convolutions": [RIGHT], "kernels": [RIGHT]} | (fails or {})
        widths = double("", rows["throughput"], lambda setting, *_: f"throughput {setting.width:g}")
        monkeypatch.setattr(measurement.throughput, "measure", widths)
        monkeypatch.setattr(measurement, "agreement", double("agreement", rows.get("agreement", (0.1, True))))
        monkeypatch.setattr(measurement, "dataset_of", lambda *_: None)
        names = {"numbers": "checks", "memory": "scarce_memory", "kernels": "step_kernels_apart"}
        for part in ("numbers", "memory", "bounds", "convolutions", "kernels"):
            monkeypatch.setattr(measurement, names.get(part, part), double(part, rows[part]))
        monkeypatch.setattr(measurement, "hardware_of", lambda *_: hardware)
        monkeypatch.setattr(measurement, "_of_torch", lambda own: {"precision": own.precision})
        monkeypatch.setattr(Hardware, "keep_to_precision", lambda own: None)
        usual = {"device": "auto", "threads": 1, "quick": False, "seconds": 0.01, "minutes": None, "parts": None}
        try:
            measurement.Measurement(Namespace(out=out, **usual | {"study": None, "data": None} | given)).run()
        except TakeoffError as error:
            return called, str(error)
        return called, ""

    return run


def test_the_full_width_comes_first_on_a_gpu_and_last_on_a_cpu(parts, tmp_path: Path) -> None:
    gpus, said = parts(tmp_path / "gpu")
    assert said == ""
    first = ["numbers", "throughput 1", "throughput 0.25", "throughput 0.25"]
    assert gpus == [*first, "bounds", "convolutions", "kernels", "kernels", "memory", "agreement", "throughput 1"]
    tables = {f"{part}.csv" for part in measurement.PARTS if part != "arms"}
    assert {own.name for own in (tmp_path / "gpu").iterdir()} == tables | {"machine.json"}
    gpus.clear()
    assert parts(tmp_path / "cpu", HARDWARE)[0] == ["numbers", *first[:0:-1], "bounds"]
    gpus.clear()
    assert parts(tmp_path / "quick", quick=True)[0][1:4] == ["throughput 1", "throughput 0.25", "bounds"]


def test_what_computes_wrongly_or_not_at_all_is_not_timed(parts, tmp_path: Path) -> None:
    wrong = Check("tanh", "gradients", "float32", 0.03, 0.02)
    called, said = parts(tmp_path, fails={"numbers": [RIGHT, wrong]})
    assert called == ["numbers"]
    assert "1 of 2 checks failed; tanh" in said
    assert len(table(tmp_path / "numbers.csv")) == 2
    called.clear()
    assert parts(tmp_path, fails={"numbers": RuntimeError("no kernel image\nhere")}) == (
        ["numbers"],
        "numbers: no kernel image",
    )


def test_other_bits_each_time_are_said_at_the_end(parts, tmp_path: Path, capsys) -> None:
    other = [RIGHT, Check("relu", "graph", "float32", 0.01, 0.02, repeats=False)]
    called, said = parts(tmp_path, fails={"numbers": other})
    assert (len(called), said) == (11, "")
    assert "1 of 2 give other bits" in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize(
    ("part", "failed"), [("throughput", True), ("memory", False), ("bounds", False), ("kernels", False)]
)
@pytest.mark.parametrize("error", [RuntimeError("illegal access\nat"), AssertionError("illegal access"), KeyError(1)])
def test_a_part_that_fails_is_a_line_and_the_others_are_measured(
    parts, tmp_path: Path, capsys, part: str, failed: bool, error: Exception
) -> None:
    """What explains the speeds, and fails, is no failure of what was measured."""
    called, said = parts(tmp_path, fails={part: error})
    assert {"bounds", "convolutions", "kernels"} <= set(called)
    assert said.startswith(f"{part}: ") == failed
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(f"{part}: ")]
    assert len(lines) == 1
    assert not (tmp_path / f"{part}.csv").exists()


def test_a_part_that_was_asked_for_and_fails_fails_the_command(parts, tmp_path: Path) -> None:
    (tmp_path / "bounds.csv").mkdir()
    called, said = parts(tmp_path, parts=["bounds", "kernels"])
    assert called == ["bounds", "kernels", "kernels"]
    assert said.startswith("bounds: ")


def test_a_compiled_way_that_computes_wrongly_is_not_timed(parts, tmp_path: Path, capsys) -> None:
    called, said = parts(tmp_path, fails={"agreement": (0.7, True)})
    assert (called[-1], said) == ("agreement", "")
    assert "70% off" in capsys.readouterr().out
    assert not (tmp_path / "compiled.csv").exists()


def test_what_finds_no_time_does_not_begin(parts, tmp_path: Path, monkeypatch) -> None:
    """On a GPU, where a setting, an arm or a compiler take most of a minute."""
    monkeypatch.setattr(measurement, "LEAST", {"throughput": 70.0, "compiled": 50.0})
    called, _ = parts(tmp_path, minutes=1.0)
    assert called == ["numbers", "bounds", "convolutions", "kernels", "kernels", "memory", "agreement", "throughput 1"]


# Whole runs


def test_every_arm_of_a_study_is_trained_to_its_end(command, write_study, digits: Path, tmp_path: Path) -> None:
    """All seeds, at the middle one of the rates, to the numbers of its runs by themselves; the treatments' first."""
    tuning = {"learning_rates": [0.1, 0.01, 0.05], "seeds": 2}
    path = write_study(factors=FACTORS, tuning=tuning)
    out = tmp_path / "out"
    command.done("benchmark", "--out", out, "--device", "cpu", "--parts", "arms", "--study", path, "--data", digits)
    rows = table(out / "arms.csv")
    assert list(rows[0]) == [field.name for field in fields(ArmSpeed)]
    names = ["relu+batch+dropout0.5", "relu+batch", "relu+dropout0.5", "relu"]
    assert [row["arm"] for row in rows] == [f"{name}+rate0.05" for name in names]
    study = load_study(path)
    data = dataset_of(load_prepared(digits, 8, "all", 0.2), HARDWARE.device)
    arm = make_arm(study, {"norm": "batch"}, learning_rate=0.05)
    alone = [numbers(train(data, arm, Run(seed, 0.05), HARDWARE))[-1]["test_accuracy"] for seed in (0, 1)]
    batch = rows[1]
    words = ("runs", "finished", "epochs", "learning_rate", "way", "device", "precision", "resolution")
    assert [batch[key] for key in words] == ["2", "2", "2", "0.05", "2 fused", "cpu", "float32", "8"]
    assert float(batch["test_accuracy"]) == pytest.approx(sum(alone) / 2, abs=0.01)
    assert float(batch["test_accuracy_low"]) == pytest.approx(min(alone), abs=0.01)
    assert float(batch["test_accuracy_high"]) == pytest.approx(max(alone), abs=0.01)
    assert sum(alone) / 2 > 0.2
    each = table(out / "runs.csv")
    assert [(run["arm"], run["seed"]) for run in each] == [(row["arm"], seed) for row in rows for seed in "01"]
    own = [float(run["test_accuracy"]) for run in each if run["arm"] == "relu+batch+rate0.05"]
    assert own == pytest.approx(alone, abs=0.01)
    for row in rows:
        presented = float(row["images_per_second"]) * float(row["seconds"])
        assert presented == pytest.approx(2 * 2 * PASS)
        assert row["diverged"] == "0"


@pytest.fixture
def arms(write_study, digits: Path, tmp_path: Path) -> Callable[..., list[ArmSpeed]]:
    """The rows of a study of one factor and two seeds, whose seconds left come one after another."""

    def found(left: Iterator[float], **changes: object) -> list[ArmSpeed]:
        study = load_study(write_study(**changes))
        images = load_prepared(digits, 8, "all", 0.2)
        return [row for row, _ in whole_runs.whole_runs(study, images, HARDWARE, tmp_path, left.__next__)]

    return found


def test_runs_that_diverge_count_with_what_they_were_trained_on(arms) -> None:
    recipe = {"epochs": 3, "batch_size": 128, "warmup_epochs": 0}
    for row in arms(count(1), recipe=recipe, tuning={"learning_rates": [100.0], "seeds": 2}):
        assert (row.runs, row.finished) == (2, 2)
        if row.diverged == 2:
            assert row.images_per_second * row.seconds < 2 * 3 * PASS
            break
    else:
        raise AssertionError("no arm diverged")


def test_an_arm_ends_where_the_time_does(arms, monkeypatch) -> None:
    """With the epochs that were trained, and no accuracy of runs that did not finish."""
    monkeypatch.setattr(whole_runs, "choose_way", lambda *_, **__: ONE_AFTER_ANOTHER)
    # Asked before each arm, and after each record: of the first run the start, two epochs and its end, then the start
    # and an epoch of the second.
    first = arms(iter([9.0] * 5 + [9.0, 0.0] + [9.0] * 99))[0]
    assert (first.runs, first.finished) == (2, 1)
    assert first.images_per_second * first.seconds == pytest.approx(3 * PASS)
    assert first.test_accuracy == first.test_accuracy_low == first.test_accuracy_high
    none = arms(iter([9.0, 9.0, 0.0] + [9.0] * 99))[0]
    assert (none.finished, none.test_accuracy, none.way) == (0, None, "one after another")
    assert none.images_per_second * none.seconds == pytest.approx(PASS)
    assert "0 of 2 runs" in str(none)


def test_what_choosing_a_way_takes_is_counted_apart(arms, monkeypatch) -> None:
    """And no way is compiled where the time has an end."""
    compiling = []

    def choose(*_: object, **given: bool):
        compiling.append(given["compiling"])
        time.sleep(0.5)
        return ONE_AFTER_ANOTHER

    monkeypatch.setattr(whole_runs, "choose_way", choose)
    began = time.perf_counter()
    rows = arms(iter([9.0] * 9 + [float("inf")] * 99))
    spent = time.perf_counter() - began
    assert compiling == [False, True]
    assert all(row.choosing_seconds >= 0.5 for row in rows)
    assert sum(row.choosing_seconds + row.seconds for row in rows) <= spent


# Memory, and the kernels of a step


def test_runs_that_do_not_fit_together_are_trained_in_smaller_groups(monkeypatch) -> None:
    """Here, where a graph cannot be captured, without it."""
    monkeypatch.setattr(scarce_memory, "SETTING", TINY)
    monkeypatch.setattr(scarce_memory, "limited", lambda *_: nullcontext())
    monkeypatch.setattr(scarce_memory, "_held", lambda _: 1000)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: 501_000)
    found = scarce_memory.scarce_memory(HARDWARE)
    assert (found.runs, found.finished, found.way, found.used) == (8, 8, "8 fused, graph", 500_000)
    assert "now without graphs" in found.said
    assert 10_000 < found.estimated < 100_000_000
    monkeypatch.setattr(scarce_memory, "train", lambda *given, **_: iter(()))
    with pytest.raises(RuntimeError, match="0 of 8"):
        scarce_memory.scarce_memory(HARDWARE)


def test_memory_is_limited_to_what_is_held_and_the_room_and_given_back(monkeypatch) -> None:
    shares = []
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=10e9))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 1.5e9)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda share, _: shares.append(share))
    with scarce_memory.limited(GPU, 2.5e9):
        assert shares == [pytest.approx(0.4)]
    assert shares[1:] == [1.0]


def test_what_a_step_is_made_of_is_read_from_a_profile(monkeypatch) -> None:
    monkeypatch.setattr(step_kernels, "MOST", 10**6)
    began = time.perf_counter()
    found = step_kernels.step_kernels(ONE_AFTER_ANOTHER, TINY, HARDWARE)
    spent = time.perf_counter() - began
    calls = {row.kernel: row.calls for row in found}
    # Five convolutions, but three of maps so small that each is a product; norms behind all layers but the last.
    assert calls["aten::convolution_backward"] == 2
    assert calls["aten::native_batch_norm"] == 7
    assert [row.share for row in found] == sorted((row.share for row in found), reverse=True)
    assert sum(row.share for row in found) == pytest.approx(1)
    whole = sum(row.microseconds for row in found)
    assert [row.share for row in found] == pytest.approx([row.microseconds / whole for row in found])
    assert 100 < whole < 1e6 * spent / step_kernels.STEPS


def test_a_profiler_that_ends_its_process_or_hangs_ends_nothing_else(monkeypatch) -> None:
    found = step_kernels.step_kernels_apart(ONE_AFTER_ANOTHER, TINY, HARDWARE)
    assert len(found) == step_kernels.MOST
    monkeypatch.setattr(step_kernels, "step_kernels", ends)
    with pytest.raises(RuntimeError):
        step_kernels.step_kernels_apart(ONE_AFTER_ANOTHER, TINY, HARDWARE)
    monkeypatch.setattr(step_kernels, "step_kernels", hangs)
    monkeypatch.setattr(step_kernels, "LONGEST", 1)
    with pytest.raises(RuntimeError) as error:
        step_kernels.step_kernels_apart(ONE_AFTER_ANOTHER, TINY, HARDWARE)
    assert first_line(error.value) == "one after another: the profiler took more than 1 s"


def ends(*_: object) -> None:
    os._exit(1)


def hangs(*_: object) -> None:
    time.sleep(60)


def test_a_bound_says_what_it_is() -> None:
    assert str(Bound("copy on the device", "", 2e9, "bytes")) == "copy on the device: 2e+09 bytes/s"
    assert "float32" in str(Bound("convolution", "float32", 1e11, "FLOP"))
