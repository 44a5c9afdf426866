"""The race: arms, crossings by hand, censoring, ratios, and the parts of its claims."""

from dataclasses import replace
from math import inf

import numpy as np
import pandas as pd
import pytest
from takeoff.common.errors import TakeoffError
from takeoff.experiments.race.design import Design, Options
from unit.measured import analysed, drawn, fixed, made_up, measured, results, verdict

STEPS = 10
"""Per epoch."""
OFTEN = Options(scores=4)


@pytest.fixture
def study(tmp_path):
    recipe = {"epochs": 20, "weight_decay": 0.001, "augmentation": "flip-crop"}
    dataset = {"name": "digits", "resolution": 8, "train_samples": 1280}  # 8 steps of 128 an epoch
    return made_up(tmp_path, recipe=recipe, network={"dropout": 0.5, "norm": "batch"}, dataset=dataset)


def test_a_race_may_have_rates_of_its_own(study):
    assert {arm.learning_rates for arm in Design(study, Options()).timed()} == {None}
    own = Design(study, Options(rates=(0.1, 0.001))).timed()
    assert {arm.learning_rates for arm in own} == {(0.001, 0.1)}
    with pytest.raises(ValueError, match="stands twice"):
        Options(rates=(0.1, 0.1))


def curve(arm, seed, crossing, scores):
    """Training accuracy rises in a straight line from .1 and is .75 at `crossing`, in whole epochs; there are 20."""
    score = np.arange(20 * scores + 1)
    accuracy = np.minimum(0.1 + 0.65 * score / scores / crossing, 0.99)
    step = STEPS * score / scores
    return pd.DataFrame({"arm": arm.name, "seed": seed, "epoch": score, "step": step, "train_accuracy": accuracy})


def make_results(study, crossings, speed=True, options=OFTEN):
    """Curves of given crossings by activation and seed; relu's steps take .8, .9, 1 of tanh's."""
    arms = Design(study, options).timed()
    pairs = [(arm, seed) for arm in arms for seed in study.seed_list]
    curves = [curve(arm, seed, crossings[arm.network.activation][seed], options.scores) for arm, seed in pairs]
    share = {"relu": (0.8, 0.9, 1.0), "tanh": (1, 1, 1), "sigmoid": (1.2, 1.2, 1.2)}
    rows = [
        {"kind": "step", "name": arm.name, "device": "cpu", "threads": 1, "precision": "float32", "batch": 64}
        | {"block": block, "seconds": 0.01 * (block + 1) * share[arm.network.activation][block]}
        for arm in arms
        for block in range(3)
    ]
    rows.append(rows[0] | {"name": "someone-elses"})
    return results(curves=pd.concat(curves), speed=rows if speed else None)


FAST = {"relu": [2.1, 2.5, 3.0, 2.2], "tanh": [6.3, 7.2, 9.5, 6.4], "sigmoid": [16.0, 18.0, 15.5, 17.0]}


def analyse(study, results, options=OFTEN):
    return Design(study, options).analyse(results)


def measure(study, tables, untuned=(), options=OFTEN):
    """The measures by claim; `untuned` are the activations that no learning rate brought to the error."""
    race = Design(study, options)
    choices = pd.DataFrame(
        {"arm": [arm.name for arm in race.timed()], "untuned": [name in untuned for name in race.networks]}
    )
    return measured(race, {**tables, "choices": choices})


def test_arms_are_the_network_of_2012_without_regularisation(study):
    race = Design(study, Options(epochs=7, width=0.5, seeds=2))
    arms = race.arms()
    assert [arm.network.activation for arm in arms] == ["relu", "tanh", "sigmoid"]
    for arm in arms:
        network, recipe = arm.network, arm.recipe
        assert (network.family, network.norm, network.dropout, network.width) == ("four-layer", "none", 0, 0.5)
        assert (recipe.schedule, recipe.warmup_epochs, recipe.weight_decay) == ("constant", 0, 0)
        assert (recipe.augmentation, recipe.epochs) == ("none", 7)
        assert (arm.target, arm.seeds, arm.tuned) == (0.75, (0, 1), True)
    assert race.timed() == arms


