"""Golden: from one frozen folder of runs, every table and the numbers of every figure are what they were.

`tests/golden/runs.tar.xz` holds runs of the default study with every experiment switched on, and `tables.tar.xz` the
tables that were made of them, frozen when the table of claims came to state how many values an interval rests on.
Whoever means to change a number freezes them anew, and says why. Numbers may differ by the rounding of another CPU.
"""

import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

GOLDEN = Path(__file__).parents[1] / "golden"
RELATIVE = 1e-6
"""Of a number: an optimiser of fitted laws stops within 1e-7 of the same place on other CPUs."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, run_here: Callable[..., None]) -> tuple[Path, Path]:
    """The results that the commands make of the frozen runs, and the expected tables."""
    place = tmp_path_factory.mktemp("golden")
    for name in ("runs", "tables"):
        with tarfile.open(GOLDEN / f"{name}.tar.xz") as archive:
            archive.extractall(place / name, filter="data")
    results, data = place / "runs" / "digits", place / "runs" / "data"

    study = ("--study", results / "study.json")
    run_here(
        "plan", *study, "--card", data / "card.json", "--out", results / "plan.csv", "--criteria-out",
        results / "criteria.json", "--arms-out", results / "arms",
    )  # fmt: skip
    for name in pd.read_json(results / "study.json", typ="series")["experiments"]:
        given = ("--data", data, "--results", results)
        run_here("analyse", "experiment", name, *study, *given, "--out", results / name)
        run_here("draw", name, *study, "--results", results, "--out", results / "figures")
    run_here("judge", *study, "--data", data, "--results", results, "--out", results)
    return results, place / "tables"


@pytest.mark.slow
def test_every_table_and_figure_is_as_it_was(made: tuple[Path, Path]) -> None:
    results, expected = made
    names = {path.relative_to(expected) for path in expected.rglob("*.csv")}
    assert len(names) > 80
    written = {path.relative_to(results) for path in results.rglob("*.csv")} - {Path("plan.csv"), Path("speed.csv")}
    assert written == names
    for name in sorted(names):
        if (results / name).read_bytes() != (expected / name).read_bytes():
            _assert_close(results / name, expected / name)
    for name in names:
        if name.parts[0] == "figures":
            for suffix in (".svg", ".png"):
                assert (results / name.with_suffix(suffix)).stat().st_size > 1000


def _assert_close(path: Path, expected: Path) -> None:
    """Words are the same, numbers too but for rounding."""
    one, other = (pd.read_csv(file, dtype=str, keep_default_na=False) for file in (path, expected))
    assert list(one) == list(other), path
    assert len(one) == len(other), path
    for column in one:
        for mine, its in zip(one[column], other[column], strict=True):
            if mine != its:  # `values` has several numbers
                pair = (np.array(text.split(), dtype=float) for text in (mine, its))
                assert np.allclose(*pair, rtol=RELATIVE, atol=1e-12), (path, column, mine, its)
