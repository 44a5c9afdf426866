"""How many faults a test is tried with, and the count of those that were survived.

A test with `tries` runs once per seed, and draws its fault from `dice`; each is one that was tried. One that tries many
by itself records how many. `TAKEOFF_FAULTS=whole` tries all, `TAKEOFF_FAULTS_SEED` others.
"""

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from faults.results import Results

SIZE = os.environ.get("TAKEOFF_FAULTS", "quick")
FIRST = int(os.environ.get("TAKEOFF_FAULTS_SEED", "0"))
HERE = Path(__file__).parent
TRIED = "faults tried"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if tries := metafunc.definition.get_closest_marker("tries"):
        metafunc.fixturenames.append("seed")
        metafunc.parametrize("seed", range(FIRST, FIRST + tries.kwargs[SIZE]))


@pytest.fixture
def dice(request: pytest.FixtureRequest) -> Random:
    """What this seed of this test draws its fault with."""
    seed = request.node.callspec.params["seed"]
    return Random(f"{request.path.stem} {request.node.originalname} {seed}")


@pytest.fixture
def tries(request: pytest.FixtureRequest) -> int:
    """How many faults a test is to try by itself."""
    return request.node.get_closest_marker("own_tries").kwargs[SIZE]


@pytest.fixture
def tried(request: pytest.FixtureRequest) -> Callable[[], None]:
    """Count one more fault, of a test that tries many."""
    numbers = count(1)
    return lambda: request.node.user_properties.append((TRIED, next(numbers)))


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> "Results":
    """Results of a small study, to which nothing has happened."""
    from faults.results import finished_results

    return finished_results(tmp_path_factory.mktemp("whole") / "results", digits)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A line per file: how many faults of those that were tried were survived."""
    tried: dict[str, int] = {}
    failed: set[str] = set()
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, []):
            if Path(report.nodeid.partition("::")[0]).parent.name == HERE.name:
                tried[report.nodeid] = dict(report.user_properties).get(TRIED, 1)
                failed |= {report.nodeid} if report.failed else set()
    groups: dict[str, list[str]] = {}
    for test in tried:
        groups.setdefault(Path(test.partition("::")[0]).stem.removeprefix("test_"), []).append(test)
    if groups:
        terminalreporter.section(f"faults ({SIZE})")
    for group, tests in sorted(groups.items()):
        number = sum(tried[test] for test in tests)
        terminalreporter.write_line(f"{group}: {number - len(failed & {*tests})} of {number}")
