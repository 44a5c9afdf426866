"""Accuracies in log-odds, in which floors and ceilings bend effects less than in points."""

import numpy as np
from numpy.typing import ArrayLike

from takeoff.statistics.contrasts import Floats

NEAREST = 5e-5
"""How near accuracies of 0 and 1 are taken to be to them where the number of images is not known: half an
image of 10,000."""


def log_odds(accuracy: ArrayLike, images: int | None = None) -> Floats:
    """ln(p / (1 − p)) of accuracies p (fractions of `images`).

    Accuracies nearer to 0 or 1 than half an image, which no other count of images gives, are pulled in to it.

    Raises:
        ValueError: a value is not between 0 and 1.

    """
    p = np.asarray(accuracy, dtype=float)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("accuracies are fractions between 0 and 1")
    nearest = NEAREST if images is None else 0.5 / images
    p = np.clip(p, nearest, 1 - nearest)
    return np.asarray(np.log(p / (1 - p)))
