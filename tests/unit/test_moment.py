"""The moment experiment's errors, ratio and verdict, from made-up runs whose answers are known."""

import numpy as np
import pytest
from scipy import stats
from takeoff.common.errors import TakeoffError
from takeoff.experiments.factorial.design import Design as Factorial
from takeoff.experiments.moment.design import Design, Options
from takeoff.statistics.clustered import crossed_mean, log_ratio
from takeoff.statistics.intervals import mean_interval
from takeoff.study.arms import ClassicalArm, distinct, seeds_of
from unit.measured import analysed, drawn, fixed, lose, made_up, measured, results, verdict

CLAIM = "network-nearly-halved-the-error"
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


def card(classes=10):
    counts = np.full(classes, IMAGES // classes)
    counts[: IMAGES - counts.sum()] += 1
    return {"images": {"train": 50_000}, "images_per_class": {"test": counts.tolist()}}


def make_results(study, errors=None, classes=10, spread=0.3, validation=None):
    """Runs that are wrong on the hardest images, in an order that seeds share but for some noise: exactly as many as
    `errors` say.
    """
    rng, rows = np.random.default_rng(0), []
    hard = rng.random(IMAGES)
    for method, arm in Design(study, Options()).methods.items():
        for seed in seeds_of(study, arm):
            place = np.argsort(np.argsort(hard + spread * rng.random(IMAGES)))
            row = {"arm": arm.name, "seed": seed, "diverged": False, "learning_rate": 0.1}
            wrong = [place < round(error * IMAGES) for error in (errors or ERRORS)[method]]
            for name, hits in zip(("test", "test_top5"), wrong, strict=True):
                row[f"{name}_accuracy"] = 1 - hits.mean()
                row[f"{name}_correct"] = np.packbits(~hits).tobytes()
            row["validation_accuracy"] = (validation or {}).get(method, row["test_accuracy"])
            rows.append(row)
    return results(card(classes), runs=rows)


def judged(study, tables, classes=10):
    """The measure, and the claim's verdict where it could be measured."""
    (measure,) = measured(Design(study, Options()), tables, card(classes))[CLAIM]
    return measure, verdict([measure]) if measure.part else "not tested"


@pytest.fixture
def study(tmp_path):
    return made_up(tmp_path, seeds=6)


def test_arms_are_the_factorials_and_the_full_sized_older_ones(study):
    moment = Design(study, Options())
    arms = moment.methods
    cells = {arm.name: arm for arm in Factorial(study, Factorial.Options()).arms()}
    assert cells["relu+dropout0.5"] == arms["network-2012"]
    assert cells["relu+batch"] == arms["network-modern"]
    older = [arm for arm in moment.arms() if isinstance(arm, ClassicalArm)]
    assert [arm.name for arm in older] == list(moment.options.methods)
    assert all(arm.train_samples is None and arm.choice_from is None for arm in older)
    few = Design(study, Options(seeds=2)).arms()
    assert {tuple(seeds_of(study, arm)) for arm in few} == {(0, 1)}
    assert len(distinct([*few, *cells.values()])) == 8 + 4


def test_errors_and_ratio_of_known_bits(study, tmp_path):
    tables = analysed(Design(study, Options()), make_results(study), tmp_path)
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
    tables = analysed(Design(study, Options()), make_results(study, validation=better), tmp_path)
    row = tables["ratio"].iloc[0]
    assert (row["network"], row["rival"]) == ("network-2012", "hog-rbf-svm")


@pytest.mark.parametrize(("classes", "response"), [(10, "top1"), (11, "top5"), (100, "top5")])
def test_top5_is_judged_of_more_than_ten_classes(study, tmp_path, classes, response):
    tables = analysed(Design(study, Options()), make_results(study, classes=classes), tmp_path)
    ratio = tables["ratio"]
    assert ratio.loc[ratio["judged"], "response"].tolist() == [response]
    measure, _ = judged(study, tables, classes)
    assert measure.label.startswith(f"{response[:3]}-{response[-1]} error")
    assert ("top-1 is judged" in measure.reason) == (response == "top1")


@pytest.mark.parametrize(
    ("error", "expected"), [(0.10, "supported"), (0.23, "undecided"), (0.32, "contradicted"), (0.21, "undecided")]
)
def test_the_verdict_follows_the_ratio(study, tmp_path, error, expected):
    errors = ERRORS | {"network-modern": (error, 0.03)}
    tables = analysed(
        Design(study, Options()), make_results(study, errors, validation={"network-modern": 0.99}), tmp_path
    )
    row = tables["ratio"].iloc[0]
    measure, found = judged(study, tables)
    assert found == expected
    assert (measure.part, measure.unit, measure.veto) == ("ratio", "ratio", "")
    assert [measure.estimate, measure.error] == [row["log_ratio"], row["error"]]
    criterion = fixed("moment")[CLAIM].parts["ratio"]
    assert (criterion.supports, criterion.against) == ((0, 0.75), ((0.9, np.inf),))


def test_guessing_decides_nothing(study, tmp_path):
    tables = analysed(Design(study, Options()), make_results(study, dict.fromkeys(ERRORS, (0.9, 0.5))), tmp_path)
    tables["runs"]["notes"] = "stopped before it converged"
    measure, found = judged(study, tables)
    assert (found, measure.veto, measure.testable) == ("undecided", "any", True)  # the interval stays
    assert "only guess" in measure.reason
    assert "stopped before" in measure.reason


def test_no_error_is_no_ratio(study, tmp_path):
    errors = ERRORS | {"network-modern": (0.0, 0.0)}
    measure, _ = judged(study, analysed(Design(study, Options()), make_results(study, errors), tmp_path))
    assert measure.part == ""
    assert "made no error" in measure.reason


def test_a_diverged_run_counts_as_guesses(study, tmp_path):
    runs = analysed(Design(study, Options()), lose(make_results(study), "relu+batch", 0), tmp_path)["runs"]
    row = runs[(runs["method"] == "network-modern") & (runs["seed"] == 0)].iloc[0]
    assert row["top1_error"] == pytest.approx(1 - 101 / IMAGES)
    assert row["top5_error"] == pytest.approx(1 - 505 / IMAGES)
    assert row["collapsed"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"test_correct": b"\x00"}, "test_correct: 8 images, .*; valid: 1003 images"),
        ({"test_correct": None}, "test_correct: 0 images, .*; valid: 1003 images"),
        ({"test_accuracy": 0.5}, "test_correct: 1008 images, .*; valid: 1003 images, 0.5"),
    ],
)
def test_a_record_that_does_not_fit_is_refused(study, change, words):
    whole = make_results(study)
    for name, value in change.items():
        whole.runs.at[3, name] = value
    with pytest.raises(TakeoffError, match=words):
        Design(study, Options()).analyse(whole)


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


