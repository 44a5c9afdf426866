"""Compute-equivalent gains: the estimator against known answers, and the experiment on made-up runs."""

from math import inf, log
from pathlib import Path

import numpy as np
import pytest
from takeoff.common.errors import TakeoffError
from takeoff.experiments.gain.design import Design, Options
from takeoff.figures.style import save
from takeoff.statistics.gains import Compared, equivalent_gain, growth
from takeoff.study.arms import seeds_of
from unit.factorial_runs import LEVELS, MORE, one
from unit.measured import FACTORS, analysed, drawn, lose, made_up, measured, results

BUDGETS = np.log([2.0, 5.0, 10.0, 20.0])
"""Log computation."""
FULL = Options(epochs=(2, 5, 10), width=0.5, width_epochs=(5, 10, 20, 40))


def power_law(compute, rate=0.5):
    """Log-odds of accuracy that rise with the logarithm of computation."""
    return rate * np.asarray(compute)


def runs_of(factor, seeds=6, contexts=2, noise=0.0, seed=0, rising=power_law):
    """A treatment that does as well as the baseline does with `factor` times the computation, a number or one for each
    budget; seeds move both alike.
    """
    rng = np.random.default_rng(seed)
    shape = (contexts, seeds, len(BUDGETS))
    shared, compute = rng.normal(0, 0.3, (1, seeds, 1)), np.tile(BUDGETS, (contexts, 1))
    baseline, treatment = (
        rising(moved) + shared + noise * rng.normal(size=shape) for moved in (BUDGETS, BUDGETS + np.log(factor))
    )
    return Compared(baseline, compute, treatment, compute)


# The estimator ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("factor", "budget"), [(3, 0), (3, 1), (0.5, 2), (0.5, 3), (1, 2)])
def test_a_pure_shift_of_computation_is_found(factor, budget):
    gain = equivalent_gain(runs_of(factor), budget)
    assert (gain.gain, gain.gain_low, gain.gain_high) == pytest.approx((factor, factor, factor))
    assert gain.bound == "none"
    assert (gain.least, gain.most) == pytest.approx(tuple(np.exp(BUDGETS[[0, -1]] - BUDGETS[budget])))


@pytest.mark.parametrize(("factor", "budget"), [(3, 1), (0.6, 2)])
def test_intervals_hold_the_truth_as_often_as_they_say(factor, budget):
    found = [equivalent_gain(runs_of(factor, noise=0.05, seed=seed), budget) for seed in range(600)]
    held = np.mean([gain.gain_low <= factor <= gain.gain_high for gain in found])
    assert held == pytest.approx(0.95, abs=0.025)
    assert np.median([gain.gain for gain in found]) == pytest.approx(factor, rel=0.02)


def test_the_interval_is_that_of_a_t_test_of_every_ratio():
    """Against a fine grid of ratios, tested one by one."""
    runs, budget = runs_of(2, noise=0.3, seed=3), 1
    gain, accepted = equivalent_gain(runs, budget), []
    for shift in np.linspace(log(gain.least), log(gain.most), 4_001):
        places = BUDGETS[budget] + shift
        reached = [[np.interp(places, BUDGETS, scores) for scores in seeds] for seeds in runs.baseline]
        differences = (runs.treatment[:, :, budget] - reached).mean(axis=0)
        error = differences.std(ddof=1) / np.sqrt(6)
        accepted += [shift] * bool(abs(differences.mean()) <= 2.570581836 * error)
    assert (log(gain.gain_low), log(gain.gain_high)) == pytest.approx((min(accepted), max(accepted)), abs=1e-3)


def test_beyond_the_trained_range_there_is_a_bound():
    better, worse = equivalent_gain(runs_of(3), 2), equivalent_gain(runs_of(0.5), 0)
    assert (better.gain, better.gain_low, better.gain_high, better.bound) == (
        pytest.approx(2),
        pytest.approx(2),
        inf,
        "lower",
    )
    assert (worse.gain, worse.gain_low, worse.gain_high, worse.bound) == (
        pytest.approx(1),
        0,
        pytest.approx(1),
        "upper",
    )
    # A known estimate whose interval reaches the end of the range is open there.
    open_end = equivalent_gain(runs_of(1.6, noise=0.3, seed=1), 2)
    assert (open_end.bound, open_end.gain_high) == ("none", inf)
    assert 0 < open_end.gain_low < open_end.gain < open_end.most


def test_a_curve_that_falls_again_has_the_nearest_ratio():
    runs = runs_of(1, rising=lambda compute: -((compute - log(6)) ** 2))
    runs.treatment[:] = np.interp(log(8), BUDGETS, runs.baseline[0, 0])
    runs.baseline[:] = runs.baseline[0, 0]
    gain = equivalent_gain(runs, 2)
    assert gain.gain == pytest.approx(0.8)
    assert (gain.gain_low, gain.gain_high) == (pytest.approx(0.49, abs=0.05), pytest.approx(0.8))


