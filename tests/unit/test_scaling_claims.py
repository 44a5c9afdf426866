"""The scaling experiment's verdicts: floors and ceilings, both scales, and what their reasons tell."""

import numpy as np
import pytest
from takeoff.experiments import scaling
from unit.scaling_runs import FULL, analysed, copied, judged, law, make_study


@pytest.fixture
def study(tmp_path):
    return make_study(tmp_path)


@pytest.fixture
def tables(study, tmp_path):
    return analysed(study, tmp_path, noise=0.01)


def test_claims_that_hold_are_supported(study, tables):
    findings, verdicts = judged(study, tables)
    older, network = findings["older-methods-plateau"].parts
    assert older.supports == (-1, 1)
    assert network.supports == (1, np.inf)
    assert verdicts["older-methods-plateau"] == ["supported", "supported"]
    assert verdicts["width-pays-more-with-more-data"] == ["supported"]
    assert verdicts["hand-made-features-matter-with-little-data"] == ["supported"]
    assert verdicts["large-networks-win-with-much-data"] == ["supported"]


def test_order_without_three_disjoint_draws_says_so(study, tmp_path):
    options = scaling.Options(draws=2, classical_draws=2)
    tables = analysed(study, tmp_path, options, noise=0.1)
    findings, _ = judged(study, tables, options)
    finding = findings["order-unsettled-with-little-data"]
    assert finding.parts == ()
    assert "share no image" in finding.reason


def test_shuffled_labels_support_nothing(study, tmp_path):
    luck = {
        "network-2x": 0.003,
        "pixels-linear-svm": -0.003,
        "pixels-rbf-svm": -0.003,
    }  # of one set of test images

    def guess(member, seed, rng, noise):
        return 0.9 - luck.get(member.method, 0) * (member.size / FULL) + noise * rng.normal()

    tables = analysed(study, tmp_path, noise=0.0002, error_of=guess)
    _, verdicts = judged(study, tables)
    assert "supported" not in [verdict for found in verdicts.values() for verdict in found]
    findings, _ = judged(study, tables)
    reasons = [finding.reason for finding in findings.values()]
    assert sum("at chance" in reason for reason in reasons) == 5


def bent(study, folder, errors, options=None):
    """Findings and verdicts where `errors` says what methods err at sizes; else a law holds."""

    def error_of(member, seed, rng, noise):
        for (methods, sizes_), error in errors.items():
            if member.method.startswith(methods) and (sizes_ is None or member.size in sizes_):
                return error + 2e-5 * rng.normal()
        return law(member, seed, rng, noise)

    tables = analysed(study, folder, options, noise=0.002, error_of=error_of)
    return judged(study, tables, options)


@pytest.mark.parametrize(
    ("claim", "errors", "slack", "words"),
    [  # Each would be decided in points, if the cell at the bound counted as any other.
        (
            "width-pays-more-with-more-data",
            {("network", (1500,)): 0.9},
            (np.inf, np.inf),
            "network, width 2× and network, width 0.5× at 1,500 images at chance, so that in points the difference "
            "means nothing",
        ),
        (
            "width-pays-more-with-more-data",
            {("network-0.5x", (1500,)): 0.9, ("network-2x", (1500,)): 0.85},
            (np.inf, 0),
            "network, width 0.5× at 1,500 images at chance, so that in points the difference is at most this",
        ),
        (
            "width-pays-more-with-more-data",
            {("network-0.5x", (1500,)): 0.7, ("network", (FULL,)): 0.0003},
            (np.inf, np.inf),
            "at 48,000 images within two standard errors of perfect",
        ),
        (
            "hand-made-features-matter-with-little-data",
            {(("hog", "pixels"), (1500,)): 0.9},
            (np.inf, np.inf),
            "HOG + linear SVM, HOG + RBF SVM, pixels + linear SVM and pixels + RBF SVM at 1,500 images at chance",
        ),
        (
            "older-methods-plateau",
            {("kmeans", (12_000, FULL)): 0.0003},
            (np.inf, np.inf),
            "k-means + linear SVM at 12,000 images and k-means + linear SVM at 48,000 images within",
        ),
        (
            "large-networks-win-with-much-data",
            {("network", (FULL,)): 0.0001, ("kmeans", (FULL,)): 0.0003},
            (np.inf, np.inf),
            "within two standard errors of perfect, so that in points the difference means nothing",
        ),
    ],
)
def test_a_cell_at_chance_or_near_perfect_leaves_only_a_bound(study, tmp_path, claim, errors, slack, words):
    findings, verdicts = bent(study, tmp_path, errors)
    assert findings[claim].parts[0].slack == slack
    assert verdicts[claim][0] == "undecided"
    assert words in findings[claim].reason


def test_a_bound_that_cannot_change_the_side_leaves_the_verdict(study, tmp_path):
    claim = "large-networks-win-with-much-data"
    findings, verdicts = bent(study, tmp_path, {("network", (FULL,)): 0.9})
    assert (findings[claim].parts[0].slack, verdicts[claim]) == ((np.inf, 0), ["contradicted"])
    findings, verdicts = bent(study, tmp_path, {("network", (FULL,)): 0.0003})
    assert (findings[claim].parts[0].slack, verdicts[claim]) == ((0, np.inf), ["supported"])
    # A method that only guesses has no plateau, whatever the network does.
    findings, verdicts = bent(
        study, tmp_path, {(kind, None): 0.9 for kind in ("kmeans", "hog", "pixels", "fisher")}
    )
    assert verdicts["older-methods-plateau"] == ["undecided", "supported"]