def test_a_crossed_means_freedom_is_that_of_its_mean_squares():
    """Satterthwaite's, of a two-way table without replication, from textbook sums of squares."""
    draw = np.random.default_rng(1)
    table = draw.normal(size=(4, 30)) + draw.normal(size=30) + np.array([[0.0], [0.3], [0.5], [0.9]])
    seeds, images = table.shape
    total = ((table - table.mean()) ** 2).sum()
    of_seeds = images * ((table.mean(axis=1) - table.mean()) ** 2).sum()
    of_images = seeds * ((table.mean(axis=0) - table.mean()) ** 2).sum()
    freedoms = np.array([seeds - 1, images - 1, (seeds - 1) * (images - 1)])
    squares = np.array([of_seeds, of_images, total - of_seeds - of_images]) / freedoms
    variance = squares @ [1, 1, -1]
    found = crossed_mean(table)
    assert found.error == pytest.approx(np.sqrt(variance / table.size))
    assert found.freedom == pytest.approx(variance**2 / (squares**2 / freedoms).sum())


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
            image = np.sqrt(0.5) * (shared + rng.normal(size=300)) + np.sqrt(1 - noise[place]) * rng.normal(size=300)
            seed = scatter[place] * rng.normal(size=(6, 1))
            wrong.append(middle[place] + image + seed + np.sqrt(noise[place]) * rng.normal(size=(6, 300)) > 0)
        low, high = log_ratio(*(table.astype(float) for table in wrong)).interval()
        held += low <= truth <= high
    assert 0.92 <= held / simulations <= 0.98


@pytest.mark.parametrize(("seeds", "classes"), [(6, 100), (1, 10)])
def test_every_figure_is_drawn(tmp_path, seeds, classes):
    study = made_up(tmp_path, seeds=seeds)
    tables = analysed(Design(study, Options()), make_results(study, classes=classes), tmp_path)
    figures = drawn(Design(study, Options()), tables)
    errors = figures["errors"].numbers.set_index(["method", "response"])["error_percent"]
    assert errors["fisher-linear-svm", "top1"] == pytest.approx(30, abs=0.1)
    assert figures["ratio"].numbers["ratio"].tolist() == tables["ratio"]["ratio"].tolist()
