"""What it costs to start: each command's imports in a fresh Python, and Snakemake's plan of the default study."""

import ast
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Literal

from takeoff.benchmarking.large import NUMBER, write_many_arms, write_many_runs

SCRIPTS = Path(__file__).parents[2]
SNAKEFILE = SCRIPTS.parent / "Snakefile"
STUDY = "digits"
REPEATS = 3
QUICK = ("plan", "train")
"""The commands that are started when there is little time."""
PATIENCE = 300
"""Seconds that a start may take."""
MOST_SECONDS = {"cpu": 120.0, "cuda": 60.0}
"""Of all rounds, about; a GPU's time is counted."""


Kind = Literal["imports", "workflow", "analysis"]


@dataclass(frozen=True)
class Row:
    """One thing that is started: the columns of startup.csv."""

    name: str
    """`python`, a command in scripts/, or what Snakemake is asked for."""
    kind: Kind
    """A fresh Python that imports what the command imports, and ends; a whole Snakemake; a whole command."""
    seconds: float | None = None
    """The median of the repeats."""
    low: float | None = None
    high: float | None = None
    repeats: int = 0
    note: str = ""


@dataclass(frozen=True)
class Start:
    """Something to start."""

    name: str
    kind: Kind
    command: list[str]
    note: str = ""


def measure_startup(
    quick: bool,
    here: Path,
    say: Callable[[str], None],
    repeats: int = REPEATS,
    most: float = MOST_SECONDS["cpu"],
) -> list[Row]:
    """A row per command, and per plan of Snakemake; they take turns, a round after the other.

    Args:
        quick: only `QUICK`, once each.
        here: where the workflow runs, with its results, if there are any.
        say: takes a line for each row.
        repeats: rounds, at most.
        most: seconds of all rounds, about; where starts are slow, there are fewer rounds.

    """
    repeats = 1 if quick else repeats
    starts = [Start("python", "imports", [sys.executable, "-c", ""])]
    starts += [_imports(path) for path in sorted(SCRIPTS.glob("*.py")) if not quick or path.stem in QUICK]
    rows = []
    with tempfile.TemporaryDirectory() as empty:
        starts += workflow_starts(here, Path(empty))
        if not quick:
            starts += large_starts(Path(empty))
        spent: dict[str, list[float]] = {start.name: [] for start in starts}
        failed: dict[str, str] = {}
        began = perf_counter()
        for turn in range(repeats):
            if turn and (perf_counter() - began) * (turn + 1) / turn > most:
                break
            for i in range(len(starts)):
                start = starts[(i + turn) % len(starts)]
                if start.command and start.name not in failed:
                    seconds, error = _seconds(start)
                    spent[start.name].append(seconds)
                    failed |= {start.name: error} if error else {}
    for start in starts:
        each, note = spent[start.name], failed.get(start.name, start.note)
        row = Row(start.name, start.kind, note=note)
        if each and start.name not in failed:
            row = Row(start.name, start.kind, median(each), min(each), max(each), len(each), note)
        rows.append(row)
        say(f"{row.kind}: {row.name}: " + (f"{row.seconds:.2f} s" if row.seconds is not None else row.note))
    return rows


def _imports(path: Path) -> Start:
    modules = list(dict.fromkeys(imported(ast.parse(path.read_text(encoding="utf-8")))))
    before = f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); "
    # As a command does first of all, since it decides how long its end takes.
    before += "from takeoff.errors import collect_rarely; collect_rarely(); "
    return Start(path.stem, "imports", [sys.executable, "-c", before + f"import {', '.join(modules)}"])


def imported(tree: ast.AST) -> Iterator[str]:
    """The modules that a command imports, inside functions too, but not those for type checkers."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield from imported(node)


def workflow_starts(here: Path, empty: Path) -> list[Start]:
    """Snakemake's dry run of the default study where nothing is there and, if all of it is, where nothing is left.

    Both are dry runs, so that nothing is trained, whatever changes meanwhile.
    """
    plan, nothing = "snakemake --dry-run", "snakemake --dry-run, nothing left to do"
    if importlib.util.find_spec("snakemake") is None or not SNAKEFILE.is_file():
        return [Start(plan, "workflow", [], "left out: Snakemake is missing")]
    base = [sys.executable, "-m", "snakemake", "-s", str(SNAKEFILE), "--cores", "1", "--dry-run"]
    study = ["--config", f"study={STUDY}"]
    starts = [Start(plan, "workflow", [*base, "--directory", str(empty), *study])]
    again = [*base, "--directory", str(here), *study]
    if not (here / "results" / STUDY / "tracked.json").exists():
        return [*starts, Start(nothing, "workflow", [], f"left out: there are no results of {STUDY}")]
    done = _run(again)
    if "Nothing to be done" not in done.stdout + done.stderr:
        return [
            *starts,
            Start(nothing, "workflow", [], f"left out: the results of {STUDY} are not up to date"),
        ]
    return [*starts, Start(nothing, "workflow", again)]


def large_starts(folder: Path) -> list[Start]:
    """Snakemake's dry run of 10,000 arms, and what analyses and draws 10,000 runs, all of it made up in `folder`."""
    if importlib.util.find_spec("snakemake") is None or not SNAKEFILE.is_file():
        return []
    write_many_arms(folder / "arms.json")
    write_many_runs(folder)
    base = [sys.executable, "-m", "snakemake", "-s", str(SNAKEFILE), "--cores", "1", "--dry-run", "--quiet"]
    study = ["--study", str(folder / "study.json")]
    tables = str(folder / "factorial")
    analyse = [sys.executable, str(SCRIPTS / "analyse.py"), "experiment", "factorial", *study]
    analyse += ["--data", str(folder), "--results", str(folder), "--out", tables]
    draw = [
        sys.executable,
        str(SCRIPTS / "draw.py"),
        "factorial",
        *study,
        "--tables",
        tables,
        "--out",
        tables,
    ]
    config = ["--directory", str(folder), "--config", f"study={folder / 'arms.json'}"]
    return [
        Start(f"snakemake --dry-run, {NUMBER:,} arms", "workflow", [*base, *config]),
        Start(f"analyse, {NUMBER:,} runs", "analysis", analyse),
        Start(f"draw, {NUMBER:,} runs", "analysis", draw),
    ]


def _seconds(start: Start) -> tuple[float, str]:
    """How long it took, and why it failed, if it did."""
    began = perf_counter()
    done = _run(start.command)
    seconds = perf_counter() - began
    if done.returncode == 0:
        return seconds, ""
    words = (done.stderr or done.stdout).strip().splitlines()
    return seconds, f"left out: {words[-1] if words else f'exit status {done.returncode}'}"


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"more than {PATIENCE} s")