def test_an_order_of_methods_at_chance_is_luck(study, tmp_path):
    claim = "order-unsettled-with-little-data"
    all_methods = ("network", "hog", "pixels", "kmeans", "fisher")
    findings, verdicts = bent(study, tmp_path, {(all_methods, (1500,)): 0.9})
    assert findings[claim].parts[0].slack == (0, np.inf)
    assert verdicts[claim] == ["undecided"]
    assert "at 1,500 images at chance, so that their order there is luck" in findings[claim].reason
    # One such method has its rank.
    findings, _ = bent(study, tmp_path, {("kmeans", (1500,)): 0.9})
    assert findings[claim].parts[0].slack == (0, 0)


def test_differences_stand_in_log_odds_too(study, tmp_path):
    """Errors that halve whatever the width: nothing in log-odds, nearly, but points shrink."""
    error = {
        1500: {"network-0.5x": 0.5, "network-2x": 0.25},
        FULL: {"network-0.5x": 0.05, "network-2x": 0.0172414},
    }

    def halves(member, seed, rng, noise):
        known = error.get(member.size, {}).get(member.method)
        odds = None if known is None else np.log(known / (1 - known)) + 0.01 * rng.normal()
        return law(member, seed, rng, noise) if odds is None else 1 / (1 + np.exp(-odds))

    tables = analysed(study, tmp_path, noise=0.01, error_of=halves)
    means = tables["differences"].groupby("quantity")[["value", "log_odds"]].mean()
    assert means.loc["width_smallest"].tolist() == pytest.approx([0.25, np.log(3)], abs=0.02)
    assert means.loc["width_by_data"].tolist() == pytest.approx([-0.217, 0], abs=0.02)
    findings, verdicts = judged(study, tables)
    width = "width-pays-more-with-more-data"
    assert verdicts[width] == ["contradicted"]
    assert "in log-odds" in findings[width].reason
    assert "the scales disagree about its side of 0" in findings[width].reason
    assert "the scales disagree" not in findings["large-networks-win-with-much-data"].reason
    drawn = {name: numbers for name, _, numbers in scaling.draw(study, scaling.Options(), tables)}
    shown = drawn["differences"].set_index("quantity")
    assert shown["log_odds"].to_dict() == pytest.approx(means["log_odds"].to_dict())
    assert (shown["log_odds_low"] < shown["log_odds_high"]).all()


def test_what_an_interval_over_the_same_images_leaves_out_is_said(study, tmp_path):
    findings, _ = judged(study, analysed(study, tmp_path, noise=0.01, error_of=copied))
    reasons = {name: finding.reason for name, finding in findings.items()}
    said = "at the full size every seed sees the same images: the interval holds"
    winners = reasons.pop("large-networks-win-with-much-data")
    assert f"{said} optimisation noise only, not sampling noise" in winners
    assert "the same in every seed there: k-means + linear SVM" in winners
    assert said not in reasons.pop("order-unsettled-with-little-data")
    for reason in reasons.values():
        assert f"{said}, of that size, optimisation noise only, not sampling noise" in reason
    assert "every seed there" not in reasons["width-pays-more-with-more-data"]
    assert (
        "there: HOG + linear SVM, HOG + RBF SVM, pixels"
        in reasons["hand-made-features-matter-with-little-data"]
    )


@pytest.mark.parametrize(
    ("images", "words"), [(12_000, ""), (24_000, "seeds share images: the interval holds a part")]
)
def test_a_part_of_the_images_is_another_in_every_seed(tmp_path, images, words):
    study = make_study(tmp_path, train_samples=images)
    tables = analysed(study, tmp_path, noise=0.01)
    findings, _ = judged(study, tables)
    reason = findings["large-networks-win-with-much-data"].reason
    assert "the same images" not in reason
    assert words in reason
    assert ("sampling noise" in reason) == bool(words)
    assert not tables["fits"]["note"].str.contains("one draw").any()


def test_sizes_that_borrow_their_settings_are_told(study, tmp_path):
    options = scaling.Options(tuned=1)
    tables = analysed(study, tmp_path, options, noise=0.01)
    reasons = {name: finding.reason for name, finding in judged(study, tables, options)[0].items()}
    lent = "networks are tuned at the full size alone, and take that setting at"
    assert f"{lent} 1,500 images" in reasons["width-pays-more-with-more-data"]
    assert f"{lent} 12,000 images" in reasons["older-methods-plateau"]
    assert f"{lent} 1,500 and 12,000 images" in reasons["order-unsettled-with-little-data"]
    assert "tuned" not in reasons["large-networks-win-with-much-data"]
    assert "tuned" not in reasons["hand-made-features-matter-with-little-data"]
    none = scaling.Options(tuned=0)
    reasons = {
        name: finding.reason
        for name, finding in judged(study, analysed(study, tmp_path, none, noise=0.01), none)[0].items()
    }
    lent = "networks take the rate tuned for the one of width 1× on all images"
    assert lent in reasons["width-pays-more-with-more-data"]
    assert lent in reasons["large-networks-win-with-much-data"]
    assert lent not in reasons["hand-made-features-matter-with-little-data"]
    both = scaling.Options(tuned=2, classical_tuned=2)
    reason = judged(study, analysed(study, tmp_path, both, noise=0.01), both)[0][
        "older-methods-plateau"
    ].reason
    assert (
        "older methods and networks are tuned at 1,500 and 48,000 images alone, and take the nearest"
        in reason
    )
