"""Chance: what guessing the most frequent class scores, and which accuracies are no better."""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray


def majority_rate(counts: Iterable[int]) -> float:
    """The accuracy of always answering the most frequent class, given the images of each class.

    Raises:
        ValueError: there is no image.

    """
    numbers = [int(count) for count in counts]
    if sum(numbers) <= 0:
        raise ValueError("no image in any class")
    return max(numbers) / sum(numbers)


def chance_line(chance: float, images: int) -> float:
    """The accuracy up to which a result counts as chance: two binomial standard errors above it."""
    return chance + 2 * float(np.sqrt(chance * (1 - chance) / images))


def collapsed(accuracy: ArrayLike, diverged: ArrayLike, chance: float, images: int) -> NDArray[np.bool_]:
    """Which runs collapsed: those that diverged, or whose accuracy on `images` is not above `chance_line`."""
    return np.asarray(diverged, dtype=bool) | ~(
        np.asarray(accuracy, dtype=float) > chance_line(chance, images)
    )


def near_perfect(accuracy: float, images: int) -> bool:
    """Whether an accuracy on so many images lies within two binomial standard errors of 1."""
    return accuracy + 2 * math.sqrt(accuracy * (1 - accuracy) / images) >= 1
