"""Agreement of orders against scipy, brute force and simulation."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats
from takeoff.statistics.agreement import agreement


@pytest.fixture(scope="module")
def scores():
    """Scores of 5 methods in 6 draws, their order partly settled, without ties."""
    return np.random.default_rng(2).normal(size=(6, 5)) + np.arange(5) / 2


def pairs(scores):
    return np.mean([stats.kendalltau(*pair).statistic for pair in combinations(scores, 2)])


def estimate(scores):
    return agreement(scores).estimate()


def test_agreement_is_kendalls_tau_of_all_pairs_of_draws(scores):
    assert estimate(scores).value == pytest.approx(pairs(scores))
    # A tie agrees with no order, not even with itself.
    assert estimate([[1, 1], [1, 2], [1, 2]]).value == pytest.approx(1 / 3)


def test_full_agreement_and_its_opposite():
    order = np.arange(4.0)
    assert estimate([order, order * 2, order + 1]) == (1, 0, 2)
    assert estimate([order, -order]).value == -1
    assert np.isnan([*estimate([order, order])[1:], *estimate([order])]).all()


def test_the_error_is_the_jackknifes_by_hand(scores):
    left_out = np.array([pairs(np.delete(scores, i, axis=0)) for i in range(6)])
    assert estimate(scores).error == pytest.approx(np.sqrt(5 / 6 * ((left_out - left_out.mean()) ** 2).sum()))
    assert estimate(scores).freedom == 5


def test_methods_with_fewer_draws_are_compared_over_those_that_they_have(scores):
    lacking = scores.copy()
    lacking[4:, 3:] = np.nan
    by_hand = [
        estimate(scores[:, [one, other]] if other < 3 else scores[:4, [one, other]]).value
        for one, other in combinations(range(5), 2)
    ]
    assert estimate(lacking)[::2] == pytest.approx((np.mean(by_hand), 3))


def test_a_difference_between_sizes_is_paired_over_draws(scores):
    """Agreement at two sizes that share draws: the same at both is no difference, whatever the scatter."""
    one = agreement(scores)
    assert one.less(agreement(3 * scores)) == (0, 0, 5)
    fewer = np.where(np.arange(6)[:, None] < 2, scores, np.nan)
    assert np.isnan(one.less(agreement(fewer))).all()


@pytest.mark.parametrize(
    ("draws", "steps", "power"),
    [((16, 8, 8, 8), (0.5, 1.5), (0.7, 1)), ((3, 3, 3, 3), (0.5, 1.5), (0, 0.1)), ((16, 8, 8, 8), (1, 1), (0, 0.01))],
)
def test_intervals_of_a_difference_hold_the_truth_and_its_power_is_known(draws, steps, power):
    """Seven older methods and three networks, with so many draws each at a small and at a large size, whose orders are
    settled by `steps` between methods: how often the difference is below 0 at a level of 0.0025, Holm's for 20 parts.
    """
    rng, places = np.random.default_rng(8), np.array([0, 1.4, 2.9, 4.3, 5.7, 7.1, 8.6, 1.7, 5, 8.3])
    whole = [estimate(rng.normal(size=(4000, 10)) + step * places).value for step in steps]
    held, decided = [], []
    for _ in range(200):
        shared, sizes = rng.normal(size=(16, 10)), []
        for step, older, networks in zip(steps, draws[::2], draws[1::2], strict=True):
            values = np.sqrt(0.3) * shared + np.sqrt(0.7) * rng.normal(size=(16, 10)) + step * places
            values[older:], values[networks:, 7:] = np.nan, np.nan
            sizes.append(agreement(values))
        found = sizes[0].less(sizes[1])
        low, high = found.interval()
        held.append(low <= whole[0] - whole[1] <= high)
        decided.append(found.value + stats.t.isf(0.00125, found.freedom) * found.error < 0)
    assert 0.92 <= np.mean(held) <= 1
    assert power[0] <= np.mean(decided) <= power[1]
