"""The environments agree: pyproject.toml, requirements.lock, the conda files, and what the code imports."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml
from conftest import REPOSITORY, SCRIPTS
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from takeoff.experiments.registry import EXPERIMENTS

PYTHONS = ("3.11", "3.12", "3.13")
ENVIRONMENTS = sorted(path.stem for path in (REPOSITORY / "envs").glob("*.yaml"))
DISTRIBUTIONS = {"PIL": "pillow", "skimage": "scikit-image", "sklearn": "scikit-learn", "yaml": "pyyaml"}
"""Packages that are imported by another name than they are installed by."""
CONDA = {"pytorch": "torch", "matplotlib-base": "matplotlib"}
"""Packages that conda-forge names otherwise."""
BEHIND = {"pandas": {"pyarrow"}}
"""Not imported by the code: pandas reads parquet with it."""
FRACTIONS = {"pydoe"}
"""What naming the arms takes past six factors, in every command that does."""

COMMON = {"arguments", "digests", "errors", "files", "randomness", "records"}
LAYERS: dict[str, set[str]] = {
    "study": set(),
    "data": set(),
    "statistics": set(),
    "models": {"study"},
    "training": {"models", "data", "statistics", "study"},
    "classical": {"data", "study"},
    "probing": {"training", "experiments", "models", "data", "study"},
    "benchmarking": {"probing", "training", "experiments", "models", "data", "study"},
    "experiments": {"statistics", "data", "study"},
    "tracking": {"experiments", "study"},
}
"""What each part of the package may import, as CONTRIBUTING.md has it."""


def project() -> dict:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


def declared() -> list[Requirement]:
    return [Requirement(text) for text in project()["project"]["dependencies"]]


@cache
def locked() -> list[tuple[Requirement, int]]:
    """Every requirement of the lock with the number of its hashes."""
    text = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
    blocks = re.findall(r"^(\S+==[^\\\n]+?)((?: *\\\n +--hash=sha256:[0-9a-f]{64})*)$", text, re.MULTILINE)
    return [(Requirement(head), hashes.count("--hash")) for head, hashes in blocks]


def version(name: str, python: str) -> str:
    """The version of a package that the lock has for a Python."""
    versions = [
        next(iter(requirement.specifier)).version
        for requirement, _ in locked()
        if canonicalize_name(requirement.name) == canonicalize_name(name)
        and (
            requirement.marker is None or requirement.marker.evaluate({"python_full_version": f"{python}.0"})
        )
    ]
    assert len(versions) == 1, f"requirements.lock: {name} for Python {python}: {versions}"
    return versions[0]


def test_the_lock_has_a_hash_for_each_requirement() -> None:
    text = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
    assert len(locked()) == len(re.findall(r"^[^\s#]", text, re.MULTILINE)) > 100
    assert [str(requirement) for requirement, hashes in locked() if not hashes] == []


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_covers_what_is_declared(python: str) -> None:
    assert f"{python}.0" in Requirement(f"python{project()['project']['requires-python']}").specifier
    for requirement in [*declared(), *map(Requirement, project()["dependency-groups"]["dev"])]:
        assert version(requirement.name, python) in requirement.specifier, requirement


def conda(environment: str) -> dict[str, str]:
    """The packages of a conda environment with their pins."""
    content = yaml.safe_load((REPOSITORY / "envs" / f"{environment}.yaml").read_text(encoding="utf-8"))
    assert content["channels"] == ["conda-forge"]
    return dict(line.split() for line in content["dependencies"])


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_conda_versions_are_those_of_the_lock(environment: str) -> None:
    packages = conda(environment)
    python = packages.pop("python").removeprefix("=")
    assert python in PYTHONS
    assert packages == {name: f"=={version(CONDA.get(name, name), python)}" for name in packages}


def imports(tree: ast.AST, nested: bool = True) -> Iterator[str]:
    """The modules that code imports: anywhere but for type checkers only, or at its top level alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        elif nested or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from imports(node, nested)


