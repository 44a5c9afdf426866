"""The synergy experiment: shared arms, shares against brute force, older methods, and the parts of its claims."""

import json
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from takeoff.errors import TakeoffError
from takeoff.experiments import factorial, synergy
from takeoff.experiments.gathering import read_back
from takeoff.experiments.registry import Results
from takeoff.experiments.synergy_shares import whole_words
from takeoff.statistics.tables import write_csv
from takeoff.statistics.verdicts import judge_claim, judge_parts
from takeoff.study.arms import ClassicalArm, distinct
from takeoff.study.loading import load_study

CARD = {"images": {"train": 800, "test": 500}, "images_per_class": {"train": [80] * 10, "test": [50] * 10}}
FACTORS = ("data", "computation", "algorithms")
CELLS = {
    (0, 0, 0): 0.30,
    (1, 0, 0): 0.35,
    (0, 1, 0): 0.42,
    (0, 0, 1): 0.37,
    (1, 1, 0): 0.50,
    (1, 0, 1): 0.46,
    (0, 1, 1): 0.55,
    (1, 1, 1): 0.80,
}
"""Test accuracy by data, computation and algorithms: none, one, two, or all three much."""
OLDER = {"little": 0.45, "much": 0.60}
"""Of HOG with an RBF SVM, the best on validation images."""


def make_study(folder, **changes):
    content = {
        "title": "Made up",
        "dataset": {"name": "digits", "resolution": 8, "train_samples": 800},
        "recipe": {"epochs": 16},
        "tuning": {"learning_rates": [0.01, 0.1]},
        "seeds": 4,
        "factors": {
            "activation": {"baseline": "tanh", "treatment": "relu"},
            "norm": {"baseline": "none", "treatment": "batch"},
            "dropout": {"baseline": 0, "treatment": 0.5},
        },
        "experiments": {"synergy": {}},
        "budget": {"runs": 9999, "core_hours": 9},
    } | changes
    path = folder / "study.json"
    path.write_text(json.dumps(content))
    return load_study(path)


@pytest.fixture
def study(tmp_path):
    return make_study(tmp_path)


def make_results(study, cells=None, older=OLDER, noise=0.003):
    """Every arm's runs; sigmoid networks are at chance. Pixels do best on test images, but not on validation."""
    cells, rng = cells or CELLS, np.random.default_rng(2)
    options, runs = synergy.Options(), []
    places = [(arm, place) for place, arm in synergy.networks(study, options).items()]
    places += [(arm, place) for place, arm in synergy.rivals(study, options)]
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
        for seed in study.seed_list:
            test = mean + noise * rng.normal()
            run = {"arm": arm.name, "seed": seed, "test_accuracy": test, "validation_accuracy": test + shift}
            run |= {"train_accuracy": test, "seconds": 1.0, "train_samples": arm.train_samples}
            if isinstance(arm, ClassicalArm):
                run |= {"method": arm.method, "diverged": None, "flops": np.nan}
            else:
                flops = 1e9 * arm.recipe.epochs
                run |= {"method": "network", "diverged": False, "flops": flops, "learning_rate": 0.1}
            runs.append(run)
    return Results(pd.DataFrame(runs), pd.DataFrame(), CARD, pd.DataFrame(), pd.DataFrame())


def analyse(study, results):
    return synergy.analyse(study, synergy.Options(), results)


def judge(study, tables):
    return {finding.claim: finding for finding in synergy.judge(study, synergy.Options(), tables, CARD)}


def verdict(finding):
    return judge_claim(judge_parts(finding.parts))[0]


def test_much_of_both_is_the_factorials_and_lends_its_rate(study):
    arms = synergy.networks(study, synergy.Options(tuned=False))
    assert len(arms) == 12
    assert all(arm.lender is None for arm in synergy.networks(study, synergy.Options()).values())
    much = {
        place.algorithms: arm
        for place, arm in arms.items()
        if (place.data, place.computation) == ("much",) * 2
    }
    assert {name: arm.name for name, arm in much.items()} == {
        "tanh": "tanh",
        "sigmoid": "sigmoid",
        "modern": "relu+batch+dropout0.5",
    }
    shared = {arm.name for arm in factorial.arms(study, factorial.Options())}
    assert {"tanh", "relu+batch+dropout0.5"} <= shared
    distinct([*factorial.arms(study, factorial.Options()), *synergy.arms(study, synergy.Options())])
    for place, arm in arms.items():
        assert arm.lender == (None if arm in much.values() else much[place.algorithms].name)
        assert arm.recipe.epochs == (2 if place.computation == "little" else 16)
        assert arm.recipe.warmup_epochs == (0.125 if place.computation == "little" else 1)
        little = place.data == "little"
        assert (arm.train_samples, arm.recipe.epoch_images) == ((100, 640) if little else (800, None))
        assert arm.recipe.keep == ("best" if little else "last")


