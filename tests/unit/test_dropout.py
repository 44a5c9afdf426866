"""The dropout experiment: shared arms and choosers, tables of known runs, and the parts of its claim."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError
from takeoff.common.errors import TakeoffError
from takeoff.experiments.dropout.design import Design, Options
from takeoff.experiments.factorial.design import Design as Factorial
from takeoff.statistics.intervals import mean_interval
from takeoff.study.arms import distinct
from unit.measured import analysed, drawn, judged, lose, made_up, measured, results, verdict

DATASET = {"name": "digits", "resolution": 8, "train_samples": 1000}


@pytest.fixture
def study(tmp_path):
    return made_up(tmp_path, dataset=DATASET)


def make_results(study, change, options=None):
    """Gap .2 and error .3 without dropout; `change(rate, steps)` is what it adds to each. Seeds move all together."""
    rng = np.random.default_rng(1)
    noise = {seed: 0.05 * rng.normal() for seed in study.seed_list}
    runs, curves = [], []
    for (rate, images, steps), arm in Design(study, options or Options()).cells.items():
        gap, error = np.array([0.2, 0.3]) + np.array(change(rate, steps))
        for seed in study.seed_list:
            wobble = noise[seed] + 0.002 * rng.normal()
            test = 1 - error + wobble - 20 / images
            run = {"arm": arm.name, "seed": seed, "train_accuracy": test + gap + 0.002 * rng.normal()}
            run |= {"test_accuracy": test, "validation_accuracy": test, "diverged": False}
            runs.append(run | {"learning_rate": 0.1, "at_edge": False, "untuned": False})
            for epoch, loss in enumerate((2.3, 1.0, 0.5, 0.4, 0.3 + 0.05 * rate)):
                curves.append({"arm": arm.name, "seed": seed, "epoch": epoch, "train_loss": loss})
    return results(runs=runs, curves=curves)


def helps(rate, steps):
    return -0.2 * rate, -0.1 * rate * steps


def analyse(study, results):
    return Design(study, Options()).analyse(results)


def measure(study, tables, options=None):
    return measured(Design(study, options or Options()), tables)["dropout-reduces-overfitting"]


def test_full_size_arms_are_the_factorials_and_the_rest_take_their_learning_rates(study):
    cells = Design(study, Options()).cells
    arms = Design(study, Options()).arms()
    assert arms == list(cells.values())
    shared = Factorial(study, Factorial.Options()).arms()
    tuned = [arm.name for arm in arms if arm.tuned]
    assert tuned == ["relu", "relu+dropout0.5"]
    assert set(tuned) <= {arm.name for arm in shared}
    distinct([*shared, *arms])
    # .2 takes the nearest rate's; at the small sizes only the ends; at twice the steps too.
    assert {cell: arm.choice_from for cell, arm in cells.items() if not arm.tuned} == {
        (0.2, 1000, 1): "relu",
        (0.0, 300, 1): "relu",
        (0.5, 300, 1): "relu+dropout0.5",
        (0.0, 100, 1): "relu",
        (0.5, 100, 1): "relu+dropout0.5",
        (0.0, 1000, 2): "relu",
        (0.5, 1000, 2): "relu+dropout0.5",
    }
    small, longer = cells[0.5, 300, 1], cells[0.5, 1000, 2]
    assert (small.train_samples, small.recipe.epoch_images, small.recipe.epochs) == (300, 800, 4)
    assert (longer.train_samples, longer.recipe.epoch_images, longer.recipe.epochs) == (1000, None, 8)
    assert all(arm.choice_from in tuned for arm in arms if not arm.tuned)


def test_options_make_more_or_fewer_arms(study):
    more = Design(study, Options(every_rate=True, tuned=True)).arms()
    assert len(more) == 3 * 3 + 2
    assert all(arm.tuned for arm in more)
    few = Design(study, Options(rates=(0, 0.5), shares=(), seeds=2)).arms()
    assert len(few) == 4
    assert {arm.seeds for arm in few} == {(0, 1)}
    for wrong in ({"steps": [2]}, {"rates": [0.5]}, {"rates": [0.5, 0.5]}, {"shares": [1.0]}):
        with pytest.raises(ValidationError):
            Options(**wrong)


def test_large_sets_try_every_rate(tmp_path):
    for images, arms in ((39_999, 3 + 2 * 2 + 2), (40_000, 3 * 3 + 2)):
        study = made_up(tmp_path, dataset={"name": "mine", "resolution": 8, "train_samples": images})
        assert len(Design(study, Options()).arms()) == arms


def test_sizes_come_from_the_catalogue_or_must_be_given(tmp_path):
    known = made_up(tmp_path, dataset={"name": "digits", "resolution": 8})
    assert {images for _, images, _ in Design(known, Options()).cells} == {130, 389, 1297}
    unknown = made_up(tmp_path, dataset={"name": "mine", "resolution": 8, "archive": "mine.zip"})
    with pytest.raises(TakeoffError, match=r"mine has is not known beforehand; valid: dataset.train_samples as"):
        Design(unknown, Options()).arms()
    tiny = made_up(tmp_path, dataset={"name": "mine", "resolution": 8, "train_samples": 20})
    with pytest.raises(TakeoffError, match=r"dropout.shares: 0.1 of 20 images leaves 2"):
        Design(tiny, Options()).arms()


def test_tables_of_known_runs(study, tmp_path):
    tables = analysed(Design(study, Options()), make_results(study, helps), tmp_path)
    effects = tables["differences"]
    row = effects.query("response == 'gap' and images == 1000 and steps == 2").iloc[0]
    assert row["estimate"] == pytest.approx(-0.1, abs=0.005)
    # Paired: seeds move errors by .05, which differences do not see.
    row = effects.query("response == 'test_error' and images == 1000 and steps == 2").iloc[0]
    assert row["estimate"] == pytest.approx(-0.1, abs=0.005)
    assert row["ci_high"] - row["ci_low"] < 0.02
    assert sorted(effects.query("images == 1000 and steps == 1 and response == 'gap'")["dropout"]) == [0.2, 0.5]
    cells = tables["cells"].set_index("arm")
    assert cells.loc["relu", "loss_change"] == pytest.approx(-0.1)
    assert cells.loc["relu+dropout0.5", "loss_change"] == pytest.approx(0.325 - 0.4)
    small = Design(study, Options()).cells[0.0, 300, 1].name
    assert cells.loc[small, ["images", "steps", "n_seeds"]].tolist() == [300, 1, 4]


def test_verdicts_need_gap_and_error_at_one_and_two_times_the_steps(study):
    measures = measure(study, analyse(study, make_results(study, helps)))
    assert [one.label for one in measures] == [
        "gap, dropout 0.5 − 0, 1× steps",
        "test error, dropout 0.5 − 0, 1× steps",
        "gap, dropout 0.5 − 0, 2× steps",
        "test error, dropout 0.5 − 0, 2× steps",
    ]
    assert measures[0].estimate == pytest.approx(-10, abs=0.5)  # points
    assert {one.arms for one in measures} == {("relu", "relu+dropout0.5", "relu+epochs8", "relu+dropout0.5+epochs8")}
    trained = [replace(one, veto="") for one in measures]
    assert (verdict(measures), verdict(trained)) == ("undecided", "supported")  # these were not trained enough
    # The gap closes only because training suffers: the error rises.
    worse = analyse(study, make_results(study, lambda rate, steps: (-0.2 * rate, 0.1 * rate)))
    assert verdict([replace(one, veto="") for one in measure(study, worse)]) == "contradicted"
    only_late = analyse(study, make_results(study, lambda rate, steps: (-0.2 * rate, -0.1 * rate * (steps - 1))))
    assert verdict(measure(study, only_late)) == "undecided"


def test_more_error_of_networks_that_still_learn_does_not_contradict(study):
    """Twice the steps take 4 points of training error: without them dropout's error is that of too little training."""

    def slow(rate, steps):
        return -0.2 * rate, 0.3 * rate - 0.08 * rate * (steps - 1)

    tables = analyse(study, make_results(study, slow))
    row = tables["longer"].query("response == 'train_error' and dropout == .5").iloc[0]
    assert row["estimate"] == pytest.approx(-0.04, abs=0.005)
    assert row["ci_low"] < -0.04 < row["ci_high"]
    measures = measure(study, tables)
    assert all("twice the steps lower their training error by 4" in one.reason for one in measures)
    assert [one.veto for one in measures] == ["", "any", "", "any"]
    # The interval stays that of the differences, though it lies against the claim.
    (error,) = judged([measures[1]])
    runs = tables["runs"].query("images == 1000 and steps == 1")
    wide = 100 * runs.pivot(index="seed", columns="dropout", values="test_error")
    assert (error.estimate, error.low, error.high) == pytest.approx(mean_interval(wide[0.5] - wide[0.0])[:3])
    assert error.low > 0
    assert verdict(measures) == "undecided"
    # A gap that opens contradicts all the same.
    wider = analyse(study, make_results(study, lambda rate, steps: (0.2 * rate, slow(rate, steps)[1])))
    assert verdict(measure(study, wider)) == "contradicted"


def test_without_twice_the_steps_the_claim_is_not_tested(study):
    options = Options(steps=[1])
    tables = Design(study, options).analyse(make_results(study, helps, options))
    (one,) = measure(study, tables, options)
    assert one.part == ""
    assert "dropout.steps" in one.reason
    (drawing,) = drawn(Design(study, options), tables).values()
    assert len(drawing.numbers) == 7


def test_a_collapsed_run_has_no_gap_and_is_reported(study):
    tables = analyse(study, lose(make_results(study, helps), "relu+dropout0.5", 0))
    run = tables["runs"].query("arm == 'relu+dropout0.5' and seed == 0").iloc[0]
    assert (run["gap"], run["test_error"], run["collapsed"]) == (0, 0.9, True)
    assert all("1 of 16 runs collapsed" in one.reason for one in measure(study, tables))


def test_the_figure_has_its_numbers(study):
    tables = analyse(study, make_results(study, helps))
    (drawing,) = drawn(Design(study, Options()), tables).values()
    assert len(drawing.numbers) == 9
