"""The factorial experiment's claims: what batch norm saves, and dropout beside it, from made-up runs."""

from dataclasses import replace
from math import inf

import numpy as np
import pandas as pd
import pytest
from takeoff.experiments.factorial.design import Design, Options
from takeoff.judging.claims import load_claims
from unit.factorial_runs import EPOCHS, analyse, make_results, make_study, one, truth
from unit.measured import drawn, verdict
from unit.measured import measured as measured_of


@pytest.fixture
def study(tmp_path):
    return make_study(tmp_path)


CLAIMS = load_claims().claims
SPEED, TOGETHER = "batch-norm-speeds-training", "dropout-and-batch-norm-do-not-add-up"


def measured(study, results, options=None):
    """The measures of batch norm's speed, in epochs and in seconds, and of the interaction, by part; and the tables."""
    factorial = Design(study, options or Options())
    tables = factorial.analyse(results)
    found = measured_of(factorial, tables)
    return found[SPEED] + found[f"{SPEED}-in-seconds"], found[TOGETHER], tables


def test_batch_norms_speed_up_in_epochs_and_seconds(study):
    speed, _, tables = measured(study, make_results(study))
    wide = tables["runs"].pivot(index="seed", columns="arm", values="validation_accuracy")
    # For each seed 95% of what the plain arm's runs with the other two end at; no tuning run is asked.
    heights = np.array([0.95 * wide["relu"].drop(seed).mean() for seed in wide.index])
    assert tables["speed_up"]["threshold"].to_numpy() == pytest.approx(heights)
    epochs = {arm: EPOCHS * (heights - 0.1) / (wide[arm] - 0.1) for arm in ("relu", "relu+batch")}
    logs = np.log(np.minimum(epochs["relu"], EPOCHS) / epochs["relu+batch"])
    first, second = speed
    assert CLAIMS[SPEED].parts["epochs"].criterion(0.01).supports == (1, inf)
    assert (first.estimate, first.error) == pytest.approx((logs.mean(), logs.std(ddof=1) / np.sqrt(3)))
    assert second.estimate == pytest.approx(logs.mean() + np.log(0.05 / 0.06))
    # The blocks' ratios do not vary here at all, which does not make the product certain: it has no error.
    assert np.isnan(second.error)
    assert first.arms == ("relu", "relu+batch")
    assert [arm.name for arm in Design(study, Options()).timed()] == ["relu", "relu+batch"]
    assert "steps timed in 3 blocks" in second.reason


def test_what_is_crossed_before_eight_scores_decides_nothing_and_is_scored_more_often(tmp_path):
    study = make_study(tmp_path, dataset={"name": "made-up", "resolution": 8, "train_samples": 2000})
    speed, _, _ = measured(study, make_results(study, noise=1e-4))
    assert [one.veto for one in speed] == ["any", "any"]
    assert "that with batch norm got there too soon to be judged, before 8 epochs, in 3 of 3 runs" in speed[0].reason
    # Of 1,600 images 12 steps of 128 an epoch: four times three.
    options = Options(scores=4)
    factorial = Design(study, options)
    for arm, twin in zip(factorial.timed(), ("relu", "relu+batch"), strict=True):
        recipe = arm.recipe
        assert (recipe.epochs, recipe.epoch_images, recipe.warmup_epochs) == (16, 384, 4)
        assert arm.choice_from == twin
    assert len(factorial.arms()) == 10
    often, _, tables = measured(study, make_results(study, noise=1e-4, options=options), options)
    assert [one.veto for one in often] == ["", ""]
    assert [one.estimate for one in often] == pytest.approx([one.estimate for one in speed], abs=0.001)
    assert sorted(set(tables["speed_curves"]["epoch"])) == [score / 4 for score in range(17)]
    assert set(tables["runs"]["arm"]) == {arm.name for arm in factorial.tuned_arms}
    assert tables["curves"]["epoch"].max() == EPOCHS
    drawn(factorial, tables)


def test_the_seconds_take_in_the_steps_own_noise(study):
    results = make_results(study)
    noisy = results.speed["seconds"] * (1 + 0.1 * np.random.default_rng(5).random(len(results.speed)))
    speed, _, tables = measured(study, replace(results, speed=results.speed.assign(seconds=noisy)))
    logs = np.log(tables["step_seconds"]["ratio"])
    variances = speed[0].error ** 2, logs.var(ddof=1) / 3
    assert speed[1].error == pytest.approx(np.sqrt(sum(variances)))
    assert speed[1].freedom == pytest.approx(sum(variances) ** 2 / sum(v**2 / 2 for v in variances))
    speed, _, _ = measured(study, replace(results, speed=None))
    assert ([one.part for one in speed], "were not measured" in speed[1].reason) == (["epochs", ""], True)


def test_steps_are_taken_from_where_the_runs_were_trained(study):
    results = make_results(study)
    gpu = results.speed.assign(device="A GPU", threads=None, precision="bfloat16", seconds=results.speed["seconds"] / 9)
    both = pd.concat([results.speed, gpu], ignore_index=True)
    for device, precision, shortest in (("cpu", "float32", 0.05), ("A GPU", "bfloat16", 0.05 / 9)):
        runs = results.runs.assign(device=device, precision=precision)
        steps = analyse(study, replace(results, runs=runs, speed=both))["step_seconds"]
        assert set(steps["device"]) == {device}
        assert steps["plain_seconds"].min() == pytest.approx(shortest)
        assert len(steps) == 3


