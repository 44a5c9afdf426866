"""The images of a job, in the processor's memory or on disk until touched."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from takeoff.data.card import CARD, load_card
from takeoff.data.splits import split, subset
from takeoff.data.store import load_split
from takeoff.files import digest_of
from takeoff.study.model import Dataset


@dataclass(frozen=True)
class Images:
    """A dataset's images and labels; the same images that networks get with the same seed."""

    images: np.ndarray
    """Training images, N × H × W × C, uint8."""
    labels: np.ndarray
    """Their classes, N, int64."""
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: int
    validation_fraction: float
    digest: str
    """Identifies the images and labels of both splits, and which of them are used."""

    def split(self, samples: int | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """The positions of a run's training and validation images (see `takeoff.data.splits`)."""
        return split(self.labels, samples, self.validation_fraction, seed)


def load(folder: Path, dataset: Dataset) -> Images:
    """The prepared images in `folder`, as many as `dataset` of the study allows.

    Raises:
        TakeoffError: a file is missing or damaged, or there are fewer images than asked for.

    """
    card = load_card(folder / CARD, "classes", "digest")
    images, labels = load_split(folder / "train.safetensors")
    test_images, test_labels = load_split(folder / "test.safetensors")
    kept = subset(test_labels, None if dataset.test_samples == "all" else dataset.test_samples)
    return Images(
        images=images,
        labels=np.array(labels),
        test_images=test_images if len(kept) == len(test_labels) else test_images[kept],
        test_labels=np.array(test_labels)[kept],
        classes=len(card["classes"]),
        validation_fraction=dataset.validation_fraction,
        digest=digest_of([card["digest"], len(kept), dataset.validation_fraction]),
    )
