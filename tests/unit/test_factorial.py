"""The factorial experiment's tables, from made-up runs whose answers are known."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from takeoff.errors import TakeoffError
from takeoff.experiments import factorial
from takeoff.experiments.registry import Results
from takeoff.statistics.effects import COLUMNS
from takeoff.study.loading import load_study

REPOSITORY = Path(__file__).parents[2]
LEVELS = {
    "activation": {"baseline": "tanh", "treatment": "relu"},
    "norm": {"baseline": "none", "treatment": "batch"},
    "dropout": {"baseline": 0, "treatment": 0.5},
    "pooling": {"baseline": "plain", "treatment": "overlapping"},
    "augmentation": {"baseline": "none", "treatment": "flip-crop-colour"},
    "width": {"baseline": 0.5, "treatment": 2},
}
CARD = {"images_per_class": {"train": [80] * 10, "test": [50] * 10}}
EPOCHS = 4


def make_study(folder, k=3, seeds=3, **changes):
    """The study of the first `k` of `LEVELS`, read from a JSON file in `folder`."""
    content = {
        "title": "Made up",
        "dataset": {"name": "made-up", "resolution": 8},
        "recipe": {"epochs": EPOCHS},
        "tuning": {"learning_rates": [0.1]},
        "seeds": seeds,
        "factors": {name: LEVELS[name] for name in list(LEVELS)[:k]},
        "experiments": {"factorial": {"threshold": 0.5}},
        "budget": {"runs": 9999, "core_hours": 9},
    } | changes
    path = folder / "study.json"
    path.write_text(json.dumps(content))
    return load_study(path)


def make_results(study, noise=0.01):
    """Every arm's runs: .2, +.3 with ReLU, +.1 with batch norm; and curves that rise in equal steps."""
    rng = np.random.default_rng(0)
    runs, curves = [], []
    for arm in factorial.arms(study, factorial.Options()):
        for seed in study.seed_list:
            accuracy = 0.2 + 0.3 * (arm.network.activation == "relu") + 0.1 * (arm.network.norm == "batch")
            accuracy += noise * rng.normal()
            measured = {
                "test_accuracy": accuracy,
                "train_accuracy": accuracy + 0.2,
                "validation_accuracy": accuracy,
            }
            runs.append(
                {
                    "arm": arm.name,
                    "seed": seed,
                    **arm.levels,
                    **measured,
                    "diverged": False,
                    "learning_rate": 0.1,
                }
            )
            for epoch in range(EPOCHS + 1):
                share = epoch / EPOCHS
                values = {
                    name: 0.1 + share * (measured[name] - 0.1)
                    for name in ("train_accuracy", "validation_accuracy")
                }
                losses = {"train_loss": 2 - share, "validation_loss": 2.1 - share}
                curves.append({"arm": arm.name, "seed": seed, "epoch": epoch, **values, **losses})
    return Results(pd.DataFrame(runs), pd.DataFrame(curves), CARD)


def diverge(results, arm, seed, from_epoch=2):
    """The same results, but one run is lost at an epoch: it has no accuracies, and its curve stops."""
    runs, curves = results.runs.copy(), results.curves
    run = (runs["arm"] == arm) & (runs["seed"] == seed)
    runs.loc[run, ["test_accuracy", "train_accuracy", "validation_accuracy"]] = np.nan
    runs.loc[run, "diverged"] = True
    gone = (curves["arm"] == arm) & (curves["seed"] == seed) & (curves["epoch"] >= from_epoch)
    return Results(runs, curves[~gone], results.card)


@pytest.fixture
def study(tmp_path):
    return make_study(tmp_path)


def analyse(study, results):
    return factorial.analyse(study, factorial.Options(), results)