def test_one_seed_has_no_interval_and_contexts_need_a_ratio_in_common():
    gain = equivalent_gain(runs_of(3, seeds=1), 1)
    assert gain.gain == pytest.approx(3)
    assert np.isnan([gain.gain_low, gain.gain_high]).all()
    runs = runs_of(3)
    apart = runs._replace(baseline_compute=np.add(runs.baseline_compute, [[0], [10]]))
    with pytest.raises(ValueError, match="in common"):
        equivalent_gain(apart, 1)


def test_growth_is_the_slope_of_log_gains():
    # 1.2 times at 2 epochs, 1.2 × 2.5^0.3 at 5, known there and at 10, a bound at 20.
    factors = 1.2 * np.exp(0.3 * (BUDGETS - BUDGETS[0]))
    grown = growth(runs_of(factors))
    assert (grown.slope, grown.slope_low, grown.slope_high, grown.n_budgets) == pytest.approx((0.3, 0.3, 0.3, 3))
    noisy = [growth(runs_of(factors, noise=0.02, seed=seed)) for seed in range(200)]
    assert np.mean([one.slope_low <= 0.3 <= one.slope_high for one in noisy]) == pytest.approx(0.95, abs=0.04)
    none = growth(runs_of(30))
    assert none.n_budgets == 0
    assert np.isnan(none.slope)


# The experiment ---------------------------------------------------------------------------------------


@pytest.fixture
def study(tmp_path: Path):
    return made_up(tmp_path, recipe={"epochs": 20}, network={"width": 0.5}, experiments={"gain": {}})


def make_results(gain, norm=3.0, relu=0.5):
    """ReLU costs twice the computation; batch norm saves two thirds of it; dropout's gain grows with training; an epoch
    of the narrow network takes a quarter of the operations.
    """
    rows, rng = [], np.random.default_rng(0)
    for arm in gain.networks.values():
        network, epochs = arm.network, arm.recipe.epochs
        compute = log(epochs) + log(relu) * (network.activation == "relu") + log(norm) * (network.norm == "batch")
        compute += 0.2 * (log(epochs) - 2) * (network.dropout > 0) + 1.2 * log(2 * network.width)
        for seed in seeds_of(gain.study, arm):
            accuracy = 1 / (1 + np.exp(0.5 - 0.4 * compute - 0.1 * seed - 0.004 * rng.normal()))
            flops = 1e9 * epochs * (2 * network.width) ** 2
            rows.append({"arm": arm.name, "seed": seed, "flops": flops, "test_accuracy": accuracy, "diverged": False})
    return results(runs=rows)


def test_every_cell_is_trained_at_every_budget_with_the_choice_of_the_studys(study):
    gain = Design(study, FULL)
    arms = {arm.name: arm for arm in gain.arms()}
    # Eight cells at four budgets, two narrow networks at four.
    assert len(arms) == 8 * 4 + 2 * 4
    assert sorted(name for name, arm in arms.items() if arm.tuned) == sorted(
        [f"{cell}{norm}{drop}" for cell in ("tanh", "relu") for norm in ("", "+batch") for drop in ("", "+dropout0.5")]
        + ["relu+width0.25", "relu+batch+width0.25"]
    )
    assert arms["relu+batch+epochs5"].choice_from == "relu+batch"
    assert arms["relu+width0.25+epochs40"].choice_from == "relu+width0.25"
    assert {context: len(pair.baseline) for context, pair in gain.comparisons["width"].items()} == {
        "activation=relu,norm=none,dropout=0": 4,
        "activation=relu,norm=batch,dropout=0": 4,
    }
    few = Design(study, Options(epochs=(10, 40), seeds=2))
    assert len(few.arms()) == 8 * 3
    assert {arm.seeds for arm in few.arms()} == {(0, 1)}


@pytest.mark.parametrize(
    ("options", "factors", "words"),
    [
        ({"epochs": [2, 20]}, FACTORS, r"^gain.epochs: 20 is recipe.epochs"),
        ({"epochs": [2, 30], "width": 0.5, "width_epochs": [1, 30]}, FACTORS, r"^gain.width_epochs: 1: .* valid: 2 or"),
        ({"width": 0.5}, {"width": {"baseline": 0.5, "treatment": 1}}, r"^gain.width: width is a factor"),
        ({}, LEVELS | MORE, r"^gain: 8 factors are too many"),
    ],
)
def test_options_that_do_not_fit_the_study_are_named(tmp_path, options, factors, words):
    study = made_up(tmp_path, recipe={"epochs": 20, "warmup_epochs": 1.5}, factors=factors)
    with pytest.raises(TakeoffError, match=words):
        Design(study, Options(**options)).arms()


@pytest.mark.parametrize("wrong", [{"epochs": [5]}, {"epochs": [5, 5]}, {"width": 1}, {"width_epochs": [2, 5]}])
def test_options_that_are_wrong_by_themselves(wrong):
    with pytest.raises(ValueError, match="Options"):
        Options(**wrong)


