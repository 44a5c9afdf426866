"""The moment experiment's errors, ratio and verdict, from made-up runs whose answers are known."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from takeoff.errors import TakeoffError
from takeoff.experiments import factorial, moment
from takeoff.experiments.gathering import read_back
from takeoff.experiments.registry import Results
from takeoff.statistics.clustered import crossed_mean, log_ratio
from takeoff.statistics.intervals import mean_interval
from takeoff.statistics.tables import write_csv
from takeoff.statistics.verdicts import judge_parts
from takeoff.study.arms import ClassicalArm, distinct, seeds_of
from takeoff.study.loading import load_study

IMAGES = 1003
"""No multiple of eight: the last byte of packed bits is part filled."""
ERRORS = {
    "network-2012": (0.16, 0.04),
    "network-modern": (0.14, 0.03),
    "fisher-linear-svm": (0.30, 0.08),
    "hog-linear-svm": (0.45, 0.12),
    "hog-rbf-svm": (0.35, 0.09),
    "kmeans-linear-svm": (0.28, 0.07),
}
"""Top-1 and top-5 error of each method."""


def make_study(folder, seeds=6):
    content = {
        "title": "Made up",
        "dataset": {"name": "made-up", "resolution": 32},
        "recipe": {"epochs": 4},
        "tuning": {"learning_rates": [0.01, 0.1]},
        "seeds": seeds,
        "factors": {
            "activation": {"baseline": "tanh", "treatment": "relu"},
            "norm": {"baseline": "none", "treatment": "batch"},
            "dropout": {"baseline": 0, "treatment": 0.5},
        },
        "experiments": {"moment": {}},
        "budget": {"runs": 9999, "core_hours": 9},
    }
    path = folder / "study.json"
    path.write_text(json.dumps(content))
    return load_study(path)


def card(classes=10):
    counts = np.full(classes, IMAGES // classes)
    counts[: IMAGES - counts.sum()] += 1
    return {"images": {"train": 50_000}, "images_per_class": {"test": counts.tolist()}}


def named(study, options):
    """Arms by method."""
    return moment.networks(study, options) | moment.classical(study, options)


def make_results(study, errors=None, classes=10, options=None, spread=0.3, validation=None):
    """Runs that are wrong on the hardest images, in an order that seeds share but for some noise: exactly as many as
    `errors` say.
    """
    rng, rows = np.random.default_rng(0), []
    hard, options = rng.random(IMAGES), options or moment.Options()
    for method, arm in named(study, options).items():
        for seed in seeds_of(study, arm):
            place = np.argsort(np.argsort(hard + spread * rng.random(IMAGES)))
            row = {"arm": arm.name, "seed": seed, "diverged": False, "learning_rate": 0.1}
            wrong = [place < round(error * IMAGES) for error in (errors or ERRORS)[method]]
            for name, hits in zip(("test", "test_top5"), wrong, strict=True):
                row[f"{name}_accuracy"] = 1 - hits.mean()
                row[f"{name}_correct"] = np.packbits(~hits).tobytes()
            row["validation_accuracy"] = (validation or {}).get(method, row["test_accuracy"])
            rows.append(row)
    empty = pd.DataFrame()
    return Results(pd.DataFrame(rows), empty, card(classes), empty, empty)


def analysed(study, folder, results, options=None):
    """The tables as they are read back from their files."""
    tables = moment.analyse(study, options or moment.Options(), results)
    assert tuple(tables) == moment.TABLES
    for name, table in tables.items():
        write_csv(table, folder / f"{name}.csv")
    return {name: read_back(folder / f"{name}.csv") for name in tables}


def judged(study, tables, classes=10):
    (finding,) = moment.judge(study, moment.Options(), tables, card(classes))
    return finding, [judgement.verdict for judgement in judge_parts(finding.parts)]


@pytest.fixture
def study(tmp_path):
    return make_study(tmp_path)


def test_arms_are_the_factorials_and_the_full_sized_older_ones(study):
    options = moment.Options()
    arms = named(study, options)
    cells = {arm.name: arm for arm in factorial.arms(study, factorial.Options())}
    assert cells["relu+dropout0.5"] == arms["network-2012"]
    assert cells["relu+batch"] == arms["network-modern"]
    older = [arm for arm in moment.arms(study, options) if isinstance(arm, ClassicalArm)]
    assert [arm.name for arm in older] == list(options.methods)
    assert all(arm.train_samples is None and arm.lender is None for arm in older)
    few = moment.arms(study, moment.Options(seeds=2))
    assert {tuple(seeds_of(study, arm)) for arm in few} == {(0, 1)}
    assert len(distinct([*few, *cells.values()])) == 8 + 4


def test_errors_and_ratio_of_known_bits(study, tmp_path):
    tables = analysed(study, tmp_path, make_results(study))
    methods = tables["methods"].set_index(["method", "response"])
    for method, (top1, top5) in ERRORS.items():
        assert methods.loc[(method, "top1"), "error"] == pytest.approx(round(top1 * IMAGES) / IMAGES)
        assert methods.loc[(method, "top5"), "error"] == pytest.approx(round(top5 * IMAGES) / IMAGES)
    chosen = tables["methods"].loc[tables["methods"]["chosen"], "method"].unique().tolist()
    assert chosen == ["network-modern", "kmeans-linear-svm"]
    top1, top5 = (tables["ratio"].set_index("response").loc[name] for name in ("top1", "top5"))
    assert top1["ratio"] == pytest.approx(round(0.14 * IMAGES) / round(0.28 * IMAGES))
    assert top5["ratio"] == pytest.approx(round(0.03 * IMAGES) / round(0.07 * IMAGES))
    assert top1["ci_low"] < top1["ratio"] < top1["ci_high"]
    assert (top1["judged"], top5["judged"]) == (True, False)


def test_methods_are_chosen_on_validation(study, tmp_path):
    better = {"network-2012": 0.99, "hog-rbf-svm": 0.98}
    tables = analysed(study, tmp_path, make_results(study, validation=better))
    row = tables["ratio"].iloc[0]
    assert (row["network"], row["rival"]) == ("network-2012", "hog-rbf-svm")


@pytest.mark.parametrize(("classes", "response"), [(10, "top1"), (11, "top5"), (100, "top5")])
def test_top5_is_judged_of_more_than_ten_classes(study, tmp_path, classes, response):
    tables = analysed(study, tmp_path, make_results(study, classes=classes))
    ratio = tables["ratio"]
    assert ratio.loc[ratio["judged"], "response"].tolist() == [response]
    finding, _ = judged(study, tables, classes)
    assert ("top-1 is judged" in finding.reason) == (response == "top1")


@pytest.mark.parametrize(
    ("error", "verdict"),
    [(0.10, "supported"), (0.18, "undecided"), (0.26, "contradicted"), (0.165, "undecided")],
)
def test_the_verdict_follows_the_ratio(study, tmp_path, error, verdict):
    errors = ERRORS | {"network-modern": (error, 0.03)}
    tables = analysed(study, tmp_path, make_results(study, errors, validation={"network-modern": 0.99}))
    finding, verdicts = judged(study, tables)
    assert verdicts == [verdict]
    assert finding.parts[0].supports == (0, 0.6)
    assert finding.parts[0].against == ((0.7, np.inf),)


def test_guessing_decides_nothing(study, tmp_path):
    tables = analysed(study, tmp_path, make_results(study, dict.fromkeys(ERRORS, (0.9, 0.5))))
    finding, verdicts = judged(study, tables)
    assert verdicts == ["undecided"]
    assert "only guess" in finding.reason


def test_no_error_is_no_ratio(study, tmp_path):
    errors = ERRORS | {"network-modern": (0.0, 0.0)}
    finding, _ = judged(study, analysed(study, tmp_path, make_results(study, errors)))
    assert finding.parts == ()
    assert "made no error" in finding.reason


def test_a_diverged_run_counts_as_guesses(study, tmp_path):
    results = make_results(study)
    lost = (results.runs["arm"] == "relu+batch") & (results.runs["seed"] == 0)
    results.runs.loc[lost, "diverged"] = True
    results.runs.loc[lost, ["test_accuracy", "test_correct", "test_top5_correct", "validation_accuracy"]] = (
        None
    )
    runs = analysed(study, tmp_path, results)["runs"]
    row = runs[(runs["method"] == "network-modern") & (runs["seed"] == 0)].iloc[0]
    assert row["top1_error"] == pytest.approx(1 - 101 / IMAGES)
    assert row["top5_error"] == pytest.approx(1 - 505 / IMAGES)
    assert row["collapsed"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"test_correct": b"\x00"}, "records 8 images, not 1003"),
        ({"test_correct": None}, "records nothing"),
        ({"test_accuracy": 0.5}, "but the run's accuracy is 0.5"),
    ],
)
def test_a_record_that_does_not_fit_is_refused(study, change, words):
    results = make_results(study)
    for name, value in change.items():
        results.runs.at[3, name] = value
    with pytest.raises(TakeoffError, match=words):
        moment.analyse(study, moment.Options(), results)


def test_a_missing_arm_is_named(study):
    results = make_results(study)
    results = replace(results, runs=results.runs[results.runs["arm"] != "hog-rbf-svm"])
    with pytest.raises(TakeoffError, match="hog-rbf-svm has no run"):
        moment.analyse(study, moment.Options(), results)


def test_a_mean_whose_images_do_not_differ_has_students_interval():
    by_seed = np.array([0.1, 0.2, 0.4])
    found = crossed_mean(np.repeat(by_seed[:, None], 50, axis=1))
    assert found.interval() == pytest.approx(mean_interval(by_seed)[1:3])
    by_image = np.random.default_rng(0).random(50)
    found = crossed_mean(np.repeat(by_image[None], 3, axis=0))
    assert found.error == pytest.approx(stats.sem(by_image))
    assert found.freedom == pytest.approx(49)
    assert crossed_mean(np.ones((3, 5))).interval() == (1, 1)
    assert np.isnan(crossed_mean(by_image[None]).interval()).all()


def test_a_ratios_error_is_the_jackknifes_over_images():
    """With one and the same answers in every seed only images are random: the delta method nears the jackknife."""
    rng = np.random.default_rng(1)
    one, two = (np.tile((rng.random(400) < share).astype(float), (3, 1)) for share in (0.2, 0.4))
    found = log_ratio(one, two)
    left_out = [
        np.log(np.delete(one[0], image).mean() / np.delete(two[0], image).mean()) for image in range(400)
    ]
    assert found.value == pytest.approx(np.log(one.mean() / two.mean()))
    assert found.error == pytest.approx(np.std(left_out) * np.sqrt(399), rel=0.01)


@pytest.mark.parametrize("by_seed", [0.0, 0.1])
def test_intervals_of_the_ratio_hold_the_truth(by_seed):
    """Six seeds and 300 images, alike in both methods, a network that scatters and a rival that hardly does."""
    rng = np.random.default_rng(2)
    middle, noise, scatter = np.array([-1.0, -0.4]), np.array([0.6, 0.05]), by_seed * np.array([1.0, 0.3])
    truth = np.diff(np.log(stats.norm.cdf(middle / np.sqrt(2 + scatter**2))))[0] * -1
    held, simulations = 0, 500
    for _ in range(simulations):
        shared, wrong = rng.normal(size=300), []
        for place in range(2):
            image = np.sqrt(0.5) * (shared + rng.normal(size=300)) + np.sqrt(1 - noise[place]) * rng.normal(
                size=300
            )
            seed = scatter[place] * rng.normal(size=(6, 1))
            wrong.append(middle[place] + image + seed + np.sqrt(noise[place]) * rng.normal(size=(6, 300)) > 0)
        low, high = log_ratio(*(table.astype(float) for table in wrong)).interval()
        held += low <= truth <= high
    assert 0.92 <= held / simulations <= 0.98


@pytest.mark.parametrize(("seeds", "classes"), [(6, 100), (1, 10)])
def test_every_figure_is_drawn(tmp_path, seeds, classes):
    study = make_study(tmp_path, seeds)
    tables = analysed(study, tmp_path, make_results(study, classes=classes))
    drawn = {name: numbers for name, _, numbers in moment.draw(study, moment.Options(), tables)}
    assert list(drawn) == list(moment.FIGURES)
    errors = drawn["errors"].set_index(["method", "response"])["error_percent"]
    assert errors["fisher-linear-svm", "top1"] == pytest.approx(30, abs=0.1)
    assert drawn["ratio"]["ratio"].tolist() == tables["ratio"]["ratio"].tolist()
