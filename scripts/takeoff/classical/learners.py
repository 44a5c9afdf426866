"""The learners of before 2012, their grids, the choice of a setting, and what is right or wrong by their scores."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from statistics import fmean
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC, LinearSVC

from takeoff.study.arms import Learner
from takeoff.study.choices import Choice, tied_within

Setting = dict[str, float]

GRIDS: Mapping[Learner, Mapping[str, tuple[float, ...]]] = {
    "logistic": {"strength": (0.1, 1.0, 10.0, 100.0, 1_000.0, 10_000.0)},
    "linear-svm": {"strength": (0.01, 0.1, 1.0, 10.0, 100.0, 1_000.0)},
    "rbf-svm": {"C": (1.0, 10.0, 100.0), "gamma": (1 / 4, 1.0, 4.0)},
}
"""What is tried, on logarithmic scales, from the most regularised up.

`strength` is scikit-learn's C times the number of training images: the weight of the mean loss against the penalty,
so that one grid serves every set size. `gamma` is that of the kernel exp(−gamma·|x − y|²/D) for features of variance 1
on average: D · scikit-learn's gamma.
"""
EXACT = 2_000
"""Training images up to which the kernel machine is exact; above, the kernel is approximated (Nyström)."""
NYSTROEM = 1_000
"""Training images that the kernel is then spanned by."""
ITERATIONS = 300
"""Of logistic regression, at most."""
SWEEPS = 100
"""Of a linear SVM's coordinate descent, at most: what is regularised weakly may stop there, which is noted."""


def settings(learner: Learner) -> list[Setting]:
    """The grid, the most regularised first."""
    grid = GRIDS[learner]
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


@dataclass(frozen=True)
class Fitted:
    """A learner that has learned."""

    model: Any
    """None where the training images are all of one class."""
    seen: np.ndarray
    """The classes that there were training images of."""
    classes: int
    parameters: int
    """Coefficients that the learner fitted; what features learned is not counted."""
    notes: list[str]

    def scores(self, features: np.ndarray) -> np.ndarray:
        """N × classes; −∞ for classes that it never saw."""
        result = np.full((len(features), self.classes), -np.inf)
        if self.model is None:
            result[:, self.seen] = 0
        else:
            found = self.model.decision_function(features)
            result[:, self.seen] = np.stack([-found, found], axis=1) if found.ndim == 1 else found
        return result


def fit(
    learner: Learner, setting: Setting, features: np.ndarray, labels: np.ndarray, classes: int, state: int
) -> Fitted:
    """Fit a learner with a setting of its grid to features (N × D, of variance 1 on average) and labels (N), of which
    the dataset has so many classes; `state` seeds what is random in the fit.
    """
    seen = np.unique(labels)
    if len(seen) < 2:
        return Fitted(None, seen, classes, 0, ["one class only: nothing to learn"])
    model, notes = _model(learner, setting, features.shape, state)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(features, labels)
    if any(issubclass(warning.category, ConvergenceWarning) for warning in caught):
        notes.append(f"stopped after {ITERATIONS if learner == 'logistic' else SWEEPS} iterations")
    last = model[-1] if hasattr(model, "steps") else model
    weights = last.dual_coef_ if isinstance(last, SVC) else last.coef_
    return Fitted(model, seen, classes, int(weights.size + np.size(last.intercept_)), notes)


def _model(learner: Learner, setting: Setting, shape: tuple[int, ...], state: int) -> tuple[Any, list[str]]:
    number, size = shape
    if learner == "logistic":
        return LogisticRegression(C=setting["strength"] / number, tol=1e-3, max_iter=ITERATIONS), []
    if learner == "linear-svm":
        return _linear_svm(setting["strength"] / number, state), []
    gamma = setting["gamma"] / size
    if number <= EXACT:
        return SVC(C=setting["C"], gamma=gamma, cache_size=400), []
    kernel = Nystroem(gamma=gamma, n_components=NYSTROEM, random_state=state)
    note = f"Nyström approximation of {NYSTROEM} components and a linear SVM: more than {EXACT} training images"
    return make_pipeline(kernel, _linear_svm(setting["C"], state, tolerance=0.1)), [note]


def _linear_svm(c: float, state: int, tolerance: float = 1e-2) -> LinearSVC:
    """By coordinate descent in the dual: several times sooner than in the primal, and as accurate here."""
    return LinearSVC(C=c, dual=True, tol=tolerance, max_iter=SWEEPS, random_state=state)


def hits(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether each image's class has the best score, and whether it is among the best five: two arrays of N bool.

    Scores are N × classes, labels N. Ties go to the lower class. With five classes or fewer every image counts among
    the best five, as for networks.
    """
    best = np.argsort(-scores, axis=1, kind="stable")[:, :5] == labels[:, None]
    return best[:, 0], best.any(axis=1)


@dataclass(frozen=True, kw_only=True)
class SettingChoice(Choice):
    """The setting of an older method's learner. Its grid has the mean validation accuracy of every setting."""

    setting: Setting
    notes: list[str] = field(default_factory=list)
    """What was approximated or made smaller."""


def choose(learner: Learner, runs: list[dict[str, Any]], validation_images: int, notes: list[str]) -> SettingChoice:
    """The setting with the best mean validation accuracy; of equals, the most regularised.

    `runs` has `setting`, `seed` and `validation_accuracy` of each fit, which was scored on so many validation images.
    `notes` are for the record.
    """
    grid: list[dict[str, Any]] = []
    for setting in settings(learner):
        mean = fmean(run["validation_accuracy"] for run in runs if run["setting"] == setting)
        grid.append({"setting": setting, "validation_accuracy": mean})
    # max keeps the first of equals; rounded, since a mean's last digit is no difference.
    best = max(grid, key=lambda row: round(row["validation_accuracy"], 9))
    spread = best["validation_accuracy"] - min(row["validation_accuracy"] for row in grid)
    limit = tied_within(best["validation_accuracy"], validation_images)
    return SettingChoice(
        setting=best["setting"],
        at_edge=any(best["setting"][key] in {own[0], own[-1]} for key, own in GRIDS[learner].items()),
        untuned=spread <= limit,
        spread=spread,
        tied_within=limit,
        grid=grid,
        seeds=sorted({run["seed"] for run in runs}),
        runs=runs,
        notes=notes,
    )
