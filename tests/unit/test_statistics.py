"""Contrasts, Shapley shares, intervals and corrections against statsmodels, scipy, brute force and print."""

from itertools import combinations, permutations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from takeoff.statistics.censoring import first_crossing
from takeoff.statistics.chance import chance_line, collapse_table, collapsed, majority_rate
from takeoff.statistics.clustered import log_ratio
from takeoff.statistics.contrasts import all_cells, interaction_weights, shapley_weights, simple_weights
from takeoff.statistics.intervals import (
    benjamini_hochberg,
    holm,
    mean_band,
    mean_interval,
    pooled_interval,
    proportion_interval,
    welch,
    welch_interval,
)
from takeoff.statistics.pairing import mean_correlation, variance_ratio
from takeoff.statistics.responses import log_odds

MISHKIN = np.array([0.401, 0.448, 0.471, 0.499])  # tanh, tanh + batch norm, ReLU, ReLU + batch norm


def test_published_two_by_two():
    """Mishkin, Sergievskiy & Matas 2017: ReLU +6.05, batch norm +3.75, interaction −0.95 points."""
    assert interaction_weights(2, [0]) @ MISHKIN == pytest.approx(0.0605)
    assert interaction_weights(2, [1]) @ MISHKIN == pytest.approx(0.0375)
    assert interaction_weights(2, [0, 1]) @ MISHKIN == pytest.approx(-0.0095)
    assert simple_weights(2, 0, [0]) @ MISHKIN == pytest.approx(0.070)
    assert simple_weights(2, 1, [1]) @ MISHKIN == pytest.approx(0.028)
    assert shapley_weights(2) @ MISHKIN == pytest.approx([0.0605, 0.0375])


@pytest.fixture(scope="module")
def responses():
    """Six seeds of a 2^3 design, in (seeds, cells)."""
    return np.random.default_rng(1).normal(size=(6, 8)) + np.arange(8)


def _fit(responses):
    """The saturated linear model of the runs, in ±1/2 coding; its terms are (factors, column) pairs."""
    design = np.tile(all_cells(3), (len(responses), 1)) - 0.5
    terms = [term for order in range(4) for term in combinations(range(3), order)]
    columns = np.column_stack([design[:, list(term)].prod(axis=1) for term in terms])
    return terms, OLS(responses.ravel(), columns).fit()


def test_estimates_and_pooled_intervals_are_those_of_the_linear_model(responses):
    terms, model = _fit(responses)
    low_high = model.conf_int(0.05)
    for number, term in enumerate(terms):
        if not term:
            continue
        halves = 0.5 ** (len(term) - 1)  # a contrast over 2^(k−1) is that share of the ±1/2 coefficient
        ours = pooled_interval(responses, interaction_weights(3, term))
        assert ours.estimate == pytest.approx(model.params[number] * halves)
        assert (ours.low, ours.high) == pytest.approx(tuple(low_high[number] * halves))
        assert ours.p_value == pytest.approx(model.pvalues[number])


def test_pooled_interval_of_unequal_seeds_and_of_none_left(responses):
    uneven = responses.copy()
    uneven[4:, 0] = np.nan
    weights = simple_weights(3, 2, [0, 0])
    ours = pooled_interval(uneven, weights)
    assert ours.estimate == pytest.approx(responses[:, 1].mean() - responses[:4, 0].mean())
    assert np.isnan(pooled_interval(responses[:1], weights).low)
    assert pooled_interval(np.ones((2, 8)), weights)[1:] == (0, 0, 1)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_shapley_is_the_mean_over_all_orders(k):
    values = np.random.default_rng(k).normal(size=2**k)
    value = {tuple(cell): v for cell, v in zip(all_cells(k), values, strict=True)}
    gains = np.zeros(k)
    orders = list(permutations(range(k)))
    for order in orders:
        switched = [0] * k
        for factor in order:
            before = value[tuple(switched)]
            switched[factor] = 1
            gains[factor] += value[tuple(switched)] - before
    shares = shapley_weights(k) @ values
    assert shares == pytest.approx(gains / len(orders))
    assert shares.sum() == pytest.approx(values[-1] - values[0])


