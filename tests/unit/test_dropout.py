"""The dropout experiment: shared arms and lenders, tables of known runs, and the parts of its claim."""

import json

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from takeoff.errors import TakeoffError
from takeoff.experiments import dropout, factorial
from takeoff.experiments.gathering import read_back
from takeoff.experiments.registry import Results
from takeoff.statistics.tables import write_csv
from takeoff.statistics.verdicts import judge_claim, judge_parts
from takeoff.study.arms import distinct
from takeoff.study.loading import load_study

CARD = {"images_per_class": {"train": [80] * 10, "test": [50] * 10}}


def make_study(folder, **changes):
    content = {
        "title": "Made up",
        "dataset": {"name": "digits", "resolution": 8, "train_samples": 1000},
        "recipe": {"epochs": 4},
        "tuning": {"learning_rates": [0.01, 0.1]},
        "seeds": 4,
        "factors": {
            "activation": {"baseline": "tanh", "treatment": "relu"},
            "norm": {"baseline": "none", "treatment": "batch"},
            "dropout": {"baseline": 0, "treatment": 0.5},
        },
        "experiments": {"dropout": {}},
        "budget": {"runs": 9999, "core_hours": 9},
    } | changes
    path = folder / "study.json"
    path.write_text(json.dumps(content))
    return load_study(path)


@pytest.fixture
def study(tmp_path):
    return make_study(tmp_path)


def make_results(study, change, options=None):
    """Gap .2 and error .3 without dropout; `change(rate, steps)` is what it adds to each. Seeds move all together."""
    rng = np.random.default_rng(1)
    noise = {seed: 0.05 * rng.normal() for seed in study.seed_list}
    runs, curves = [], []
    for (rate, images, steps), arm in dropout.cells(study, options or dropout.Options()).items():
        gap, error = np.array([0.2, 0.3]) + np.array(change(rate, steps))
        for seed in study.seed_list:
            wobble = noise[seed] + 0.002 * rng.normal()
            test = 1 - error + wobble - 20 / images
            run = {"arm": arm.name, "seed": seed, "train_accuracy": test + gap + 0.002 * rng.normal()}
            run |= {"test_accuracy": test, "validation_accuracy": test, "diverged": False}
            runs.append(run | {"learning_rate": 0.1, "at_edge": False, "untuned": False})
            for epoch, loss in enumerate((2.3, 1.0, 0.5, 0.4, 0.3 + 0.05 * rate)):
                curves.append({"arm": arm.name, "seed": seed, "epoch": epoch, "train_loss": loss})
    return Results(pd.DataFrame(runs), pd.DataFrame(curves), CARD, pd.DataFrame(), pd.DataFrame())


def helps(rate, steps):
    return -0.2 * rate, -0.1 * rate * steps


def analyse(study, results):
    return dropout.analyse(study, dropout.Options(), results)


def verdict(study, tables):
    (finding,) = dropout.judge(study, dropout.Options(), tables, CARD)
    return judge_claim(judge_parts(finding.parts))[0]


def test_full_size_arms_are_the_factorials_and_the_rest_borrow(study):
    arms = {arm.name: arm for arm in dropout.arms(study, dropout.Options())}
    shared = {arm.name for arm in factorial.arms(study, factorial.Options())}
    tuned = [name for name, arm in arms.items() if arm.tuned]
    assert tuned == ["relu", "relu+dropout0.5"]
    assert set(tuned) <= shared
    distinct([*factorial.arms(study, factorial.Options()), *arms.values()])
    # .2 takes the nearest rate's; at the small sizes only the ends; at twice the steps too.
    assert {name: arm.lender for name, arm in arms.items() if not arm.tuned} == {
        "relu+dropout0.2": "relu",
        "relu+of800+n300": "relu",
        "relu+dropout0.5+of800+n300": "relu+dropout0.5",
        "relu+of800+n100": "relu",
        "relu+dropout0.5+of800+n100": "relu+dropout0.5",
        "relu+epochs8": "relu",
        "relu+dropout0.5+epochs8": "relu+dropout0.5",
    }
    assert all(arms[name].lender in arms for name in arms if not arms[name].tuned)


def test_options_make_more_or_fewer_arms(study):
    more = dropout.arms(study, dropout.Options(every_rate=True, tuned=True))
    assert len(more) == 3 * 3 + 2
    assert all(arm.tuned for arm in more)
    few = dropout.arms(study, dropout.Options(rates=(0, 0.5), shares=(), seeds=2))
    assert len(few) == 4
    assert {arm.seeds for arm in few} == {(0, 1)}
    for wrong in ({"steps": [2]}, {"rates": [0.5]}, {"rates": [0.5, 0.5]}, {"shares": [1.0]}):
        with pytest.raises(ValidationError):
            dropout.Options(**wrong)


def test_sizes_come_from_the_catalogue_or_must_be_given(tmp_path):
    known = make_study(tmp_path, dataset={"name": "digits", "resolution": 8})
    assert {images for _, images, _ in dropout.cells(known, dropout.Options())} == {130, 389, 1297}
    unknown = make_study(tmp_path, dataset={"name": "mine", "resolution": 8, "archive": "mine.zip"})
    with pytest.raises(
        TakeoffError, match=r"mine has is not known beforehand; valid: dataset.train_samples as"
    ):
        dropout.arms(unknown, dropout.Options())
    tiny = make_study(tmp_path, dataset={"name": "mine", "resolution": 8, "train_samples": 20})
    with pytest.raises(TakeoffError, match=r"dropout.shares: 0.1 of 20 images leaves 2"):
        dropout.arms(tiny, dropout.Options())


