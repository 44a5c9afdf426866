"""The factorial experiment's tables, from made-up runs whose answers are known."""

import json
import subprocess
import sys
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.regression.linear_model import OLS
from takeoff.errors import TakeoffError
from takeoff.experiments import factorial
from takeoff.experiments.factorial_tables import RESPONSES
from takeoff.experiments.registry import Results
from takeoff.statistics.effects import COLUMNS
from takeoff.study.arms import seeds_of
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
MORE = {
    "response_norm": {"baseline": "none", "treatment": "local"},
    "initialisation": {"baseline": "gaussian-0.01", "treatment": "by-activation"},
}
"""With these the cells are too many, and a fraction is trained."""
CARD = {"images_per_class": {"train": [80] * 10, "test": [50] * 10}}
EPOCHS = 4


def make_study(folder, k=3, seeds=3, options=None, **changes):
    """The study of the first `k` of `LEVELS` and `MORE`, read from a JSON file in `folder`."""
    content = {
        "title": "Made up",
        "dataset": {"name": "made-up", "resolution": 8},
        "recipe": {"epochs": EPOCHS},
        "tuning": {"learning_rates": [0.01, 0.1]},
        "seeds": seeds,
        "factors": dict(list((LEVELS | MORE).items())[:k]),
        "experiments": {"factorial": {"threshold": 0.5} | (options or {})},
        "budget": {"runs": 9999, "core_hours": 9},
    } | changes
    path = folder / "study.json"
    path.write_text(json.dumps(content))
    return load_study(path)


def truth(arm):
    """An arm's accuracy: .2, +.3 with ReLU, +.1 with batch norm, which is +.2 at the one rate."""
    norm = 0.1 if arm.learning_rate is None else 0.2
    return 0.2 + 0.3 * (arm.network.activation == "relu") + norm * (arm.network.norm == "batch")


