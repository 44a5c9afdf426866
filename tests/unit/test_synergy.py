"""The synergy experiment: shared arms, shares of known cells, older methods, and the parts of its claims."""

from itertools import product

import numpy as np
import pytest
from takeoff.common.errors import TakeoffError
from takeoff.experiments.factorial.design import Design as Factorial
from takeoff.experiments.synergy.design import Design, Options
from takeoff.experiments.synergy.figures import whole_words
from takeoff.judging.claims import load_claims
from takeoff.statistics.contrasts import shapley_weights
from takeoff.study.arms import ClassicalArm, distinct
from unit.measured import analysed, drawn, lose, made_up, measured, results, verdict

FACTORS = ("data", "computation", "algorithms")
CELLS = dict(zip(product((0, 1), repeat=3), (0.30, 0.37, 0.42, 0.55, 0.35, 0.46, 0.50, 0.80), strict=True))
"""Test accuracy by data, computation and algorithms: none, one, two, or all three much."""
OLDER = {"little": 0.45, "much": 0.60}
"""Of HOG with an RBF SVM, the best on validation images."""
DATASET = {"name": "digits", "resolution": 8, "train_samples": 800}


@pytest.fixture
def study(tmp_path):
    return made_up(tmp_path, dataset=DATASET, recipe={"epochs": 16})


def make_results(study, cells=None, older=OLDER, noise=0.003):
    """Every arm's runs; sigmoid networks are at chance. Pixels do best on test images, but not on validation; so do
    modern networks with dropout on little data, and those without it on much.
    """
    cells, rng = cells or CELLS, np.random.default_rng(4)
    synergy, runs = Design(study, Options()), []
    places = [(arm, place) for place, arm in [*synergy.networks.items(), *synergy.rivals]]
    for arm, place in places:
        shift = 0.0
        if isinstance(arm, ClassicalArm):
            best = arm.features == "hog"
            mean, shift = older[place.data] + (0.05 if arm.features == "pixels" else 0), 0.1 * best
        elif place.algorithms == "sigmoid":
            mean = 0.1
        else:
            switched = (place.data == "much", place.computation == "much", place.algorithms == "modern")
            mean = cells[tuple(map(int, switched))]
            if place.algorithms == "modern" and (place.dropout > 0) != (place.data == "much"):
                mean, shift = mean + 0.02, -0.1
        for seed in study.seed_list:
            test = mean + noise * rng.normal()
            run = {"arm": arm.name, "seed": seed, "test_accuracy": test, "validation_accuracy": min(test + shift, 1.0)}
            run |= {"train_accuracy": test, "seconds": 1.0, "train_samples": arm.train_samples, "dropout": 0.5}
            if isinstance(arm, ClassicalArm):
                run |= {"method": arm.method, "diverged": False, "flops": np.nan}
            else:
                flops = 1e9 * arm.recipe.epochs
                run |= {"method": "network", "diverged": False, "flops": flops, "learning_rate": 0.1}
            runs.append(run)
    return results(runs=runs)


def analyse(study, results):
    return Design(study, Options()).analyse(results)


def measure(study, tables, options=None):
    return measured(Design(study, options or Options()), tables)


def test_much_of_both_is_the_factorials_whose_rate_the_others_may_take(study):
    arms = Design(study, Options(tuned=False)).networks
    assert len(arms) == 16
    assert all(arm.choice_from is None for arm in Design(study, Options()).networks.values())
    much = {place[2:]: arm for place, arm in arms.items() if (place.data, place.computation) == ("much",) * 2}
    assert [arm.name for arm in much.values()] == ["tanh", "sigmoid", "relu+batch", "relu+batch+dropout0.5"]
    cells = Factorial(study, Factorial.Options()).arms()
    assert {"tanh", "relu+batch", "relu+batch+dropout0.5"} <= {arm.name for arm in cells}
    distinct([*cells, *Design(study, Options()).arms()])
    for place, arm in arms.items():
        assert arm.choice_from == (None if arm in much.values() else much[place[2:]].name)
        assert arm.recipe.epochs == (2 if place.computation == "little" else 16)
        assert arm.recipe.warmup_epochs == (0.125 if place.computation == "little" else 1)
        little = place.data == "little"
        assert (arm.train_samples, arm.recipe.epoch_images) == ((100, 640) if little else (800, None))
        assert arm.recipe.keep == ("best" if little else "last")


