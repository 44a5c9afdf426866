"""The scaling experiment's sizes, arms, tables and figures, from made-up runs whose answers are known."""

from dataclasses import replace

import numpy as np
import pytest
from takeoff.common.errors import TakeoffError
from takeoff.data.splits import split
from takeoff.experiments.moment.design import Design as Moment
from takeoff.experiments.registry import wanted
from takeoff.experiments.scaling.agreement import scores_by_size
from takeoff.experiments.scaling.design import Design, Options, disjoint_seeds
from takeoff.statistics.agreement import agreement
from takeoff.statistics.fits import beta_profile_interval
from takeoff.study.arms import ClassicalArm, distinct, make_arm, seeds_of
from takeoff.study.planned import planned_arms
from unit.measured import drawn, lose
from unit.scaling_runs import FULL, LAWS, analysed, copied, make_results, make_study


@pytest.fixture
def study(tmp_path):
    return make_study(tmp_path)


def test_sizes_span_a_decade_and_a_half(study, tmp_path):
    assert Design(study, Options()).sizes == [1500, 3000, 6000, 12000, 24000, 48000]
    digits = make_study(tmp_path, name="digits", train_samples="all")
    found = Design(digits, Options()).sizes
    # 1,297 images of ten classes: 50 would be five of each, but span less than a decade and a half.
    assert (found[0], found[-1]) == (40, 1297)
    assert np.log10(found[-1] / found[0]) >= 1.5
    assert np.ptp(np.diff(np.log(found))) < 0.03
    assert Design(digits, Options(smallest_share=0.01)).sizes[0] == 12
    many = make_study(tmp_path, name="cifar10", train_samples="all")
    assert Design(many, Options(smallest_share=0.0001)).sizes[0] == 50
    assert Design(make_study(tmp_path, train_samples=60), Options(smallest_share=0.0834, sizes=3)).sizes[0] == 5


@pytest.mark.parametrize(("name", "full"), [("digits", 1297), ("cifar10", 50_000), ("imagenette", 9469)])
def test_halves_and_quarters_leave_disjoint_draws(tmp_path, name, full):
    study = make_study(tmp_path, name=name, train_samples="all")
    windows = [size - int(0.2 * size) for size in Design(study, Options()).sizes]
    assert [len(disjoint_seeds(range(8), window, full - int(0.2 * full))) for window in windows[2:]] == [8, 4, 2, 1]


@pytest.mark.parametrize(
    ("dataset", "options", "words"),
    [
        ({"train_samples": "all"}, {}, "made-up has is not known beforehand"),
        (
            {"name": "cifar10", "train_samples": "all", "classes": ["cat", "dog"]},
            {},
            "cifar10 has is not known beforehand; valid: dataset.train_samples as a number",
        ),
        ({"train_samples": 60}, {}, "share 0.03125: 1 of 60 images are too few .*; valid: 0.0833 or"),
        ({"train_samples": 40}, {"smallest_share": 0.25, "sizes": 20}, "scaling.sizes 20"),
        ({}, {"widths": [1, 17]}, "scaling.widths: 17"),
    ],
)
def test_what_cannot_be_trained_is_refused(tmp_path, dataset, options, words):
    with pytest.raises(TakeoffError, match=words):
        Design(make_study(tmp_path, **dataset), Options(**options)).arms()


def test_arms_have_equal_steps_and_take_the_choice_of_the_nearest_tuned_size(study):
    found = Design(study, Options()).members
    arms = {member.arm.name: member.arm for member in found}
    assert len(arms) == len(found) == 10 * 6
    assert len(distinct(arms.values())) == len(arms)
    at = Design(study, Options()).sizes
    for member in found:
        tuned = member.size in {at[0], at[3], at[5]}
        assert (member.arm.choice_from is None) == tuned
        # Beyond the study's six seeds only draws that share no image.
        most = {1500: 16, 3000: 16, 6000: 8}.get(member.size, 6)
        assert seeds_of(study, member.arm) == [*range(most if member.kind == "older" else min(most, 8))]
        if not tuned:
            choice_from = arms[str(member.arm.choice_from)]
            assert (choice_from.train_samples or FULL) == {at[1]: at[0], at[2]: at[3], at[4]: at[5]}[member.size]
            assert choice_from.choice_from is None
        if isinstance(member.arm, ClassicalArm):
            assert member.arm.method == member.method
            continue
        assert (member.arm.recipe.epoch_images, member.arm.recipe.keep) == (38_400, "best")
        levels = [member.arm.levels[name] for name in ("activation", "norm", "dropout", "width")]
        assert levels == ["relu", "batch", 0, member.width]
        if not tuned:
            assert choice_from.model_dump()["network"] == member.arm.network.model_dump()
    # At the full size the arm is the study's own, which other experiments share.
    assert "hog-rbf-svm" in arms


