"""What runs again on a finished study: just what depends on that which changed."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import small_study
from snakemake_command import clone, jobs, run_snakemake

pytestmark = pytest.mark.slow

EXPERIMENTS: dict[str, Any] = {
    "race": {"width": 0.25, "error": 0.5, "epochs": 2},
    "depth": {"depths": [2, 3], "activations": ["relu"], "rates": [0.01, 0.1], "tuning_seeds": 2},
}
SHOWN = {"track", "all"}
RACE = {"analyse_race", "draw_race"}
PLANNED = {"study", "judge", "summary", "track_runs"}
"""What shows the study itself."""


def write_study(home: Path, **changes: Any) -> None:
    study = small_study(**{"experiments": EXPERIMENTS, **changes})
    (home / "small.yaml").write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")


def listed(home: Path, *config: str) -> set[str]:
    """The rules of a dry run."""
    done = run_snakemake(home, "-n", "--cores", "1", snakefile=home / "Snakefile", config=("study=small.yaml", *config))
    return jobs(done)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with its results inside."""
    home = clone(tmp_path_factory.mktemp("once") / "clone")
    write_study(home)
    run_snakemake(home, "--cores", "all", snakefile=home / "Snakefile", config=("study=small.yaml",))
    return home


@pytest.fixture
def home(once: Path, tmp_path: Path) -> Path:
    """A copy of it at another place, to be changed."""
    return Path(shutil.copytree(once, tmp_path / "moved", symlinks=True))


def append(path: str) -> Callable[[Path], None]:
    """A change of what a module does."""

    def change(home: Path) -> None:
        with (home / "scripts" / "takeoff" / path).open("a", encoding="utf-8") as file:
            file.write("\nNEW = 1\n")

    return change


def replace(pattern: str, by: str, *paths: str) -> Callable[[Path], None]:
    """A change of text, at its first place in each file."""

    def change(home: Path) -> None:
        for path in paths:
            text, number = re.subn(pattern, by, (home / path).read_text(encoding="utf-8"), count=1)
            assert number == 1, path
            (home / path).write_text(text, encoding="utf-8")

    return change


def restudy(**changes: Any) -> Callable[[Path], None]:
    return lambda home: write_study(home, **changes)


def race(**options: Any) -> dict[str, Any]:
    return {**EXPERIMENTS, "race": EXPERIMENTS["race"] | options}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(lambda home: None, set(), id="a moved clone"),
        pytest.param(
            replace(r'help="', 'help="Now ', "scripts/plan.py", "scripts/judge.py", "scripts/takeoff/jobs/command.py"),
            set(),
            id="a help text",
        ),
        pytest.param(replace(r'"""', '"""Now ', "scripts/takeoff/engine/network.py"), set(), id="a docstring"),
        pytest.param(append("experiments/race/figures.py"), {"draw_race", *SHOWN}, id="a colour"),
        pytest.param(
            append("experiments/race/tables.py"), {*RACE, "judge", "summary", *SHOWN}, id="one experiment's function"
        ),
        pytest.param(
            replace(r"above: 2\b", "above: 2.02", "config/claims.yaml"), {"judge", "summary", *SHOWN}, id="a criterion"
        ),
        pytest.param(restudy(title="Another"), {*PLANNED, "draw_race", "draw_depth", *SHOWN}, id="the title"),
        pytest.param(restudy(budget={"runs": 999, "core_hours": 9}), {*PLANNED, *SHOWN}, id="the budget"),
    ],
)
def test_what_trains_nothing(home: Path, change: Callable[[Path], None], expected: set[str]) -> None:
    change(home)
    assert listed(home) == expected


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"width": 0.3}, id="one that has a new name then"),
        pytest.param({"rates": [0.02, 0.2]}, id="one that keeps its name"),
    ],
)
def test_a_setting_of_one_experiments_arms_trains_these_alone(home: Path, options: dict[str, Any]) -> None:
    write_study(home, experiments=race(**options))
    expected = {*PLANNED, *RACE, "probe", *SHOWN}
    runs = listed(home)
    assert runs >= expected - {"probe"}  # whose steps depend on no grid
    trained = runs - expected
    assert len(trained) == 1
    assert trained.pop().startswith("train_")


def test_whatever_changed_runs_again_while_the_study_is_planned_anew(home: Path) -> None:
    """Snakemake itself overlooks what else changed for a job whose input is `ancient` and made anew."""
    write_study(home, title="Another", experiments=race(rates=[0.02, 0.2]))
    append("engine/network.py")(home)
    append("experiments/depth/tables.py")(home)
    runs = listed(home)
    assert len({rule for rule in runs if rule.startswith("train_")}) == 2
    assert runs >= {*RACE, "analyse_depth", "draw_depth"}


def test_only_what_changed_is_trained_anew(home: Path) -> None:
    arms = home / "results" / "small" / "arms"
    before = {path: path.stat().st_mtime_ns for path in arms.glob("*/*.json")}
    write_study(home, experiments=race(rates=[0.02, 0.2]))
    run_snakemake(home, "--cores", "all", snakefile=home / "Snakefile", config=("study=small.yaml",))
    changed = {path.parent.name for path, time in before.items() if path.stat().st_mtime_ns != time}
    assert changed == {path.name for path in arms.iterdir() if "four-layer" in path.name}
    assert listed(home) == set()


MANY = '''"""Are ten thousand arms planned in time?"""

from takeoff.experiments.base import Experiment
from takeoff.study.arms import make_arm
from takeoff.study.settings import Settings


class Design(Experiment[Settings]):
    title = "Many"

    def arms(self):
        decays = (number / 1e6 for number in range(10_000))
        return [make_arm(self.study, {"activation": "relu"}, recipe={"weight_decay": decay}) for decay in decays]

    def tables(self):
        return ("many",)

    def figures(self):
        return {}
'''


def test_ten_thousand_arms_are_planned(tmp_path: Path) -> None:
    home = clone(tmp_path / "clone")
    folder = home / "scripts" / "takeoff" / "experiments" / "many"
    folder.mkdir()
    (folder / "design.py").write_text(MANY, encoding="utf-8")
    replace(r"EXPERIMENTS = \(", 'EXPERIMENTS = ("many",', "scripts/takeoff/experiments/registry.py")(home)
    write_study(home, experiments={"many": {}}, budget={"runs": 10**6, "core_hours": 10**6})
    assert len({rule for rule in listed(home) if rule.startswith("train_")}) == 500