def test_older_methods_tune_themselves_at_both_sizes(study):
    rivals = Design(study, Options(seeds=2)).rivals
    methods = "hog-rbf-svm pixels-rbf-svm fisher-linear-svm kmeans-linear-svm".split()
    assert [arm.name for _, arm in rivals] == [f"{method}+n100" for method in methods] + methods
    assert {(arm.choice_from, arm.seeds) for _, arm in rivals} == {(None, (0, 1))}


# 640 training images are 20 steps.
@pytest.mark.parametrize(("epochs", "share", "little"), [(10, 0.125, (1, 25)), (3, 0.25, (1, 15)), (1, 0.05, (1, 1))])
def test_little_computation_is_the_share_that_the_option_says(tmp_path, epochs, share, little):
    made = made_up(tmp_path, dataset=DATASET, recipe={"epochs": epochs, "batch_size": 32})
    for place, arm in Design(made, Options(little_epochs_share=share)).networks.items():
        steps = (arm.recipe.epochs, (arm.recipe.epoch_images or 640) / 32)
        assert steps == (little if place.computation == "little" else (epochs, 20))
    with pytest.raises(TakeoffError, match=r"0.003 of .* steps cannot be had within 5%; valid: "):
        Design(made, Options(little_epochs_share=0.003)).arms()


def test_shares_are_shapley_values_of_the_cells(study):
    tables = analyse(study, make_results(study, noise=0))
    effects = tables["effects"].query("response == 'test_accuracy' and plain == 'tanh'")
    shares = effects[effects["kind"] == "shapley"].set_index("term")["estimate"]
    expected = shapley_weights(3) @ list(CELLS.values())
    assert shares.to_dict() == pytest.approx(dict(zip(FACTORS, expected, strict=True)))
    assert shares.sum() == pytest.approx(0.8 - 0.3)
    alone = tables["alone"].query("plain == 'tanh'").set_index("alone")
    assert alone["gain"].to_dict() == pytest.approx(
        {"none": 0, "data": 0.05, "computation": 0.12, "algorithms": 0.07, "all": 0.5}
    )
    assert alone["lead"].to_dict() == pytest.approx(
        {"none": -0.15, "data": -0.25, "computation": -0.03, "algorithms": -0.08, "all": 0.2}
    )
    main = effects[(effects["kind"] == "main") & (effects["term"] == "data")]["estimate"].iloc[0]
    assert main == pytest.approx(np.mean([0.05, 0.08, 0.09, 0.25]))


def test_older_methods_and_the_modern_recipe_are_chosen_on_validation_images(study):
    tables = analyse(study, lose(make_results(study), "tanh", 1))
    runs = tables["runs"]
    chosen = runs[runs["chosen"]].drop_duplicates("arm")
    assert set(chosen.loc[chosen["algorithms"] == "older", "arm"]) == {"hog-rbf-svm", "hog-rbf-svm+n100"}
    modern = chosen[chosen["algorithms"] == "modern"]
    assert (len(modern), set(modern.groupby("data")["dropout"].mean().items())) == (4, {("little", 0), ("much", 0.5)})
    recipes = tables["alone"].query("plain == 'tanh'").set_index("alone")["recipe"]
    assert recipes[["data", "algorithms", "all"]].tolist() == ["no dropout", "no dropout", "dropout 0.5"]
    pixels = runs[runs["arm"] == "pixels-rbf-svm"]["test_accuracy"].mean()
    assert pixels > runs[runs["arm"] == "hog-rbf-svm"]["test_accuracy"].mean()
    lost = runs.query("arm == 'tanh' and seed == 1").iloc[0]
    assert (lost["test_accuracy"], lost["collapsed"]) == (0.1, True)
    cells = tables["cells"].set_index("arm")
    assert cells.loc["tanh", "flops"] == 1.6e10
    assert cells.loc["sigmoid", "n_collapsed"] == 4


def test_verdicts_of_known_cells(study, tmp_path):
    tables = analysed(Design(study, Options()), make_results(study), tmp_path)
    measures = measure(study, tables)
    data = measures["data-alone-not-enough"]
    assert data[0].estimate == pytest.approx(25 - 5, abs=1)
    assert verdict(data) == "supported"
    leads = measures["no-factor-alone-was-enough"]
    assert [one.estimate for one in leads] == pytest.approx([-25, -3, -8, 20], abs=1)
    assert verdict(leads) == "supported"
    assert all("hog-rbf-svm on little data, hog-rbf-svm on much" in one.reason for one in leads)
    assert all("chosen: algorithms alone, no dropout; all, dropout 0.5" in one.reason for one in [*data, *leads])
    # Half of a whole gain that may be no more than that is no line.
    (one,) = measure(study, tables, Options(least_gain=51))["data-alone-not-enough"]
    assert (one.veto, verdict([one])) == ("any", "undecided")


