"""The scaling experiment's sizes, arms, tables and figures, from made-up runs whose answers are known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from takeoff.common.errors import TakeoffError
from takeoff.data.splits import split
from takeoff.experiments.scaling.agreement import disjoint_seeds, order_table
from takeoff.experiments.scaling.design import Design, Options, choosing_places
from takeoff.statistics.agreement import jackknife_interval, kendall_w, mean_rank_correlation
from takeoff.statistics.fits import beta_profile_interval
from takeoff.study.arms import ClassicalArm, distinct, make_arm, seeds_of
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
    assert found[0] == 40
    assert found[-1] == 1297
    assert np.log10(found[-1] / found[0]) >= 1.5
    assert np.ptp(np.diff(np.log(found))) < 0.03
    small = Design(digits, Options(smallest_share=0.01)).sizes
    assert small[0] == 12
    many = make_study(tmp_path, name="cifar10", train_samples="all")
    assert Design(many, Options(smallest_share=0.0001)).sizes[0] == 50
    assert Design(many, Options(smallest_share=0.1)).sizes[0] == 5000


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
        ({"train_samples": 60}, {}, "scaling.smallest_share 0.03125: 1 of 60 images"),
        ({"train_samples": 40}, {"smallest_share": 0.25, "sizes": 20}, "scaling.sizes 20"),
        ({}, {"widths": [1, 17]}, "scaling.widths: 17"),
    ],
)
def test_what_cannot_be_trained_is_refused(tmp_path, dataset, options, words):
    with pytest.raises(TakeoffError, match=words):
        Design(make_study(tmp_path, **dataset), Options(**options)).arms()


def test_the_least_share_that_an_error_names_is_enough(tmp_path):
    study = make_study(tmp_path, train_samples=60)
    with pytest.raises(TakeoffError) as error:
        Design(study, Options()).arms()
    share = float(str(error.value).split("valid: ")[1].split()[0])
    assert Design(study, Options(smallest_share=share + 0.001, sizes=3)).sizes[0] == 5


def test_arms_have_equal_steps_and_take_the_choice_of_the_nearest_tuned_size(study):
    found = Design(study, Options()).members
    arms = {member.arm.name: member.arm for member in found}
    assert len(arms) == len(found) == 10 * 6
    assert len(distinct(arms.values())) == len(arms)
    at = Design(study, Options()).sizes
    for member in found:
        tuned = member.size in {at[0], at[3], at[5]}
        assert (member.arm.choice_from is None) == tuned
        assert seeds_of(study, member.arm) == [0, 1, 2, 3]
        if not tuned:
            choice_from = arms[str(member.arm.choice_from)]
            assert (choice_from.train_samples or FULL) == {at[1]: at[0], at[2]: at[3], at[4]: at[5]}[member.size]
            assert choice_from.choice_from is None
        if isinstance(member.arm, ClassicalArm):
            assert member.arm.method == member.method
            continue
        assert member.arm.recipe.epoch_images == 38_400
        assert member.arm.recipe.keep == "best"
        assert (member.arm.network.activation, member.arm.network.norm) == ("relu", "batch")
        assert member.arm.network.dropout == 0
        assert member.arm.network.width == member.width
        if not tuned:
            assert choice_from.model_dump()["network"] == member.arm.network.model_dump()
    # At the full size the arm is the study's own, which other experiments share.
    assert "hog-rbf-svm" in arms


def test_where_no_network_is_tuned_all_take_the_rate_of_the_factorials_own(study):
    options = Options(tuned=0, draws=2)
    arms = {arm.name: arm for arm in Design(study, options).arms()}
    own = arms["relu+batch"]
    assert own == make_arm(study, {"activation": "relu", "norm": "batch", "dropout": 0}, seeds=(0, 1))
    assert own.choice_from is None
    networks = [member.arm for member in Design(study, options).members if member.kind == "network"]
    assert len(networks) == 3 * 6
    assert {arm.choice_from for arm in networks} == {"relu+batch"}
    assert own.name not in {arm.name for arm in networks}


def test_whose_choice_sizes_take_where_fewer_are_tuned():
    at = [100, 200, 400, 800, 1600]
    assert choosing_places(at, 1) == [4, 4, 4, 4, 4]
    assert choosing_places(at, 2) == [0, 0, 4, 4, 4]
    assert choosing_places(at, 3) == [0, 2, 2, 4, 4]


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
    for method, (alpha, beta, gamma) in LAWS.items():
        assert fits.loc[method, ["alpha", "beta", "gamma"]].tolist() == pytest.approx([alpha, beta, gamma], rel=1e-3)
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
    hog = {
        size: np.mean([error(f"pixels-{s}", size) - error(f"hog-{s}", size) for s in ("linear-svm", "rbf-svm")])
        for size in (1500, FULL)
    }
    assert values["hog_by_data"] == pytest.approx(hog[1500] - hog[FULL])
    assert values["network_minus_older"] == pytest.approx(error("kmeans-linear-svm", FULL) - error("network-2x", FULL))


def test_agreement_is_of_the_disjoint_draws_of_a_size(study, tmp_path):
    tables = analysed(study, tmp_path, noise=0.15)
    agreement = tables["agreement"].set_index("train_samples")
    assert agreement["n_draws"].tolist() == [4, 4, 4, 4, 2, 1]
    assert agreement.loc[FULL, "share"] == 1
    assert np.isnan(agreement.loc[FULL, "agreement"])
    runs = tables["runs"]
    for size in (1500, 24_000):
        chosen = runs[(runs["train_samples"] == size) & runs["disjoint"]]
        wide = chosen.pivot(index="seed", columns="method", values="test_error").to_numpy()
        assert agreement.loc[size, "agreement"] == pytest.approx(mean_rank_correlation(wide))
        assert agreement.loc[size, "kendall_w"] == pytest.approx(kendall_w(wide))


def test_order_is_compared_over_the_same_disjoint_draws(study, tmp_path):
    tables = analysed(study, tmp_path, noise=0.15)
    row, runs = tables["order"].iloc[0], tables["runs"]
    assert (row["smallest"], row["largest"], row["n_draws"], row["n_methods"]) == (1500, 12_000, 4, 10)
    both = [
        runs[runs["train_samples"] == size].pivot(index="seed", columns="method", values="test_error").to_numpy()
        for size in (1500, 12_000)
    ]
    lost = jackknife_interval(
        lambda draws: mean_rank_correlation(draws[:, 0]) - mean_rank_correlation(draws[:, 1]), np.stack(both, axis=1)
    )
    assert row["difference"] == pytest.approx(lost.estimate)
    assert row["error"] * stats.t.ppf(0.975, 3) == pytest.approx(lost.high - lost.estimate)


def test_methods_with_too_few_draws_are_left_out_and_named(study, tmp_path):
    tables = analysed(study, tmp_path, Options(classical_draws=2), noise=0.1)
    agreement = tables["agreement"].set_index("train_samples")
    assert agreement.loc[1500, "n_draws"] == 4
    assert agreement.loc[1500, "n_methods"] == 3
    assert agreement.loc[1500, "left_out"].split(", ") == sorted(m for m in LAWS if "network" not in m)
    three = analysed(study, tmp_path, Options(classical_draws=3), noise=0.1)["agreement"]
    assert three["n_draws"].tolist() == [3, 3, 3, 3, 2, 1]
    assert three["left_out"].isna().all()


def test_an_interval_without_width_is_none():
    runs = pd.DataFrame(
        [
            {"method": m, "train_samples": n, "seed": s, "test_error": e + (n < 20) * swap * s % 2, "disjoint": True}
            for n in (10, 20)
            for s in range(3)
            for m, e, swap in (("a", 0.1, 0), ("b", 0.2, 0), ("c", 0.3, 0))
        ]
    )
    row = order_table(runs).iloc[0]
    assert row["difference"] == 0
    assert np.isnan(row["error"])


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


@pytest.mark.parametrize("seeds", [6, 1])
def test_every_figure_is_drawn(tmp_path, seeds):
    study = make_study(tmp_path, seeds)
    tables = analysed(study, tmp_path, noise=0.02)
    figures = drawn(Design(study, Options()), tables)
    numbers, axes = figures["gains"].numbers, figures["gains"].figure.axes[0]
    points = np.concatenate([np.reshape(one.get_offsets(), (-1, 2)) for one in axes.collections])
    for row, estimate in enumerate(numbers["estimate"]):  # also where one seed leaves no interval
        assert np.isclose(points, (estimate, row)).all(axis=1).any()
    gains = numbers.set_index("method")["estimate"]
    fits = tables["fits"].set_index("method")["gain"]
    assert gains.to_dict() == pytest.approx((100 * fits).to_dict())