def test_tables_of_known_runs(study, tmp_path):
    tables = analyse(study, make_results(study, helps))
    assert set(tables) == set(dropout.TABLES)
    effects = tables["differences"]
    row = effects.query("response == 'gap' and images == 1000 and steps == 2").iloc[0]
    assert row["estimate"] == pytest.approx(-0.1, abs=0.005)
    # Paired: seeds move errors by .05, which differences do not see.
    row = effects.query("response == 'test_error' and images == 1000 and steps == 2").iloc[0]
    assert row["estimate"] == pytest.approx(-0.1, abs=0.005)
    assert row["ci_high"] - row["ci_low"] < 0.02
    assert sorted(effects.query("images == 1000 and steps == 1 and response == 'gap'")["dropout"]) == [
        0.2,
        0.5,
    ]
    cells = tables["cells"].set_index("arm")
    assert cells.loc["relu", "loss_change"] == pytest.approx(-0.1)
    assert cells.loc["relu+dropout0.5", "loss_change"] == pytest.approx(0.325 - 0.4)
    assert cells.loc["relu+of800+n300", ["images", "steps", "n_seeds"]].tolist() == [300, 1, 4]


def test_verdicts_need_gap_and_error_at_one_and_two_times_the_steps(study, tmp_path):
    tables = analyse(study, make_results(study, helps))
    for name, table in tables.items():
        write_csv(table, tmp_path / f"{name}.csv")
    read = {name: read_back(tmp_path / f"{name}.csv") for name in tables}
    (finding,) = dropout.judge(study, dropout.Options(), read, CARD)
    assert [part.label for part in finding.parts] == [
        "gap, dropout 0.5 − 0, 1× steps",
        "test error, dropout 0.5 − 0, 1× steps",
        "gap, dropout 0.5 − 0, 2× steps",
        "test error, dropout 0.5 − 0, 2× steps",
    ]
    assert finding.parts[0].estimate == pytest.approx(-10, abs=0.5)  # points
    assert verdict(study, read) == "supported"
    # The gap closes only because training suffers: the error rises.
    worse = analyse(study, make_results(study, lambda rate, steps: (-0.2 * rate, 0.1 * rate)))
    assert verdict(study, worse) == "contradicted"
    only_late = analyse(
        study, make_results(study, lambda rate, steps: (-0.2 * rate, -0.1 * rate * (steps - 1)))
    )
    assert verdict(study, only_late) == "undecided"


def test_more_error_of_networks_that_still_learn_does_not_contradict(study):
    """Twice the steps take 4 points of training error: without them dropout's error is that of too little training."""

    def slow(rate, steps):
        return -0.2 * rate, 0.3 * rate - 0.08 * rate * (steps - 1)

    tables = analyse(study, make_results(study, slow))
    row = tables["longer"].query("response == 'train_error' and dropout == .5").iloc[0]
    assert row["estimate"] == pytest.approx(-0.04, abs=0.005)
    assert row["ci_low"] < -0.04 < row["ci_high"]
    (finding,) = dropout.judge(study, dropout.Options(), tables, CARD)
    assert "twice the steps lower their training error by 4" in finding.reason
    assert verdict(study, tables) == "undecided"
    # A gap that opens contradicts all the same.
    wider = analyse(study, make_results(study, lambda rate, steps: (0.2 * rate, slow(rate, steps)[1])))
    assert verdict(study, wider) == "contradicted"


def test_without_twice_the_steps_the_claim_is_not_tested(study):
    options = dropout.Options(steps=[1])
    tables = dropout.analyse(study, options, make_results(study, helps, options))
    (finding,) = dropout.judge(study, options, tables, CARD)
    assert not finding.parts
    assert "2 times the steps" in finding.reason


def test_a_collapsed_run_has_no_gap_and_is_told_of(study):
    results = make_results(study, helps)
    runs = results.runs.copy()
    lost = (runs["arm"] == "relu+dropout0.5") & (runs["seed"] == 0)
    runs.loc[lost, ["train_accuracy", "test_accuracy"]] = np.nan
    runs.loc[lost, "diverged"] = True
    tables = analyse(study, Results(runs, results.curves, CARD, pd.DataFrame(), pd.DataFrame()))
    run = tables["runs"].query("arm == 'relu+dropout0.5' and seed == 0").iloc[0]
    assert (run["gap"], run["test_error"], run["collapsed"]) == (0, 0.9, True)
    (finding,) = dropout.judge(study, dropout.Options(), tables, CARD)
    assert "1 of 16 runs collapsed" in finding.reason


def test_missing_and_double_runs_are_one_error_each(study):
    results = make_results(study, helps)
    for runs, message in (
        (results.runs[results.runs["arm"] != "relu"], "arm relu has no run"),
        (pd.concat([results.runs, results.runs[:1]]), "two runs with one seed"),
    ):
        with pytest.raises(TakeoffError, match=message):
            analyse(study, Results(runs, results.curves, CARD, pd.DataFrame(), pd.DataFrame()))


def test_the_figure_has_its_numbers_and_the_claim_its_figure(study):
    drawn = list(dropout.draw(study, dropout.Options(), analyse(study, make_results(study, helps))))
    assert [name for name, _, _ in drawn] == list(dropout.FIGURES)
    assert len(drawn[0][2]) == 9
    assert {claim.figure for claim in dropout.CLAIMS} == {"dropout-sizes"}