@pytest.mark.parametrize("k", [2, 3, 5])
def test_every_effect_ignores_a_constant(k):
    """What a seed adds to all its runs cancels: that is what pairing buys."""
    weights = [interaction_weights(k, [0]), interaction_weights(k, range(k)), simple_weights(k, 1, [0] * (k - 1))]
    for weight in (*weights, *shapley_weights(k)):
        assert weight.sum() == pytest.approx(0)


def test_paired_interval_is_scipys(responses):
    left, right = responses[:, 0], responses[:, 1]
    ours, scipys = mean_interval(right - left), stats.ttest_rel(right, left)
    assert ours.p_value == pytest.approx(scipys.pvalue)
    assert (ours.low, ours.high) == pytest.approx(tuple(scipys.confidence_interval(0.95)))
    one = stats.ttest_1samp(left, 0).confidence_interval(0.9)
    assert mean_interval(left, 0.9)[1:3] == pytest.approx(tuple(one))


@pytest.mark.parametrize("sizes", [(6, 6), (2, 9), (5, 3)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_welchs_interval_is_scipys(sizes, confidence):
    rng = np.random.default_rng(sum(sizes))
    left, right = rng.normal(0.7, 0.01, sizes[0]), rng.normal(0.75, 0.05, sizes[1])
    scipys = stats.ttest_ind(right, left, equal_var=False)
    ours = welch_interval([left, right], [-1, 1], confidence)
    assert ours[1:3] == pytest.approx(tuple(scipys.confidence_interval(confidence)), rel=1e-12)
    assert ours.p_value == pytest.approx(scipys.pvalue, rel=1e-12)
    assert welch([left, right], [-1, 1]).freedom == pytest.approx(scipys.df, rel=1e-12)


def test_welchs_error_of_several_cells_is_statsmodels(responses):
    """The linear model of cell means with HC2 errors; where one cell varies alone, degrees of freedom are its own."""
    samples, weights = [column[: 6 - at % 3] for at, column in enumerate(responses.T)], interaction_weights(3, [1])
    cells = np.repeat(np.eye(8), [len(sample) for sample in samples], axis=0)
    robust = OLS(np.concatenate(samples), cells).fit(cov_type="HC2").t_test(weights)
    ours = welch(samples, weights)
    assert (ours.value, ours.error) == pytest.approx((robust.effect.item(), robust.sd.item()), rel=1e-12)
    assert min(map(len, samples)) - 1 < ours.freedom < sum(len(sample) - 1 for sample in samples)
    alone = [sample if at == 3 else np.full(len(sample), sample[0]) for at, sample in enumerate(samples)]
    assert welch(alone, weights).freedom == pytest.approx(len(samples[3]) - 1)


def test_welchs_interval_covers():
    """Four cells whose spreads differ tenfold: 95% intervals hold the truth in 95% of 1,500 samples."""
    rng, weights = np.random.default_rng(3), interaction_weights(2, [0])
    spread = np.array([1.0, 10.0, 3.0, 2.0])
    found = [welch_interval((spread * rng.normal(size=(6, 4))).T, weights) for _ in range(1500)]
    assert np.mean([low <= 0 <= high for _, low, high, _ in found]) == pytest.approx(0.95, abs=0.015)


def test_welchs_interval_of_one_run_and_of_equal_ones():
    one = welch_interval([[0.5], [0.7, 0.8]], [-1, 1])
    assert one.estimate == pytest.approx(0.25)
    assert np.isnan(one[1:]).all()
    assert welch_interval([[0.5] * 3, [0.75] * 4], [-1, 1]) == (0.25, 0.25, 0.25, 0.25)
    assert welch_interval([[0.1 + 0.2, 0.3], [0.3, 0.3]], [-1, 1]) == (0, 0, 0, 1)


def test_interval_of_one_value_and_of_equal_ones():
    assert mean_interval([0.3]).estimate == 0.3
    assert np.isnan(mean_interval([0.3])[1:]).all()
    assert mean_interval([0.5, 0.5, 0.5]) == (0.5, 0.5, 0.5, stats.binomtest(3, 3).pvalue)
    assert mean_interval([0.0, 0.0]) == (0, 0, 0, 1)
    rounding = np.array([0.1 + 0.2 - 0.3, 0.0])  # 5.6e-17, of numbers of size 0.3
    assert mean_interval(rounding, size=0.3) == (0, 0, 0, 1)
    for wrong in ([], [1.0, np.nan]):
        with pytest.raises(ValueError, match="finite"):
            mean_interval(wrong)


@pytest.mark.parametrize("scale", [1e-200, 1e300])
def test_interval_of_values_whose_squares_no_number_holds(scale):
    plain, scaled = mean_interval([1.0, 2.0, 3.5]), mean_interval([scale, 2 * scale, 3.5 * scale])
    assert (scaled.low / scale, scaled.high / scale) == pytest.approx((plain.low, plain.high))
    assert scaled.p_value == pytest.approx(plain.p_value)


def test_band_is_the_interval_at_every_point():
    samples = np.random.default_rng(0).normal(size=(3, 5))
    samples[1, 3:] = np.nan
    samples[2, 1:] = np.inf
    band = mean_band(samples)
    assert band.n.tolist() == [5, 3, 1]
    for point, kept in ((0, 5), (1, 3)):
        interval = mean_interval(samples[point, :kept])
        assert (band.mean[point], band.low[point], band.high[point]) == pytest.approx(interval[:3])
    assert band.mean[2] == samples[2, 0]
    assert np.isnan(band.low[2])


@pytest.mark.parametrize(("successes", "trials"), [(0, 6), (1, 6), (6, 6), (13, 40)])
def test_proportion_interval_is_statsmodels(successes, trials):
    exact = proportion_confint(successes, trials, method="beta")
    assert proportion_interval(successes, trials) == pytest.approx(exact)


@pytest.mark.usefixtures("no_collection")
def test_corrections_are_statsmodels_and_pass_missing_ones_by():
    rng = np.random.default_rng(0)
    for p in ([0.01, 0.04, 0.03, 0.2], [0.5, 0.5, 1, 0], *(rng.random(n) ** 4 for n in (1, 2, 7, 40))):
        for ours, name in ((holm, "holm"), (benjamini_hochberg, "fdr_bh")):
            expected = multipletests(p, method=name)[1]
            assert ours(p).tolist() == expected.tolist()  # to the last bit
            assert ours([np.nan, *p, np.inf])[1:-1].tolist() == expected.tolist()
            assert np.isnan(ours([np.nan, *p])[0])
    assert holm(np.array([0.031] + [0.9] * 6))[0] == pytest.approx(0.217)  # .031 over seven terms


def test_first_crossing_interpolates_and_censors():
    epochs = [0, 1, 2, 3]
    assert first_crossing(epochs, [0.1, 0.3, 0.7, 0.6], 0.5, 3) == (1.5, False)
    assert first_crossing(epochs[::-1], [0.6, 0.7, 0.3, 0.1], 0.5, 3) == (1.5, False)
    assert first_crossing(epochs, [0.6, 0.3, 0.7, 0.6], 0.5, 3) == (0, False)
    assert first_crossing(epochs, [0.1, 0.5, 0.5, 0.6], 0.5, 3) == (1, False)
    assert first_crossing(epochs, [0.1, 0.2, 0.3, 0.4], 0.5, 3) == (3, True)
    assert first_crossing(epochs[:2], [0.1, 0.2], 0.5, 20) == (20, True)
    assert first_crossing(epochs, [0.1, np.nan, 0.7, 0.6], 0.5, 3) == (2, False)
    assert first_crossing(epochs, [0.1, 0.2, 0.3, 0.7], 0.5, 2) == (2, True)
    assert first_crossing([], [], 0.5, 3) == (3, True)
    with pytest.raises(ValueError, match="positions"):
        first_crossing(epochs, [0.1], 0.5, 3)


def test_log_odds_pull_in_the_ends():
    assert log_odds([0.25, 0.5, 0.75]) == pytest.approx([-np.log(3), 0, np.log(3)])
    assert log_odds([0, 1], images=100) == pytest.approx([-np.log(199), np.log(199)])
    assert log_odds([0]) == pytest.approx(np.log(5e-5 / (1 - 5e-5)))
    for wrong in ([1.2], [-0.1], [np.nan]):
        with pytest.raises(ValueError, match="between 0 and 1"):
            log_odds(wrong)


def test_chance():
    assert majority_rate([10, 30]) == 0.75
    with pytest.raises(ValueError, match="no image"):
        majority_rate([])
    assert chance_line(0.1, 900) == pytest.approx(0.12)
    runs = collapsed([0.11, 0.121, 0.9, np.nan], [False, False, True, False], 0.1, 900)
    assert runs.tolist() == [True, False, True, True]


def test_rates_of_collapse_have_their_exact_intervals():
    accuracy = [0.1, 0.09, 0.1, 0.6, 0.7, 0.8, *[0.9] * 6]
    diverged = np.arange(12) == 2
    table = collapse_table(["plain"] * 6 + ["norm"] * 6, accuracy, diverged, 0.1, 1000)
    plain, norm = table.itertuples(index=False)
    exact = stats.binomtest(3, 6).proportion_ci(method="exact")
    assert (plain.group, plain.runs, plain.collapsed, plain.rate) == ("plain", 6, 3, 0.5)
    assert (plain.ci_low, plain.ci_high) == pytest.approx((exact.low, exact.high))
    assert (plain.mean, plain.mean_of_rest) == pytest.approx(((0.1 + 0.09 + 0.1 + 2.1) / 6, 0.7))
    assert plain.line == pytest.approx(0.1 + 2 * np.sqrt(0.09 / 1000))
    assert (norm.collapsed, norm.rate, norm.ci_low) == (0, 0, 0)


def test_pairing():
    rng = np.random.default_rng(3)
    common = rng.normal(size=(200, 1))
    noise = rng.normal(size=(200, 4))
    assert mean_correlation(common + noise) == pytest.approx(0.5, abs=0.1)
    assert variance_ratio(common + noise, interaction_weights(2, [0])) == pytest.approx(0.5, abs=0.1)
    assert mean_correlation(common + 0 * noise) == pytest.approx(1)
    assert variance_ratio(common + 0 * noise, interaction_weights(2, [0])) == pytest.approx(0)
    assert np.isnan(mean_correlation(noise[:2]))
    assert np.isnan(variance_ratio(noise[:1], interaction_weights(2, [0])))
    assert np.isnan(variance_ratio(np.ones((3, 4)), interaction_weights(2, [0])))
    frame = pd.DataFrame(noise)
    correlations = frame.corr().to_numpy()[np.triu_indices(4, 1)]
    assert mean_correlation(noise) == pytest.approx(correlations.mean())


def test_a_ratio_of_errors_by_hand():
    """An image counts as its error over the mean, and errors vary over seeds and images."""
    random = np.random.default_rng(0)
    tables = []
    for share in (0.2, 0.4):
        hard, bad = random.normal(0, 0.2, 200), random.normal(0, 0.1, (4, 1))
        tables.append(random.random((4, 200)) < share + hard + bad)
    one, other = tables
    linear = one / one.mean() - other / other.mean()
    by_seed, by_image = linear.mean(axis=1), linear.mean(axis=0)
    parts = np.array([by_seed.var(ddof=1) / 4, by_image.var(ddof=1) / 200])
    rest = linear - by_seed[:, None] - by_image + linear.mean()
    both = (rest**2).sum() / (3 * 199) / 800
    variance = parts.sum() - both
    assert variance > parts.max()
    freedom = variance**2 / ((parts**2 / [3, 199]).sum() + both**2 / (3 * 199))
    middle, half = np.log(one.mean() / other.mean()), stats.t.isf(0.025, freedom) * np.sqrt(variance)
    found = log_ratio(one, other)
    assert (found.value, found.freedom) == pytest.approx((middle, freedom))
    assert found.interval() == pytest.approx((middle - half, middle + half))
