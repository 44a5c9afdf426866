"""A disk that is full at any stage, or may not be written to, two workflows on one study, and a clock that goes back: a
line, nothing corrupt, and once that is mended the work goes on.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY, copy_database, small_study
from results_folder import make_results
from snakemake_command import BIN
from takeoff.common.errors import TakeoffError
from takeoff.data.catalogue import Sums
from takeoff.data.fetching import Patience, fetch
from takeoff.data.preparing import Request, prepare
from takeoff.tracking.server import settle
from unit import image_archives as make
from unit.mlflow_store import Store, import_into_mlflow

from faults.finished import assert_close, temporary
from faults.results import Results

PAGE = 4096
MEGABYTES = 48


@dataclass
class Disk:
    """A small disk in memory."""

    folder: Path

    def leave(self, pages: int) -> None:
        """Fill it, but for so many pages."""
        free = shutil.disk_usage(self.folder).free // PAGE
        (self.folder / "filler").write_bytes(bytes(PAGE * max(0, free - pages)))

    def mend(self) -> None:
        """Let it be written to again."""
        (self.folder / "filler").unlink(missing_ok=True)

    def mount(self, options: str) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.folder], check=True, capture_output=True)


@pytest.fixture(scope="module")
def mounted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    disk = Disk(tmp_path_factory.mktemp("disk"))
    try:
        disk.mount(f"size={MEGABYTES}m")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a small disk is mounted by root alone")
    yield disk
    subprocess.run(["umount", "--lazy", disk.folder], check=True)


@pytest.fixture
def disk(mounted: Disk) -> Iterator[Disk]:
    """The disk, with nothing on it."""
    yield mounted
    mounted.mount("remount,rw")
    for path in mounted.folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def line_of(work: Callable[[], object]) -> str | None:
    """The line with which work in this process refuses, or None."""
    try:
        work()
    except (TakeoffError, OSError) as error:
        return str(error)
    except SystemExit as stopped:
        return str(stopped.code)
    return None


def spoil(dice: Random, disk: Disk, most: int) -> None:
    """Fill the disk nearly, or let nobody write to it."""
    if dice.random() < 0.8:
        disk.leave(dice.randrange(most))
    else:
        disk.mount("remount,ro")


def mend(disk: Disk) -> None:
    disk.mount("remount,rw")
    disk.mend()


def is_told(line: str | None) -> bool:
    """Whether a line, if there is one, says what is wrong with the disk."""
    words = ("no space", "disk is full", "read-only", "readonly", "unable to open", "disk i/o error")
    return line is None or (line.isprintable() and any(word in line.lower() for word in words))


@pytest.mark.tries(quick=2, whole=15)
def test_fetching(dice: Random, disk: Disk, tmp_path: Path) -> None:
    body = dice.randbytes(300_000)
    source = tmp_path / "archive.tgz"
    source.write_bytes(body)
    out, sums, size = disk.folder / "data" / "archive.tgz", Sums(), dice.choice([None, len(body)])

    def work() -> None:
        fetch([str(source)], out, sums, Patience(1, 1, 0.01), size)

    spoil(dice, disk, 80)
    assert is_told(line_of(work))
    assert not out.exists() or out.read_bytes() == body
    mend(disk)
    work()
    assert out.read_bytes() == body
    assert [path.name for path in out.parent.iterdir()] == ["archive.tgz"]


@pytest.mark.tries(quick=2, whole=15)
def test_preparing(dice: Random, disk: Disk, tmp_path: Path) -> None:
    archive = make.write_tar(tmp_path / "x.tgz", make.folders())
    out = disk.folder / "data" / "out"
    expected = prepare(Request(archive, 64, threads=1), tmp_path / "whole")
    spoil(dice, disk, 40)
    line = line_of(lambda: prepare(Request(archive, 64, threads=1), out))
    assert is_told(line)
    if line:
        assert not list(disk.folder.rglob("*.safetensors"))
        assert not list(disk.folder.rglob("card.json"))
    mend(disk)
    assert prepare(Request(archive, 64, threads=1), out) == expected
    assert len(list(out.parent.iterdir())) == 1


@pytest.mark.tries(quick=2, whole=20)
def test_training_and_what_follows(dice: Random, disk: Disk, whole: Results) -> None:
    results = whole.copied(disk.folder / "results")
    results.log = whole.log.with_name("of the disk.txt")
    step = dice.choice(["train", "train", "experiment", "judge", "summarise"])
    made = {
        "train": [path for path in results.arm.iterdir() if path.name != "arm.json"],
        "experiment": [results.own / "factorial"],
        "judge": [*results.own.glob("claims*.csv"), results.own / "figures"],
        "summarise": [results.own / "summary.md"],
    }
    for path in made[step]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    def work() -> str | None:
        return results.train() if step == "train" else results.report(step)

    spoil(dice, disk, {"train": 40}.get(step, 10))
    assert is_told(work())
    mend(disk)
    assert work() is None
    assert_close(results.arm, whole.arm)  # runs that were saved before the disk was full are not fused with the rest
    assert temporary(results.folder) == []
    for path in [*whole.own.glob("factorial/*.csv"), *whole.own.glob("claims*.csv")]:
        assert (results.own / path.relative_to(whole.own)).read_bytes() == path.read_bytes()


@pytest.mark.tries(quick=1, whole=15)
def test_logging(dice: Random, disk: Disk, blank_database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_results(disk.folder / "results")
    copy_database(blank_database, folder.database)
    spoil(dice, disk, 200)
    assert is_told(line_of(lambda: import_into_mlflow(folder, monkeypatch)))
    mend(disk)
    import_into_mlflow(folder, monkeypatch)
    runs = Store(folder).runs()
    assert len(runs) == 7
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    settle(folder.uri)  # a disk with open files cannot be made read-only


def snakemake(folder: Path, *arguments: str, **changes: Any) -> subprocess.Popen:
    """A small study, in a folder, with nothing logged."""
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "small.yaml").write_text(yaml.safe_dump(small_study(**changes), sort_keys=False))
    line = [str(BIN / "snakemake"), "-s", str(REPOSITORY / "Snakefile"), "--directory", str(folder), "--cores", "1"]
    line += [*arguments, "--config", "study=small.yaml", "tracking_uri=off"]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ)


@pytest.mark.slow
@pytest.mark.tries(quick=0, whole=3)
def test_two_workflows_on_one_study(dice: Random, tmp_path: Path) -> None:
    """The second one ends at once, or both do what there is to do."""
    first = snakemake(tmp_path / "here")
    try:
        first.wait(dice.uniform(1, 20))
    except subprocess.TimeoutExpired:
        second = snakemake(tmp_path / "here")
        said, _ = second.communicate(timeout=1800)
        assert "Traceback" not in said
        assert second.returncode == 0 or "lock" in said.lower()
    said, _ = first.communicate(timeout=1800)
    assert first.returncode == 0, said
    again = snakemake(tmp_path / "here")
    assert "Nothing to be done" in again.communicate(timeout=1800)[0]


@pytest.mark.slow
@pytest.mark.tries(quick=0, whole=2)
def test_a_clock_that_goes_back(dice: Random, tmp_path: Path) -> None:
    """Finished files have dates that are still to come."""
    home = tmp_path / "here"
    said, _ = snakemake(home).communicate(timeout=1800)
    files = [path for path in (home / "results").rglob("*") if path.is_file()]
    ahead = time.time() + dice.uniform(3600, 1e6)
    for path in files:
        os.utime(path, (ahead, ahead))
    runs = {path: path.read_bytes() for path in files if path.parent.name == "runs"}
    assert runs, said
    more = snakemake(home, seeds=3)
    said, _ = more.communicate(timeout=1800)
    assert more.returncode == 1
    assert "clock" in said
    assert "Traceback" not in said
    for path in (home / "results").rglob("*"):
        os.utime(path)
    again = snakemake(home, seeds=3)
    said, _ = again.communicate(timeout=1800)
    assert again.returncode == 0, said
    assert {path: path.read_bytes() for path in runs} == runs
    assert temporary(home / "results") == []


@pytest.mark.slow
@pytest.mark.tries(quick=0, whole=5)
def test_a_workflow_whose_disk_is_full(dice: Random, disk: Disk) -> None:
    """Its state is on that disk, too."""
    home = disk.folder / "here"
    home.mkdir()
    disk.leave(dice.randrange(20, 400))
    try:
        said, _ = snakemake(home).communicate(timeout=1800)
    except OSError as error:
        said = str(error)  # not even the study's file has room
    assert "Traceback" not in said
    mend(disk)
    snakemake(home, "--unlock").communicate(timeout=1800)
    again = snakemake(home)
    said, _ = again.communicate(timeout=1800)
    assert again.returncode == 0, said
    assert list(home.glob("results/small/claims.csv"))
    assert temporary(home / "results") == []
