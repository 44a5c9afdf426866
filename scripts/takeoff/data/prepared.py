"""Prepared images as jobs read them: what there is to learn from, and as much to be tested on as an arm wants."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from takeoff.common.errors import TakeoffError
from takeoff.common.files import digest_of
from takeoff.data.card import CARD, Card, load_card
from takeoff.data.splits import split, subset
from takeoff.data.store import digest_of_images, load_split

VERIFIED = 2 * 10**9
"""Bytes of images, at most, whose digest every job holds against the card's."""


@dataclass(frozen=True)
class Prepared:
    """A dataset's images, which stay on disk until touched, their labels, and the card of both."""

    images: NDArray[np.uint8]
    """Training images, N × H × W × C."""
    labels: NDArray[np.int64]
    """Their classes, N."""
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    card: Card
    validation_fraction: float
    """The share of the images of a run that is held out."""

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.card.classes)

    @property
    def digest(self) -> str:
        """Identifies the images and labels of both splits, and which of them are used."""
        return digest_of([self.card.digest, len(self.test_labels), self.validation_fraction])

    def split(self, samples: int | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """The positions of a run's training and validation images (see `takeoff.data.splits`)."""
        return split(self.labels, samples, self.validation_fraction, seed)


def load_prepared(
    folder: Path, resolution: int, test_samples: int | Literal["all"], validation_fraction: float
) -> Prepared:
    """The images that `prepare` wrote in a folder, of so many pixels' side; as many to be tested on as wanted.

    Raises TakeoffError for a file that is missing, damaged or changed, images of another side, or too few to be tested
    on. Whether bytes were changed is looked at where that takes a second or two.
    """
    card = load_card(folder / CARD, "classes", "digest", "mean", "std", "colours")
    train = load_split(folder / "train.safetensors")
    images, labels = load_split(folder / "test.safetensors")
    if train[0].nbytes + images.nbytes <= VERIFIED and digest_of_images(folder) != card.digest:
        raise TakeoffError(
            f"{folder}: images or labels were changed since they were prepared; remove this folder, and a run makes "
            "it anew"
        )
    if (side := train[0].shape[1]) != resolution:
        raise TakeoffError(f"{folder}: the images have {side} px; valid for this arm: {resolution} px")
    if test_samples != "all":
        kept = subset(labels, test_samples)
        images, labels = images[kept], labels[kept]
    return Prepared(*train, images, labels, card, validation_fraction)
