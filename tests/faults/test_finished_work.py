"""Finished files damaged at random: found out and made anew, or refused in a line; never taken for what they were."""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from takeoff.study.manifest import changed_files

from faults.damage import damaged
from faults.finished import assert_close, assert_same
from faults.results import Results


@pytest.fixture
def results(whole: Results, tmp_path: Path) -> Results:
    """A copy of them, to be damaged."""
    return whole.copied(tmp_path / "results")


def spoil(dice: Random, *files: Path) -> tuple[Path, bool]:
    """Damage one of the files; which, and whether it is another then."""
    path = dice.choice(files)
    before = path.read_bytes()
    path.write_bytes(damaged(before, dice))
    return path, path.read_bytes() != before


KINDS: dict[str, Callable[[Results], list[Path]]] = {
    "run": lambda results: sorted((results.arm / "runs").glob("*.json")),
    "table": lambda results: sorted(results.arm.glob("*.parquet")),
    "choice": lambda results: [results.arm / "learning_rate.json", results.arm / "files.json"],
    "arm": lambda results: [results.arm / "arm.json"],
    "images": lambda results: sorted(results.data.iterdir()),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.tries(quick=1, whole=12)
def test_training_again_gives_what_there_was(dice: Random, kind: str, whole: Results, results: Results) -> None:
    path, _ = spoil(dice, *KINDS[kind](results))
    line = results.train()
    if line is None and kind == "run":
        assert_close(results.arm, whole.arm)  # it was trained alone now
    elif line is None:
        assert_same(results.arm, whole.arm)
    else:
        assert kind == "images"
        assert str(path.parent) in line


@pytest.mark.tries(quick=3, whole=40)
def test_what_reads_a_damaged_file_says_so(dice: Random, results: Results) -> None:
    """By hand, where no workflow looks at the files first."""
    own = results.own
    step, files = dice.choice(
        [
            ("experiment", [*results.arm.glob("*.parquet"), results.arm / "learning_rate.json"]),
            ("judge", [*own.joinpath("factorial").glob("*.csv"), own / "study.json", results.data / "card.json"]),
            ("summarise", [*own.glob("claims*.csv"), own / "study.json", *results.arm.glob("*.parquet")]),
        ]
    )
    path, _ = spoil(dice, *sorted(files))
    line = results.report(step)
    assert line is None or path.name in line


@pytest.mark.tries(quick=10, whole=100)
def test_a_finished_file_that_is_another_is_found(dice: Random, results: Results) -> None:
    """Before a job starts, by its digest."""
    folders = [results.arm, results.own / "factorial"]
    files = [folder / name for folder in folders for name in json.loads((folder / "files.json").read_text())]
    path, other = spoil(dice, *files)
    assert changed_files(folders) == [path] * other