def test_a_crossing_never_seen_is_a_bound(study):
    for arm, bound, words in (
        ("relu", (0, inf), "the plain network did"),
        ("relu+batch", (inf, 0), "that with batch norm did"),
    ):
        results = make_results(study)
        late = (results.curves["arm"] == arm) & (results.curves["seed"] == 1)
        results.curves.loc[late, "validation_accuracy"] *= 0.5
        speed, _, tables = measured(study, results)
        assert [one.bound for one in speed] == [bound, bound]
        assert f"{words} not get there in 1 of 3 runs" in speed[0].reason
        row = one(tables["speed_up"], seed=1)
        assert (row.plain_epochs if arm == "relu" else row.batch_norm_epochs) == EPOCHS


def test_without_another_seed_or_above_chance_there_is_no_speed_up_to_judge(tmp_path):
    for seeds, accuracy, words in ((1, 0.5, "one seed"), (3, 0.1, "no better than guessing")):
        study = make_study(tmp_path, seeds=seeds)
        speed, _, _ = measured(study, make_results(study, accuracy_of=lambda arm, level=accuracy: level))
        assert [one.part for one in speed] == ["", ""]
        assert all(words in one.reason for one in speed)


def test_dropout_and_batch_norm_at_relu(study):
    def accuracy(arm):
        cost = 0.06 * (arm.network.dropout > 0 and arm.network.norm == "batch" and arm.network.activation == "relu")
        return truth(arm) - cost

    results = make_results(study, accuracy_of=accuracy)
    _, together, tables = measured(study, results)
    wide = tables["runs"].pivot(index="seed", columns="arm", values="test_accuracy")
    for part, scale, unit in zip(together, (100, 1), ("points", "log-odds"), strict=True):
        table = wide if unit == "points" else np.log(wide / (1 - wide))
        given = table["relu+batch+dropout0.5"] - table["relu+batch"]
        values = scale * (given - (table["relu+dropout0.5"] - table["relu"])) / 2
        assert (part.estimate, part.error) == pytest.approx((values.mean(), values.std(ddof=1) / np.sqrt(3)))
        assert (part.bound, part.veto, part.freedom, part.unit) == ((0, 0), "", 2, unit)
        assert CLAIMS[TOGETHER].parts[unit].criterion(0.01).supports == (-inf, 0)
    assert together[0].estimate == pytest.approx(-3, abs=1.5)
    assert verdict([replace(part, error=part.error / 10) for part in together]) == "supported"


@pytest.mark.parametrize(("level", "word"), [(0.1, "at chance"), (0.995, "within two standard errors of perfect")])
def test_at_floor_or_ceiling_the_interaction_is_undecided(study, level, word):
    results = make_results(
        study, noise=0.001, accuracy_of=lambda arm: level if arm.name == "relu+batch" else truth(arm)
    )
    _, together, _ = measured(study, results)
    assert f"relu+batch is {word}" in together[0].reason
    # No verdict, whatever the interval, which is kept.
    assert [(part.veto, part.bound) for part in together] == [("any", (0, 0))] * 2
    assert all(np.isfinite([part.estimate, part.error]).all() for part in together)
    assert verdict([replace(part, error=1e-9) for part in together]) == "undecided"


def test_dropout_that_was_not_trained_enough_decides_nothing(study):
    results = make_results(study)
    plain = results.runs.loc[results.runs["arm"] == "relu", "test_accuracy"].mean()
    # Below the margin under what the arm without it gets of test images, or far below what that gets of its own.
    for fits, without, words in (
        (plain - 0.005, plain, False),
        (plain - 0.05, plain, True),
        (0.85, 0.99, False),
        (0.78, 0.99, True),
    ):
        runs = results.runs.copy()
        runs.loc[runs["arm"] == "relu+dropout0.5", "train_accuracy"] = fits
        runs.loc[runs["arm"] == "relu", "train_accuracy"] = without
        _, together, _ = measured(study, replace(results, runs=runs))
        assert ("without batch norm, dropout gets" in together[0].reason) == words
        assert [part.veto for part in together] == ["any" if words else ""] * 2
        assert set(together[0].arms) == {"relu", "relu+dropout0.5", "relu+batch", "relu+batch+dropout0.5"}


def test_what_a_study_lacks_is_said(tmp_path):
    study = make_study(tmp_path, k=1)
    speed, together, _ = measured(study, make_results(study))
    assert [one.part for one in (*speed, *together)] == ["", "", ""]
    assert "ReLU networks without dropout both with and without batch norm" in speed[0].reason
    assert "does not cross batch norm with dropout" in together[0].reason
    assert set(Design(study, Options()).figures()) == {"effects", "log-odds", "cells", "curves"}
    every = Design(make_study(tmp_path), Options()).figures()
    assert all(CLAIMS[claim].figure.removeprefix("factorial-") in every for claim in (SPEED, TOGETHER))
