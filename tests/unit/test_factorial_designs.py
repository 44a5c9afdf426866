"""The factorial experiment's arms: all of them, a fraction past six factors, and one rate for all beside tuned ones."""

import numpy as np
import pytest
from scipy import stats
from takeoff.experiments.factorial.design import Design, Options
from unit.factorial_runs import analyse, make_results, make_study, one
from unit.measured import CARD

FIXED = Options(fixed_rate=0.03, fixed_seeds=3)


def test_one_rate_for_all_beside_tuned_rates(tmp_path):
    study = make_study(tmp_path, seeds=5)
    factorial = Design(study, FIXED)
    arms = factorial.arms()
    assert len(arms) == 16
    assert [arm.tuned for arm in arms] == [True] * 8 + [False] * 8
    assert [arm.choice_from for arm in arms[8:]] == [arm.name for arm in arms[:8]]
    assert {(arm.learning_rate, arm.seeds) for arm in arms[8:]} == {(0.03, (0, 1, 2))}
    results = make_results(study, options=FIXED)
    tables = factorial.analyse(results)
    assert set(tables) == set(factorial.tables())
    assert {"rates", "speed-up", "interaction"} <= set(factorial.figures())
    norm = one(tables["fixed"], term="norm", kind="main", response="test_accuracy")
    assert (norm.tuned, norm.fixed, norm.n_seeds, norm.rate) == (
        pytest.approx(0.1, abs=0.02),
        pytest.approx(0.2, abs=0.02),
        3,
        0.03,
    )
    # The difference is paired by seed: a t interval of the seeds' own differences.
    runs = results.runs[results.runs["seed"] < 3].assign(fixed=lambda r: r["learning_rate"] == 0.03)
    means = runs.groupby(["seed", "fixed", "norm"])["test_accuracy"].mean().unstack("norm")
    effects = (means["batch"] - means["none"]).unstack("fixed")
    difference = effects[False] - effects[True]
    half = stats.t.ppf(0.975, 2) * difference.std(ddof=1) / np.sqrt(3)
    assert norm.difference == pytest.approx(difference.mean())
    assert (norm.difference_low, norm.difference_high) == pytest.approx(
        (difference.mean() - half, difference.mean() + half)
    )
    own = one(tables["fixed_effects"], term="norm", kind="main", response="test_accuracy")
    assert (own.estimate, own.ci_low, own.ci_high) == pytest.approx((norm.fixed, norm.fixed_low, norm.fixed_high))
    cell = one(tables["fixed_cells"], arm="relu+batch")
    assert (cell.tuned_rate, cell.rate, cell.tuned_runs, cell.fixed_runs) == (0.1, 0.03, 3, 3)
    # The tables of tuned cells know nothing of it.
    assert set(tables["runs"]["arm"]) == {arm.name for arm in arms[:8]}
    assert tables["effects"]["n_seeds"].eq(5).all()


def test_without_a_fixed_rate_there_is_nothing_of_it(tmp_path):
    study = make_study(tmp_path)
    factorial = Design(study, Options())
    assert len(factorial.arms()) == 8
    assert "rates" not in factorial.figures()
    assert not {name for name in factorial.tables() if "fixed" in name or name == "aliases"}
    assert set(analyse(study, make_results(study))) == set(factorial.tables())


def test_of_more_than_six_factors_a_fraction_is_trained(tmp_path):
    study = make_study(tmp_path, k=8, seeds=2)
    factorial = Design(study, Options())
    arms = factorial.arms()
    assert len(arms) == len({arm.name for arm in arms}) == 64
    assert arms[0].levels["width"] == 0.5
    assert len(Design(study, Options(resolution=4)).arms()) == 16
    assert len(Design(make_study(tmp_path, k=6), Options()).arms()) == 64  # all of them
    tables = factorial.analyse(make_results(study, noise=0.001))
    assert set(tables) == set(factorial.tables()) >= {"aliases"}
    effects = tables["effects"].query("response == 'test_accuracy'")
    assert effects["kind"].value_counts().to_dict() == {"interaction": 28, "main": 8}
    assert one(effects, term="norm").estimate == pytest.approx(0.1, abs=0.005)
    assert one(effects, term="activation:norm").estimate == pytest.approx(0, abs=0.005)
    assert len(tables["aliases"]) == 36
    assert tables["aliases"].groupby("kind")["lowest_order"].min().to_dict() == {"main": 4, "interaction": 3}
    assert len(tables["pairing"].query("response == 'test_accuracy'")) == 9
    measures = list(factorial.measure(tables, CARD))
    assert [measure.part for measure in measures] == ["", "", ""]
    assert "differ in batch norm alone" in measures[0].reason
    assert "fraction" in measures[2].reason
