"""The learners of before 2012, their grids, the choice of a setting, and what is right or wrong by their scores."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from statistics import fmean
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.kernel_approximation import Nystroem

from takeoff.study.arms import Learner
from takeoff.study.choices import STOPPED, Choice, tied_within

Setting = dict[str, float]

GRIDS: Mapping[Learner, Mapping[str, tuple[float, ...]]] = {
    "logistic": {"strength": (1e2, 1e3, 1e4, 1e5, 1e6, 1e7)},
    "linear-svm": {"strength": (1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7)},
    "rbf-svm": {"C": (1.0, 10.0, 100.0), "gamma": (1 / 4, 1.0, 4.0)},
}
"""What is tried, on logarithmic scales, from the most regularised up, for features of variance 1 in all.

`strength` is scikit-learn's C times the number of training images: the weight of the mean loss against the penalty,
so that one grid serves every set size; Coates 2011 took 640,000. `gamma` is that of exp(−gamma·|x − y|²).
"""
SPAN, AXES = 1_000, 384
"""Training images that a kernel is spanned by, at most (Nyström's approximation, exact where there are no more), and
principal axes on which it sees them: the rest changes distances little."""
ITERATIONS, TOLERANCE = 1_000, 3e-4
"""Of L-BFGS, at most; and the share of the first gradient that the last may have. What stops before is noted."""


def settings(learner: Learner) -> list[Setting]:
    """The grid, the most regularised first."""
    grid = GRIDS[learner]
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


@dataclass(frozen=True)
class Fitted:
    """A learner that has learned: linear scores of features, or of what a kernel makes of them."""

    weights: np.ndarray
    """D × classes that there were training images of, float32."""
    intercept: np.ndarray
    seen: np.ndarray
    """These classes."""
    classes: int
    notes: list[str]
    kernel: Nystroem | None = None

    @property
    def parameters(self) -> int:
        """Coefficients that the learner fitted; what features learned is not counted."""
        return self.weights.size + self.intercept.size

    def scores(self, features: np.ndarray) -> np.ndarray:
        """N × classes; −∞ for classes that it never saw."""
        known = self.kernel.transform(features[:, :AXES]) if self.kernel else features
        result = np.full((len(features), self.classes), -np.inf)
        result[:, self.seen] = known @ self.weights + self.intercept
        return result


def fit(
    learner: Learner, setting: Setting, features: np.ndarray, labels: np.ndarray, classes: int, state: int
) -> Fitted:
    """Fit a learner with a setting of its grid to features (N × D, of variance 1 in all) and labels (N), of which the
    dataset has so many classes; `state` seeds what is random in the fit.
    """
    seen, targets = np.unique(labels, return_inverse=True)
    notes, kernel, strength = [], None, setting.get("strength", 0.0)
    if learner == "rbf-svm":
        near, strength = features[:, :AXES], setting["C"] * len(features)
        kernel = Nystroem(gamma=setting["gamma"], n_components=min(SPAN, len(near)), random_state=state).fit(near)
        features = kernel.transform(near)
        notes += [f"Nyström approximation: a kernel of {SPAN} of {len(near)} images"] * (len(near) > SPAN)
    weights, intercept, converged = fit_linear(learner, strength, features, targets)
    return Fitted(weights, intercept, seen, classes, notes + [STOPPED] * (not converged), kernel)


def fit_linear(
    learner: Learner, strength: float, features: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray, bool]:
    """The weights, D × classes, and the intercept that have the least mean loss plus |weights|² / 2·strength, of
    features, N × D, and targets, N, from 0 upwards; and whether the solver converged.

    An SVM has the squared hinge of each class against the rest, as in Coates 2011 and scikit-learn's LinearSVC,
    logistic regression the cross-entropy of the softmax. L-BFGS (Liu & Nocedal 1989), on weights scaled by the loss's
    curvature along each feature: on principal axes that takes few steps. Features are never copied.
    """
    number, size = features.shape
    wanted = np.arange(targets.max() + 1) == targets[:, None]
    mean, hinge = features.mean(axis=0), learner != "logistic"
    scale = (1 / np.sqrt((0.5 if hinge else 0.1) * features.var(axis=0) + 1 / strength))[:, None].astype(np.float32)

    def split(point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        both = point.reshape(size + 1, -1).astype(np.float32)
        weights = both[:-1] * scale
        return weights, both[-1] - mean @ weights

    def loss(point: np.ndarray) -> tuple[float, np.ndarray]:
        weights, intercept = split(point)
        scores = features @ weights + intercept
        if hinge:
            slack = np.maximum(0, 1 - np.where(wanted, scores, -scores))
            total, slope = np.square(slack).sum(dtype=float), 2 * np.where(wanted, -slack, slack)
        else:
            total, slope = -log_softmax(scores, axis=1)[wanted].sum(dtype=float), softmax(scores, axis=1) - wanted
        slope /= number
        sums = slope.sum(axis=0)
        slopes = (features.T @ slope - np.outer(mean, sums) + weights / strength) * scale
        total = total / number + np.square(weights).sum(dtype=float) / (2 * strength)
        return float(total), np.vstack([slopes, sums]).ravel().astype(float)

    start = np.zeros((size + 1) * wanted.shape[1])
    least = TOLERANCE * float(np.linalg.norm(loss(start)[1]))
    how = {"maxiter": ITERATIONS, "maxfun": 2 * ITERATIONS, "ftol": 0.0, "gtol": least / np.sqrt(start.size)}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=how)
    return *split(found.x), bool(np.linalg.norm(found.jac) <= least)


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


def select(learner: Learner, runs: list[dict[str, Any]], validation_images: int, notes: list[str]) -> SettingChoice:
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
