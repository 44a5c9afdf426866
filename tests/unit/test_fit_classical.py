"""The command that fits older methods, and what it writes."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from takeoff.common.errors import TakeoffError
from takeoff.data.prepared import load_prepared
from takeoff.study.arms import ClassicalArm, make_classical
from takeoff.study.loading import load_study
from takeoff.study.model import Study
from takeoff.study.planned import arm_path, images_of, planned_arms, write_arm
from takeoff.study.records import RUNS


@pytest.fixture
def study(write_study) -> Study:
    return load_study(write_study())


@pytest.fixture
def fitted(study, digits, tmp_path, run_here) -> Callable[..., Path]:
    def run(*arms: ClassicalArm, **changes: bool) -> Path:
        paths = [arm_path(tmp_path, arm.name) for arm in arms]
        for path, arm in zip(paths, planned_arms(study, {"scaling": arms}), strict=True):
            write_arm(path, arm.model_copy(update=changes))
        run_here("fit_classical", "--data", digits, *paths)
        return paths[0].parent

    return run


def test_a_row_per_seed_with_what_was_scored(fitted, study, digits) -> None:
    arm = make_classical(study, "pixels", "logistic", 200)
    folder = fitted(arm)
    table = pq.read_table(folder / "runs.parquet")
    assert table.schema.equals(RUNS)
    (choice,) = json.loads((folder / "tuning.json").read_text())["choices"]
    assert choice["seeds"] == study.tuning_seeds
    assert len(choice["runs"]) == 2 * len(choice["grid"]) == 12
    best = max(choice["grid"], key=lambda row: row["validation_accuracy"])
    assert choice["setting"] == best["setting"]
    rows = table.to_pylist()
    images = load_prepared(digits, **images_of(study).model_dump(exclude={"dataset"}))
    assert [row["seed"] for row in rows] == study.seed_list
    for row in rows:
        expected = {"method": "pixels-logistic", "train_samples": 200}
        expected |= dict.fromkeys(("learning_rate", "activation"))
        assert {key: row[key] for key in expected} == expected
        right = np.unpackbits(np.frombuffer(row["test_correct"], np.uint8), count=len(images.test_labels))
        assert right.mean() == pytest.approx(row["test_accuracy"])
        assert 10 * 50 < row["parameters"] <= 10 * 65  # pixels that are always blank are no features
        assert "principal axes of 64 features" in row["notes"]
        assert 0.8 < row["test_accuracy"] <= row["test_top5_accuracy"] <= 1


def test_finished_runs_are_kept_and_damaged_ones_fitted_again(fitted, study) -> None:
    arm = make_classical(study, "hog", "logistic", 100)
    folder = fitted(arm)
    before = pq.read_table(folder / "runs.parquet").to_pylist()
    files = {path: path.stat().st_mtime_ns for path in (folder / "runs").iterdir()}
    assert len(files) == 4
    damaged = folder / "runs" / f"{before[0]['run_key']}.json"
    damaged.write_text(damaged.read_text()[:200])
    fitted(arm)
    after = pq.read_table(folder / "runs.parquet").to_pylist()
    changing = {"seconds", "images_per_second", "started_at"}
    assert [{k: v for k, v in row.items() if k not in changing} for row in after] == [
        {k: v for k, v in row.items() if k not in changing} for row in before
    ]
    assert after[1] == before[1]
    assert {path for path, time in files.items() if path.stat().st_mtime_ns != time} == {damaged}


def test_another_arms_setting_is_taken(fitted, study) -> None:
    chooser = make_classical(study, "pixels", "linear-svm", 200)
    taker = make_classical(study, "pixels", "linear-svm", 36, seeds=(1,), choice_from=chooser.name)
    with pytest.raises(TakeoffError, match=r"pixels-linear-svm\+n200.tuning.json: there is no such file"):
        fitted(taker)
    folder = fitted(taker, chooser)
    own, taken = (
        json.loads((folder.parent / a.name / "tuning.json").read_text())["choices"][0] for a in (taker, chooser)
    )
    assert own["choice_from"] == chooser.name
    assert own["setting"] == taken["setting"]
    assert not own["runs"]
    rows = pq.read_table(folder / "runs.parquet").to_pylist()
    assert [(row["seed"], row["train_samples"]) for row in rows] == [(1, 36)]
    (folder.parent / chooser.name / "tuning.json").write_text("{}")
    with pytest.raises(TakeoffError, match="damaged"):
        fitted(taker)


@pytest.mark.parametrize("features", ["kmeans", "fisher"])
def test_thirty_six_images_of_ten_classes(fitted, study, features: str) -> None:
    folder = fitted(make_classical(study, features, "linear-svm", 36), mirrored=True, large=True)
    rows = pq.read_table(folder / "runs.parquet").to_pylist()
    assert all(row["test_accuracy"] > 0.2 and "mirrored copy" in row["notes"] for row in rows)
