"""The older methods: features and learners against scikit-image, scikit-learn and formulas."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from skimage.feature import fisher_vector, hog, learn_gmm
from skimage.measure import block_reduce
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from takeoff.classical import fisher, gradients, kmeans, learners
from takeoff.classical.features import FITTED, FIXED, Workshop, fit_reduction, pixels
from takeoff.classical.learners import fit, hits, select, settings
from takeoff.data.card import Card
from takeoff.data.prepared import Prepared
from takeoff.study.arms import Features, Learner
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """As the command does: small products on several threads wait for each other."""
    with threadpool_limits(1):
        yield


def photographs(number: int, side: int, channels: int = 3) -> np.ndarray:
    """Noise with edges in it."""
    generator = np.random.default_rng(side)
    images = generator.integers(0, 120, (number, side, side, channels))
    images[:, side // 3 :] += 70
    images[:, :, side // 2 :, :1] += 60
    return images.astype(np.uint8)


def handwriting(samples: int = 1797) -> Prepared:
    """Scikit-learn's digits, 1,437 to train on and 360 to be tested on, as usual."""
    digits = load_digits()
    images = (digits.images * 255 / 16).round().astype(np.uint8)[..., None]
    train = np.arange(len(images)) % 5 != 4
    return Prepared(
        images[train][:samples],
        digits.target[train][:samples].astype(np.int64),
        images[~train],
        digits.target[~train].astype(np.int64),
        card=Card(classes=[*"0123456789"], digest="digits"),
        validation_fraction=0.2,
    )


@pytest.mark.parametrize(("side", "channels"), [(8, 1), (32, 3), (33, 3), (64, 3)])
def test_hog_is_that_of_scikit_image(side: int, channels: int) -> None:
    images = photographs(3, side, channels)
    cell = gradients.hog_cell(side)
    expected = [hog(image, pixels_per_cell=(cell, cell), cells_per_block=(2, 2), channel_axis=-1) for image in images]
    np.testing.assert_allclose(gradients.hog(images), expected, atol=1e-5)


def test_a_blank_image_has_no_gradients() -> None:
    assert not gradients.hog(np.full((1, 32, 32, 3), 7, np.uint8)).any()


def test_pixels_of_large_images_are_local_means() -> None:
    images = photographs(2, 64)
    expected = block_reduce(images.astype(float), (1, 2, 2, 1), np.mean) / 255
    np.testing.assert_allclose(pixels(images), expected.reshape(2, -1), atol=1e-5)
    np.testing.assert_allclose(pixels(images[:, :8, :8]), images[:, :8, :8].reshape(2, -1) / 255, atol=1e-6)


def test_triangle_activation_by_hand() -> None:
    centres = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]], np.float32)
    # Distances from the origin: 0, 5 and 1, on average 2.
    np.testing.assert_allclose(kmeans.triangle(np.zeros((1, 2), np.float32), centres), [[2, 0, 1]], atol=1e-6)


def test_quadrants_are_summed() -> None:
    grid = np.arange(9.0).reshape(1, 3, 3, 1)
    np.testing.assert_array_equal(kmeans.pooled(grid), [[0, 1 + 2, 3 + 6, 4 + 5 + 7 + 8]])


def test_contrast_is_normalised() -> None:
    patches = photographs(20, 6).reshape(20, -1).astype(np.float32)
    found = kmeans.contrast_normalised(patches)
    expected = (patches - patches.mean(1, keepdims=True)) / np.sqrt(patches.var(1, ddof=1, keepdims=True) + 10)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_fisher_vectors_are_those_of_scikit_image() -> None:
    generator = np.random.default_rng(0)
    descriptors = generator.normal(size=(5, 40, 6)) + generator.integers(0, 3, (5, 40, 1))
    mixture = learn_gmm(list(descriptors), n_modes=4, gm_args={"covariance_type": "diag", "random_state": 0})
    found = fisher.fisher_vectors(descriptors, mixture)
    np.testing.assert_allclose(found, [fisher_vector(image, mixture) for image in descriptors], atol=1e-9)
    expected = [fisher_vector(image, mixture, improved=True) for image in descriptors]
    np.testing.assert_allclose(fisher.improved(found), expected, atol=1e-9)