def test_draws_may_be_stated_for_every_size(tmp_path):
    study = make_study(tmp_path, seeds=[5, 3], name="cifar10", train_samples=FULL)
    options = Options(sizes=3, smallest_share=1 / 16, draws=(4, 2, 1), classical_draws=3)
    seeds = {(one.kind, one.size): seeds_of(study, one.arm) for one in Design(study, options).members}
    assert seeds["network", 3000] == [5, 3, 0, 1]
    assert (seeds["network", 12_000], seeds["network", FULL]) == ([5, 3], [5])
    assert seeds["older", FULL] == [5, 3]
    with pytest.raises(ValueError, match="4 numbers for 6 sizes; valid: one number, or one for each size"):
        Options(draws=(1, 2, 3, 4))
    # An arm that another experiment wants with the study's seeds has those of both.
    small = make_study(tmp_path, seeds=[5, 3], name="cifar10", train_samples=3000)
    both = {"moment": Moment(small, Moment.Options()), "scaling": Design(small, Options())}
    arms = {arm.name: arm for arm in planned_arms(small, wanted(both))}
    assert arms["hog-linear-svm"].seeds == tuple(range(16))


def test_the_widest_network_is_trained_to_its_plateau(study, tmp_path):
    options = Options(plateau=3)
    longer = [one for one in Design(study, options).members if one.method == "network-2x-3x"]
    assert [one.size for one in longer] == Design(study, options).sizes
    assert {(one.arm.recipe.epochs, one.arm.recipe.keep, one.width) for one in longer} == {(12, "best", 2)}
    assert all("epochs" not in str(one.arm.choice_from or "epochs") for one in longer)
    tables = analysed(study, tmp_path, options)
    plateau = tables["plateau"].set_index("train_samples")
    assert plateau["rising"].tolist() == [False, True, True, True, True, True]
    assert plateau.loc[FULL, "rise"] == pytest.approx(0.1 * FULL**-0.4)
    assert plateau.loc[FULL, "late_rise"] == pytest.approx(plateau.loc[FULL, "validation_accuracy"] / 2)
    # It is no method of its own where orders are compared.
    assert tables["order"].loc[0, "methods"].split(", ") == [*LAWS][:-1]


def test_where_no_network_is_tuned_all_take_the_rate_of_the_factorials_own(study):
    options = Options(tuned=0, draws=2)
    arms = {arm.name: arm for arm in Design(study, options).arms()}
    own = arms["relu+batch"]
    assert own == make_arm(study, {"activation": "relu", "norm": "batch", "dropout": 0}, seeds=(0, 1))
    networks = [member.arm for member in Design(study, options).members if member.kind == "network"]
    assert len(networks) == 3 * 6
    assert {arm.choice_from for arm in networks} == {"relu+batch"}
    assert own.name not in {arm.name for arm in networks}


@pytest.mark.parametrize("size", [100, 200, 250, 500, 1000])
def test_disjoint_draws_are_those_that_share_no_image(size):
    labels = np.repeat(np.arange(10), 100)
    drawn = [set(split(labels, size, 0.2, seed)[0]) for seed in range(8)]
    found = disjoint_seeds(range(8), size - int(0.2 * size), 800)
    shared = [seed for seed in range(8) if any(drawn[seed] & drawn[other] for other in range(seed))]
    assert found == list(range(min(shared, default=8)))
    assert len(found) == {100: 8, 200: 4, 250: 4, 500: 2, 1000: 1}[size]


def test_laws_are_recovered_without_noise(study, tmp_path):
    tables = analysed(study, tmp_path)
    fits = tables["fits"].set_index("method")
    for method, (alpha, beta, gamma) in list(LAWS.items())[:-1]:
        assert fits.loc[method, ["alpha", "beta", "gamma"]].tolist() == pytest.approx([alpha, beta, gamma], rel=1e-3)
    # Nor do draws order methods otherwise; an interval without width is none.
    assert tables["order"].loc[0, "difference"] == 0
    assert np.isnan(tables["order"].loc[0, "error"])
    gains = tables["gains"].set_index(["method", "seed"])["gain"]
    alpha, beta, _ = LAWS["network-2x"]
    fall = alpha * (12_000**-beta - 48_000**-beta)
    assert gains["network-2x", 0] == pytest.approx(fall / 2)
    assert fits.loc[fits["best"], "kind"].to_dict() == {"kmeans-linear-svm": "older", "network-2x": "network"}


def test_differences_by_hand(study, tmp_path):
    tables = analysed(study, tmp_path)
    values = tables["differences"].groupby("quantity")["value"].mean()

    def error(method, size):
        alpha, beta, gamma = LAWS[method]
        return alpha * size**-beta + gamma

    width = {size: error("network-0.5x", size) - error("network-2x", size) for size in (1500, FULL)}
    assert values["width_by_data"] == pytest.approx(width[FULL] - width[1500])
    # HOG is best on few images, k-means on all.
    best = {1500: ("hog-rbf-svm", "network-2x"), FULL: ("kmeans-linear-svm", "network-2x")}
    lead = {size: error(network, size) - error(older, size) for size, (older, network) in best.items()}
    assert values["hand_made_by_data"] == pytest.approx(lead[1500] - lead[FULL])
    assert values["network_minus_older"] == pytest.approx(error("kmeans-linear-svm", FULL) - error("network-2x", FULL))
    rows = tables["differences"].drop_duplicates("quantity").set_index("quantity")
    assert tuple(rows.loc["hand_made_smallest", ["one", "other"]]) == best[1500]