def make_results(study, noise=0.01, options=None, accuracy_of=truth):
    """Every arm's runs; curves that rise in equal steps; tuning runs, at .1 as accurate as `accuracy_of` says and at
    .01 worse; and steps that batch norm makes a fifth slower.
    """
    rng = np.random.default_rng(0)
    runs, curves, tuning, speed = [], [], [], []
    options = factorial.Options() if options is None else options
    for arm in factorial.arms(study, options):
        for seed in seeds_of(study, arm):
            accuracy = float(np.clip(accuracy_of(arm) + noise * rng.normal(), 0, 1))
            measured = {
                "test_accuracy": accuracy,
                "train_accuracy": min(accuracy + 0.2, 1),
                "validation_accuracy": accuracy,
            }
            runs.append(
                {
                    "arm": arm.name,
                    "seed": seed,
                    **arm.levels,
                    **measured,
                    "diverged": False,
                    "learning_rate": arm.learning_rate or 0.1,
                    "device": "cpu",
                    "precision": "float32",
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
        for rate, seed in product((0.01, 0.1), study.tuning_seeds) if arm.tuned else ():
            accuracy = accuracy_of(arm) - 0.1 * (rate == 0.01)
            found = {"learning_rate": rate, "validation_accuracy": accuracy, "diverged": False}
            tuning.append({"arm": arm.name, "seed": seed, **found})
    for arm, block in product(factorial.timed(study, options), range(3)):
        seconds = (0.06 if arm.network.norm == "batch" else 0.05) * (1 + 0.01 * block)
        where = {"device": "cpu", "threads": 1, "precision": "float32", "batch": 128}
        speed.append(
            {"kind": "step", "name": arm.name, **where, "block": block, "seconds": seconds, "flops": 1e6}
        )
    tables = [pd.DataFrame(rows) for rows in (runs, curves, tuning, speed)]
    return Results(tables[0], tables[1], CARD, tables[2], pd.DataFrame(), tables[3] if speed else None)


def diverge(results, arm, seed, from_epoch=2):
    """The same results, but one run is lost at an epoch: it has no accuracies, and its curve stops."""
    runs, curves = results.runs.copy(), results.curves
    run = (runs["arm"] == arm) & (runs["seed"] == seed)
    runs.loc[run, ["test_accuracy", "train_accuracy", "validation_accuracy"]] = np.nan
    runs.loc[run, "diverged"] = True
    gone = (curves["arm"] == arm) & (curves["seed"] == seed) & (curves["epoch"] >= from_epoch)
    return replace(results, runs=runs, curves=curves[~gone])


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
    shuffled = analyse(study, replace(results, runs=runs, curves=curves))
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
        ({"card": {}}, "images_per_class.test is missing"),
        ({"card": {"images_per_class": {"test": []}}}, "images_per_class.test"),
        ({"curves": curves}, "arm relu, seed 0 has no train_accuracy"),
        ({"runs": twice}, "arm tanh has two runs with seed 0"),
        ({"runs": results.runs[results.runs["arm"] != "relu"]}, "no run with activation=relu,norm=none"),
    ):
        with pytest.raises(TakeoffError, match=message):
            analyse(study, replace(results, **wrong))


def test_pooled_intervals_are_those_of_the_linear_model(study):
    results = make_results(study)
    pooled = analyse(study, results)["pooled"]
    runs = results.runs
    signs = {
        name: 2.0 * (runs[name] == factor.treatment).to_numpy() - 1 for name, factor in study.factors.items()
    }
    terms = [term for order in range(4) for term in combinations(signs, order)]
    columns = np.column_stack(
        [np.prod([np.ones(len(runs)), *(signs[f] for f in term)], axis=0) for term in terms]
    )
    fit = OLS(runs["test_accuracy"].to_numpy(), columns).fit()
    for term, (low, high) in list(zip(terms, 2 * fit.conf_int(0.05), strict=True))[1:]:
        row = pooled.query("response == 'test_accuracy' and kind in ('main', 'interaction')")
        row = one(row, term=":".join(term))
        assert (row.ci_low, row.ci_high) == pytest.approx((low, high))


def test_small_effects_are_shown_to_be_small(study):
    tables = analyse(study, make_results(study, noise=0.002))
    small = tables["equivalence"].query("response == 'test_accuracy' and kind == 'main'")
    assert small.set_index("term")["equivalent"].to_dict() == {
        "activation": "not shown",
        "norm": "not shown",
        "dropout": "equivalent",
    }
    assert set(tables["equivalence"]["response"]) == {"test_accuracy", "generalisation_gap"}


FIXED = factorial.Options(fixed_rate=0.03, fixed_seeds=3)


def test_one_rate_for_all_beside_tuned_rates(tmp_path):
    study = make_study(tmp_path, seeds=5)
    arms = factorial.arms(study, FIXED)
    assert len(arms) == 16
    assert [arm.tuned for arm in arms] == [True] * 8 + [False] * 8
    assert [arm.lender for arm in arms[8:]] == [arm.name for arm in arms[:8]]
    assert {(arm.learning_rate, arm.seeds) for arm in arms[8:]} == {(0.03, (0, 1, 2))}
    results = make_results(study, options=FIXED)
    tables = factorial.analyse(study, FIXED, results)
    assert set(tables) == set(factorial.tables(study, FIXED))
    assert set(factorial.figures(study, FIXED)) == set(factorial.FIGURES)
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
    assert (own.estimate, own.ci_low, own.ci_high) == pytest.approx(
        (norm.fixed, norm.fixed_low, norm.fixed_high)
    )
    cell = one(tables["fixed_cells"], arm="relu+batch")
    assert (cell.tuned_rate, cell.rate, cell.tuned_runs, cell.fixed_runs) == (0.1, 0.03, 3, 3)
    # The tables of tuned cells know nothing of it.
    assert set(tables["runs"]["arm"]) == {arm.name for arm in arms[:8]}
    assert tables["effects"]["n_seeds"].eq(5).all()


def test_without_a_fixed_rate_there_is_nothing_of_it(study):
    options = factorial.Options()
    assert len(factorial.arms(study, options)) == 8
    assert "rates" not in factorial.figures(study, options)
    assert not {name for name in factorial.tables(study, options) if "fixed" in name or name == "aliases"}
    assert set(analyse(study, make_results(study))) == set(factorial.tables(study, options))


def test_of_more_than_six_factors_a_fraction_is_trained(tmp_path):
    study = make_study(tmp_path, k=8, seeds=2)
    options = factorial.Options()
    arms = factorial.arms(study, options)
    assert len(arms) == len({arm.name for arm in arms}) == 64
    assert arms[0].levels["width"] == 0.5
    assert len(factorial.arms(study, factorial.Options(resolution=4))) == 16
    assert len(factorial.arms(make_study(tmp_path, k=6), options)) == 64  # all of them
    tables = factorial.analyse(study, options, make_results(study, noise=0.001))
    assert set(tables) == set(factorial.tables(study, options)) >= {"aliases"}
    effects = tables["effects"].query("response == 'test_accuracy'")
    assert effects["kind"].value_counts().to_dict() == {"interaction": 28, "main": 8}
    assert one(effects, term="norm").estimate == pytest.approx(0.1, abs=0.005)
    assert one(effects, term="activation:norm").estimate == pytest.approx(0, abs=0.005)
    assert len(tables["aliases"]) == 36
    assert tables["aliases"].groupby("kind")["lowest_order"].min().to_dict() == {"main": 4, "interaction": 3}
    assert len(tables["pairing"].query("response == 'test_accuracy'")) == 9
    findings = factorial.judge(study, options, tables, CARD)
    assert [finding.parts for finding in findings] == [(), ()]
    assert "differ in batch norm alone" in findings[0].reason
    assert "fraction" in findings[1].reason


def judged(study, results, options=None):
    options = options or factorial.Options()
    tables = factorial.analyse(study, options, results)
    findings = factorial.judge(study, options, tables, CARD)
    assert [finding.claim for finding in findings] == [claim.name for claim in factorial.CLAIMS]
    return findings, tables


def test_batch_norms_speed_up_in_epochs_and_seconds(study):
    (speed, _), tables = judged(study, make_results(study))
    # 95% of the plain arm's .5 at its chosen rate on tuning seeds, not of the final runs, nor at the other rate.
    assert tables["speed_up"]["threshold"].to_numpy() == pytest.approx(0.475)
    wide = tables["runs"].pivot(index="seed", columns="arm", values="validation_accuracy")
    epochs = {arm: EPOCHS * (0.475 - 0.1) / (wide[arm] - 0.1) for arm in ("relu", "relu+batch")}
    logs = np.log(np.minimum(epochs["relu"], EPOCHS) / epochs["relu+batch"])
    first, second = speed.parts
    assert (first.estimate, first.error) == pytest.approx((logs.mean(), logs.std(ddof=1) / np.sqrt(3)))
    assert first.supports == (1, np.inf)
    assert second.estimate == pytest.approx(logs.mean() + np.log(0.05 / 0.06))
    assert second.error == pytest.approx(first.error)  # the blocks' ratios do not vary
    assert [arm.name for arm in factorial.timed(study, factorial.Options())] == ["relu", "relu+batch"]


def test_the_seconds_take_in_the_steps_own_noise(study):
    results = make_results(study)
    noisy = results.speed["seconds"] * (1 + 0.1 * np.random.default_rng(5).random(len(results.speed)))
    (speed, _), tables = judged(study, replace(results, speed=results.speed.assign(seconds=noisy)))
    logs = np.log(tables["step_seconds"]["ratio"])
    variances = speed.parts[0].error ** 2, logs.var(ddof=1) / 3
    assert speed.parts[1].error == pytest.approx(np.sqrt(sum(variances)))
    assert speed.parts[1].freedom == pytest.approx(sum(variances) ** 2 / sum(v**2 / 2 for v in variances))
    (speed, _), _ = judged(study, replace(results, speed=None))
    assert np.isnan(speed.parts[1].estimate)
    assert "were not measured" in speed.reason


def test_steps_are_taken_from_where_the_runs_were_trained(study):
    results = make_results(study)
    gpu = results.speed.assign(
        device="A GPU", threads=None, precision="bfloat16", seconds=results.speed["seconds"] / 9
    )
    both = pd.concat([results.speed, gpu], ignore_index=True)
    for device, precision, shortest in (("cpu", "float32", 0.05), ("A GPU", "bfloat16", 0.05 / 9)):
        runs = results.runs.assign(device=device, precision=precision)
        steps = analyse(study, replace(results, runs=runs, speed=both))["step_seconds"]
        assert set(steps["device"]) == {device}
        assert steps["plain_seconds"].min() == pytest.approx(shortest)
        assert len(steps) == 3


def test_a_crossing_never_seen_is_a_bound(study):
    for arm, slack, words in (("relu", (0, np.inf), "at least"), ("relu+batch", (np.inf, 0), "at most")):
        results = make_results(study)
        late = (results.curves["arm"] == arm) & (results.curves["seed"] == 1)
        results.curves.loc[late, "validation_accuracy"] *= 0.5
        (speed, _), tables = judged(study, results)
        assert [part.slack for part in speed.parts] == [slack, slack]
        assert f"1 of 3 {'plain' if arm == 'relu' else 'batch norm'} runs never got there" in speed.reason
        assert words in speed.reason
        row = one(tables["speed_up"], seed=1)
        assert (row.plain_epochs if arm == "relu" else row.batch_norm_epochs) == EPOCHS


def test_without_tuning_runs_or_above_chance_there_is_no_speed_up_to_judge(study):
    results = make_results(study)
    (speed, _), _ = judged(study, replace(results, tuning=pd.DataFrame()))
    assert (speed.parts, "no tuning runs" in speed.reason) == ((), True)
    (speed, _), _ = judged(study, replace(results, tuning=results.tuning.assign(diverged=True)))
    assert (speed.parts, "no better than guessing" in speed.reason) == ((), True)


def test_dropout_and_batch_norm_at_relu(study):
    def accuracy(arm):
        cost = 0.06 * (
            arm.network.dropout > 0 and arm.network.norm == "batch" and arm.network.activation == "relu"
        )
        return truth(arm) - cost

    results = make_results(study, accuracy_of=accuracy)
    (_, together), tables = judged(study, results)
    wide = tables["runs"].pivot(index="seed", columns="arm", values="test_accuracy")
    for part, scale, unit in zip(together.parts, (100, 1), ("points", "log-odds"), strict=True):
        table = wide if unit == "points" else np.log(wide / (1 - wide))
        given = table["relu+batch+dropout0.5"] - table["relu+batch"]
        values = scale * (given - (table["relu+dropout0.5"] - table["relu"])) / 2
        assert (part.estimate, part.error) == pytest.approx((values.mean(), values.std(ddof=1) / np.sqrt(3)))
        assert (part.supports, part.slack, part.freedom) == ((-np.inf, 0), (0, 0), 2)
        assert unit in part.label
    assert together.parts[0].estimate == pytest.approx(-3, abs=1.5)


@pytest.mark.parametrize(
    ("level", "word"), [(0.1, "at chance"), (0.995, "within two standard errors of perfect")]
)
def test_at_floor_or_ceiling_the_interaction_is_undecided(study, level, word):
    results = make_results(
        study, noise=0.001, accuracy_of=lambda arm: level if arm.name == "relu+batch" else truth(arm)
    )
    (_, together), _ = judged(study, results)
    assert f"relu+batch is {word}" in together.reason
    assert [part.slack for part in together.parts] == [(np.inf, np.inf)] * 2


def test_what_a_study_lacks_is_said(tmp_path):
    study = make_study(tmp_path, k=1)
    findings, _ = judged(study, make_results(study))
    assert [finding.parts for finding in findings] == [(), ()]
    assert "ReLU networks without dropout both with and without batch norm" in findings[0].reason
    assert "does not cross batch norm with dropout" in findings[1].reason
    assert set(factorial.figures(study, factorial.Options())) == {"effects", "log-odds", "cells", "curves"}
    for claim in factorial.CLAIMS:
        assert claim.figure.removeprefix("factorial-") in factorial.FIGURES


def write_results(folder, study):
    """A results folder as training leaves it, with the card in it."""
    results = make_results(study)
    for arm in factorial.arms(study, factorial.Options()):
        place = folder / "arms" / arm.name
        place.mkdir(parents=True)
        for name, table in (("runs", results.runs), ("curves", results.curves)):
            table[table["arm"] == arm.name].to_parquet(place / f"{name}.parquet")
        tried = results.tuning[results.tuning["arm"] == arm.name].drop(columns="arm").to_dict("records")
        rate = {"learning_rate": 0.1, "at_edge": arm.network.dropout > 0, "untuned": False, "runs": tried}
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
    tables = factorial.tables(study, factorial.Options())
    assert sorted(p.stem for p in (tmp_path / "factorial").iterdir()) == sorted(tables)
    cells = pd.read_csv(tmp_path / "factorial" / "cells.csv")
    assert cells["at_edge"].tolist() == [False, True] * 4
    figures = tmp_path / "figures"
    done = run_command("draw", "factorial", *common, "--tables", tmp_path / "factorial", "--out", figures)
    assert done.returncode == 0, done.stderr
    names = factorial.figures(study, factorial.Options())
    expected = [f"factorial-{name}.{kind}" for name in names for kind in ("svg", "png", "csv")]
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
