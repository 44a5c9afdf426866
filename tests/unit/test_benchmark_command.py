"""The benchmark's commands, as a user runs them: their tables, their figure, and what they refuse."""

import csv
import json
import shlex
import sys
from dataclasses import fields
from pathlib import Path

import benchmark
import pytest
from snakemake_command import run_snakemake
from takeoff.benchmarking import figure, growth, startup, throughput
from takeoff.benchmarking.loops import WAYS
from takeoff.benchmarking.machine import cores_at_hand
from takeoff.benchmarking.table import Row


def rows_of(path: Path) -> list[dict]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def measured(command, tmp_path_factory) -> Path:
    """What the rule's own command writes when it is to be quick, its blocks as short as can be, on images that are
    made up.
    """
    home = tmp_path_factory.mktemp("benchmark")
    shown = run_snakemake(
        home, "measure", "--cores", "1", "--dry-run", "--printshellcmds", config=("device=cpu",)
    )
    assert shown.returncode == 0, shown.stderr
    line = next(line for line in shown.stdout.splitlines() if "benchmark.py" in line)
    arguments = shlex.split(line.partition("benchmark.py")[2].partition(" > ")[0])
    done = command("benchmark", *arguments, "--quick", "--seconds", 0.01, cwd=home)
    assert done.returncode == 0, done.stderr
    return home / "results" / "benchmark" / "cpu"


@pytest.mark.slow
def test_the_command_measures_every_loop_and_its_ratio(measured: Path) -> None:
    rows = rows_of(measured / "throughput.csv")
    names = "loop width batch threads precision images_per_second ratio_to_plain".split()
    assert list(rows[0])[: len(names)] == names
    assert list(rows[0]) == [field.name for field in fields(Row)]
    loops = ["dataloader", "memory", "engine"]
    assert [row["loop"] for row in rows] == [*loops, *loops, "engine, 8 fused"]
    for start in (0, 3):
        reference = float(rows[start]["images_per_second"])
        for row in rows[start : start + 3]:
            speed = float(row["images_per_second"])
            assert float(row["ratio_to_plain"]) == pytest.approx(speed / reference, rel=1e-4)
            assert float(row["low"]) <= speed <= float(row["high"])
            assert row["device"] == "cpu"
            assert "does not depend" in row["images"]


@pytest.mark.slow
def test_the_command_tells_of_starts_runs_and_the_machine(measured: Path) -> None:
    starts = {row["name"]: row for row in rows_of(measured / "startup.csv")}
    assert float(starts["train"]["seconds"]) > float(starts["python"]["seconds"]) > 0
    assert float(starts["snakemake --dry-run"]["seconds"]) > 0
    assert [int(row["runs"]) for row in rows_of(measured / "runs.csv")] == list(growth.QUICK)
    facts = json.loads((measured / "machine.json").read_text())
    assert facts["torch"]
    assert facts["cores"] >= 1
    words = (measured / "throughput.md").read_text()
    assert words.count("\n| ") == 3
    assert f"torch {facts['torch']}" in words
    assert not [path for path in measured.iterdir() if path.name.startswith(".")]


@pytest.mark.slow
def test_the_figure_is_drawn_from_the_table(measured: Path, command) -> None:
    done = command("draw_benchmark", measured)
    assert done.returncode == 0, done.stderr
    assert "images per second" in (measured / "throughput.svg").read_text()
    assert (measured / "throughput.png").stat().st_size > 10_000


def test_after_so_many_minutes_no_other_setting_begins(monkeypatch, tmp_path: Path) -> None:
    measured = []

    def measure(setting, images, device, *_) -> list[Row]:
        measured.append(setting)
        return [throughput.row_of("engine", setting, images, throughput.hardware_of(setting, device)[0])]

    monkeypatch.setattr(throughput, "measure", measure)
    monkeypatch.setattr(growth, "measure_growth", lambda *_: [])
    monkeypatch.setattr(startup, "measure_startup", lambda *_, **__: [])
    line = [
        "benchmark.py",
        "--device",
        "cpu",
        "--minutes",
        "0",
        "--out",
        str(tmp_path),
        "--data",
        str(tmp_path),
    ]
    monkeypatch.setattr(sys, "argv", line)
    benchmark.main()
    rows = rows_of(tmp_path / "throughput.csv")
    every = [*throughput.settings("cpu", cores_at_hand(), quick=False), *throughput.busy_settings()]
    assert len(measured) == 1
    assert len(rows) == len(every)
    assert {row["note"] for row in rows[1:]} == {"left out: 0 minutes were over"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seconds", 0], "--seconds 0; valid: above 0"),
        (["--seconds", -1], "--seconds -1; valid: above 0"),
        (["--threads", 0], "--threads 0; valid: 1 or more"),
        (["--minutes", -1], "--minutes -1; valid: 0 or more"),
        (["--out", __file__], "a file; valid: a folder"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(command, tmp_path: Path, arguments: list, words: str) -> None:
    done = command("benchmark", "--out", tmp_path / "out", *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_folder_without_a_table_is_told_in_a_line(command, tmp_path: Path) -> None:
    done = command("draw_benchmark", tmp_path)
    assert done.returncode == 1
    assert (
        done.stderr
        == f"error: {tmp_path}/throughput.csv: there is no such file; scripts/benchmark.py writes it\n"
    )


def test_every_loop_of_a_gpu_has_a_mark_of_its_own() -> None:
    setting = throughput.settings("cuda", 16, quick=False)[0]
    loops = [way for way in WAYS if way.fits("cuda", setting)]
    assert 2 + len(loops) <= len(set(figure.MARKERS))
