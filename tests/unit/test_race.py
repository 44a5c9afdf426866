"""The race: arms, crossings by hand, censoring, ratios, and the parts of its claims."""

import json
import subprocess
import sys
from math import inf
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from takeoff.errors import TakeoffError
from takeoff.experiments import race
from takeoff.experiments.gathering import read_back
from takeoff.experiments.registry import Results
from takeoff.statistics.tables import write_csv
from takeoff.statistics.verdicts import judge_claim, judge_parts
from takeoff.study.loading import load_study

CARD = {"images_per_class": {"train": [80] * 10, "test": [50] * 10}}
STEPS = 10
"""Per epoch."""


@pytest.fixture
def study(tmp_path):
    content = {
        "title": "Made up",
        "dataset": {"name": "made-up", "resolution": 8},
        "recipe": {"epochs": 20, "weight_decay": 0.001, "augmentation": "flip-crop"},
        "network": {"dropout": 0.5, "norm": "batch"},
        "tuning": {"learning_rates": [0.01, 0.1]},
        "seeds": 4,
        "factors": {"activation": {"baseline": "tanh", "treatment": "relu"}},
        "experiments": {"race": {}},
        "budget": {"runs": 9999, "core_hours": 9},
    }
    path = tmp_path / "study.json"
    path.write_text(json.dumps(content))
    return load_study(path)


def test_a_race_may_have_rates_of_its_own(study):
    assert {arm.rates for arm in race.timed(study, race.Options())} == {None}
    assert {arm.rates for arm in race.timed(study, race.Options(rates=(0.1, 0.001)))} == {(0.001, 0.1)}
    with pytest.raises(ValueError, match="stands twice"):
        race.Options(rates=(0.1, 0.1))


def curve(arm, seed, crossing, epochs=20):
    """Training accuracy rises in a straight line from .1 and is .75 at `crossing`."""
    epoch = np.arange(epochs + 1)
    accuracy = np.minimum(0.1 + 0.65 * epoch / crossing, 0.99)
    return pd.DataFrame(
        {"arm": arm.name, "seed": seed, "epoch": epoch, "step": STEPS * epoch, "train_accuracy": accuracy}
    )


def make_results(study, crossings, speed=True, options=None, epochs=20):
    """Curves of given crossings by activation and seed; relu's steps take .8, .9, 1 of tanh's."""
    arms = race.timed(study, options or race.Options())
    curves = [
        curve(arm, seed, crossings[arm.network.activation][seed], epochs)
        for arm in arms
        for seed in study.seed_list
    ]
    share = {"relu": (0.8, 0.9, 1.0), "tanh": (1, 1, 1), "sigmoid": (1.2, 1.2, 1.2)}
    rows = [
        {"kind": "step", "name": arm.name, "device": "cpu", "threads": 1, "precision": "float32", "batch": 64}
        | {"block": block, "seconds": 0.01 * (block + 1) * share[arm.network.activation][block]}
        for arm in arms
        for block in range(3)
    ]
    rows.append(rows[0] | {"name": "someone-elses"})
    frame = pd.DataFrame(rows) if speed else None
    return Results(pd.DataFrame(), pd.concat(curves), CARD, pd.DataFrame(), pd.DataFrame(), frame)


FAST = {"relu": [2.0, 2.5, 3.0, 2.2], "tanh": [6.3, 7.2, 9.5, 6.4], "sigmoid": [16.0, 18.0, 15.5, 17.0]}


def analyse(study, results):
    return race.analyse(study, race.Options(), results)


def reread(tables, folder):
    for name, table in tables.items():
        write_csv(table, folder / f"{name}.csv")
    return {name: read_back(folder / f"{name}.csv") for name in tables}


def judge(study, tables):
    return {finding.claim: finding for finding in race.judge(study, race.Options(), tables, CARD)}


