"""How long older methods take: by the committed times, and by those of a results folder."""

import csv
import json
from pathlib import Path

import pytest
from conftest import REPOSITORY
from takeoff.study.configuration import Configuration
from takeoff.study.loading import load_study
from takeoff.study.planned import PlannedClassicalArm
from takeoff.workflow import fit_times
from takeoff.workflow.fit_times import FitTime, fit_seconds
from takeoff.workflow.project import Project


def older(name: str) -> list[PlannedClassicalArm]:
    """The older methods of a study of ours."""
    path = REPOSITORY / "config" / "studies" / f"{name}.yaml"
    arms = Project(Configuration(), load_study(path), path).arms.values()
    return [arm for arm in arms if isinstance(arm, PlannedClassicalArm)]


@pytest.fixture
def arm() -> PlannedClassicalArm:
    """Histograms of gradients of 32 px, and a linear SVM: three seeds, one that tunes."""
    found = next(arm for arm in older("cifar10-cpu") if arm.name == "hog-linear-svm")
    return found.model_copy(update={"seeds": (0, 1, 2), "tuning_seeds": (9,), "choice_from": None})


def times(*rows: tuple[int, int, float, float]) -> tuple[FitTime, ...]:
    """Of sides and sizes."""
    return tuple(FitTime("hog", "linear-svm", side, False, True, size, *both) for side, size, *both in rows)


def test_between_two_sizes_time_is_a_power_of_the_size(arm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_times, "_times", lambda: times((32, 100, 1, 10), (32, 10_000, 100, 10)))
    assert fit_seconds(arm.model_copy(update={"train_samples": 1000}), 50_000) == pytest.approx(3 * 10 + 10)
    assert fit_seconds(arm.model_copy(update={"train_samples": None}), 100_000) == pytest.approx(3 * 1000 + 10)
    assert fit_seconds(arm.model_copy(update={"train_samples": 100}), 50_000) == pytest.approx(3 * 1 + 10)
    follows = arm.model_copy(update={"train_samples": 100, "choice_from": "other"})
    assert fit_seconds(follows, 50_000) == pytest.approx(3)


def test_images_nearest_in_size_count_by_their_pixels(arm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_times, "_times", lambda: times((8, 100, 5, 5), (64, 100, 4, 4)))
    small = arm.model_copy(update={"train_samples": 200})
    assert fit_seconds(small, 50_000) == pytest.approx((3 + 1) * 4 * 2 / 4)
    mirrored = small.model_copy(update={"mirrored": True})
    assert fit_seconds(mirrored, 50_000) == pytest.approx(2 * (3 + 1) * 4 * 2 / 4)
    assert fit_seconds(arm.model_copy(update={"features": "fisher"}), 50_000) == 0


@pytest.mark.parametrize("name", ["digits", "cifar10-cpu", "imagenette-cpu"])
def test_every_older_method_of_a_study_has_a_time(name: str) -> None:
    found = older(name)
    assert found
    assert all(fit_seconds(arm, 1000) > 0 for arm in found)


def test_times_of_a_results_folder_are_medians(arm, command, tmp_path: Path) -> None:
    folder = tmp_path / "results" / "arms" / arm.name
    (folder / "runs").mkdir(parents=True)
    (folder / "arm.json").write_text(arm.model_dump_json())
    for seed, seconds in enumerate((2.0, 3.0, 30.0)):
        record = {"run": {"train_samples": 50_000, "seconds": seconds}}
        (folder / "runs" / f"{seed}.json").write_text(json.dumps(record))
    (folder / "runs" / "tuning.json").write_text(json.dumps({"runs": [{"seconds": 1.5}, {"seconds": 2.5}]}))
    command.done("analyse", "fit_times", tmp_path / "results", "--out", tmp_path / "fits.csv")
    (row,) = csv.DictReader((tmp_path / "fits.csv").open())
    assert (row["features"], row["learner"], row["side"], row["train_samples"]) == ("hog", "linear-svm", "32", "50000")
    assert (float(row["seconds"]), float(row["tuning_seconds"])) == (3, 3 + 4)


def test_a_folder_without_fits_is_refused(command, tmp_path: Path) -> None:
    assert "arms" in command.refused("analyse", "fit_times", tmp_path, "--out", tmp_path / "fits.csv")
    (tmp_path / "arms").mkdir()
    assert "older" in command.refused("analyse", "fit_times", tmp_path, "--out", tmp_path / "fits.csv")
    assert not (tmp_path / "fits.csv").exists()