def one(table, **where):
    for column, value in where.items():
        table = table[table[column] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_effects_of_known_cells(study):
    effects = analyse(study, make_results(study, noise=0))["effects"]
    assert tuple(effects.columns) == COLUMNS
    assert tuple(effects["response"].unique()) == factorial.RESPONSES
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


def test_cells_say_what_is_censored_and_how_rates_were_tuned(study):
    results = make_results(study)
    results.runs["at_edge"] = results.runs["norm"] == "batch"
    cells = analyse(study, results)["cells"]
    assert cells["arm"].tolist() == [arm.name for arm in factorial.arms(study, factorial.Options())]
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


def test_tables_do_not_depend_on_the_order_of_rows_or_on_other_arms(study):
    results = make_results(study)
    other = results.runs[:1].assign(arm="someone-elses")
    runs = pd.concat([results.runs.sample(frac=1, random_state=0), other], ignore_index=True)
    curves = results.curves.sample(frac=1, random_state=1)
    curves = pd.concat([curves, curves.query("arm == 'tanh' and seed == 0").assign(arm="someone-elses")])
    shuffled = analyse(study, Results(runs, curves, CARD))
    for name, table in analyse(study, results).items():
        pd.testing.assert_frame_equal(table, shuffled[name], check_dtype=False)


def test_a_threshold_no_better_than_guessing_is_refused(study):
    options = factorial.Options(threshold=0.1)
    with pytest.raises(
        TakeoffError, match=r"factorial.threshold 0.1 is no better than guessing; valid: above"
    ):
        factorial.analyse(study, options, make_results(study))


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
        (Results(results.runs, results.curves, {}), "images_per_class.test is missing"),
        (Results(results.runs, results.curves, {"images_per_class": {"test": []}}), "images_per_class.test"),
        (Results(results.runs, curves, CARD), "arm relu, seed 0 has no train_accuracy"),
        (Results(twice, results.curves, CARD), "arm tanh has two runs with seed 0"),
        (
            Results(results.runs[results.runs["arm"] != "relu"], curves, CARD),
            "no run with activation=relu,norm=none",
        ),
    ):
        with pytest.raises(TakeoffError, match=message):
            analyse(study, wrong)


def write_results(folder, study):
    """A results folder as training leaves it, with the card in it."""
    results = make_results(study)
    for arm in factorial.arms(study, factorial.Options()):
        place = folder / "arms" / arm.name
        place.mkdir(parents=True)
        for name, table in (("runs", results.runs), ("curves", results.curves)):
            table[table["arm"] == arm.name].to_parquet(place / f"{name}.parquet")
        rate = {"learning_rate": 0.1, "at_edge": arm.network.dropout > 0, "untuned": False}
        (place / "learning_rate.json").write_text(json.dumps(rate))
    (folder / "card.json").write_text(json.dumps(CARD))


def run_command(verb, *arguments):
    command = [sys.executable, str(REPOSITORY / "scripts" / f"{verb}.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_commands_from_runs_to_figures(tmp_path, study):
    write_results(tmp_path, study)
    common = ["--study", tmp_path / "study.json"]
    out = ["--data", tmp_path, "--results", tmp_path, "--out", tmp_path / "factorial"]
    done = run_command("analyse", "experiment", "factorial", *common, *out)
    assert done.returncode == 0, done.stderr
    assert sorted(p.stem for p in (tmp_path / "factorial").iterdir()) == sorted(factorial.TABLES)
    cells = pd.read_csv(tmp_path / "factorial" / "cells.csv")
    assert cells["at_edge"].tolist() == [False, True] * 4
    figures = tmp_path / "figures"
    done = run_command("draw", "factorial", *common, "--tables", tmp_path / "factorial", "--out", figures)
    assert done.returncode == 0, done.stderr
    expected = [f"factorial-{name}.{kind}" for name in factorial.FIGURES for kind in ("svg", "png", "csv")]
    assert sorted(p.name for p in figures.iterdir()) == sorted(expected)

    (tmp_path / "arms" / "relu" / "curves.parquet").write_text("cut")
    (tmp_path / "factorial" / "cells.csv").unlink()
    (tmp_path / "arms" / "tanh" / "learning_rate.json").write_text("{")
    for done, message in (
        (
            run_command("analyse", "experiment", "factorial", *common, *out),
            "learning_rate.json: not valid JSON",
        ),
        (run_command("analyse", "experiment", "race", *common, *out), "experiments: race is not switched on"),
        (
            run_command("draw", "factorial", *common, "--tables", tmp_path / "factorial", "--out", figures),
            "cells.csv",
        ),
    ):
        assert done.returncode == 1
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
        assert message in done.stderr


def test_planning_imports_neither_pandas_nor_seaborn():
    code = "import sys, takeoff.experiments.factorial; sys.exit(any(m in sys.modules for m in ('pandas', 'seaborn')))"
    environment = {"PYTHONPATH": str(REPOSITORY / "scripts")}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
