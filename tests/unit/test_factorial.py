"""The factorial experiment's tables, from made-up runs whose answers are known."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests
from takeoff.common.errors import TakeoffError
from takeoff.experiments.factorial.design import Design, Options
from takeoff.experiments.factorial.tables import RESPONSES
from takeoff.statistics.contrasts import interaction_weights
from takeoff.statistics.effects import COLUMNS
from takeoff.statistics.intervals import pooled_interval
from unit.factorial_runs import EPOCHS, analyse, diverge, make_results, make_study, one


@pytest.fixture
def study(tmp_path):
    return make_study(tmp_path)


def test_effects_of_known_cells(study):
    effects = analyse(study, make_results(study, noise=0))["effects"]
    assert tuple(effects.columns) == COLUMNS
    assert tuple(effects["response"].unique()) == RESPONSES
    accuracy = effects[effects["response"] == "test_accuracy"]
    assert one(accuracy, term="activation", kind="main").estimate == pytest.approx(0.3)
    assert one(accuracy, term="norm", kind="shapley").estimate == pytest.approx(0.1)
    assert one(accuracy, term="dropout", kind="main").p_value == 1
    assert one(accuracy, term="activation:norm", kind="interaction").estimate == pytest.approx(0, abs=1e-12)
    gap = one(effects, response="generalisation_gap", term="norm", kind="main")
    assert gap.estimate == pytest.approx(0, abs=1e-12)
    # ReLU alone reaches .5 at the last epoch; with batch norm after 4 × .4/.5 epochs; tanh never, so 4.
    epochs = effects[effects["response"] == "epochs_to_threshold"]
    simple = one(epochs, term="activation@norm=batch,dropout=0", kind="simple")
    assert simple.estimate == pytest.approx(4 * 0.4 / 0.5 - 4)
    # At the baseline it would have taken longer than that: the effect is at most this, and what is known is below 0.
    assert (simple.n_censored, simple.ci_low) == (3, -np.inf)
    assert simple.ci_high < 0
    assert simple.p_value > 0
    # Of tanh with and without batch norm neither gets there: nothing is known of their difference.
    neither = one(epochs, term="norm@activation=tanh,dropout=0", kind="simple")
    assert (neither.n_censored, neither.ci_low, neither.ci_high) == (6, -np.inf, np.inf)
    # It counts all the same: to leave it out would make the others look better than they are.
    assert (neither.p_value, neither.p_adjusted) == (1, 1)
    family = epochs[epochs["kind"] == "simple"]
    adjusted = multipletests(family["p_value"], method="fdr_bh")[1]
    assert family["p_adjusted"].to_numpy() == pytest.approx(adjusted)
    assert (effects.loc[effects["response"] != "epochs_to_threshold", "n_censored"] == 0).all()


def test_effects_take_test_images_as_random_beside_seeds(study):
    results = make_results(study, noise=0)
    rng, images = np.random.default_rng(1), 500
    # Each image has a difficulty of its own, which batch norm halves: all that varies is images.
    hard = rng.random(images)
    right = {norm: hard < 1 - share for norm, share in (("none", 0.4), ("batch", 0.2))}
    runs = results.runs.assign(
        test_accuracy=[right[norm].mean() for norm in results.runs["norm"]],
        test_correct=[np.packbits(right[norm]).tobytes() for norm in results.runs["norm"]],
    )
    found = one(analyse(study, replace(results, runs=runs))["test_images"], term="norm", kind="main")
    gain = (right["batch"] * 1.0 - right["none"]).std(ddof=1) / np.sqrt(images)
    assert found.estimate == pytest.approx(right["batch"].mean() - right["none"].mean())
    assert (found.ci_low, found.ci_high) == pytest.approx((found.estimate, found.estimate))
    assert found.crossed_high - found.estimate == pytest.approx(1.965 * gain, rel=1e-3)
    assert (found.n_seeds, found.n_images) == (3, images)


def test_cells_say_what_is_censored_and_how_rates_were_tuned(study):
    results = make_results(study)
    results.runs["at_edge"] = results.runs["norm"] == "batch"
    cells = analyse(study, results)["cells"]
    assert cells["arm"].tolist() == [arm.name for arm in Design(study, Options()).arms()]
    tanh, relu = one(cells, arm="tanh"), one(cells, arm="relu+batch")
    assert (tanh.censored, tanh.epochs_to_threshold, tanh.n_seeds) == (3, 4, 3)
    assert relu.censored == 0
    assert (relu.norm, relu.dropout, relu.learning_rate, relu.at_edge) == ("batch", "0", 0.1, True)
    assert relu.test_accuracy_low < relu.test_accuracy < relu.test_accuracy_high
    assert relu.train_accuracy == pytest.approx(relu.test_accuracy + 0.2)


def test_a_diverged_run_counts_as_chance_everywhere(study):
    tables = analyse(study, diverge(make_results(study), "relu", 1))
    run = one(tables["runs"], arm="relu", seed=1)
    assert (run.test_accuracy, run.generalisation_gap, run.epochs_to_threshold) == (0.1, 0, 4)
    assert run.diverged
    assert run.collapsed
    assert run.censored
    collapse = one(tables["collapse"], arm="relu")
    assert (collapse.runs, collapse.collapsed, collapse.rate) == (3, 1, pytest.approx(1 / 3))
    assert collapse.ci_low < 1 / 3 < collapse.ci_high
    assert collapse["mean"] < 0.4
    assert collapse.mean_of_rest > 0.45
    assert (collapse.chance, collapse.line) == (0.1, pytest.approx(0.1 + 2 * np.sqrt(0.09 / 500)))
    curve = one(tables["curves"], arm="relu", epoch=EPOCHS)
    alive = tables["runs"].query("arm == 'relu' and seed != 1")["validation_accuracy"]
    assert curve.n_seeds == 3
    assert curve.validation_accuracy == pytest.approx((alive.sum() + 0.1) / 3)
    assert curve.train_loss == 1
    assert one(tables["effects"], response="test_accuracy", term="norm", kind="main").n_diverged == 1


def test_all_runs_of_an_arm_may_diverge_before_their_first_epoch(study):
    results = make_results(study)
    for seed in study.seed_list:
        results = diverge(results, "tanh", seed, from_epoch=0)
    tables = analyse(study, results)
    assert one(tables["collapse"], arm="tanh").rate == 1
    assert one(tables["curves"], arm="tanh", epoch=2).validation_accuracy == pytest.approx(0.1)
    assert np.isnan(one(tables["collapse"], arm="tanh").mean_of_rest)


def test_pairing_and_one_seed(tmp_path):
    study = make_study(tmp_path, seeds=1)
    tables = analyse(study, make_results(study))
    assert tables["effects"]["ci_low"].isna().all()
    assert tables["pairing"]["value"].isna().all()
    several = make_study(tmp_path, seeds=5)
    results = make_results(several)
    results.runs["test_accuracy"] += 0.05 * results.runs["seed"]
    pairing = analyse(several, results)["pairing"]
    assert one(pairing, response="test_accuracy", quantity="mean_correlation").value > 0.9
    assert one(pairing, response="test_accuracy", quantity="variance_ratio", term="norm").value < 0.1


def test_no_interval_of_an_accuracy_reaches_beyond_100_points(tmp_path):
    two = make_study(tmp_path, seeds=2)
    results = make_results(two)
    apart = (results.runs["activation"] == "relu") & (results.runs["seed"] == results.runs["seed"].max())
    results.runs.loc[apart, "test_accuracy"] *= 0.2
    effects = analyse(two, results)["effects"]
    main = one(effects, response="test_accuracy", term="activation", kind="main")
    assert (main.ci_low, main.ci_high) == (-1, 1)


def test_tables_do_not_depend_on_the_order_of_rows_or_on_other_arms(study):
    results = make_results(study)
    other = results.runs[:1].assign(arm="someone-elses")
    runs = pd.concat([results.runs.sample(frac=1, random_state=0), other], ignore_index=True)
    curves = results.curves.sample(frac=1, random_state=1)
    curves = pd.concat([curves, curves.query("arm == 'tanh' and seed == 0").assign(arm="someone-elses")])
    shuffled = analyse(study, replace(results, runs=runs, curves=curves))
    for name, table in analyse(study, results).items():
        pd.testing.assert_frame_equal(table, shuffled[name], check_dtype=False)


def test_a_threshold_no_better_than_guessing_is_refused(study):
    options = Options(threshold=0.1)
    with pytest.raises(TakeoffError, match=r"factorial.threshold 0.1 is no better than guessing; valid: above"):
        analyse(study, make_results(study), options)


def test_chance_is_judged_on_the_test_images_that_are_read(tmp_path):
    lines = []
    for samples in ("all", 50):
        study = make_study(tmp_path, dataset={"name": "made-up", "resolution": 8, "test_samples": samples})
        lines.append(analyse(study, make_results(study))["collapse"]["line"].iloc[0])
    assert lines == pytest.approx([0.1 + 2 * np.sqrt(0.1 * 0.9 / images) for images in (500, 50)])


def test_what_does_not_fit_is_one_clear_error(study):
    results = make_results(study)
    curves = results.curves[results.curves["arm"] != "relu"]
    twice = pd.concat([results.runs, results.runs[:1]])
    for wrong, message in (
        ({"card": {}}, "images_per_class.test is missing"),
        ({"card": {"images_per_class": {"test": []}}}, "images_per_class.test"),
        ({"curves": curves}, "arm relu, seed 0 has no train_accuracy"),
        ({"runs": twice}, "two rows with activation tanh, norm none, dropout 0, seed 0"),
        ({"runs": results.runs[results.runs["arm"] != "relu"]}, "no run with activation=relu,norm=none"),
    ):
        with pytest.raises(TakeoffError, match=message):
            analyse(study, replace(results, **wrong))


def test_pooled_intervals_are_those_of_every_cell_and_seed(study):
    results = make_results(study)
    pooled = analyse(study, results)["pooled"].query("response == 'test_accuracy' and kind in ('main', 'interaction')")
    names = [arm.name for arm in Design(study, Options()).arms()]
    cells = results.runs.pivot(index="seed", columns="arm", values="test_accuracy")[names].to_numpy()
    for term in [term for order in (1, 2, 3) for term in combinations(range(3), order)]:
        row = one(pooled, term=":".join(list(study.factors)[place] for place in term))
        expected = pooled_interval(cells, interaction_weights(3, term))
        assert (row.ci_low, row.ci_high) == pytest.approx((expected.low, expected.high))


def test_small_effects_are_shown_to_be_small(study):
    tables = analyse(study, make_results(study, noise=0.002))
    small = tables["equivalence"].query("response == 'test_accuracy' and kind == 'main'")
    assert small.set_index("term")["equivalent"].to_dict() == {
        "activation": "not shown",
        "norm": "not shown",
        "dropout": "equivalent",
    }
    assert set(tables["equivalence"]["response"]) == {"test_accuracy", "generalisation_gap"}
