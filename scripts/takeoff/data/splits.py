"""Which images a run trains on and which it is validated on: the same for every arm of a seed."""

import numpy as np

from takeoff.common.errors import TakeoffError
from takeoff.common.randomness import entropy

HOLDOUT = 2012
"""The seed of the one split that sets validation images apart, for every run of a study."""


def balanced_order(labels: np.ndarray, indices: np.ndarray, seed: int, purpose: str) -> np.ndarray:
    """`indices`, M ≤ N positions in `labels`, in an order whose every prefix has the classes in near their shares.

    `labels`, N, are the classes of all images; `purpose` names the random stream.
    """
    generator = np.random.default_rng(entropy(seed, purpose))
    shuffled = generator.permutation(indices)
    place = np.empty(len(shuffled))
    for label in np.unique(labels[shuffled]):
        members = np.flatnonzero(labels[shuffled] == label)
        # A class's images stand evenly spaced, from a random start, so that a prefix rounds without bias.
        place[members] = (np.arange(len(members)) + generator.random()) / len(members)
    return shuffled[np.argsort(place, kind="stable")]


def sizes(available: int, samples: int | None, validation_fraction: float) -> tuple[int, int]:
    """How many of the `available` training images a run may see (all without `samples`), and how many of them are for
    validation. Raises TakeoffError where there are fewer than `samples`, or too few to hold any out.
    """
    total = available if samples is None else samples
    if total > available:
        raise TakeoffError(f"train_samples {total}: the dataset has {available} training images")
    validated = int(validation_fraction * total)
    if validated < 1 or total - validated < 2:
        raise TakeoffError(
            f"train_samples {total}: too few to hold out {validation_fraction:g} of them for validation and to train "
            "on two; valid: more images, or a greater validation_fraction"
        )
    return total, validated


def split(
    labels: np.ndarray, samples: int | None, validation_fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The training and the validation images of a run, as positions in `labels`.

    Validation images are drawn from a part of the archive's training images that no run ever trains on. Training
    images are a window of one balanced order of the rest. A seed's windows all start at the same place, so that
    its small sets lie within its large ones; the starts of seeds 0, 1, 2, … lie 0, 1/2, 1/4, 3/4, 1/8, … of the
    way along (van der Corput 1935), so that the first 2^k seeds share no image where a set takes up to 1/2^k.

    `labels`, N, are the classes of all training images; `samples` (None: all N) count validation images in.
    Raises TakeoffError as `sizes` does.
    """
    total, validated = sizes(len(labels), samples, validation_fraction)
    everything = balanced_order(labels, np.arange(len(labels)), HOLDOUT, "holdout")
    reserve = int(validation_fraction * len(labels))
    held_out, rest = everything[:reserve], everything[reserve:]
    order = balanced_order(labels, rest, HOLDOUT, "training images")
    start = int(van_der_corput(seed) * len(order))
    training = np.roll(order, -start)[: total - validated]
    validation = balanced_order(labels, held_out, seed, "validation images")[:validated]
    return training, validation


def van_der_corput(number: int) -> float:
    """The binary digits of `number` mirrored at the point: 0, 1/2, 1/4, 3/4, 1/8, …

    >>> [van_der_corput(number) for number in range(5)]
    [0.0, 0.5, 0.25, 0.75, 0.125]
    """
    mirrored = f"{number:b}"[::-1]
    return int(mirrored, 2) / 2 ** len(mirrored)


def subset(labels: np.ndarray, samples: int) -> np.ndarray:
    """The test images that every run is tested on: `samples` of them, fixed and balanced; TakeoffError if there are
    fewer.
    """
    if samples > len(labels):
        raise TakeoffError(f"test_samples {samples}: the dataset has {len(labels)} test images")
    return np.sort(balanced_order(labels, np.arange(len(labels)), HOLDOUT, "test images")[:samples])
