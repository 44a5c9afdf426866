"""The scaling experiment's verdicts: floors and ceilings, both scales, and what their reasons tell."""

import numpy as np
import pytest
from takeoff.experiments.scaling.design import Design, Options
from takeoff.study.choices import STOPPED
from unit.scaling_runs import FULL, analysed, copied, judged, law, make_study, reasons_of

WIDTH, PLATEAU = "width-pays-more-with-more-data", "older-methods-plateau"
LARGE, ORDER = "large-networks-win-with-much-data", "order-unsettled-with-little-data"
HAND_MADE = "hand-made-features-matter-with-little-data"


@pytest.fixture
def study(tmp_path):
    return make_study(tmp_path)


@pytest.fixture
def tables(study, tmp_path):
    return analysed(study, tmp_path, noise=0.01)


def test_claims_that_hold_are_supported(study, tables):
    measured, verdicts = judged(study, tables)
    gains = tables["gains"].groupby("method")["gain"].mean()
    plateau = measured[PLATEAU]
    assert plateau["older"].estimate == pytest.approx(100 * gains["kmeans-linear-svm"])
    assert plateau["network"].estimate == pytest.approx(100 * gains["network-2x"])
    assert verdicts[PLATEAU] == ["supported", "supported"]
    assert verdicts[WIDTH] == verdicts[HAND_MADE] == ["supported", "supported"]
    assert verdicts[LARGE] == ["supported"]


@pytest.mark.parametrize(
    ("given", "claim", "words"),
    [
        ({"draws": 2, "classical_draws": 2}, ORDER, "share no image"),
        ({"methods": ["pixels-linear-svm", "pixels-rbf-svm"]}, HAND_MADE, "scaling.methods"),
    ],
)
def test_what_cannot_be_compared_says_why(study, tmp_path, given, claim, words):
    options = Options(**given)
    measured, verdicts = judged(study, analysed(study, tmp_path, options, noise=0.1), options)
    assert verdicts[claim] == []
    assert words in measured[claim][""].reason


def test_networks_that_go_on_learning_are_not_judged(study, tmp_path):
    options, errors = Options(plateau=3), {("network-2x-3x", (FULL,)): 0.45, ("network", (FULL,)): 0.5}
    measured, verdicts = bent(study, tmp_path, errors, options)
    assert (measured[LARGE]["lead"].veto, verdicts[LARGE]) == ("any", ["undecided"])
    assert "longer training brings 5.0 points of validation accuracy" in measured[LARGE]["lead"].reason
    measured, verdicts = bent(study, tmp_path, {("network", (FULL,)): 0.5}, options)
    assert (measured[LARGE]["lead"].veto, verdicts[LARGE]) == ("", ["contradicted"])


def test_shuffled_labels_support_nothing(study, tmp_path):
    luck = {"network-2x": 0.003, "pixels-linear-svm": -0.003, "pixels-rbf-svm": -0.003}  # of one set of test images

    def guess(member, seed, rng, noise):
        return 0.9 - luck.get(member.method, 0) * (member.size / FULL) + noise * rng.normal()

    tables = analysed(study, tmp_path, noise=0.0002, error_of=guess)
    measured, verdicts = judged(study, tables)
    assert "supported" not in [verdict for found in verdicts.values() for verdict in found]
    assert sum("at chance" in reason for reason in reasons_of(measured).values()) == 5


def bent(study, folder, errors, options=None):
    """Measures and verdicts where `errors` says what methods err at sizes; else a law holds."""

    def error_of(member, seed, rng, noise):
        for (methods, sizes_), error in errors.items():
            if member.method.startswith(methods) and (sizes_ is None or member.size in sizes_):
                return error + 2e-5 * rng.normal()
        return law(member, seed, rng, noise)

    tables = analysed(study, folder, options, noise=0.002, error_of=error_of)
    return judged(study, tables, options)


CHANCE, PERFECT = "at chance", "within two standard errors of perfect"


@pytest.mark.parametrize(
    ("claim", "errors", "bound", "words"),
    [  # Each would be decided in points, if the cell at the bound counted as any other.
        (WIDTH, {("network", (1500,)): 0.9}, None, f"2× and network, width 0.5× at 1,500 images {CHANCE}"),
        (
            WIDTH,
            {("network-0.5x", (1500,)): 0.9, ("network-2x", (1500,)): 0.85},
            (np.inf, 0),
            f"network, width 0.5× at 1,500 images {CHANCE}",
        ),
        (WIDTH, {("network-0.5x", (1500,)): 0.7, ("network", (FULL,)): 0.0003}, None, f"at 48,000 images {PERFECT}"),
        (HAND_MADE, {(("hog", "kmeans", "fisher", "net"), (1500,)): 0.9}, None, f"at 1,500 images {CHANCE}"),
        (PLATEAU, {("kmeans", (12_000, FULL)): 0.0003}, None, f"k-means + linear SVM at 12,000 images {PERFECT}"),
        (LARGE, {("network", (FULL,)): 0.0001, ("kmeans", (FULL,)): 0.0003}, None, PERFECT),
    ],
)
def test_a_cell_at_chance_or_near_perfect_leaves_only_a_bound(study, tmp_path, claim, errors, bound, words):
    measured, verdicts = bent(study, tmp_path, errors)
    one = next(iter(measured[claim].values()))
    # Bounded on no side there is no verdict, but the interval stays.
    assert (one.veto, one.bound) == (("any", (0, 0)) if bound is None else ("", bound))
    assert np.isfinite([one.estimate, one.error]).all()
    assert verdicts[claim][0] == "undecided"
    assert words in one.reason