def test_older_methods_tune_themselves_at_both_sizes(study):
    rivals = synergy.rivals(study, synergy.Options(seeds=2))
    assert [arm.name for _, arm in rivals] == [
        "hog-rbf-svm+n100",
        "pixels-rbf-svm+n100",
        "fisher-linear-svm+n100",
        "kmeans-linear-svm+n100",
        "hog-rbf-svm",
        "pixels-rbf-svm",
        "fisher-linear-svm",
        "kmeans-linear-svm",
    ]
    assert {(arm.lender, arm.seeds) for _, arm in rivals} == {(None, (0, 1))}


def test_little_must_be_less_than_much(tmp_path):
    short = make_study(tmp_path, recipe={"epochs": 1})
    with pytest.raises(TakeoffError, match="little computation is 1 of 1 epochs"):
        synergy.arms(short, synergy.Options())
    narrow = synergy.networks(short, synergy.Options(little_width=0.5))
    widths = {place.computation: arm.network.width for place, arm in narrow.items()}
    assert widths == {"little": 0.5, "much": 1}


def test_shares_against_brute_force_over_orders(study):
    tables = analyse(study, make_results(study, noise=0))
    effects = tables["effects"].query("response == 'test_accuracy' and plain == 'tanh'")
    shares = effects[effects["kind"] == "shapley"].set_index("term")["estimate"]
    gains = dict.fromkeys(range(3), 0.0)
    for order in permutations(range(3)):
        cell = [0, 0, 0]
        for i in order:
            before = CELLS[tuple(cell)]
            cell[i] = 1
            gains[i] += (CELLS[tuple(cell)] - before) / 6
    assert shares.to_dict() == pytest.approx({name: gains[i] for i, name in enumerate(FACTORS)})
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


def test_the_older_method_is_chosen_on_validation_images(study):
    tables = analyse(study, make_results(study))
    runs = tables["runs"]
    assert set(runs.loc[runs["chosen"], "arm"]) == {"hog-rbf-svm", "hog-rbf-svm+n100"}
    pixels = runs[runs["arm"] == "pixels-rbf-svm"]["test_accuracy"].mean()
    assert pixels > runs[runs["arm"] == "hog-rbf-svm"]["test_accuracy"].mean()
    cells = tables["cells"].set_index("arm")
    assert cells.loc["tanh", "flops"] == 1.6e10
    assert cells.loc["sigmoid", "n_collapsed"] == 4


def test_verdicts_of_known_cells(study, tmp_path):
    tables = analyse(study, make_results(study))
    assert set(tables) == set(synergy.TABLES)
    for name, table in tables.items():
        write_csv(table, tmp_path / f"{name}.csv")
    findings = judge(study, {name: read_back(tmp_path / f"{name}.csv") for name in tables})
    data = findings["data-alone-not-enough"]
    assert data.parts[0].estimate == pytest.approx(25 - 5, abs=1)
    assert verdict(data) == "supported"
    leads = findings["no-factor-alone-was-enough"]
    assert [part.estimate for part in leads.parts] == pytest.approx([-25, -3, -8, 20], abs=1)
    assert verdict(leads) == "supported"
    assert "hog-rbf-svm on little data, hog-rbf-svm on much" in leads.reason


def test_verdicts_against(study):
    enough = CELLS | {(1, 0, 0): 0.7}
    findings = judge(study, analyse(study, make_results(study, enough)))
    assert {verdict(finding) for finding in findings.values()} == {"contradicted"}
    # Nothing learned anything: half of no gain is no line.
    flat = dict.fromkeys(CELLS, 0.1)
    findings = judge(study, analyse(study, make_results(study, flat, {"little": 0.1, "much": 0.1})))
    assert {verdict(finding) for finding in findings.values()} == {"undecided"}
    # All together less than none, and data worse still: that is no support either.
    worse = CELLS | {(1, 1, 1): 0.25, (1, 0, 0): 0.2}
    assert (
        verdict(judge(study, analyse(study, make_results(study, worse)))["data-alone-not-enough"])
        == "undecided"
    )