def test_crossings_and_ratios_by_hand(study, tmp_path):
    tables = analysed(Design(study, OFTEN), make_results(study, FAST), tmp_path)
    crossings = tables["crossings"]
    for activation, expected in FAST.items():
        own = crossings[crossings["activation"] == activation]
        # Between epochs the curves are straight, so that interpolation is exact.
        assert own["epochs"].tolist() == pytest.approx(expected)
        assert not own["censored"].any()
    # tanh: 10 steps of the geometric mean of 10, 20, 30 ms.
    tanh = crossings[crossings["activation"] == "tanh"]
    expected = np.array(FAST["tanh"]) * 10 * 0.01 * 6 ** (1 / 3)
    assert tanh["seconds"].tolist() == pytest.approx(expected.tolist())
    ratios = tables["ratios"].set_index(["unit", "arm", "over"])
    logs = np.log(np.array(FAST["tanh"]) / np.array(FAST["relu"]))
    row = ratios.loc["epochs", "tanh", "relu"]
    assert row["ratio"] == pytest.approx(np.exp(logs.mean()))
    half = 3.182446305 * logs.std(ddof=1) / 2
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(tuple(np.exp(logs.mean() + np.array([-half, half]))))
    assert ratios.loc["seconds", "tanh", "relu"]["ratio"] == pytest.approx(row["ratio"] / 0.72 ** (1 / 3))
    steps = tables["steps"]
    assert steps.loc[steps["activation"] == "relu", "ratio"].tolist() == pytest.approx([0.8, 0.9, 1.0])
    mean = tables["curves"].query("activation == 'relu' and epoch == 1").iloc[0]
    assert mean["train_error"] == pytest.approx(np.mean([0.9 - 0.65 / c for c in FAST["relu"]]))


def test_a_censored_tanh_is_a_lower_bound_and_still_decides(study, tmp_path):
    late = FAST | {"tanh": [19.0, 50.0, 18.0, 60.0]}
    tables = analysed(Design(study, OFTEN), make_results(study, late), tmp_path)
    tanh = tables["crossings"].query("activation == 'tanh'")
    assert tanh["epochs"].tolist() == pytest.approx([19, 20, 18, 20])
    assert tanh["censored"].tolist() == [False, True, False, True]
    row = tables["ratios"].set_index(["unit", "arm", "over"]).loc["epochs", "tanh", "relu"]
    assert (row["bound"], row["ci_high"], row["n_censored"]) == ("lower", inf, 2)
    found = measure(study, tables)
    several, six = found["relu-trains-faster"], found["relu-six-times-faster"]
    assert several[0].bound == (0, inf)
    assert verdict(several) == "supported"
    # A lower bound can leave six times behind or open, but never confirm it.
    assert verdict(six) != "supported"
    assert "tanh did not get there in 2 of 4 runs" in several[0].reason


def test_a_censored_relu_is_an_upper_bound_and_both_say_nothing(study):
    lost = {"relu": [15.0, 30.0, 18.0, 19.0], "tanh": [14.0, 16.0, 15.0, 17.0], "sigmoid": [90.0] * 4}
    several = measure(study, analyse(study, make_results(study, lost)))["relu-trains-faster"]
    assert several[0].bound == (inf, 0)
    assert verdict(several) == "contradicted"
    both = lost | {"tanh": [99.0] * 4}
    tables = analyse(study, make_results(study, both))
    assert set(tables["ratios"]["bound"]) == {"unknown"}
    several = measure(study, tables)["relu-trains-faster"]
    assert several[0].bound == (inf, inf)
    assert verdict(several) == "undecided"
    assert "nothing bounds the ratio" in several[0].reason


def test_a_network_that_no_rate_brought_there_decides_nothing(study):
    tables = analyse(study, make_results(study, FAST))
    names = [arm.name for arm in Design(study, OFTEN).arms()]
    tuned = measure(study, tables)["relu-trains-faster"][0]
    for lost, words in (
        ("relu", "ReLU in 1 of 1 blocks: at no"),
        ("tanh", "tanh in 1 of 1 blocks: at no"),
        ("sigmoid", None),
    ):
        (one,) = measure(study, tables, untuned=[lost])["relu-trains-faster"]
        assert one.arms == (names[1], names[0])
        # The interval stays; the verdict does not.
        assert (one.estimate, one.error, one.bound) == (tuned.estimate, tuned.error, (0, 0))
        assert one.veto == ("any" if words else "")
        assert verdict([one]) == ("undecided" if words else "supported")
        assert words is None or words in one.reason


def test_verdicts_of_known_ratios(study):
    found = measure(study, analyse(study, make_results(study, FAST)))
    several = found["relu-trains-faster"]
    assert np.exp(several[0].estimate) == pytest.approx(np.exp(np.log(np.divide(FAST["tanh"], FAST["relu"])).mean()))
    assert verdict(several) == "supported"
    six = {"relu": [2.1] * 4, "tanh": [11.0, 12.0, 12.5, 11.5], "sigmoid": [15.0] * 4}
    exact = measure(study, analyse(study, make_results(study, six)))
    assert verdict(exact["relu-six-times-faster"]) == "supported"
    slow = measure(study, analyse(study, make_results(study, FAST | {"tanh": [3.0] * 4})))
    assert verdict(slow["relu-trains-faster"]) == "contradicted"
    (cheaper,) = found["relu-steps-cheaper"]
    assert (cheaper.freedom, np.exp(cheaper.estimate)) == (2, pytest.approx(0.72 ** (1 / 3)))
    assert "cpu, 1 thread, float32; 3 blocks" in cheaper.reason


