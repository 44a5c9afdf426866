"""Two one-sided tests against statsmodels and by hand, and `analyse.py equivalence` as a user runs it."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired
from takeoff.statistics.effects import EQUIVALENCE_COLUMNS, equivalence_test


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(4)
    common = rng.normal(0.7, 0.05, size=6)
    return common + rng.normal(0, 0.004, size=6), common + rng.normal(0.002, 0.004, size=6)


@pytest.mark.parametrize("margin", [0.003, 0.01, 0.1])
def test_test_is_statsmodels_and_its_interval_decides_the_same(pair, margin):
    left, right = pair
    found = equivalence_test(right - left, margin)
    assert found.p_value == ttost_paired(right, left, -margin, margin)[0]  # to the last bit
    interval = stats.ttest_rel(right, left).confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx(tuple(interval))
    inside = -margin < found.low and found.high < margin
    assert inside == (found.p_value < 0.05)


def test_verdict_at_the_edge():
    """A margin at the interval's farther end is where p crosses 0.05."""
    values = np.array([0.001, 0.004, -0.002, 0.003, 0.002, 0.0])
    edge = equivalence_test(values, 1).high
    assert equivalence_test(values, edge).p_value == pytest.approx(0.05)
    assert equivalence_test(values, edge * 1.01).p_value < 0.05 < equivalence_test(values, edge * 0.99).p_value


def test_false_equivalence_is_at_most_5_percent():
    """Where the difference is the margin itself, equivalence is shown in 5% of samples."""
    samples = np.random.default_rng(5).normal(0.01, 0.003, size=(2000, 6))
    shown = [equivalence_test(sample, 0.01).p_value < 0.05 for sample in samples]
    assert np.mean(shown) == pytest.approx(0.05, abs=0.015)


def test_one_value_and_no_variance():
    assert np.isnan(equivalence_test([0.001], 0.01).p_value)
    for n in (2, 4, 5):
        equal = equivalence_test([0.002] * n, 0.01)
        assert equal[1:] == (0.002, 0.002, stats.binomtest(n, n, alternative="greater").pvalue)
    assert equivalence_test([0.01] * 9, 0.01)[1:] == (0.01, 0.01, 1)
    assert equivalence_test([0.1 + 0.2 - 0.3, 0], 0.01, size=0.3)[1:] == (0, 0, 0.25)


@pytest.fixture
def runs():
    rng = np.random.default_rng(0)
    rows = [
        (a, b, seed, 0.5 + 0.1 * (a == "relu") + 0.02 * seed + 0.001 * rng.normal())
        for a, b, seed in product(["tanh", "relu"], ["none", "batch"], range(6))
    ]
    return pd.DataFrame(rows, columns=["activation", "norm", "seed", "test_accuracy"])


@pytest.fixture
def equivalence(tmp_path, command):
    def test(runs, *more, margin=0.01, run=command.done):
        runs.to_csv(tmp_path / "runs.csv", index=False)
        common = ("--runs", tmp_path / "runs.csv", "--factors", "activation,norm", "--response", "test_accuracy")
        options = ("--margin", margin, "--out", tmp_path / "out.csv", *more)
        return run("analyse", "equivalence", *common, *options)

    return test


def test_command_tells_a_small_effect_from_a_large_one(tmp_path, equivalence, runs):
    done = equivalence(runs[~((runs["norm"] == "batch") & (runs["seed"] == 5))])
    assert "norm=batch has no run with seed 5" in done.stderr
    table = pd.read_csv(tmp_path / "out.csv")
    assert tuple(table.columns) == EQUIVALENCE_COLUMNS
    assert table["kind"].tolist() == ["main"] * 2 + ["simple"] * 4
    found = table.set_index("term")
    assert found["equivalent"].to_dict() == {
        "activation": "not shown",
        "norm": "equivalent",
        "activation@norm=none": "not shown",
        "activation@norm=batch": "not shown",
        "norm@activation=tanh": "equivalent",
        "norm@activation=relu": "equivalent",
    }
    wide = runs.pivot(index="seed", columns=["activation", "norm"], values="test_accuracy")[:5]
    row = found.loc["norm@activation=tanh"]
    tanh = wide["tanh", "batch"], wide["tanh", "none"]
    assert row["p_value"] == pytest.approx(ttost_paired(*tanh, -0.01, 0.01)[0])
    assert row["estimate"] == pytest.approx((tanh[0] - tanh[1]).mean())


def test_wrong_arguments_are_one_clear_error(tmp_path, command, equivalence, runs):
    assert "--margin: 0 is not valid; valid: above 0" in equivalence(runs, margin=0, run=command).stderr
    assert "did you mean batch" in equivalence(runs, "--baseline", "norm=bath", run=command.refused)
    assert not (tmp_path / "out.csv").exists()
