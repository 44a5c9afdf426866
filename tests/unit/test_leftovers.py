"""What must not stay in a study's folder."""

import os
import time
from pathlib import Path

import pytest
from takeoff.common.files import atomic_path
from takeoff.study.manifest import FILE, changed_files, write_manifest
from takeoff.workflow.leftovers import remove_temporary


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for place, names in {"arms/relu": ["learning_rate.json", "runs.parquet"], "race": ["steps.csv"]}.items():
        (tmp_path / place).mkdir(parents=True)
        for name in names:
            (tmp_path / place / name).write_text(name)
        write_manifest(tmp_path / place, names)
    return tmp_path


@pytest.mark.parametrize("place", ["arms/relu/runs.parquet", "arms/relu/learning_rate.json", "race/steps.csv"])
def test_a_finished_file_that_was_changed_is_found(results: Path, place: str) -> None:
    folders = [results / name for name in ("arms/relu", "race", "nowhere")]
    assert changed_files(folders) == []
    (results / place).write_text("something else")
    assert changed_files(folders) == [results / place]
    (results / place).unlink()
    assert changed_files(folders) == [results / place]


@pytest.mark.parametrize("text", ["", "[]", "{}", None])
def test_without_its_list_no_file_is_trusted(results: Path, text: str | None) -> None:
    path = results / "arms" / "relu" / FILE
    path.unlink() if text is None else path.write_text(text)
    assert changed_files([path.parent]) == [path.with_name("runs.parquet")]
    path.with_name("runs.parquet").unlink()
    assert changed_files([path.parent]) == []


def test_what_a_killed_job_was_writing_goes_and_what_is_being_written_stays(results: Path) -> None:
    with atomic_path(results / "race" / "steps.csv") as now, atomic_path(results / "race" / "no-suffix") as old:
        now.write_text("half")
        old.write_text("half")
        os.utime(old, (0, 0))
        for name in (".8px-ab12cd34", ".8px-ef56ab78"):
            (results / "data" / name).mkdir(parents=True)
            (results / "data" / name / "train.safetensors").write_bytes(b"half")
            os.utime(results / "data" / name, (0, 0))
        os.utime(results / "data" / ".8px-ab12cd34" / "train.safetensors", (0, 0))
        (results / ".kept-file").write_text("a user's")
        os.utime(results / ".kept-file", (0, 0))
        remove_temporary(time.time() - 60, results)
        assert now.exists()
        assert not old.exists()
        assert [path.name for path in (results / "data").iterdir()] == [".8px-ef56ab78"]
        assert (results / ".kept-file").exists()
        old.touch()


@pytest.mark.parametrize("order", [("birds", "data"), ("data", "birds")])
def test_half_written_images_go_with_a_studys_half_written_files(tmp_path: Path, order: tuple[str, str]) -> None:
    """The images of all studies lie beside their folders."""
    for name in order:
        half = tmp_path / name / ".runs-ab12cd34.parquet"
        half.parent.mkdir()
        half.write_text("half")
        os.utime(half, (0, 0))
    remove_temporary(time.time() - 60, *[tmp_path / name for name in order])
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