def test_agreement_is_of_the_disjoint_draws_of_a_size(study, tmp_path):
    tables = analysed(study, tmp_path, noise=0.15)
    found = tables["agreement"].set_index("train_samples")
    assert found["n_draws"].tolist() == [16, 16, 8, 4, 2, 1]
    assert found["fewest_draws"].tolist() == [8, 8, 8, 4, 2, 0]
    assert found.loc[FULL, "share"] == 1
    assert np.isnan(found.loc[FULL, "agreement"])
    runs = tables["runs"][tables["runs"]["disjoint"]]
    wide = runs[runs["train_samples"] == 1500].pivot(index="seed", columns="method", values="test_error")
    assert found.loc[1500, "agreement"] == pytest.approx(agreement(wide).estimate().value)


def test_order_is_compared_with_the_largest_size_that_has_eight_draws(study, tmp_path):
    tables = analysed(study, tmp_path, noise=0.15)
    row = tables["order"].iloc[0]
    assert (row["smallest"], row["largest"], row["n_draws"]) == (1500, 6000, 8)
    scores = scores_by_size(tables["runs"], "")
    by_hand = agreement(scores[1500]).less(agreement(scores[6000]))
    assert tuple(row[["difference", "error", "freedom"]]) == pytest.approx(by_hand)
    few = analysed(study, tmp_path, Options(draws=4, classical_draws=4), noise=0.15)["order"].iloc[0]
    assert (few["largest"], few["n_draws"]) == (12_000, 4)


def test_methods_with_too_few_draws_are_left_out(study, tmp_path):
    tables = analysed(study, tmp_path, Options(classical_draws=1, draws=4), noise=0.1)
    found = tables["agreement"].set_index("train_samples")
    assert tuple(found.loc[1500, ["n_draws", "fewest_draws", "n_methods"]]) == (4, 4, 3)
    assert tables["order"].loc[0, "methods"] == "network-0.5x, network-1x, network-2x"


def test_the_full_size_counts_as_one_draw_in_laws(study, tmp_path):
    tables = analysed(study, tmp_path, noise=0.01, error_of=copied)
    runs, fits_ = tables["runs"], tables["fits"].set_index("method")
    assert fits_["note"].str.contains("in the law the largest size counts as one draw").all()
    for method in ("kmeans-linear-svm", "network-1x"):
        own = runs[runs["method"] == method]
        below, full = own[own["train_samples"] < FULL], own[own["train_samples"] == FULL]["test_error"]
        points = [*below["train_samples"], FULL], [*below["test_error"], np.exp(np.log(full).mean())]
        assert tuple(fits_.loc[method, ["beta_low", "beta_high"]]) == pytest.approx(beta_profile_interval(*points))


def test_a_diverged_run_counts_as_chance(study):
    results = make_results(study)
    name = results.runs["arm"].iloc[-1]
    lost = lose(results, name, 0)
    with pytest.raises(TakeoffError, match="without validation_accuracy"):
        Design(study, Options()).analyse(replace(lost, runs=lost.runs.assign(diverged=False)))
    runs = Design(study, Options()).analyse(lost)["runs"]
    row = runs[(runs["arm"] == name) & (runs["seed"] == 0)].iloc[0]
    assert (row["test_error"], row["collapsed"]) == (pytest.approx(0.9), True)


def test_a_missing_arm_is_named(study):
    results = make_results(study)
    name = results.runs["arm"].iloc[0]
    results = replace(results, runs=results.runs[results.runs["arm"] != name])
    with pytest.raises(TakeoffError, match=f"arm {name.replace('+', '.')} has no run"):
        Design(study, Options()).analyse(results)


@pytest.mark.parametrize(("seeds", "options"), [(6, {"plateau": 3}), (1, {"draws": 1, "classical_draws": 1})])
def test_every_figure_is_drawn(tmp_path, seeds, options):
    study, options = make_study(tmp_path, seeds), Options(**options)
    tables = analysed(study, tmp_path, options, noise=0.02)
    figures = drawn(Design(study, options), tables)
    numbers, axes = figures["gains"].numbers, figures["gains"].figure.axes[0]
    points = np.concatenate([np.reshape(one.get_offsets(), (-1, 2)) for one in axes.collections])
    for row, estimate in enumerate(numbers["estimate"]):  # also where one seed leaves no interval
        assert np.isclose(points, (estimate, row)).all(axis=1).any()
    gains = numbers.set_index("method")["estimate"]
    fits = tables["fits"].set_index("method")["gain"]
    assert gains.to_dict() == pytest.approx((100 * fits).to_dict())