def test_arms_are_the_network_of_2012_without_regularisation(study):
    arms = race.arms(study, race.Options(epochs=7, width=0.5, seeds=2))
    assert [arm.network.activation for arm in arms] == ["relu", "tanh", "sigmoid"]
    for arm in arms:
        network, recipe = arm.network, arm.recipe
        assert (network.family, network.norm, network.dropout, network.width) == (
            "four-layer",
            "none",
            0,
            0.5,
        )
        assert (recipe.schedule, recipe.warmup_epochs, recipe.weight_decay) == ("constant", 0, 0)
        assert (recipe.augmentation, recipe.epochs) == ("none", 7)
        assert (arm.target, arm.seeds, arm.tuned) == (0.75, (0, 1), True)
    assert race.timed(study, race.Options(epochs=7, width=0.5, seeds=2)) == arms


def test_crossings_and_ratios_by_hand(study, tmp_path):
    tables = reread(analyse(study, make_results(study, FAST)), tmp_path)
    assert set(tables) == set(race.TABLES)
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
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(
        tuple(np.exp(logs.mean() + np.array([-half, half])))
    )
    assert ratios.loc["seconds", "tanh", "relu"]["ratio"] == pytest.approx(row["ratio"] / 0.72 ** (1 / 3))
    steps = tables["steps"]
    assert steps.loc[steps["activation"] == "relu", "ratio"].tolist() == pytest.approx([0.8, 0.9, 1.0])
    mean = tables["curves"].query("activation == 'relu' and epoch == 1").iloc[0]
    assert mean["train_error"] == pytest.approx(np.mean([0.9 - 0.65 / c for c in FAST["relu"]]))


def test_a_censored_tanh_is_a_lower_bound_and_still_decides(study, tmp_path):
    late = FAST | {"tanh": [19.0, 50.0, 18.0, 60.0]}
    tables = reread(analyse(study, make_results(study, late)), tmp_path)
    tanh = tables["crossings"].query("activation == 'tanh'")
    assert tanh["epochs"].tolist() == pytest.approx([19, 20, 18, 20])
    assert tanh["censored"].tolist() == [False, True, False, True]
    row = tables["ratios"].set_index(["unit", "arm", "over"]).loc["epochs", "tanh", "relu"]
    assert (row["bound"], row["ci_high"], row["n_censored"]) == ("lower", inf, 2)
    findings = judge(study, tables)
    (several,), (six,) = findings["relu-trains-faster"].parts, findings["relu-six-times-faster"].parts
    assert several.slack == (0, inf)
    assert judge_claim(judge_parts([several]))[0] == "supported"
    # A lower bound can leave six times behind or open, but never confirm it.
    assert judge_claim(judge_parts([six]))[0] != "supported"
    assert "tanh did not reach it in 2 of 4 runs" in findings["relu-trains-faster"].reason


def test_a_censored_relu_is_an_upper_bound_and_both_say_nothing(study):
    lost = {"relu": [15.0, 30.0, 18.0, 19.0], "tanh": [14.0, 16.0, 15.0, 17.0], "sigmoid": [90.0] * 4}
    findings = judge(study, analyse(study, make_results(study, lost)))
    (part,) = findings["relu-trains-faster"].parts
    assert part.slack == (inf, 0)
    assert judge_claim(judge_parts([part]))[0] == "contradicted"
    both = lost | {"tanh": [99.0] * 4}
    tables = analyse(study, make_results(study, both))
    assert set(tables["ratios"]["bound"]) == {"unknown"}
    finding = judge(study, tables)["relu-trains-faster"]
    assert finding.parts[0].slack == (inf, inf)
    assert judge_claim(judge_parts(finding.parts))[0] == "undecided"
    assert "nothing bounds the ratio" in finding.reason


