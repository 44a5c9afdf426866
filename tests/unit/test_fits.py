"""Power laws, gains per doubling and ratios of crossing times: known answers, and their commands."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats
from takeoff.common.errors import TakeoffError
from takeoff.statistics.censoring import COLUMNS as CROSSINGS
from takeoff.statistics.censoring import Crossing, crossing_ratio, crossings_table
from takeoff.statistics.fits import EVERY, beta_profile_interval, beta_resampling_interval, fit_power_law
from takeoff.statistics.scaling import COLUMNS, gains_per_doubling, log_slopes, scaling, scaling_table
from unit.in_process import analyse

SIZES = np.array([100, 200, 500, 1000, 2000, 5000, 10000])


def law(sizes, alpha=2.0, beta=0.35, gamma=0.05):
    return alpha * np.asarray(sizes, dtype=float) ** -beta + gamma


def noisy(draws, seed=0, spread=0.03, **parameters):
    """Errors of the law, (draws, sizes), scattered log-normally."""
    return law(SIZES, **parameters) * np.exp(spread * np.random.default_rng(seed).normal(size=(draws, len(SIZES))))


def points(errors):
    """Sizes, errors and draws as three columns."""
    draws = np.repeat(np.arange(len(errors)), len(SIZES))
    return np.tile(SIZES, len(errors)), errors.ravel(), draws


@pytest.mark.parametrize(("alpha", "beta", "gamma"), [(2, 0.35, 0.05), (0.9, 0.07, 0.2), (30, 1.2, 0.01), (1, 0.25, 0)])
def test_fit_recovers_the_law_of_exact_errors(alpha, beta, gamma):
    found = fit_power_law(SIZES, law(SIZES, alpha, beta, gamma))
    assert found[:3] == pytest.approx((alpha, beta, gamma), rel=1e-3, abs=1e-6)


def test_fit_of_scattered_errors_is_scipys():
    sizes, errors, _ = points(noisy(5))
    best, _ = optimize.curve_fit(
        lambda m, a, b, c: np.log(np.exp(a) * m**-b + c), sizes, np.log(errors), p0=(0, 0.3, 0.01)
    )
    found = fit_power_law(sizes, errors)
    assert found[:3] == pytest.approx((np.exp(best[0]), best[1], best[2]), rel=1e-3)
    residuals = np.log(errors) - np.log(law(sizes, *found[:3]))
    assert found.squares == pytest.approx((residuals**2).sum())


def test_weights_count_repeated_errors():
    sizes, errors, draws = points(noisy(3))
    once = fit_power_law(sizes, errors, np.array([2, 0, 1])[draws])
    rows = np.r_[np.flatnonzero(draws == 0), np.flatnonzero(draws == 0), np.flatnonzero(draws == 2)]
    assert once == pytest.approx(fit_power_law(sizes[rows], errors[rows]), rel=1e-4)


def test_errors_that_bend_the_other_way_put_gamma_on_its_bound():
    bent = 0.5 - 0.1 * np.log10(SIZES / 100)
    assert fit_power_law(SIZES, bent).gamma == 0
    assert scaling(SIZES, bent[None])["note"].startswith("slopes only: gamma sits on its bound")


def test_errors_that_do_not_fall_have_no_law():
    assert scaling(SIZES, np.full((3, len(SIZES)), 0.2))["note"].startswith("slopes only: beta sits on its bound")


def test_profile_interval_is_where_the_f_test_rejects():
    """At either end the best α and γ, found by another optimiser, fit worse by just what F allows."""
    sizes, errors, _ = points(noisy(5))
    ends = beta_profile_interval(sizes, errors)
    best = fit_power_law(sizes, errors)
    assert ends[0] < best.beta < ends[1]
    for beta in ends:
        squares = optimize.minimize(
            lambda p, beta=beta: (np.log(errors / (np.exp(p[0]) * sizes**-beta + p[1] ** 2)) ** 2).sum(),
            (np.log(best.alpha), np.sqrt(best.gamma)),
            method="Nelder-Mead",
            options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4000},
        ).fun
        assert (squares / best.squares - 1) * 32 == pytest.approx(stats.f.ppf(0.95, 1, 32), rel=1e-2)


def test_profile_interval_covers():
    """Normal log errors of five draws, 60 samples: 95% intervals hold β in 88% or more of them."""
    found = [beta_profile_interval(*points(noisy(5, seed))[:2]) for seed in range(60)]
    assert np.mean([low <= 0.35 <= high for low, high in found]) >= 0.88


def test_exact_errors_have_an_interval_without_width():
    assert beta_profile_interval(SIZES, law(SIZES)) == pytest.approx((0.35, 0.35))


def test_interval_without_ends():
    """Errors that do not fall, in scatter, fit any slow or fast fall to a plateau."""
    flat = points(noisy(4, alpha=1e-9, gamma=0.3))
    assert beta_profile_interval(*flat[:2])[1] == np.inf


def test_resampling_keeps_draws_whole():
    """What draws add to log errors at all sizes alike changes α alone: β has the same interval."""
    errors = noisy(10)
    shifted = np.exp(np.random.default_rng(1).normal(size=(10, 1))) * errors
    low, high = beta_resampling_interval(*points(noisy(10)), resamples=60)
    assert low < 0.35 < high
    assert beta_resampling_interval(*points(errors), resamples=60) == (low, high)
    widths = np.diff([beta_profile_interval(*points(e)[:2]) for e in (errors, shifted)]).ravel()
    assert widths[1] > 2 * widths[0]
    again = beta_resampling_interval(*points(law(SIZES) * np.exp([[0.0]] * 10)), resamples=5)
    assert again == pytest.approx((0.35, 0.35), rel=1e-3)


def test_slopes_are_scipys_and_gains_interpolate():
    errors = noisy(3)
    expected = [stats.linregress(np.log(SIZES), np.log(row)).slope for row in errors]
    assert log_slopes(SIZES, errors) == pytest.approx(expected)
    assert gains_per_doubling([1, 2, 4, 8], [[0.5, 0.5, 0.4, 0.3]]) == pytest.approx([0.1])
    assert gains_per_doubling([1, 4], [[0.5, 0.3]]) == pytest.approx([0.1])
    assert gains_per_doubling([1, 16], [[0.5, 0.1]]) == pytest.approx([0.1])
    with pytest.raises(ValueError, match="span 1 doublings"):
        gains_per_doubling([1, 2], [[0.5, 0.3]])


def test_row_holds_intervals_over_draws_and_says_what_is_missing():
    errors = noisy(5)
    row = scaling(SIZES, errors)
    for name, values in (("slope", log_slopes(SIZES, errors)), ("gain", gains_per_doubling(SIZES, errors))):
        interval = stats.ttest_1samp(values, 0).confidence_interval()
        expected = (values.mean(), *interval)
        assert tuple(row[f"{name}{end}"] for end in ("", "_low", "_high")) == pytest.approx(expected)
    assert (row["beta_low"], row["beta_high"]) == beta_profile_interval(*points(errors)[:2])
    assert row["note"] == "not resampled: fewer than 10 draws"
    assert row["n_draws"] == 5
    short = scaling(SIZES[:4], errors[:, :4])
    assert np.isnan([short[name] for name in ("alpha", "beta", "gamma", "beta_low")]).all()
    assert short["note"] == "slopes only: 4 sizes over 1.00 decades"
    assert np.isfinite(short["slope_low"])
    errors[4, -1] = np.nan
    uneven = scaling(SIZES, errors)
    assert uneven["n_draws"] == 4
    assert uneven["slope"] == pytest.approx(log_slopes(SIZES, errors[:4]).mean())
    assert uneven["note"].startswith("1 draws without every size: in the law only; ")
    one = scaling([500], [[0.2], [0.3]])
    assert np.isnan([one["slope"], one["gain"], one["beta"]]).all()


def test_ten_draws_are_resampled():
    row = scaling(SIZES, noisy(10))
    assert row["resampled_low"] < row["beta"] < row["resampled_high"]
    assert row["note"] == ""


def test_copies_at_the_largest_size_count_as_one_draw():
    errors = noisy(10)
    errors[:, -1] = errors[0, -1]
    sizes, values, draws = points(errors)
    kept = (sizes < SIZES[-1]) | (draws == 0)
    row = scaling(SIZES, errors)
    assert (row["beta_low"], row["beta_high"]) == pytest.approx(beta_profile_interval(sizes[kept], values[kept]))
    copied = beta_profile_interval(sizes, values)
    assert row["beta_high"] - row["beta_low"] > copied[1] - copied[0]
    assert row["note"] == "in the law the largest size counts as one draw"
    once = np.where(sizes < SIZES[-1], draws, EVERY)[kept]
    assert (row["resampled_low"], row["resampled_high"]) == pytest.approx(
        beta_resampling_interval(sizes[kept], values[kept], once)
    )
    # Slopes and gains stay paired within draws.
    assert row["slope"] == pytest.approx(log_slopes(SIZES, errors).mean())
    # Copies at another size are chance; errors that are not the same count once where the caller knows why.
    assert scaling(SIZES, noisy(10))["note"] == ""
    assert scaling(SIZES, noisy(10), shared=True)["note"] == "in the law the largest size counts as one draw"
    assert scaling(SIZES, noisy(1), shared=True)["note"] == "not resampled: fewer than 10 draws"


def test_what_is_of_every_draw_is_in_every_resample():
    """Errors of one draw at each size but the last: their resamples are all alike."""
    sizes, errors, draws = points(noisy(1))
    found = beta_resampling_interval(sizes, errors, np.where(sizes < SIZES[-1], draws, EVERY))
    assert found == pytest.approx((fit_power_law(sizes, errors).beta,) * 2, rel=1e-3)


@pytest.fixture
def runs():
    """A plateau and a law that goes on, five draws each."""
    rows = [
        (method, draw, size, 1 - errors[draw, at])
        for method, errors in (("hog", noisy(5, beta=1.0, alpha=30, gamma=0.4, spread=0.005)), ("large", noisy(5, 1)))
        for draw in range(5)
        for at, size in enumerate(SIZES)
    ]
    return pd.DataFrame(rows, columns=["method", "seed", "train_samples", "test_accuracy"])


def test_scaling_command(tmp_path, command, runs):
    runs.sample(frac=1, random_state=0).to_csv(tmp_path / "runs.csv", index=False)
    common = ("scaling", "--runs", tmp_path / "runs.csv", "--size", "train_samples", "--group", "method")
    command.done("analyse", *common, "--response", "test_accuracy", "--out", tmp_path / "out.csv")
    table = pd.read_csv(tmp_path / "out.csv").set_index("method")
    assert tuple(table.columns) == COLUMNS
    large, plateau = table.loc["large"], table.loc["hog"]
    assert large["beta_low"] < 0.35 < large["beta_high"]
    assert large["alpha"] * 1000 ** -large["beta"] + large["gamma"] == pytest.approx(law(1000), rel=0.03)
    assert large["gain_low"] > 0.01
    assert plateau["gain_high"] < 0.01
    assert plateau["gamma"] == pytest.approx(0.4, abs=0.01)
    assert "--response seed" in command.refused("analyse", *common, "--response", "seed", "--out", tmp_path / "no.csv")


def test_an_error_of_nothing_takes_the_number_of_images(runs):
    errors = np.where(runs.index == 3, 0, 1 - runs["test_accuracy"])
    with pytest.raises(TakeoffError, match=r"row 4: 0 .*; valid: .*--images N"):
        scaling_table(runs, "method", "seed", "train_samples", errors)
    table = scaling_table(runs, "method", "seed", "train_samples", errors, nearest=0.5 / 360)
    assert table["slope"].notna().all()
    with pytest.raises(TakeoffError, match="two rows with method hog, seed 0, train_samples 100; valid: one"):
        scaling_table(runs.assign(seed=0), "method", "seed", "train_samples", errors)


def test_ratio_of_crossings_is_the_t_interval_of_log_ratios():
    tanh, relu = np.array([12.0, 15, 10, 18]), np.array([3.0, 4, 3, 4])
    found = crossing_ratio(*([Crossing(t, False) for t in arm] for arm in (tanh, relu)))
    logs = stats.ttest_rel(np.log(tanh), np.log(relu)).confidence_interval()
    assert found[:3] == pytest.approx((stats.gmean(tanh) / stats.gmean(relu), np.exp(logs.low), np.exp(logs.high)))
    assert found.bound == "none"
    assert np.isnan(crossing_ratio([Crossing(2, False)], [Crossing(1, False)])[1:3]).all()


@pytest.mark.parametrize(
    ("late", "late_over", "bound"),
    [([1], [], "lower"), ([0, 1, 2, 3], [], "lower"), ([], [2], "upper"), ([1], [2], "unknown"), ([1], [1], "unknown")],
)
def test_censored_crossings_bound_the_ratio(late, late_over, bound):
    """Against the ratio with a later horizon, where all cross."""
    times, over = np.array([12.0, 15, 10, 18]), np.array([3.0, 4, 3, 4])
    seen = (
        [Crossing(t, i in late) for i, t in enumerate(times)],
        [Crossing(t, i in late_over) for i, t in enumerate(over)],
    )
    times[late] *= 3
    over[late_over] *= 3
    true = crossing_ratio([Crossing(t, False) for t in times], [Crossing(t, False) for t in over])
    found = crossing_ratio(*seen)
    assert (found.bound, found.low == 0, found.high == np.inf) == (bound, bound != "lower", bound != "upper")
    assert found.low <= true.ratio <= found.high
    assert bound == "unknown" or (found.ratio < true.ratio) == (bound == "lower")


@pytest.fixture
def curves():
    """Training accuracy that rises linearly: relu reaches 0.75 in 5 epochs, tanh in 15, sigmoid never."""
    rates = {"tanh": 0.05, "relu": 0.15, "sigmoid": 0.01}
    rows = [
        (arm, seed, epoch, min(rate * epoch, 1))
        for (arm, rate), seed, epoch in product(rates.items(), range(3), range(21))
    ]
    return pd.DataFrame(rows, columns=["activation", "seed", "epoch", "train_accuracy"])


def test_crossings_command(tmp_path, command, curves):
    lacking = (curves["activation"] == "relu") & (curves["seed"] == 2)
    curves[~lacking].to_csv(tmp_path / "curves.csv", index=False)
    common = ("crossings", "--curves", tmp_path / "curves.csv", "--arm", "activation")
    command.done("analyse", *common, "--value", "train_accuracy", "--threshold", 0.75, "--out", tmp_path / "out.csv")
    table = pd.read_csv(tmp_path / "out.csv")
    assert tuple(table.columns) == CROSSINGS
    relu, sigmoid = table.iloc[0], table.iloc[1]
    assert (relu["arm"], relu["over"], relu["bound"], relu["n_seeds"]) == ("tanh", "relu", "none", 2)
    assert relu["ratio"] == pytest.approx(3)
    assert sigmoid["ratio"] == pytest.approx(15 / 20)
    assert (sigmoid["bound"], sigmoid["n_censored"], sigmoid["n_over_censored"]) == ("upper", 0, 3)


def test_a_curve_that_stops_early_bounds_its_crossing_where_it_stops(curves):
    columns = ("activation", "epoch", "train_accuracy", 0.75)
    cut = curves[(curves["activation"] != "tanh") | (curves["epoch"] <= 10)].reset_index(drop=True)
    relu = crossings_table(cut, *columns).iloc[0]
    assert (relu["ratio"], relu["bound"], relu["n_censored"]) == (pytest.approx(10 / 5), "lower", 3)


def test_wrong_curves_are_one_clear_error(curves):
    columns = ("activation", "epoch", "train_accuracy", 0.75)
    for wrong, message in (
        (curves[curves["activation"] == "tanh"].reset_index(drop=True), "one level .tanh.; valid: two"),
        (curves.drop(columns="seed"), "two rows with activation tanh, seed 0, epoch 0; valid: one"),
        (curves.assign(epoch=curves["epoch"] - 1), "column epoch: rows 1, 22, 43 and 6 more: -1 is not valid"),
        (
            curves.assign(train_accuracy=curves["train_accuracy"] + 0.75),
            "threshold 0.75: column train_accuracy goes from 0.75 to 1.75",
        ),
        (
            curves.assign(epoch=curves["epoch"] + 1, train_accuracy=1 - curves["train_accuracy"]),
            "activation tanh, seed 0: train_accuracy starts at 1, the threshold of 0.75 or above",
        ),
        (
            curves.assign(seed=curves["seed"] + 10 * (curves["activation"] == "relu")),
            "activation tanh and relu have no seed in common",
        ),
    ):
        with pytest.raises(TakeoffError, match=message):
            crossings_table(wrong, *columns)


@pytest.mark.parametrize("threshold", [np.nan, np.inf, -np.inf, 75, 1.01, 0.01, 0, -1])
def test_a_threshold_that_no_curve_rises_to_is_refused(curves, threshold):
    late = curves[curves["epoch"] > 0].reset_index(drop=True)
    with pytest.raises(TakeoffError, match=r"threshold .*: column train_accuracy goes from 0.01 to 1 up to epoch 20"):
        crossings_table(late, "activation", "epoch", "train_accuracy", threshold)


def test_curves_that_share_no_seeds_have_welchs_interval_of_logs(curves):
    times = {"tanh": [8.0, 10, 16], "relu": [2.0, 5, 4, 4]}
    rows = [
        (arm, f"{arm}{run}", epoch, epoch / time)
        for arm, found in times.items()
        for run, time in enumerate(found)
        for epoch in range(21)
    ]
    apart = pd.DataFrame(rows, columns=["arm", "run", "epoch", "value"])
    table = crossings_table(apart, "arm", "epoch", "value", 1, seed="run", paired=False)
    ends = stats.ttest_ind(*map(np.log, times.values()), equal_var=False).confidence_interval()
    assert table.loc[0, ["ci_low", "ci_high"]].tolist() == pytest.approx(np.exp(ends).tolist())
    assert table.loc[0, "n_seeds"] == 3
    with pytest.raises(TakeoffError, match=r"no seed in common; valid: .*--unpaired"):
        crossings_table(apart, "arm", "epoch", "value", 1, seed="run")


def test_a_law_of_errors_that_rise_is_refused(tmp_path, runs):
    flat = runs.assign(test_accuracy=0.5 + 0.01 * np.random.default_rng(2).normal(size=len(runs)))
    named = runs.rename(columns={"test_accuracy": "test_acc"})
    score = runs.rename(columns={"test_accuracy": "score"})
    percent = runs.assign(test_accuracy=100 * runs["test_accuracy"])
    options = ("--size", "train_samples", "--group", "method", "--response")
    for table, response, message in (
        (score, "score", "method hog: errors rise with train_samples"),
        (score[score["seed"] == 0], "score", "errors rise"),
        (percent, "test_accuracy", "valid: fractions from 0 to 1"),
    ):
        table.to_csv(tmp_path / "runs.csv", index=False)
        with pytest.raises(TakeoffError, match=message):
            analyse("scaling", tmp_path / "runs.csv", tmp_path / "out.csv", *options, response)
    assert not (tmp_path / "out.csv").exists()
    for table, response in ((flat, "test_accuracy"), (named, "test_acc")):
        table[table["seed"] < 2].to_csv(tmp_path / "runs.csv", index=False)
        assert len(analyse("scaling", tmp_path / "runs.csv", tmp_path / "out.csv", *options, response)) == 2
