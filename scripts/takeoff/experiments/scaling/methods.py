"""The older methods that experiments may name, as features and learner, and every method in a reader's words."""

from collections.abc import Sequence
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
_FEATURES = {"pixels": "pixels", "hog": "HOG", "kmeans": "k-means", "fisher": "Fisher vectors"}
_LEARNERS = {"logistic": "logistic regression", "linear-svm": "linear SVM", "rbf-svm": "RBF SVM"}


def pair(method: Method) -> tuple[Features, Learner]:
    """The features and the learner of a method."""
    features, _, learner = method.partition("-")
    return cast(Features, features), cast(Learner, learner)


def hand_made(method: str) -> bool:
    """Whether an older method's features are more than the pixels; k-means learns its own, without labels."""
    return not method.startswith("pixels-")


def network_method(multiple: float, times: int = 1) -> str:
    """What a network of a multiple of the study's width and steps is called in tables: `network-0.5x`."""
    return f"network-{multiple:g}x" + (f"-{times}x" if times > 1 else "")


def method_words(method: str) -> str:
    """A method as a reader would name it.

    >>> [method_words(method) for method in ("hog-rbf-svm", "network-0.5x", "network-2x-3x")]
    ['HOG + RBF SVM', 'network, width 0.5×', 'network, width 2×, 3× the steps']
    """
    features, _, learner = method.partition("-")
    if features == "network":
        width, _, times = learner.replace("x", "×").partition("-")
        return f"network, width {width}" + (f", {times} the steps" if times else "")
    return f"{_FEATURES[features]} + {_LEARNERS[learner]}"


def listed(words: Sequence[str]) -> str:
    """Words in a sentence: `a, b and c`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