def test_a_network_that_no_rate_brought_there_decides_nothing(study):
    tables = analyse(study, make_results(study, FAST))
    names = [arm.name for arm in race.arms(study, race.Options())]
    for lost, words in ((0, "ReLU reached it at no rate"), (1, "tanh reached it at no rate"), (2, None)):
        choices = pd.DataFrame({"arm": names, "untuned": [place == lost for place in range(3)]})
        finding = judge(study, tables | {"choices": choices})["relu-trains-faster"]
        assert finding.arms == (names[1], names[0])
        assert (finding.parts[0].slack == (inf, inf)) == (words is not None)
        assert words is None or words in finding.reason


def test_verdicts_of_known_ratios(study):
    findings = judge(study, analyse(study, make_results(study, FAST)))
    (several,) = findings["relu-trains-faster"].parts
    assert np.exp(several.estimate) == pytest.approx(
        np.exp(np.log(np.divide(FAST["tanh"], FAST["relu"])).mean())
    )
    assert judge_claim(judge_parts([several]))[0] == "supported"
    six = {"relu": [2.0] * 4, "tanh": [11.0, 12.0, 12.5, 11.5], "sigmoid": [15.0] * 4}
    (part,) = judge(study, analyse(study, make_results(study, six)))["relu-six-times-faster"].parts
    assert judge_claim(judge_parts([part]))[0] == "supported"
    (part,) = judge(study, analyse(study, make_results(study, FAST | {"tanh": [3.0] * 4})))[
        "relu-trains-faster"
    ].parts
    assert judge_claim(judge_parts([part]))[0] == "contradicted"
    (cheaper,) = findings["relu-steps-cheaper"].parts
    assert (cheaper.freedom, np.exp(cheaper.estimate)) == (2, pytest.approx(0.72 ** (1 / 3)))
    assert "cpu, 1 thread, float32; 3 blocks" in findings["relu-steps-cheaper"].reason


def test_a_crossing_within_the_first_epoch_is_told_of(study):
    findings = judge(study, analyse(study, make_results(study, FAST | {"relu": [0.5, 0.8, 1.5, 2.0]})))
    assert "before its first score in 2 of 4 runs" in findings["relu-trains-faster"].reason
    assert (
        "before its first score"
        not in judge(study, analyse(study, make_results(study, FAST)))["relu-trains-faster"].reason
    )


def test_the_error_may_be_measured_several_times_an_epoch(study):
    study = study.model_copy(update={"dataset": study.dataset.model_copy(update={"train_samples": 1000})})
    # 800 images are left to train on: 6 steps of 128 an epoch.
    options = race.Options(scores=3, epochs=20)
    for arm in race.timed(study, options):
        assert (arm.recipe.epochs, arm.recipe.epoch_images) == (60, 256)
    thrice = {name: [3 * crossing for crossing in crossings] for name, crossings in FAST.items()}
    results = make_results(study, thrice, options=options, epochs=60)
    tables = race.analyse(study, options, results)
    crossings = tables["crossings"].set_index("activation")
    for activation, expected in FAST.items():
        assert crossings.loc[activation, "epochs"].tolist() == pytest.approx(expected)
    per_epoch = 3 * STEPS * 0.01 * 6 ** (1 / 3)
    assert crossings.loc["tanh", "seconds"].tolist() == pytest.approx(
        [crossing * per_epoch for crossing in FAST["tanh"]]
    )
    assert tables["curves"]["epoch"].max() == 20
    once = race.analyse(study, race.Options(), make_results(study, FAST))
    pd.testing.assert_frame_equal(
        tables["ratios"].query("unit == 'epochs'"), once["ratios"].query("unit == 'epochs'")
    )
    late = make_results(study, thrice | {"tanh": [100] * 4}, options=options, epochs=60)
    censored = race.analyse(study, options, late)["crossings"].query("activation == 'tanh'")
    assert set(zip(censored["epochs"], censored["censored"], strict=True)) == {(20, True)}
    # The first score comes after a third of an epoch.
    early = [[0.3, 0.4, 1.5, 2.0], [0.4, 0.5, 1.5, 2.0]]
    told = [
        race.judge(study, options, race.analyse(study, options, results), {})[0].reason
        for relu in early
        for results in [
            make_results(study, thrice | {"relu": [3 * c for c in relu]}, options=options, epochs=60)
        ]
    ]
    assert ["before its first score in 1 of 4 runs" in reason for reason in told] == [True, False]


