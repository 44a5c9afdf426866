"""The command that fits older methods, and what it writes."""

import json
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from takeoff.classical.command import fit_all
from takeoff.classical.images import load
from takeoff.errors import TakeoffError
from takeoff.records import RUNS
from takeoff.study.arms import ClassicalArm, make_classical
from takeoff.study.loading import load_study
from takeoff.study.model import Study

Command = Callable[..., subprocess.CompletedProcess[str]]
SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def study(write_study: Callable[..., Path]) -> Study:
    return load_study(write_study())


@pytest.fixture
def fitted(study: Study, digits: Path, tmp_path: Path) -> Callable[..., Path]:
    def run(*arms: ClassicalArm) -> Path:
        folders = [tmp_path / "arms" / arm.name for arm in arms]
        fit_all(Namespace(study="small.yaml", data=digits, threads=1, arms=folders), study, arms)
        return folders[0]

    return run


def test_a_row_per_seed_with_what_was_scored(fitted: Callable[..., Path], study: Study, digits: Path) -> None:
    arm = make_classical(study, "pixels", "logistic", 200)
    folder = fitted(arm)
    table = pq.read_table(folder / "runs.parquet")
    assert table.schema.equals(RUNS)
    choice = json.loads((folder / "tuning.json").read_text())
    assert choice["seeds"] == study.tuning_seeds
    assert len(choice["runs"]) == 2 * len(choice["grid"]) == 12
    best = max(choice["grid"], key=lambda row: row["validation_accuracy"])
    assert choice["setting"] == best["setting"]
    rows = table.to_pylist()
    images = load(digits, study.dataset)
    assert [row["seed"] for row in rows] == study.seed_list
    for row in rows:
        assert row["method"] == "pixels-logistic"
        assert row["train_samples"] == 200
        assert row["parameters"] == 10 * 65
        assert row["learning_rate"] is None
        assert row["activation"] is None
        right = np.unpackbits(np.frombuffer(row["test_correct"], np.uint8), count=len(images.test_labels))
        assert right.mean() == pytest.approx(row["test_accuracy"])
        assert 0.8 < row["test_accuracy"] <= row["test_top5_accuracy"] <= 1


def test_finished_runs_are_kept_and_damaged_ones_fitted_again(
    fitted: Callable[..., Path], study: Study
) -> None:
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


def test_a_lenders_setting_is_taken(fitted: Callable[..., Path], study: Study) -> None:
    lender = make_classical(study, "pixels", "linear-svm", 200)
    borrower = make_classical(study, "pixels", "linear-svm", 36, seeds=(1,), lender=lender.name)
    with pytest.raises(TakeoffError, match=r"pixels-linear-svm\+n200.tuning.json: .*fit pixels-linear-svm"):
        fitted(borrower)
    folder = fitted(borrower, lender)
    own, lent = (json.loads((folder.parent / a.name / "tuning.json").read_text()) for a in (borrower, lender))
    assert own["lender"] == lender.name
    assert own["setting"] == lent["setting"]
    assert not own["runs"]
    rows = pq.read_table(folder / "runs.parquet").to_pylist()
    assert [(row["seed"], row["train_samples"]) for row in rows] == [(1, 36)]
    (folder.parent / lender.name / "tuning.json").write_text("{}")
    with pytest.raises(TakeoffError, match="damaged"):
        fitted(borrower)


@pytest.mark.parametrize("features", ["kmeans", "fisher"])
def test_thirty_six_images_of_ten_classes(fitted: Callable[..., Path], study: Study, features: str) -> None:
    folder = fitted(make_classical(study, features, "linear-svm", 36))
    rows = pq.read_table(folder / "runs.parquet").to_pylist()
    assert all(row["test_accuracy"] > 0.3 for row in rows)


def test_an_arm_that_no_experiment_asks_for_is_refused(
    command: Callable[..., subprocess.CompletedProcess[str]],
    write_study: Callable[..., Path],
    digits: Path,
    tmp_path: Path,
) -> None:
    path = tmp_path / "arms" / "hog-rbf-svn" / "runs.parquet"
    done = command("fit_classical", "--study", write_study(), "--data", digits, path)
    assert done.returncode == 1
    assert "has no such older method" in done.stderr
    assert "Traceback" not in done.stderr


def test_choices_are_named(fitted: Callable[..., Path], study: Study, digits: Path) -> None:
    arm = make_classical(study, "hog", "rbf-svm")
    wrong = Namespace(
        study="small.yaml", data=digits, threads=1, arms=[Path("arms/hog-rbf-svn/runs.parquet")]
    )
    with pytest.raises(TakeoffError, match=r"hog-rbf-svn.*did you mean hog-rbf-svm\?"):
        fit_all(wrong, study, [arm])


def test_torch_is_not_imported() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); import fit_classical, takeoff.classical.jobs; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