def test_a_diverged_run_counts_as_chance_and_wrong_input_is_one_error(study):
    results = make_results(study)
    runs = results.runs.copy()
    lost = (runs["arm"] == "tanh") & (runs["seed"] == 1)
    runs.loc[lost, ["test_accuracy", "validation_accuracy", "train_accuracy"]] = np.nan
    runs.loc[lost, "diverged"] = True

    def again(changed):
        return analyse(study, Results(changed, results.curves, CARD, pd.DataFrame(), pd.DataFrame()))

    run = again(runs)["runs"].query("arm == 'tanh' and seed == 1").iloc[0]
    assert (run["test_accuracy"], run["collapsed"]) == (0.1, True)
    with pytest.raises(TakeoffError, match="arm hog-rbf-svm has no run"):
        again(runs[runs["arm"] != "hog-rbf-svm"])
    with pytest.raises(TakeoffError, match="two runs with one seed"):
        again(pd.concat([runs, runs[:1]]))


def test_figures_have_their_numbers_and_claims_their_figures(study):
    tables = analyse(study, make_results(study))
    drawn = {name: numbers for name, _, numbers in synergy.draw(study, synergy.Options(), tables)}
    assert list(drawn) == list(synergy.FIGURES)
    assert len(drawn["cube"]) == 20
    shares = drawn["shares"].query("plain == 'tanh'")["shapley_points"].dropna()
    assert shares.sum() == pytest.approx(50, abs=1)
    assert {claim.figure for claim in synergy.CLAIMS} <= {f"synergy-{name}" for name in synergy.FIGURES}


def test_percentages_only_of_shares_between_none_and_all(study):
    def words(cells):
        tables = analyse(study, make_results(study, cells, noise=0.001))
        effects = tables["effects"].query(
            "kind == 'shapley' and response == 'test_accuracy' and plain == 'tanh'"
        )
        alone = tables["alone"].query("plain == 'tanh'")
        return whole_words(alone.set_index("alone"), effects.set_index("term"))

    assert words(CELLS) == "whole gain +50.0, of which 26% + 42% + 33%"
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
    for _, figure, numbers in synergy.draw(study, synergy.Options(), tables):
        assert max(axes.get_ylim()[1] for axes in figure.axes) <= 100
        high = [name for name in numbers if name.startswith("test_accuracy_percent_high")]
        assert numbers[high].max().max() == pytest.approx(112)


@pytest.mark.parametrize(("interval", "top"), [(0.3, (109, 118)), (2.0, (130, 138))])
def test_a_waterfall_above_100_percent_has_room_for_its_intervals(study, interval, top):
    tables = analyse(study, make_results(study, {cell: 0.7 + 0.09 * sum(cell) for cell in CELLS}))
    effects = tables["effects"]
    last = (effects["kind"] == "shapley") & (effects["response"] == "test_accuracy")
    last &= effects["term"] == effects.loc[last, "term"].iloc[-1]
    # The last bar starts near 88%; where its interval ends, up to 130%, the axis has a little more room.
    effects.loc[last, "ci_high"] = interval - 0.08
    (figure,) = (
        figure for name, figure, _ in synergy.draw(study, synergy.Options(), tables) if name == "shares"
    )
    assert top[0] <= figure.axes[0].get_ylim()[1] <= top[1]


def test_lent_rates_and_shared_images_are_told(study, tmp_path):
    tables = analyse(study, make_results(study))

    def told(study, options):
        return [finding.reason for finding in synergy.judge(study, options, tables, CARD)]

    same = "every seed sees the same images: of these cells the interval holds optimisation noise only"
    assert all(same in reason for reason in told(study, synergy.Options()))
    assert not any("networks take the rate" in reason for reason in told(study, synergy.Options()))
    small = synergy.Options(tuned=False)
    assert all("networks take the rate tuned with much" in reason for reason in told(study, small))
    part = make_study(tmp_path, dataset={"name": "digits", "resolution": 8, "train_samples": 400})
    assert not any("same images" in reason for reason in told(part, small))
    for options, lent in ((small, True), (synergy.Options(), False)):
        for _, figure, _ in synergy.draw(study, options, tables):
            assert (
                any("rates: tuned with much of both alone" in text.get_text() for text in figure.texts)
                == lent
            )
    much = tables["runs"]["algorithms"].eq("older") & tables["runs"]["data"].eq("much")
    tables["runs"].loc[much, "test_accuracy"] = 0.6
    assert "hog-rbf-svm is the same in every seed there" in told(study, small)[1]
