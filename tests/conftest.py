"""What tests share: the repository, its commands, and small studies of real images."""

import gc
import os
import runpy
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
import yaml

if TYPE_CHECKING:
    from results_folder import ResultsFolder
    from takeoff.engine.dataset import Dataset
    from takeoff.engine.hardware import Hardware
    from takeoff.study.arms import Arm

pytest.register_assert_rewrite("unit")  # that its helpers' assertions show what they compared

REPOSITORY = Path(__file__).parent.parent
SCRIPTS = REPOSITORY / "scripts"
ARCHIVES = os.environ.get("TAKEOFF_ARCHIVES")

Done = subprocess.CompletedProcess[str]


class Command:
    """The commands in scripts/, run as a user does."""

    def __call__(self, name: str, *arguments: object, cwd: Path = REPOSITORY) -> Done:
        """What a command came to, whatever that is."""
        line = [sys.executable, str(SCRIPTS / f"{name}.py"), *map(str, arguments)]
        return subprocess.run(line, cwd=cwd, capture_output=True, text=True, timeout=1800, check=False)

    def done(self, name: str, *arguments: object) -> Done:
        """What a command came to that does what it is told."""
        done = self(name, *arguments)
        assert done.returncode == 0, done.stderr
        return done

    def refused(self, name: str, *arguments: object, cwd: Path = REPOSITORY) -> str:
        """The one line with which a command refuses what its user can put right."""
        done = self(name, *arguments, cwd=cwd)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert done.stderr.startswith("error: ")
        return done.stderr


@pytest.fixture(scope="session")
def command() -> Command:
    return Command()


@pytest.fixture(scope="session")
def run_here() -> Callable[..., None]:
    """Run a command's `main` in this process, which has imported already what that takes long to import."""

    def run(name: str, *arguments: object) -> None:
        with patch.object(sys, "argv", [name, *map(str, arguments)]):
            runpy.run_path(str(SCRIPTS / f"{name}.py"))["main"]()

    return run


@pytest.fixture(scope="session")
def archive() -> Callable[[str], Path]:
    """A real archive of images, by its file name; the test is skipped where it is not at hand."""

    def find(name: str) -> Path:
        if ARCHIVES is None:
            pytest.skip(f"TAKEOFF_ARCHIVES does not say which folder holds {name}")
        path = Path(ARCHIVES) / name
        if not path.is_file():
            pytest.skip(f"{name} is not in TAKEOFF_ARCHIVES={ARCHIVES}")
        return path.resolve()

    return find


def small_study(**changes: Any) -> dict[str, Any]:
    """The default study made small: one factor, two seeds, two epochs, one experiment; `changes` replace keys."""
    study = yaml.safe_load((REPOSITORY / "config" / "studies" / "digits.yaml").read_text(encoding="utf-8"))
    study["network"]["width"] = 0.0625
    study["recipe"] |= {"epochs": 2, "batch_size": 128}
    study["tuning"] = {"learning_rates": [0.01, 0.1], "seeds": 2}
    study["seeds"] = 2
    study["experiments"] = {"factorial": {"threshold": 0.5}}
    study["factors"] = {"norm": {"baseline": "none", "treatment": "batch"}}
    return study | changes


@pytest.fixture
def write_study(tmp_path: Path) -> Callable[..., Path]:
    """Write a small study, changed, to a file of its own."""

    def write(name: str = "small", **changes: Any) -> Path:
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(small_study(**changes), sort_keys=False), encoding="utf-8")
        return path

    return write


@pytest.fixture
def plan_arms() -> Callable[[Path, Path], None]:
    """Write every arm of a study down among some results, whole, as planning does."""
    from takeoff.experiments.registry import enabled, wanted
    from takeoff.study.loading import load_study
    from takeoff.study.planned import arm_path, planned_arms, write_arm

    def write(path: Path, results: Path) -> None:
        study = load_study(path)
        for arm in planned_arms(study, wanted(enabled(study, str(path)))):
            write_arm(arm_path(results, arm.name), arm)

    return write


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory, command: Command) -> Path:
    """Scikit-learn's digits, prepared by the command."""
    folder = tmp_path_factory.mktemp("digits") / "8px"
    command.done("prepare", "--dataset", "digits", "--resolution", 8, "--out", folder)
    return folder


@pytest.fixture(scope="session")
def hardware() -> "Hardware":
    """One thread of the CPU, in float32."""
    from takeoff.jobs.hardware import hardware_of

    return hardware_of("cpu", "float32", threads=1)


@pytest.fixture
def images(digits: Path, hardware: "Hardware", write_study: Callable[..., Path]) -> "Dataset":
    """The digits, resident."""
    from takeoff.jobs.command import load
    from takeoff.study.loading import load_study
    from takeoff.study.planned import images_of

    return load(digits, images_of(load_study(write_study())), hardware.device)


@pytest.fixture
def arm(write_study: Callable[..., Path]) -> "Callable[..., Arm]":
    """An arm of the small study: its recipe's and its network's changes, then levels of factors."""
    from takeoff.study.arms import make_arm
    from takeoff.study.loading import load_study

    study = load_study(write_study())

    def build(recipe: dict | None = None, network: dict | None = None, probed: bool = False, **levels) -> "Arm":
        return make_arm(study, levels, network=network, recipe=recipe, probed=probed)

    return build


@pytest.fixture
def no_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    """No garbage is collected where code wants it: Statsmodels does at every correction, and here there are many."""
    monkeypatch.setattr(gc, "collect", lambda *_: 0)


@pytest.fixture(scope="session")
def blank_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty database of MLflow's, which takes seconds to make."""
    from takeoff.tracking.server import connect

    path = tmp_path_factory.mktemp("blank") / "mlflow.db"
    connect(f"sqlite:///{path}")
    return path


def copy_database(one: Path, other: Path) -> None:
    """Copy a SQLite file that this process may have open."""
    with closing(sqlite3.connect(one)) as source, closing(sqlite3.connect(other)) as target:
        source.backup(target)


@pytest.fixture
def fresh_results(tmp_path: Path, blank_database: Path) -> "Callable[..., ResultsFolder]":
    """Make a results folder with a blank database."""
    from results_folder import make_results

    def make(**options: Any) -> "ResultsFolder":
        folder = make_results(tmp_path, **options)
        copy_database(blank_database, folder.database)
        return folder

    return make
