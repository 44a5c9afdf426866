"""How long runs are expected to take: guessed, or by steps that were timed here."""

import csv
import json
from pathlib import Path

import pytest
from takeoff.common.errors import TakeoffError
from takeoff.study.configuration import Configuration
from takeoff.study.loading import load_study
from takeoff.workflow import speeds
from takeoff.workflow.project import Project
from takeoff.workflow.speeds import Speed, Speeds


@pytest.mark.parametrize(
    ("flags", "side", "faster"), [("avx2", 32, False), ("avx2 avx512_bf16", 32, True), ("amx_bf16", 8, False)]
)
def test_a_cpu_that_multiplies_in_bfloat16_is_expected_to_be_faster_but_for_small_images(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flags: str, side: int, faster: bool
) -> None:
    (tmp_path / "cpuinfo").write_text(f"flags : fpu {flags}\n", encoding="utf-8")
    monkeypatch.setattr(speeds, "FLAGS", tmp_path / "cpuinfo")
    assert speeds.trains_in_bfloat16(side) == faster


def test_a_plan_counts_with_steps_that_were_timed_here(command, write_study, tmp_path, monkeypatch) -> None:
    """Once for each network: the second plan knows them, and so does one that times nothing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    study = write_study(budget={"runs": 100, "core_hours": 10})

    def planned(*options: object) -> list[float]:
        command.done("plan", "--study", study, "--out", tmp_path / "plan.csv", *options)
        return [float(row["expected_seconds"]) for row in csv.DictReader((tmp_path / "plan.csv").open())]

    guessed, timed = planned(), planned("--measure")
    file = tmp_path / "cache" / "takeoff" / "speeds.json"
    known = json.loads(file.read_text())
    assert len(known) == 2  # with and without a norm
    assert all(step > 0 and image > 0 for step, image in known.values())
    assert timed != guessed
    file.write_text(json.dumps({key: [1.0, 0.5] for key in known}))
    # A tuning run: two epochs of eight steps, and twice 2 × 259 images scored; a final run is scored once more.
    assert (
        planned() == planned("--measure") == [16 + 518.0] * 4 + [16 + 777.0] * 2 + [16 + 518.0] * 4 + [16 + 777.0] * 2
    )
    file.write_text("{")
    assert planned("--measure") != guessed


def test_what_seems_to_exceed_a_budget_is_timed_before_it_is_refused(write_study, monkeypatch, tmp_path) -> None:
    asked: list[int] = []

    def measure(arms: list, *_: object, longest: float) -> Speeds:
        asked.append(len(arms))
        return lambda arm, shape: Speed(1e-3, 1e-6)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("takeoff.workflow.project.measure", measure)
    monkeypatch.setattr(speeds, "expected_rate", lambda resolution: 1e6)

    def check(core_hours: float) -> None:
        path = write_study(budget={"runs": 100, "core_hours": core_hours})
        Project(Configuration(results=str(tmp_path / "results")), load_study(path), path).check_budget()

    check(1)
    assert asked == [2]
    with pytest.raises(TakeoffError, match="exceeds its budget"):
        check(1e-3)  # far beyond any doubt
    assert asked == [2]