def test_verdicts_against(study):
    def verdicts(cells, older=OLDER):
        measures = measure(study, analyse(study, make_results(study, cells, older)))
        return {name: verdict(own) for name, own in measures.items()}

    assert set(verdicts(CELLS | {(1, 0, 0): 0.7}).values()) == {"contradicted"}
    # Nothing learned anything: half of no gain is no line.
    flat = dict.fromkeys(CELLS, 0.1)
    assert set(verdicts(flat, {"little": 0.1, "much": 0.1}).values()) == {"undecided"}


def test_figures_have_their_numbers_and_claims_their_figures(study):
    tables = analyse(study, make_results(study))
    synergy = Design(study, Options())
    figures = drawn(synergy, tables)
    assert len(figures["cube"].numbers) == 24
    shares = figures["shares"].numbers.query("plain == 'tanh'")["shapley_points"].dropna()
    assert shares.sum() == pytest.approx(50, abs=1)
    claims = load_claims().of("synergy")
    assert {claim.figure for claim in claims} <= {f"synergy-{name}" for name in synergy.figures()}


def test_percentages_only_of_shares_between_none_and_all(study):
    def words(cells):
        tables = analyse(study, make_results(study, cells, noise=0.001))
        effects = tables["effects"].query("kind == 'shapley' and response == 'test_accuracy' and plain == 'tanh'")
        alone = tables["alone"].query("plain == 'tanh'")
        return whole_words(alone.set_index("alone"), effects.set_index("term"))

    assert words(CELLS) == "whole gain +50.0\ncomputation 42%, algorithms 33%, data 26%"
    # Algorithms cost: the others' shares would be more than all.
    cost = {cell: 0.3 + 0.1 * cell[0] + 0.3 * cell[1] - 0.08 * cell[2] for cell in CELLS}
    assert words(cost) == "whole gain +32.0"
    assert words(dict.fromkeys(CELLS, 0.4)).startswith("whole gain")
    assert "%" not in words(dict.fromkeys(CELLS, 0.4))


def test_axes_of_accuracy_end_at_100_percent(study):
    """Student t intervals of little spread-out accuracies near 100% go beyond."""
    near = {cell: 0.7 + 0.07 * sum(cell) for cell in CELLS}
    tables = analyse(study, make_results(study, near, {"little": 0.8, "much": 0.9}, noise=0.01))
    tables["alone"].loc[tables["alone"]["alone"] == "all", "test_accuracy_high"] = 1.12
    cells = tables["cells"]
    cells.loc[cells["algorithms"] == "modern", "test_accuracy_high"] = 1.12
    for _, figure, numbers in Design(study, Options()).draw(tables, {}):
        assert max(max(*axes.get_xlim(), axes.get_ylim()[1]) for axes in figure.axes) <= 100.5
        high = [name for name in numbers if name.startswith("test_accuracy_percent_high")]
        assert numbers[high].max().max() == pytest.approx(112)


def test_rates_taken_from_others_and_shared_images_are_reported(study, tmp_path):
    tables = analyse(study, make_results(study))

    def reasons(study, options):
        return [one.reason for own in measure(study, tables, options).values() for one in own]

    same = "every seed sees the same images: of these cells the interval holds optimisation noise only"
    assert all(same in reason for reason in reasons(study, Options()))
    assert not any("networks take the rate" in reason for reason in reasons(study, Options()))
    small = Options(tuned=False)
    assert all("networks take the rate tuned with much" in reason for reason in reasons(study, small))
    part = made_up(tmp_path, dataset=DATASET | {"train_samples": 400}, recipe={"epochs": 16})
    assert not any("same images" in reason for reason in reasons(part, small))
    for options, taken in ((small, True), (Options(), False)):
        for _, figure, _ in Design(study, options).draw(tables, {}):
            texts = [text.get_text() for text in figure.texts]
            assert any("take the rates of those with much" in text for text in texts) == taken
    much = tables["runs"]["algorithms"].eq("older") & tables["runs"]["data"].eq("much")
    tables["runs"].loc[much, "test_accuracy"] = 0.6
    (reason,) = {one.reason for one in measure(study, tables, small)["no-factor-alone-was-enough"]}
    assert "hog-rbf-svm is the same in every seed there" in reason
