"""The README's answer: its table has the numbers of the committed results, rounded."""

import re

import pandas as pd
import pytest
from conftest import REPOSITORY

REFERENCE = REPOSITORY / "results" / "reference" / "cifar10-quick"
WHOLE = REPOSITORY / "results" / "reference" / "cifar10-cpu"
ROWS = {"ReLU": "activation", "Batch norm": "norm", "Dropout": "dropout", "Data": "train_samples", "Computation": None}
"""How a row of the table begins, and its factor in `gain-summary.csv`."""


def numbers(text: str) -> list[float]:
    """The numbers of a cell, in order; none of words such as `2×` that say what is done."""
    return [float(number.replace("−", "-")) for number in re.findall(r"[−-]?\d+\.\d+", text)]


@pytest.fixture(scope="module")
def table() -> dict[str, list[str]]:
    """The cells of the README's first table, by the first word or two of a row."""
    head = (REPOSITORY / "README.md").read_text(encoding="utf-8").partition("## Run it")[0]
    rows = [line.strip("| ").split(" | ") for line in head.splitlines() if line.startswith("| ")]
    return {next(name for name in ROWS if row[0].startswith(name)): row[1:] for row in rows[2:]}


def test_the_answer_has_every_factor(table: dict[str, list[str]]) -> None:
    assert set(table) == set(ROWS)


def test_points_on_all_images_are_those_of_the_committed_results(table: dict[str, list[str]]) -> None:
    effects = {
        (row.kind, row.term): [round(100 * value, 1) for value in (row.estimate, row.ci_low, row.ci_high)]
        for name in ("factorial", "synergy")
        for row in pd.read_csv(WHOLE / f"{name}-effects.csv").query("response == 'test_accuracy'").itertuples()
    }
    found = {name: numbers(cells[0]) for name, cells in table.items()}
    expected = {name: effects["main", factor] for name, factor in ROWS.items() if ("main", factor) in effects}
    assert len(expected) == 3
    assert found == expected | {name: effects["shapley", name.lower()] for name in ("Data", "Computation")}


@pytest.mark.parametrize("name", ROWS)
def test_points_and_gains_are_those_of_the_committed_results(table: dict[str, list[str]], name: str) -> None:
    _, points, gain, *_ = table[name]
    summary = pd.read_csv(REFERENCE / "gain-summary.csv").set_index("factor")
    if ROWS[name] is None:
        last = pd.read_csv(REFERENCE / "gain-computation.csv").iloc[-1]
        assert numbers(points) == [round(100 * last[key], 1) for key in ("estimate", "ci_low", "ci_high")]
        return
    own = summary.loc[ROWS[name]]
    assert numbers(points) == [round(own[key], 1) for key in ("points", "points_low", "points_high")]
    every = pd.read_csv(WHOLE / "gain-summary.csv").set_index("factor")
    on_all, on_few = gain.split(" / ")
    for cell, row in ((on_few, own), (on_all, every.loc[ROWS[name]] if ROWS[name] in every.index else None)):
        if row is None:
            assert cell == "–"
            continue
        ends = [row[key] for key in ("gain", "gain_low", "gain_high") if 0 < row[key] < float("inf")]
        assert numbers(cell) == [round(end, 2) for end in ends]
        assert ("at least" in cell, "at most" in cell) == (row["bound"] == "lower", row["bound"] == "upper")