def test_descriptors_are_hog_blocks_and_colours_of_their_quarters() -> None:
    images = photographs(2, 32)
    found, colours, positions = fisher.describe(images)
    expected = hog(images[1], pixels_per_cell=(2, 2), cells_per_block=(4, 4), channel_axis=-1, feature_vector=False)
    np.testing.assert_allclose(found[1, :169], expected.reshape(169, -1), atol=1e-5)
    # The second descriptor covers rows 0–8 and columns 2–10; its last quarter is rows 4–8, columns 6–10.
    quarter = images[1, 4:8, 6:10].reshape(-1, 3)
    np.testing.assert_allclose(colours[1, 1, -6:], [*quarter.mean(0), *quarter.std(0)], rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(positions[1], [4 / 32 - 0.5, 6 / 32 - 0.5])
    assert len(positions) == found.shape[1] == colours.shape[1] == 169 + 49 + 25


@pytest.mark.parametrize("name", [*FIXED, *FITTED])
@pytest.mark.parametrize(("side", "channels"), [(8, 1), (32, 3), (64, 3)])
def test_few_images_of_any_size_have_features(name: str, side: int, channels: int) -> None:
    images = photographs(4, side, channels)
    encode = FIXED.get(name) or FITTED[name](images, np.random.default_rng(0))[0]
    found = encode(images)
    assert found.dtype == np.float32
    assert len(found) == 4
    assert np.isfinite(found).all()
    # An image's features do not depend on those beside it.
    np.testing.assert_allclose(encode(images[2:3]), found[2:3], atol=1e-3)


def test_what_few_images_cannot_give_is_made_smaller_and_said() -> None:
    images = photographs(1, 8, 1)
    assert kmeans.geometry(32, large=True) == (32, 6, 1, 1600)  # as Coates 2011
    assert "36 of 128 centroids" in kmeans.fit_kmeans(images, np.random.default_rng(0))[1][0]
    assert "2 modes" in fisher.fit_fisher(images, np.random.default_rng(0))[1][0]
    features = np.random.default_rng(0).normal(size=(9, 1000)).astype(np.float32)
    reduce, notes = fit_reduction(features, each=False)
    assert reduce(features).shape == (9, 8)
    assert "8 principal axes of 1000 features" in notes[0]


@pytest.mark.parametrize("images", [60, 600])
def test_reduction_keeps_distances_up_to_a_scale(images: int) -> None:
    features = np.random.default_rng(0).normal(size=(images, 500)) * np.linspace(1, 9, 500)
    reduced = fit_reduction(features, each=False)[0](features)
    ratio = np.linalg.norm(reduced[0] - reduced[1:], axis=1) / np.linalg.norm(features[0] - features[1:], axis=1)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)
    assert reduced.var(axis=0).sum() == pytest.approx(1, rel=1e-3)
    assert (np.diff(reduced.var(axis=0)) < 1e-6).all()


def test_mirrored_copies_are_learned_from() -> None:
    data = handwriting(100)
    plain, both = (Workshop(data, mirrored).features("pixels", None, 0, final=False) for mirrored in (False, True))
    assert both.train_labels.tolist() == 2 * plain.train_labels.tolist()
    # Pixels are only rotated, so that an image is as far from its copy as in pixels, up to a scale.
    shown = data.images[data.split(None, 0)[0]].astype(float)
    apart = np.linalg.norm((shown - shown[:, :, ::-1]).reshape(80, -1), axis=1)
    ratio = np.linalg.norm(both.train[:80] - both.train[80:], axis=1) / apart
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-3)


@pytest.mark.parametrize("strength", [1e1, 1e3])
def test_linear_learners_are_those_of_scikit_learn(strength: float) -> None:
    found = Workshop(handwriting(400)).features("hog", None, 0, final=True)
    c = strength / len(found.train)
    svm = LinearSVC(C=c, dual=False, tol=1e-8, intercept_scaling=100).fit(found.train, found.train_labels)
    regression = LogisticRegression(C=c, max_iter=1000).fit(found.train, found.train_labels)
    for learner, expected in (("linear-svm", svm), ("logistic", regression)):
        fitted = fit(learner, {"strength": strength}, found.train, found.train_labels, 10, state=0)
        assert not fitted.notes
        scores = fitted.scores(found.test)
        scores -= scores.mean(axis=1, keepdims=True) * (learner == "logistic")
        np.testing.assert_allclose(scores, expected.decision_function(found.test), atol=0.01 * scores.std())


