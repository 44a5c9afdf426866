"""How often the effects' intervals hold the truth: what they promise with normal errors, and where they fail."""

import numpy as np
import pandas as pd
import pytest
from takeoff.statistics.contrasts import interaction_weights, simple_weights
from takeoff.statistics.coverage import COLUMNS, Scenario, coverage_table, coverages, scenarios
from takeoff.statistics.intervals import mean_interval, pooled_interval


@pytest.fixture(scope="module")
def table():
    """Six seeds of a 2^3 design, 20,000 simulations: a share of 0.95 has a standard error of 0.0015."""
    return coverage_table()


def shares(table, errors, interval):
    return table[(table["errors"] == errors) & (table["interval"] == interval)].set_index("kind")


@pytest.mark.parametrize("errors", ["equal", "unequal"])
def test_t_intervals_keep_their_promise_with_normal_errors(table, errors):
    found = shares(table, errors, "paired t")
    assert found["contrasts"].to_dict() == {"main": 3, "interaction": 4, "simple": 12, "shapley": 3}
    assert found["lowest"].min() > 0.93
    assert found["highest"].max() < 0.97


def test_pooled_error_is_right_only_where_variances_are_equal(table):
    equal, unequal = (shares(table, errors, "pooled") for errors in ("equal", "unequal"))
    assert equal["lowest"].min() > 0.94
    assert equal["highest"].max() < 0.96
    assert unequal.loc["simple", "lowest"] < 0.80
    assert unequal.loc["simple", "highest"] > 0.99


def test_collapses_are_measured(table):
    """Not 95%: above it where all cells collapse alike, far below where one cell alone does."""
    everywhere, one_cell = (shares(table, e, "paired t") for e in ("collapses", "collapses of one cell"))
    measured = {"main": 0.976, "interaction": 0.987, "simple": 0.959, "shapley": 0.978}
    assert everywhere["mean"].to_dict() == pytest.approx(measured, abs=0.01)
    measured = {"main": 0.688, "interaction": 0.690, "simple": 0.792, "shapley": 0.556}
    assert one_cell["mean"].to_dict() == pytest.approx(measured, abs=0.02)
    assert one_cell.loc["simple", "lowest"] < 0.35  # next to the cell that collapses


def test_one_simulation_is_the_interval_that_effects_report():
    for _, scenario in scenarios(2, 4, 200, np.random.default_rng(1)):
        for weights in (interaction_weights(2, [0, 1]), simple_weights(2, 0, [0])):
            true = scenario.truth @ weights
            paired = [mean_interval(responses @ weights) for responses in scenario.responses]
            pooled = [pooled_interval(responses, weights) for responses in scenario.responses]
            held = [np.mean([i.low <= true <= i.high for i in kind]) for kind in (paired, pooled)]
            assert coverages(scenario, [weights])[0] == pytest.approx(tuple(held))


def test_truth_is_the_mean_of_many_runs():
    for _, scenario in scenarios(2, 10, 20000, np.random.default_rng(2)):
        assert scenario.responses.mean(axis=(0, 1)) == pytest.approx(scenario.truth, abs=0.1)
        if scenario.truth.any():  # accuracies, on a finer scale
            assert scenario.responses.mean(axis=(0, 1)) == pytest.approx(scenario.truth, abs=0.002)


def test_a_wrong_truth_is_not_covered():
    shifted = Scenario(np.random.default_rng(3).normal(size=(500, 6, 2)), np.array([0.0, 5.0]))
    assert coverages(shifted, [interaction_weights(1, [0])])[0] == pytest.approx((0, 0), abs=0.02)


def test_the_same_numbers_every_time():
    pd.testing.assert_frame_equal(coverage_table(1, 2, 50), coverage_table(1, 2, 50))
    assert coverage_table(1, 2, 50)["kind"].unique().tolist() == ["main", "shapley"]


def test_command_prints_a_small_table_and_writes_it(tmp_path, command):
    done = command.done("analyse", "coverage", "--factors", 2, "--simulations", 500, "--out", tmp_path / "coverage.csv")
    assert len(done.stdout.splitlines()) == 10
    assert "collapses of one cell paired t" in done.stdout
    assert tuple(pd.read_csv(tmp_path / "coverage.csv").columns) == COLUMNS


def test_wrong_arguments_are_one_clear_error(command):
    assert "--seeds 1 --factors 3" in command.refused("analyse", "coverage", "--seeds", 1)