def test_a_bound_that_cannot_change_the_side_leaves_the_verdict(study, tmp_path):
    for error, bound, verdict in ((0.9, (np.inf, 0), "contradicted"), (0.0003, (0, np.inf), "supported")):
        measured, verdicts = bent(study, tmp_path, {("network", (FULL,)): error})
        assert (measured[LARGE]["lead"].bound, verdicts[LARGE]) == (bound, [verdict])
    # A method that only guesses has no plateau, whatever the network does.
    older = ("kmeans", "hog", "pixels", "fisher")
    _, verdicts = bent(study, tmp_path, {(kind, None): 0.9 for kind in older})
    assert verdicts[PLATEAU] == ["undecided", "supported"]


def test_an_order_of_methods_at_chance_is_luck(study, tmp_path):
    all_methods = ("network", "hog", "pixels", "kmeans", "fisher")
    measured, verdicts = bent(study, tmp_path, {(all_methods, (1500,)): 0.9})
    order = measured[ORDER]["difference"]
    assert (order.bound, order.veto, order.most) == ((0, np.inf), "", 2)
    assert verdicts[ORDER] == ["undecided"]
    assert "at 1,500 images at chance, so that their order there is luck" in order.reason
    # One such method has its rank.
    measured, _ = bent(study, tmp_path, {("kmeans", (1500,)): 0.9})
    assert measured[ORDER]["difference"].bound == (0, 0)
    # Luck at both ends says nothing of the difference.
    measured, _ = bent(study, tmp_path, {(all_methods, (1500, 6000)): 0.9})
    assert (measured[ORDER]["difference"].bound, measured[ORDER]["difference"].veto) == ((0, 0), "any")


def test_differences_stand_in_log_odds_too(study, tmp_path):
    """Errors that halve whatever the width: nothing in log-odds, nearly, but points shrink."""
    error = {1500: {"network-0.5x": 0.5, "network-2x": 0.25}, FULL: {"network-0.5x": 0.05, "network-2x": 0.0172414}}

    def halves(member, seed, rng, noise):
        known = error.get(member.size, {}).get(member.method)
        odds = None if known is None else np.log(known / (1 - known)) + 0.01 * rng.normal()
        return law(member, seed, rng, noise) if odds is None else 1 / (1 + np.exp(-odds))

    tables = analysed(study, tmp_path, noise=0.01, error_of=halves)
    means = tables["differences"].groupby("quantity")[["value", "log_odds"]].mean()
    assert means.loc["width_smallest"].tolist() == pytest.approx([0.25, np.log(3)], abs=0.02)
    assert means.loc["width_by_data"].tolist() == pytest.approx([-0.217, 0], abs=0.02)
    measured, verdicts = judged(study, tables)
    assert measured[WIDTH]["points"].estimate == pytest.approx(100 * means.loc["width_by_data", "value"])
    assert verdicts[WIDTH] == ["undecided", "undecided"]  # points alone do not contradict
    drawn = {name: numbers for name, _, numbers in Design(study, Options()).draw(tables, {})}
    shown = drawn["differences"].set_index(["unit", "quantity"])["estimate"]
    assert shown["log-odds"].to_dict() == pytest.approx(means["log_odds"].to_dict())
    assert shown["points"].to_dict() == pytest.approx((100 * means["value"]).to_dict())


def test_what_an_interval_over_the_same_images_leaves_out_is_said(study, tmp_path):
    tables = analysed(study, tmp_path, noise=0.01, error_of=copied)
    tables["runs"]["notes"] = np.where(tables["runs"]["method"].str.startswith("kmeans"), f"far; {STOPPED}", "")
    reasons = reasons_of(judged(study, tables)[0])
    assert f"k-means + linear SVM at 48,000 images {STOPPED}" in reasons[LARGE]
    said = "of that size the interval holds optimisation noise only, not sampling noise"
    assert said not in reasons.pop(ORDER)
    assert all(said in reason for reason in reasons.values())


@pytest.mark.parametrize(("images", "apart"), [(12_000, True), (24_000, False)])
def test_a_part_of_the_images_is_another_in_every_seed(tmp_path, images, apart):
    study, options = make_study(tmp_path, train_samples=images), Options(draws=4, classical_draws=4)
    tables = analysed(study, tmp_path, options, noise=0.01)
    reason = reasons_of(judged(study, tables, options)[0])[LARGE]
    assert "the same images" not in reason
    assert ("seeds share images: the interval holds part of the sampling noise" in reason) != apart
    assert not tables["fits"]["note"].str.contains("one draw").any()


@pytest.mark.parametrize(
    ("options", "said", "where"),
    [  # Sizes compared: 1,500 and 48,000; of the plateau 12,000, of the order 6,000.
        ({"tuned": 1}, "networks are tuned at 48,000 images", "width plateau order hand"),
        ({"tuned": 2, "classical_tuned": 2}, "networks are tuned at 1,500 and 48,000 images", "plateau order"),
        ({"tuned": 2, "classical_tuned": 2}, "older methods are tuned at 1,500 and 48,000 images", "plateau order"),
        ({"tuned": 0}, "networks take the learning rate tuned for width 1×", "width plateau order hand lead"),
        ({}, "tuned", "order"),
    ],
)
def test_what_takes_its_settings_from_elsewhere_is_named(study, tmp_path, options, said, where):
    options = Options(**options)
    reasons = reasons_of(judged(study, analysed(study, tmp_path, options, noise=0.01), options)[0])
    names = {"width": WIDTH, "plateau": PLATEAU, "order": ORDER, "hand": HAND_MADE, "lead": LARGE}
    assert {name for name, claim in names.items() if said in reasons[claim]} == set(where.split())
