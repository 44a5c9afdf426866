"""The older methods that experiments may name, as features and learner, and every method in a reader's words."""

from collections.abc import Iterable, Sequence
from typing import Literal, cast

from takeoff.study.arms import Features, Learner

Method = Literal[
    "pixels-logistic",
    "pixels-linear-svm",
    "pixels-rbf-svm",
    "hog-logistic",
    "hog-linear-svm",
    "hog-rbf-svm",
    "kmeans-logistic",
    "kmeans-linear-svm",
    "kmeans-rbf-svm",
    "fisher-logistic",
    "fisher-linear-svm",
    "fisher-rbf-svm",
]
"""Features and learner, as `ClassicalArm.method` names them."""
LEARNERS = ("linear-svm", "rbf-svm")
"""Over which the gain from HOG is averaged."""
_FEATURES = {"pixels": "pixels", "hog": "HOG", "kmeans": "k-means", "fisher": "Fisher vectors"}
_LEARNERS = {"logistic": "logistic regression", "linear-svm": "linear SVM", "rbf-svm": "RBF SVM"}


def pair(method: Method) -> tuple[Features, Learner]:
    """The features and the learner of a method."""
    features, _, learner = method.partition("-")
    return cast(Features, features), cast(Learner, learner)


def both_features(methods: Iterable[str]) -> list[str]:
    """The SVMs that a study has on both HOG and pixels."""
    known = set(methods)
    return [learner for learner in LEARNERS if {f"hog-{learner}", f"pixels-{learner}"} <= known]


def network_method(multiple: float) -> str:
    """What a network of a multiple of the study's width is called in tables: `network-0.5x`."""
    return f"network-{multiple:g}x"


def method_words(method: str) -> str:
    """A method as a reader would name it.

    >>> [method_words(method) for method in ("hog-rbf-svm", "network-0.5x")]
    ['HOG + RBF SVM', 'network, width 0.5×']
    """
    features, _, learner = method.partition("-")
    if features == "network":
        return f"network, width {learner.removesuffix('x')}×"
    return f"{_FEATURES[features]} + {_LEARNERS[learner]}"


def listed(words: Sequence[str]) -> str:
    """Words in a sentence: `a, b and c`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
