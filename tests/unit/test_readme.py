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
    effects = pd.read_csv(WHOLE / "factorial-effects.csv").query("response == 'test_accuracy' and kind == 'main'")
    found = {name: numbers(cells[0]) for name, cells in table.items() if numbers(cells[0])}
    expected = {
        name: [round(100 * row[key], 1) for key in ("estimate", "ci_low", "ci_high")]
        for name, factor in ROWS.items()
        for _, row in effects[effects["term"] == factor].iterrows()
    }
    assert found == expected
    assert len(expected) == 3


@pytest.mark.parametrize("name", ROWS)
def test_points_and_gains_are_those_of_the_committed_results(table: dict[str, list[str]], name: str) -> None:
    _, points, gain, *_ = table[name]
    summary = pd.read_csv(REFERENCE / "gain-summary.csv").set_index("factor")
    if ROWS[name] is None:
        last = pd.read_csv(REFERENCE / "gain-computation.csv").iloc[-1]
        assert numbers(points) == [round(100 * last[key], 1) for key in ("estimate", "ci_low", "ci_high")]
        return
    row = summary.loc[ROWS[name]]
    assert numbers(points) == [round(row[key], 1) for key in ("points", "points_low", "points_high")]
    ends = [row[key] for key in ("gain", "gain_low", "gain_high") if 0 < row[key] < float("inf")]
    assert numbers(gain) == [round(end, 2) for end in ends]
    assert ("at least" in gain, "at most" in gain) == (row["bound"] == "lower", row["bound"] == "upper")