def module_path(module: str) -> Path | None:
    """The file of a module of this project."""
    place = SCRIPTS / module.replace(".", "/")
    return next((path for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file()), None)


def packages_of(path: Path, nested: bool = True, seen: set[Path] | None = None) -> set[str]:
    """The installed packages that a file needs, itself and through the modules that it imports."""
    seen = set() if seen is None else seen
    if path in seen:
        return set()
    seen.add(path)
    found = set()
    for module in imports(ast.parse(path.read_text(encoding="utf-8")), nested):
        name = module.partition(".")[0]
        if name == "takeoff":
            inner = module_path(module)
            found |= packages_of(inner, nested, seen) if inner else set()
        elif name not in sys.stdlib_module_names:
            found.add(DISTRIBUTIONS.get(name, name))
    return found


@pytest.mark.parametrize(("part", "below"), LAYERS.items())
def test_imports_go_one_way(part: str, below: set[str]) -> None:
    for path in sorted((SCRIPTS / "takeoff" / part).glob("*.py")):
        modules = [name.split(".") for name in imports(ast.parse(path.read_text(encoding="utf-8")))]
        parts = {names[1] for names in modules if names[0] == "takeoff" and len(names) > 1}
        assert parts <= {part, *below, *COMMON}, path


def test_what_is_imported_is_declared() -> None:
    names = {requirement.name for requirement in declared()}
    for path in sorted(SCRIPTS.rglob("*.py")):
        assert packages_of(path) <= names, path


def verbs() -> dict[str, set[str]]:
    """The commands that each conda environment is for, as the rules say."""
    found: dict[str, set[str]] = {}
    for path in (REPOSITORY / "workflow" / "rules").glob("*.smk"):
        text = path.read_text(encoding="utf-8")
        rule = r'/envs/(\w+)\.yaml"(?:(?!/envs/).)*?(?:command\(\s*"|script\([\'"])(\w+)'
        for environment, verb in re.findall(rule, text, re.DOTALL):
            found.setdefault(environment, set()).add(verb)
    return found


def test_every_rule_with_an_environment_is_seen() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "workflow/rules").glob("*.smk"))
    assert len(re.findall(r"^ *conda:", text, re.MULTILINE)) == len(re.findall(r"(?:command|script)\(", text))
    assert sorted(verbs()) == ENVIRONMENTS


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_conda_environment_holds_what_its_commands_import(environment: str) -> None:
    needed = set()
    for verb in verbs()[environment]:
        needed |= packages_of(SCRIPTS / f"{verb}.py")
    # The registry imports experiments by name; what they import inside functions is for analysis alone.
    for experiment in EXPERIMENTS:
        path = SCRIPTS / "takeoff" / "experiments" / f"{experiment}.py"
        needed |= packages_of(path, nested=environment == "analysis")
    for package, behind in BEHIND.items():
        needed |= behind if package in needed else set()
    assert {CONDA.get(name, name) for name in conda(environment)} - {"python"} == needed | FRACTIONS


def test_the_dependencies_that_are_explained_are_declared() -> None:
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.partition("| package | why |\n| --- | --- |\n")[2].partition("\n\n")[0]
    explained = [name for line in table.splitlines() for name in line.split("|")[1].strip().split(", ")]
    dev = map(Requirement, project()["dependency-groups"]["dev"])
    assert sorted(explained) == sorted({*explained} & {r.name for r in [*declared(), *dev]})


def test_no_file_names_an_index() -> None:
    # The option below names none; the words are put together here so that this file holds none either.
    option, words = "--no-emit-" + "index-" + "url", ("py" + "pi", "python" + "hosted", "index-" + "url")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git clone")
    for name in listed.stdout.decode().rstrip("\0").split("\0"):
        path = REPOSITORY / name
        content = path.read_bytes() if path.is_file() else b""
        # In a picture four letters stand beside each other by chance.
        text = "" if b"\0" in content else content.decode("utf-8", "ignore").replace(option, "")
        assert [word for word in words if word in text.lower()] == [], name
