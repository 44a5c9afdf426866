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

PACKAGE = SCRIPTS / "takeoff"
PYTHONS = ("3.11", "3.12", "3.13")
ENVIRONMENTS = sorted(path.stem for path in (REPOSITORY / "envs").glob("*.yaml"))
DISTRIBUTIONS = {
    "PIL": "pillow",
    "pydantic_core": "pydantic",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "vl_convert": "vl-convert-python",
    "yaml": "pyyaml",
}
"""Packages that are imported by another name than they are installed by, or come with another."""
CONDA = {"pytorch": "torch", "matplotlib-base": "matplotlib", "psycopg2": "psycopg2-binary"}
"""Packages that conda-forge names otherwise."""
BEHIND = {"pandas": {"pyarrow"}, "sqlalchemy": {"psycopg2-binary"}}
"""Not imported by the code: pandas reads parquet with it, SQLAlchemy PostgreSQL."""
ELSEWHERE = {"classical": {"torch"}}
"""Imported by a function that is for another command alone, of a module that both share."""
RULES = sorted((REPOSITORY / "workflow" / "rules").glob("*.smk"))

ORDER = (
    "common statistics data study figures engine jobs classical speed experiments judging across tracking reporting "
    "workflow benchmark"
).split()
"""The folders of the package: each imports those before it alone, as CONTRIBUTING.md has it."""
FEWER = {"figures": {"common", "statistics", "study"}, "engine": {"common", "statistics", "data", "study"}}
"""Folders that import fewer."""


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
        and (requirement.marker is None or requirement.marker.evaluate({"python_full_version": f"{python}.0"}))
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


@cache
def imported(path: Path, nested: bool = True) -> list[str]:
    """The modules that a file imports."""
    return list(imports(ast.parse(path.read_text(encoding="utf-8")), nested))


def module_path(module: str) -> Path | None:
    """The file of a module of this project."""
    place = SCRIPTS / module.replace(".", "/")
    return next((path for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file()), None)


def modules_of(path: Path, nested: bool = True, beside: bool = True) -> set[Path]:
    """A file, and the modules of this project that it imports, themselves and through others.

    With `beside`, the modules of an experiment that are found by name come with its design.
    """
    found: set[Path] = set()
    left = [path]
    while left:
        path = left.pop()
        if path in found:
            continue
        found.add(path)
        names = [name for name in imported(path, nested) if name.split(".")[0] == "takeoff"]
        left += filter(None, map(module_path, names))
        if path == PACKAGE / "experiments" / "registry.py":
            left += [PACKAGE / "experiments" / name / "design.py" for name in EXPERIMENTS]
        if beside and path.name == "design.py":
            left += path.parent.glob("*.py")
    return found


def packages_of(path: Path, nested: bool = True, beside: bool = True) -> set[str]:
    """The installed packages that a file needs, itself and through the modules that it imports."""
    found = set()
    for module in modules_of(path, nested, beside):
        names = {name.partition(".")[0] for name in imported(module, nested)}
        found |= {DISTRIBUTIONS.get(name, name) for name in names - {"takeoff", *sys.stdlib_module_names}}
    return found


def test_every_folder_has_its_place_in_the_order() -> None:
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(ORDER)


@pytest.mark.parametrize("part", ORDER)
def test_imports_go_one_way(part: str) -> None:
    allowed = FEWER.get(part, set(ORDER[: ORDER.index(part)])) | {part}
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in sorted((PACKAGE / part).rglob("*.py"))
        for name in imported(path)
        if name.startswith("takeoff.") and name.split(".")[1] not in allowed
    ]
    assert wrong == []


def test_no_two_modules_import_each_other() -> None:
    """At their top level, directly or through others."""
    files = sorted(PACKAGE.rglob("*.py"))
    graph = {path: {inner for name in imported(path, nested=False) if (inner := module_path(name))} for path in files}
    # An __init__.py imports nothing; what remains after all that import nothing are taken away is a cycle.
    while free := [path for path, others in graph.items() if not others - {path} & graph.keys()]:
        for path in free:
            del graph[path]
    assert [path.relative_to(PACKAGE).as_posix() for path in graph] == []


@pytest.mark.parametrize("part", ["study", "data", "statistics", "classical", "experiments", "judging", "tracking"])
def test_parts_without_torch(part: str) -> None:
    for path in sorted((PACKAGE / part).rglob("*.py")):
        assert "torch" not in {name.partition(".")[0] for name in imported(path)}, path


def test_planning_imports_neither_torch_nor_pandas() -> None:
    for path in (SCRIPTS / "plan.py", PACKAGE / "workflow" / "project.py", PACKAGE / "workflow" / "wiring.py"):
        assert not packages_of(path, nested=False, beside=False) & {"torch", "pandas", "matplotlib", "scipy"}


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        ("takeoff.data.catalogue", {"torch", "numpy", "PIL", "requests"}),
        ("fit_classical, takeoff.classical.jobs", {"torch"}),
    ],
)
def test_what_is_quick_to_import_loads_nothing_heavy(modules: str, heavy: set[str]) -> None:
    code = f"import sys, {modules}; sys.exit(str({heavy} & set(sys.modules) or 0))"
    done = subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True, check=False)
    assert done.stderr == "0\n"


def test_what_is_imported_is_declared() -> None:
    names = {requirement.name for requirement in declared()}
    for path in sorted(SCRIPTS.rglob("*.py")):
        assert packages_of(path) <= names, path


def verbs() -> dict[str, set[str]]:
    """The commands that each conda environment is for, as the rules say."""
    found: dict[str, set[str]] = {}
    for path in RULES:
        text = path.read_text(encoding="utf-8")
        for environment, verb in re.findall(r'/envs/(\w+)\.yaml"(?:(?!/envs/).)*?verb\("(\w+)"\)', text, re.DOTALL):
            found.setdefault(environment, set()).add(verb)
    return found


def test_every_rule_with_an_environment_is_seen() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in RULES)
    assert len(re.findall(r"^ *conda:", text, re.MULTILINE)) == len(re.findall(r"\bverb\(", text)) > 10
    assert sorted(verbs()) == ENVIRONMENTS


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_conda_environment_holds_what_its_commands_import(environment: str) -> None:
    needed = set()
    for verb in verbs()[environment]:
        needed |= packages_of(SCRIPTS / f"{verb}.py", beside=environment == "analysis")
    for package, behind in BEHIND.items():
        needed |= behind if package in needed else set()
    needed -= ELSEWHERE.get(environment, set())
    assert {CONDA.get(name, name) for name in conda(environment)} - {"python"} == needed


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


def test_a_release_has_one_version_and_one_date() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    changes = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    version, date = re.findall(r"^## \[(\d[^\]]*)\] - (\d{4}-\d\d-\d\d)$", changes, re.MULTILINE)[0]
    assert project["version"] == str(citation["version"]) == version
    assert str(citation["date-released"]) == date
