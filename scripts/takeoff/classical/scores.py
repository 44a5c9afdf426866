"""Right or wrong, first and among the first five, from a learner's scores."""

import numpy as np


def hits(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether each image's class has the best score, and whether it is among the best five.

    Args:
        scores: N × classes; −∞ for a class that the learner never saw. Ties go to the lower class.
        labels: N.

    Returns:
        Two arrays of N bool. With five classes or fewer every image counts in the second, as for networks.

    """
    best = np.argsort(-scores, axis=1, kind="stable")[:, :5] == labels[:, None]
    return best[:, 0], best.any(axis=1)