def test_gains_of_known_runs(study, tmp_path):
    gain = Design(study, FULL)
    tables = analysed(gain, make_results(gain), tmp_path)
    assert measured(gain, tables) == {}
    assert len(tables["points"]) == (8 + 2) * 4 * 4
    gains = tables["gains"]
    row = one(gains, factor="norm", context="activation=relu,dropout=0", epochs=5)
    assert row["gain"] == pytest.approx(3, rel=0.1)
    assert row["gain_low"] < row["gain"] < row["gain_high"]
    assert (row["bound"], row["n_seeds"], row["n_contexts"], row["flops"]) == ("none", 4, 1, pytest.approx(5e9))
    assert one(gains, factor="norm", context="all", epochs=20)[["gain", "bound"]].tolist() == [
        pytest.approx(1),
        "lower",
    ]
    # Half the width takes a quarter of the operations, and does as well with 2^1.2 times the epochs.
    wide = one(gains, factor="width", context="all", epochs=10)
    assert wide["gain"] == pytest.approx(2**1.2 / 4, rel=0.05)
    summary = tables["summary"].set_index("factor")
    assert set(summary["epochs"]) == {5}  # of 2, 5, 10 and 20
    assert summary.loc["activation", "gain"] == pytest.approx(0.5, rel=0.1)
    assert summary.loc["dropout", "slope"] == pytest.approx(0.2, abs=0.05)
    assert summary.loc["width", ["baseline", "treatment"]].tolist() == ["0.25", "0.5"]
    effects = tables["effects_by_budget"].query("factor == 'dropout'").set_index("epochs")["estimate"]
    assert (effects > 0).to_dict() == {2: False, 5: False, 10: True, 20: True}
    assert sorted(tables["effects_by_budget"].query("factor == 'width'")["epochs"]) == [5, 10, 20]


def test_fewer_images_are_trained_on_for_as_many_steps_and_computation_counts_by_doublings(study, tmp_path):
    study = study.model_copy(update={"dataset": study.dataset.model_copy(update={"train_samples": 800})})
    gain = Design(study, Options(epochs=(2, 5, 10), data=0.5))
    pair = gain.comparisons["train_samples"]["activation=relu,norm=batch,dropout=0"]
    assert [arm.name for arm in pair.treatment] == [
        "relu+batch+epochs2",
        "relu+batch+epochs5",
        "relu+batch+epochs10",
        "relu+batch",
    ]
    assert {(arm.train_samples, arm.recipe.epoch_images, arm.choice_from) for arm in pair.baseline} == {
        (400, 640, "relu+batch")
    }
    whole = make_results(gain)
    half = whole.runs["arm"].str.endswith("n400")
    whole.runs.loc[half, "test_accuracy"] -= 0.05
    tables = analysed(gain, whole, tmp_path)
    row = tables["summary"].set_index("factor").loc["train_samples"]
    assert row[["baseline", "treatment"]].astype(float).tolist() == [400, 800]
    assert row[["points", "points_low", "points_high"]].tolist() == pytest.approx([5, 5, 5], abs=0.2)
    found = tables["computation"].set_index("epochs")
    assert found["from_epochs"].tolist() == [2, 5, 10]
    cells = tables["points"].query("train_samples != 400").groupby("epochs")["test_accuracy"].mean()
    assert found.loc[20, "estimate"] == pytest.approx(cells[20] - cells[10])
    assert found.loc[5, "estimate"] == pytest.approx((cells[5] - cells[2]) / np.log2(2.5))


def test_a_bound_stands_in_the_summary_as_one(study, tmp_path):
    gain = Design(study, FULL)
    tables = analysed(gain, make_results(gain, norm=100, relu=0.001), tmp_path)
    summary = tables["summary"].set_index("factor")
    assert summary.loc["norm", ["epochs", "bound"]].tolist() == [5, "lower"]
    assert summary.loc["norm", ["gain", "gain_high"]].tolist() == [pytest.approx(4), inf]
    assert summary.loc["activation", ["epochs", "bound"]].tolist() == [5, "upper"]
    assert summary.loc["activation", ["gain", "gain_low"]].tolist() == [pytest.approx(0.4), 0]
    assert np.isnan(summary.loc["norm", "slope"])
    assert summary.loc["norm", "n_budgets"] == 0


@pytest.mark.parametrize(("factors", "options"), [(FACTORS, FULL), ({"norm": FACTORS["norm"]}, Options(epochs=(2, 5)))])
@pytest.mark.parametrize("seeds", [1, 4])
def test_figures_are_drawn_of_what_there_is(tmp_path, factors, options, seeds):
    study = made_up(tmp_path, recipe={"epochs": 20}, network={"width": 0.5}, factors=factors, seeds=seeds)
    gain = Design(study, options)
    lost = next(name for name in gain.networks if name.endswith("epochs5"))
    tables = analysed(gain, lose(make_results(gain, norm=100), lost, 0), tmp_path)
    assert tables["points"]["diverged"].sum() == 1
    figures = drawn(gain, tables)
    save(figures["curves"].figure, figures["curves"].numbers, tmp_path / "curves")
    assert (tmp_path / "curves.png").stat().st_size > 1000
