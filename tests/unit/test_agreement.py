"""Agreement of orders against scipy, brute force and simulation."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from takeoff.statistics.agreement import COLUMNS, agreement_table, jackknife_interval, kendall_w, mean_rank_correlation


@pytest.fixture(scope="module")
def scores():
    """Scores of 5 methods in 6 draws, their order partly settled, without ties."""
    return np.random.default_rng(2).normal(size=(6, 5)) + np.arange(5) / 2


def pairs(scores):
    return np.mean([stats.spearmanr(*pair).statistic for pair in combinations(scores, 2)])


def agreement(scores):
    return jackknife_interval(mean_rank_correlation, scores)


def test_w_is_friedmans_statistic_with_and_without_ties(scores):
    for values in (scores, np.round(scores)):
        n, k = values.shape
        chi_squared = stats.friedmanchisquare(*values.T).statistic
        assert kendall_w(values) == pytest.approx(chi_squared / (n * (k - 1)))


def test_mean_rank_correlation_is_that_of_all_pairs(scores):
    assert mean_rank_correlation(scores) == pytest.approx(pairs(scores))
    equal_ties = np.array([[1, 1, 2, 3], [5, 4, 4, 9], [0, 7, 7, 3]])
    assert mean_rank_correlation(equal_ties) == pytest.approx(pairs(equal_ties))
    assert mean_rank_correlation(np.round(scores)) == pytest.approx(pairs(np.round(scores)), abs=0.02)


def test_full_agreement_and_its_opposite():
    order = np.arange(4.0)
    assert agreement([order, order * 2, order + 1])[:3] == (1, 1, 1)
    assert mean_rank_correlation([order, -order]) == pytest.approx(-1)
    assert np.isnan(kendall_w(np.ones((3, 4))))
    assert np.isnan(agreement(np.ones((3, 4)))[:3]).all()
    assert np.isnan(agreement([order, order])[1:3]).all()


def test_jackknife_of_a_mean_is_students_interval():
    """The pseudo-values of a mean are the values."""
    values = np.random.default_rng(3).normal(0.2, 0.1, size=7)
    found = jackknife_interval(lambda draws: float(draws.mean()), values)
    expected = stats.ttest_1samp(values, 0)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval()))
    assert found.p_value == pytest.approx(expected.pvalue)


def test_interval_is_the_jackknife_by_hand(scores):
    left_out = np.array([pairs(np.delete(scores, i, axis=0)) for i in range(6)])
    half = stats.t.ppf(0.975, 5) * np.sqrt(5 / 6 * ((left_out - left_out.mean()) ** 2).sum())
    assert agreement(scores)[:3] == pytest.approx((pairs(scores), pairs(scores) - half, pairs(scores) + half))


def test_interval_covers_a_known_agreement():
    """Eight draws, six methods, half settled: 95% intervals hold the agreement of 20,000 draws in 85–99%."""
    rng = np.random.default_rng(8)
    truth = mean_rank_correlation(rng.normal(size=(20000, 6)) + np.arange(6) / 2)
    found = [agreement(rng.normal(size=(8, 6)) + np.arange(6) / 2) for _ in range(300)]
    assert 0.85 < np.mean([interval.low <= truth <= interval.high for interval in found]) < 0.99


def test_a_difference_between_sizes_is_paired_over_draws(scores):
    """Agreement at two sizes that share draws: the same at both is no difference, whatever the scatter."""
    both = np.stack([scores, 3 * scores], axis=1)
    difference = jackknife_interval(
        lambda draws: mean_rank_correlation(draws[:, 1]) - mean_rank_correlation(draws[:, 0]), both
    )
    assert difference == pytest.approx((0, 0, 0, 1))


@pytest.fixture
def runs():
    """Five methods, six draws: no order at 100 images, a settled one at 10,000."""
    rng = np.random.default_rng(6)
    rows = [
        (method, draw, size, 0.5 + step * place + 0.01 * rng.normal())
        for size, step in ((100, 0.0), (10000, 0.1))
        for draw in range(6)
        for place, method in enumerate(["logistic", "svm", "kmeans", "small", "large"])
    ]
    return pd.DataFrame(rows, columns=["method", "seed", "train_samples", "test_accuracy"])


def table_of(runs):
    return agreement_table(runs, "method", "seed", "train_samples", runs["test_accuracy"])


def test_a_draw_counts_at_a_size_where_it_has_every_method(runs):
    lacking = (runs["method"] == "svm") & (runs["seed"] == 2) & (runs["train_samples"] == 100)
    table, notes = table_of(runs[~lacking][::-1].reset_index(drop=True))
    assert len(notes) == 1
    assert tuple(table.columns) == ("train_samples", *COLUMNS)
    small, large = table.to_dict("records")
    assert (small["n_draws"], large["n_draws"], large["agreement"]) == (5, 6, 1)
    part = runs[(runs["train_samples"] == 100) & (runs["seed"] != 2)]
    scores = part.pivot(index="seed", columns="method", values="test_accuracy").to_numpy()
    assert small["agreement"] == pytest.approx(pairs(scores))
    assert small["ci_low"] < small["agreement"] < 0.6


def test_one_draw_at_a_size_has_no_agreement(runs):
    table, notes = table_of(runs[(runs["train_samples"] == 100) | (runs["seed"] == 0)].reset_index(drop=True))
    assert table["agreement"].isna().tolist() == [False, True]
    assert any("train_samples 10000: no agreement" in note for note in notes)