@pytest.mark.parametrize(
    ("options", "relu", "words"),
    [
        (OFTEN, [2.1, 2.1, 2.5, 3.0], ""),
        (OFTEN, [0.3, 1.9, 2.5, 3.0], "ReLU got there too soon to be judged, before 2 epochs, in 2 of 4 runs"),
        (Options(scores=2), [3.9, 4.1, 4.2, 4.3], "before 4 epochs, in 1 of 4 runs"),
        (Options(), [7.9, 8.1, 8.2, 8.3], "before 8 epochs, in 1 of 4 runs"),
    ],
)
def test_a_crossing_within_two_epochs_or_eight_scores_decides_nothing(study, options, relu, words):
    crossings = {"relu": relu, "tanh": [19.0, 19.1, 19.2, 19.3], "sigmoid": [99.0] * 4}
    tables = analyse(study, make_results(study, crossings, options=options), options)
    for claim in ("relu-trains-faster", "relu-six-times-faster"):
        (one,) = measure(study, tables, options=options)[claim]
        assert one.veto == ("any" if words else "")
        assert words in one.reason


@pytest.mark.parametrize(("scores", "images", "epochs"), [(1, None, 20), (3, 256, 80), (5, 128, 160), (8, 128, 160)])
def test_the_error_is_measured_as_often_within_an_epoch_as_asked_or_more(study, scores, images, epochs):
    race = Design(study, Options(scores=scores))
    for arm in race.timed():
        assert (arm.recipe.epochs, arm.recipe.epoch_images) == (epochs, images)
    assert race.scoring.horizon == 20


def test_a_race_has_fifteen_epochs_unless_it_says_otherwise(study):
    study = study.model_copy(update={"recipe": study.recipe.model_copy(update={"epochs": 3})})
    assert Design(study, OFTEN).scoring.horizon == 15
    with pytest.raises(TakeoffError, match=r"race.scores 9: an epoch has 8 steps of 128 images; valid: 1 to 8$"):
        Design(study, Options(scores=9)).arms()


def test_where_an_epochs_images_are_not_known_beforehand_the_message_says_what_to_set(study):
    study = study.model_copy(
        update={"dataset": study.dataset.model_copy(update={"name": "mine", "train_samples": "all"})}
    )
    with pytest.raises(TakeoffError, match=r"race.scores 3: how many .* is not known"):
        Design(study, Options(scores=3)).arms()
    stated = study.model_copy(update={"recipe": study.recipe.model_copy(update={"epoch_images": 900})})
    assert Design(stated, Options(scores=7)).timed()[0].recipe.epoch_images == 128
    assert Design(study, Options()).timed()[0].recipe.epoch_images is None


def test_without_speed_seconds_are_unknown_and_the_claim_is_not_tested(study, tmp_path):
    race = Design(study, OFTEN)
    tables = analysed(race, make_results(study, FAST, speed=False), tmp_path)
    assert tables["crossings"]["seconds"].isna().all()
    assert set(tables["ratios"]["unit"]) == {"epochs"}
    (one,) = measure(study, tables)["relu-steps-cheaper"]
    assert one.part == ""
    assert "not measured" in one.reason
    drawn(race, tables)


def test_a_run_that_diverges_is_censored_and_wrong_input_is_one_error(study):
    whole = make_results(study, FAST)
    curves = whole.curves
    relu = Design(study, OFTEN).timed()[0].name
    gone = (curves["arm"] == relu) & (curves["seed"] == 0) & (curves["epoch"] > 0)
    tables = analyse(study, replace(whole, curves=curves[~gone]))
    first = tables["crossings"].iloc[0]
    assert (first["epochs"], first["censored"]) == (20, True)
    with pytest.raises(TakeoffError, match=r"race.error 0.9 is no better than guessing; valid: below 0.87"):
        analyse(study, whole, Options(error=0.9, scores=4))


def test_figures_have_their_numbers_and_criteria_their_lines(study):
    race = Design(study, OFTEN)
    tables = analyse(study, make_results(study, FAST | {"sigmoid": [70.0] * 4}))
    drawn(race, tables)
    for criteria, expected in ((fixed("race"), [2, 6]), ({}, [])):
        (ratios,) = (one for one in race.draw(tables, criteria) if one.name == "ratios")
        assert ratios.numbers["ratio"].notna().all()
        lines = [line.get_xdata() for line in ratios.figure.axes[0].lines]
        assert sorted(x[0] for x in lines if len(x) == 2 and x[0] == x[1]) == expected
    # Beside a user's own images stands no published figure.
    own = Design(study.model_copy(update={"dataset": study.dataset.model_copy(update={"name": "mine"})}), OFTEN)
    (ratios,) = (one for one in own.draw(tables, fixed("race")) if one.name == "ratios")
    lines = [line.get_xdata() for line in ratios.figure.axes[0].lines]
    assert [x[0] for x in lines if len(x) == 2 and x[0] == x[1]] == [2]
