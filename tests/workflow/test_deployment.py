"""The workflow where its users deploy it: under either Snakefile, as a module of another workflow, installed."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import REPOSITORY, SCRIPTS, small_study
from snakemake_command import clone, jobs, run_snakemake

RACE = {"race": {"width": 0.25, "error": 0.5, "epochs": 2}}
DEVELOPERS = {"schemas"}
"""Commands that change the repository, and are in no wheel."""
PROFILES = REPOSITORY / "workflow" / "profiles"


def test_both_snakefiles_name_the_same_target(tmp_path: Path, write_study: Callable[..., Path]) -> None:
    config = (f"study={write_study(experiments=RACE)}",)
    runs = [
        run_snakemake(tmp_path / "here", *target, "-n", "--cores", "1", config=config, snakefile=REPOSITORY / place)
        for place in ("Snakefile", "workflow/Snakefile")
        for target in ((), ("all",))
    ]
    first, *others = [jobs(done) for done in runs]
    assert {"prepare", "study", "train_0", "analyse_race", "draw_race", "judge", "track", "all"} <= first
    assert others == [first] * 3


def test_the_environment_need_not_be_activated(tmp_path: Path, write_study: Callable[..., Path]) -> None:
    line, config = ("plan", "--cores", "1"), (f"study={write_study()}",)
    run_snakemake(tmp_path / "here", *line, config=config, environment={"PATH": "/usr/bin:/bin"})


def test_the_catalogue_has_what_it_reads() -> None:
    usage = yaml.safe_load((REPOSITORY / ".snakemake-workflow-catalog.yml").read_text(encoding="utf-8"))["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert set(usage["mandatory-flags"]) == {"desc", "flags"}
    assert usage["software-stack-deployment"]["conda"] is usage["report"] is True
    assert (REPOSITORY / "config" / "README.md").is_file()
    assert (REPOSITORY / "config" / "config.yaml").is_file()


@pytest.mark.parametrize("snakefile", ["Snakefile", "workflow/Snakefile"])
@pytest.mark.parametrize("name", sorted(path.parent.name for path in PROFILES.glob("*/config.yaml")))
def test_a_profile_is_found_by_its_name(tmp_path: Path, name: str, snakefile: str) -> None:
    """Beside both Snakefiles, and where snakedeploy copies profiles from."""
    line = [sys.executable, "-m", "snakemake", "-s", snakefile, "--workflow-profile", name, "--list-rules"]
    done = subprocess.run(line, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"profiles/{name} for setting default" in done.stderr


def write_module(folder: Path, snakefile: str, name: str = "*") -> Path:
    """A workflow that is nothing but ours, and its own study of the name of our default one."""
    (folder / "config" / "studies").mkdir(parents=True)
    study = small_study(experiments=RACE, title="My own")
    (folder / "config" / "studies" / "digits.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    path = folder / "Snakefile"
    path.write_text(f"module takeoff:\n    snakefile:\n        {snakefile}\n\n\nuse rule * from takeoff as {name}\n")
    return path


def check_results(folder: Path, snakefile: Path, *config: str, environment: Mapping[str, str] | None = None) -> None:
    """The study runs to its end, in the folder of the workflow that uses ours, and once."""
    run_snakemake(folder, "--cores", "all", snakefile=snakefile, config=config, environment=environment)
    results = folder / "results" / "digits"
    assert {"relu-trains-faster"} <= set(pd.read_csv(results / "claims.csv")["claim"])
    assert (results / "figures" / "race-curves.svg").stat().st_size > 1000
    assert '"My own"' in (results / "study.json").read_text(encoding="utf-8")
    again = run_snakemake(folder, "-n", "--cores", "all", snakefile=snakefile, config=config, environment=environment)
    assert jobs(again) == set()


@pytest.mark.slow
def test_as_a_module_from_another_folder(tmp_path: Path) -> None:
    clone(tmp_path / "clone")
    snakefile = write_module(tmp_path / "mine", '"../clone/workflow/Snakefile"')
    check_results(tmp_path / "mine", snakefile)
    assert (tmp_path / "mine" / "results" / "mlflow.db").is_file()
    assert not (tmp_path / "clone" / "results").exists()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the package is installed in, as pip does."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    for part in ("config", "scripts"):
        shutil.copytree(REPOSITORY / part, source / part)
    for part in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / part, source)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--wheel-dir", folder, source]
    built = subprocess.run(build, capture_output=True, text=True, timeout=600, check=False)
    if built.returncode and "hatchling" in built.stderr:
        pytest.skip("hatchling, which builds the wheel, cannot be had here")
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", folder / "site", wheel], check=True, timeout=600)
    with zipfile.ZipFile(wheel) as files:
        commands = {Path(name).stem for name in files.namelist() if name.startswith("takeoff/scripts/")}
    assert commands == {path.stem for path in SCRIPTS.glob("*.py")} - DEVELOPERS
    return folder / "site"


def with_package(site: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(site), "PATH": f"{site / 'bin'}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.slow
def test_an_installed_package_has_the_commands_and_the_studies(installed: Path, tmp_path: Path) -> None:
    environment = os.environ | with_package(installed)

    def takeoff(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = [installed / "bin" / "takeoff", *arguments]
        return subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    done = takeoff("plan", "--study", "digits", "--out", "plan.csv", "--criteria-out", "criteria.json")
    assert done.returncode == 0, done.stderr
    assert len(pd.read_csv(tmp_path / "plan.csv")) > 100
    assert takeoff("analyse", "effects", "--help").returncode == 0
    assert takeoff("plan", "--study", "digit").stderr.startswith("error: study=digit: no such study")
    assert takeoff("plna").returncode == 1
    assert takeoff().returncode == 0


@pytest.mark.slow
def test_as_a_module_from_an_address_with_the_package_installed(installed: Path, tmp_path: Path) -> None:
    """A repository at an address gives its rules alone."""
    home = clone(tmp_path / "repository")
    shutil.rmtree(home / "scripts")
    git = ["git", "-C", str(home), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "All"]):
        subprocess.run([*git, *words], check=True)
    address = f'gitfile("{home}", path="workflow/Snakefile", commit="HEAD")'
    snakefile = write_module(tmp_path / "mine", address, name="measured_*")
    alone = run_snakemake(tmp_path / "mine", "-n", "--cores", "1", snakefile=snakefile, fails=True)
    assert "takeoff is not installed" in alone.stderr
    check_results(tmp_path / "mine", snakefile, "tracking_uri=off", environment=with_package(installed))
