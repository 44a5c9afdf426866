"""The dropout experiment: shared arms and choosers, tables of known runs, and the parts of its claim."""

import math

import numpy as np
import pytest
from pydantic import ValidationError
from takeoff.common.errors import TakeoffError
from takeoff.experiments.dropout.design import Design, Options
from takeoff.experiments.factorial.design import Design as Factorial
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
    return -0.2 * rate, -0.1 * rate


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
    assert tuned == ["relu", "relu+dropout0.2", "relu+dropout0.5"]
    assert {"relu", "relu+dropout0.5"} <= {arm.name for arm in shared}
    distinct([*shared, *arms])
    # Each rate takes its own at the small sizes, and at twice the steps.
    others = {(rate, *place) for rate in (0, 0.2, 0.5) for place in ((300, 1), (100, 1), (1000, 2))}
    assert {cell: arm.choice_from for cell, arm in cells.items() if not arm.tuned} == {
        cell: cells[cell[0], 1000, 1].name for cell in others
    }
    small, longer = cells[0.5, 300, 1], cells[0.5, 1000, 2]
    assert (small.train_samples, small.recipe.epoch_images, small.recipe.epochs) == (300, 800, 4)
    assert (longer.train_samples, longer.recipe.epoch_images, longer.recipe.epochs) == (1000, None, 8)
    assert all(arm.choice_from in tuned for arm in arms if not arm.tuned)


def test_options_make_more_or_fewer_arms(study):
    more = Design(study, Options(tuned=True)).arms()
    assert len(more) == 3 * 3 + 3
    assert all(arm.tuned for arm in more)
    few = Design(study, Options(rates=(0, 0.5), shares=(0.3,), seeds=2, epochs=6)).cells
    assert [*few] == [(0, 300, 1), (0.5, 300, 1), (0, 300, 2), (0.5, 300, 2)]
    assert {arm.seeds for arm in few.values()} == {(0, 1)}
    assert [arm.recipe.epochs for arm in few.values()] == [6, 6, 12, 12]
    for key, wrong in ("steps", [2]), ("rates", [0.5]), ("rates", [0.2, 0.5]), ("rates", [0, 0]), ("shares", []):
        with pytest.raises(ValidationError):
            Options(**{key: wrong})


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
    row = effects.query("response == 'gap' and images == 1000 and steps == 2").iloc[1]
    assert row["estimate"] == pytest.approx(-0.1, abs=0.005)
    # Paired: seeds move errors by .05, which differences do not see.
    row = effects.query("response == 'test_error' and images == 1000 and steps == 2").iloc[1]
    assert row["estimate"] == pytest.approx(-0.05, abs=0.005)
    assert row["ci_high"] - row["ci_low"] < 0.02
    assert sorted(effects.query("images == 1000 and steps == 1 and response == 'gap'")["dropout"]) == [0.2, 0.5]
    cells = tables["cells"].set_index("arm")
    assert cells.loc["relu", "loss_change"] == pytest.approx(-0.1)
    assert cells.loc["relu+dropout0.5", "loss_change"] == pytest.approx(0.325 - 0.4)
    small = Design(study, Options()).cells[0.0, 300, 1].name
    assert cells.loc[small, ["images", "steps", "n_seeds"]].tolist() == [300, 1, 4]
    (drawing,) = drawn(Design(study, Options()), tables).values()
    assert len(drawing.numbers) == 12


def test_verdicts_need_gap_and_error_at_one_and_two_times_the_steps(study):
    measures = measure(study, analyse(study, make_results(study, helps)))
    assert [one.label for one in measures] == [
        "gap, dropout − none, 1× steps",
        "test error, dropout − none, 1× steps",
        "gap, dropout − none, 2× steps",
        "test error, dropout − none, 2× steps",
    ]
    assert measures[0].estimate == pytest.approx(-10, abs=0.5)  # points
    assert {one.reason for one in measures} == {"chosen: dropout 0.5 in 4 seeds at 1×; dropout 0.5 in 4 seeds at 2×"}
    assert {len(one.arms) for one in measures} == {6}
    assert verdict(measures) == "supported"
    # The gap closes only because training suffers: the error rises.
    worse = analyse(study, make_results(study, lambda rate, steps: (-0.2 * rate, 0.1 * rate)))
    assert verdict(measure(study, worse)) == "contradicted"
    only_late = analyse(study, make_results(study, lambda rate, steps: (-0.2 * rate, -0.01 * rate * (steps - 1))))
    assert verdict(measure(study, only_late)) == "undecided"


@pytest.mark.parametrize(("slow", "gap"), [(0, -0.2), (0, 0.2), (0.5, -0.2), (0.2, -0.2), (0.5, 0.2)])
def test_networks_that_still_learn_neither_contradict_nor_support(study, slow, gap):
    """Twice the steps take 4 points of the training error of one rate; 0.5 is chosen if it helps, else 0.2."""
    compared = slow in {0, 0.5 if gap < 0 else 0.2}

    def change(rate, steps):
        return gap * rate, gap * rate - 0.04 * (steps - 1) * (rate == slow)

    tables = analyse(study, make_results(study, change))
    measures = measure(study, tables)
    words = f"not trained enough {'for a verdict' if compared else 'to contradict'}: twice the steps change training"
    assert all(words in one.reason and f"points (dropout {slow:g})" in one.reason for one in measures)
    assert {one.veto for one in measures} == {"any" if compared else ""}
    # The interval stays that of the differences.
    (error,) = judged([measures[1]])
    row = tables["chosen"].query("response == 'test_error' and images == 1000 and steps == 1").iloc[0]
    expected = 100 * row[["estimate", "ci_low", "ci_high"]]
    expected["ci_low"] = expected["ci_low"] if compared else -math.inf
    assert (error.estimate, error.low, error.high) == pytest.approx(expected)
    assert verdict(measures) == ("supported" if (slow, gap) == (0.2, -0.2) else "undecided")


def test_a_seeds_own_luck_does_not_choose_its_rate(study):
    given = make_results(study, helps)
    given.runs["validation_accuracy"] = 0.5
    given.runs.loc[given.runs["arm"] == "relu+dropout0.5", "validation_accuracy"] = [0.9, 0.9, 0.1, 0.1]
    tables = analyse(study, given)
    own = tables["runs"].query("chosen and images == 1000 and steps == 1").set_index("seed")["dropout"]
    assert own.to_dict() == {0: 0.2, 1: 0.2, 2: 0.5, 3: 0.5}
    chosen = tables["chosen"].query("images == 1000 and steps == 1").set_index("response")
    assert set(chosen["rates"]) == {"0.2 in 2 seeds, 0.5 in 2 seeds"}
    assert chosen.loc["gap", "estimate"] == pytest.approx(-0.2 * 0.35, abs=0.005)


def test_without_twice_the_steps_the_claim_is_not_tested(study):
    options = Options(steps=[1])
    tables = Design(study, options).analyse(make_results(study, helps, options))
    (one,) = measure(study, tables, options)
    assert one.part == ""
    assert "dropout.steps" in one.reason
    (drawing,) = drawn(Design(study, options), tables).values()
    assert len(drawing.numbers) == 9


def test_a_collapsed_run_has_no_gap_and_is_reported(study):
    tables = analyse(study, lose(make_results(study, helps), "relu+dropout0.5", 0))
    run = tables["runs"].query("arm == 'relu+dropout0.5' and seed == 0").iloc[0]
    assert (run["gap"], run["test_error"], run["collapsed"]) == (0, 0.9, True)
    assert all("1 of 24 runs collapsed" in one.reason for one in measure(study, tables))