@pytest.mark.parametrize(
    ("features", "learner", "least"),
    [
        ("pixels", "rbf-svm", 0.98),
        ("pixels", "logistic", 0.95),
        ("pixels", "linear-svm", 0.93),
        ("hog", "linear-svm", 0.93),
        ("kmeans", "linear-svm", 0.95),
        ("fisher", "linear-svm", 0.93),
    ],
)
def test_digits_are_read(features: Features, learner: Learner, least: float) -> None:
    data = handwriting()
    found = Workshop(data).features(features, None, seed=0, final=True)
    assert found.test is not None
    setting = {"C": 10.0, "gamma": 1.0} if learner == "rbf-svm" else {"strength": 1e4}
    fitted = fit(learner, setting, found.train, found.train_labels, 10, state=0)
    first, five = hits(fitted.scores(found.test), data.test_labels)
    assert first.mean() >= least
    assert five.mean() >= first.mean()
    assert five.mean() > 0.99


def test_features_do_not_depend_on_images_held_out() -> None:
    data = handwriting(200)
    training, validation = data.split(None, 3)
    changed = np.array(data.images)
    changed[validation] = 255 - changed[validation]
    other = replace(data, images=changed)
    for name in ("pixels", "kmeans", "fisher"):
        one = Workshop(data).features(name, None, 3, final=False)
        two = Workshop(other).features(name, None, 3, final=False)
        np.testing.assert_array_equal(one.train, two.train)
        assert not np.array_equal(one.validation, two.validation)
        assert one.test is None
        assert len(one.train) == len(training)


def test_what_is_approximated_or_stopped_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learners, "SPAN", 100)
    found = Workshop(handwriting(500)).features("pixels", None, seed=0, final=False)
    fitted = fit("rbf-svm", {"C": 10.0, "gamma": 1.0}, found.train, found.train_labels, 10, state=0)
    assert "a kernel of 100 of 400 images" in fitted.notes[0]
    assert fitted.parameters == 10 * 101
    first, _ = hits(fitted.scores(found.validation), found.validation_labels)
    assert first.mean() > 0.9
    monkeypatch.setattr(learners, "ITERATIONS", 2)
    fitted = fit("logistic", {"strength": 1e5}, found.train, found.train_labels, 10, state=0)
    assert fitted.notes == ["stopped before it converged"]


@pytest.mark.parametrize("learner", list(learners.GRIDS))
def test_classes_never_seen_are_never_named(learner: Learner) -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(12, 3)).astype(np.float32)
    for labels in (np.repeat([2, 5], 6), np.repeat([1, 2, 7], 4), np.full(12, 4)):
        scores = fit(learner, settings(learner)[0], features, labels, 10, state=0).scores(features)
        assert scores.shape == (12, 10)
        assert set(np.flatnonzero(np.isfinite(scores).all(axis=0))) == set(labels)


def test_hits_by_hand() -> None:
    scores = np.array([[0, 1, 2, 3, 4, 5, 6.0], [6, 5, 4, 3, 2, 1, 0]])
    first, five = hits(scores, np.array([6, 5]))
    assert first.tolist() == [True, False]
    assert five.tolist() == [True, False]
    assert hits(scores, np.array([2, 4]))[1].tolist() == [True, True]


def test_the_best_setting_is_chosen_and_of_equals_the_most_regularised() -> None:
    def chosen(*accuracies: float) -> tuple[float, bool, bool]:
        runs = [
            {"setting": setting, "seed": seed, "validation_accuracy": accuracy}
            for setting, accuracy in zip(settings("linear-svm"), accuracies, strict=True)
            for seed in (1, 2)
        ]
        choice = select("linear-svm", runs, 100, [])
        return choice.setting["strength"], choice.at_edge, choice.untuned

    assert chosen(0.1, 0.2, 0.7, 0.6, 0.7, 0.5, 0.5) == (1e3, False, False)
    assert chosen(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7) == (1e7, True, False)
    assert chosen(0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5) == (1e1, True, True)