def test_an_epoch_is_parted_evenly_or_not_at_all(study):
    study = study.model_copy(update={"dataset": study.dataset.model_copy(update={"train_samples": 1000})})
    for scores in (4, 7):
        with pytest.raises(
            TakeoffError,
            match=rf"race.scores {scores}: an epoch has 6 steps of 128 images, .* no equal parts; valid: 1, 2, 3, 6$",
        ):
            race.arms(study, race.Options(scores=scores))
    few = study.model_copy(update={"dataset": study.dataset.model_copy(update={"train_samples": 100})})
    with pytest.raises(TakeoffError, match=r"has 0 steps of 128 images, .*; valid: 1$"):
        race.arms(few, race.Options(scores=2))


def test_where_nobody_knows_an_epochs_images_the_ways_out_are_told(study):
    with pytest.raises(
        TakeoffError, match=r"race.scores 3: how many .*; or recipe.epoch_images .*, or race.scores: 1"
    ):
        race.arms(study, race.Options(scores=3))
    stated = study.model_copy(update={"recipe": study.recipe.model_copy(update={"epoch_images": 900})})
    assert race.arms(stated, race.Options(scores=7))[0].recipe.epoch_images == 128
    assert race.arms(study, race.Options())[0].recipe.epoch_images is None


def test_planning_imports_no_pandas():
    modules = "import sys, takeoff.experiments.race, takeoff.experiments.dropout, takeoff.experiments.synergy"
    code = f"{modules}; sys.exit(any(m in sys.modules for m in ('pandas', 'matplotlib', 'scipy')))"
    environment = {"PYTHONPATH": str(Path(__file__).parents[2] / "scripts")}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def test_without_speed_seconds_are_unknown_and_the_claim_is_not_tested(study, tmp_path):
    tables = reread(analyse(study, make_results(study, FAST, speed=False)), tmp_path)
    assert tables["crossings"]["seconds"].isna().all()
    assert set(tables["ratios"]["unit"]) == {"epochs"}
    finding = judge(study, tables)["relu-steps-cheaper"]
    assert not finding.parts
    assert "not measured" in finding.reason
    assert [name for name, _, _ in race.draw(study, race.Options(), tables)] == list(race.FIGURES)


def test_a_run_that_diverges_is_censored_and_wrong_input_is_one_error(study):
    results = make_results(study, FAST)
    curves = results.curves
    relu = race.timed(study, race.Options())[0].name
    gone = (curves["arm"] == relu) & (curves["seed"] == 0) & (curves["epoch"] > 0)
    tables = analyse(study, Results(pd.DataFrame(), curves[~gone], CARD, pd.DataFrame(), pd.DataFrame()))
    first = tables["crossings"].iloc[0]
    assert (first["epochs"], first["censored"]) == (20, True)
    with pytest.raises(TakeoffError, match=r"race.error 0.9 is no better than guessing; valid: below 0.87"):
        race.analyse(study, race.Options(error=0.9), results)
    with pytest.raises(TakeoffError, match="has no curve"):
        analyse(
            study,
            Results(pd.DataFrame(), curves[curves["arm"] != relu], CARD, pd.DataFrame(), pd.DataFrame()),
        )


def test_figures_have_their_numbers_and_claims_their_figures(study):
    tables = analyse(study, make_results(study, FAST | {"sigmoid": [70.0] * 4}))
    drawn = {name: numbers for name, _, numbers in race.draw(study, race.Options(), tables)}
    assert list(drawn) == list(race.FIGURES)
    assert drawn["ratios"]["ratio"].notna().all()
    assert {claim.figure for claim in race.CLAIMS} <= {f"race-{name}" for name in race.FIGURES}
