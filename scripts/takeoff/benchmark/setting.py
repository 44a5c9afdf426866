"""What the benchmark trains: networks of three sizes, on noise in the shape of a study's images."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from takeoff.data.card import Card
from takeoff.data.prepared import Prepared
from takeoff.study.arms import Arm
from takeoff.study.settings import Augmentation, Network, Recipe


@dataclass(frozen=True)
class Setting:
    """What is trained."""

    resolution: int
    """Of the images, in pixels."""
    width: float
    batch: int
    """Images of a step."""

    @property
    def network(self) -> Network:
        """The study's network with all that the factors add to a step: batch norm and dropout."""
        return Network(norm="batch", dropout=0.5, width=self.width)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the images, grey where they are small: side, channels, classes."""
        return self.resolution, 1 if self.resolution == 8 else 3, 10

    @property
    def images(self) -> Prepared:
        """As many as digits has, or 31 MB of them."""
        return made_up(*self.shape, 1797 if self.resolution == 8 else 10_000)

    def arm(self, epoch_images: int | None = None) -> Arm:
        """The network with a study's usual recipe, its epochs of so many images, else of all."""
        return arm_of(self.network, self.batch, "flip-crop", epoch_images)


SETTINGS = Setting(8, 0.25, 32), Setting(32, 0.25, 128), Setting(32, 1.0, 128)
"""A small network, whose short steps wait for Python; a quick study's; and the full width."""


def arm_of(network: Network, batch: int, augmentation: Augmentation, epoch_images: int | None = None) -> Arm:
    """An arm whose rate is the same at every step: a warm-up would hide what a step does."""
    steady: dict[str, Any] = {"epochs": 1, "epoch_images": epoch_images, "schedule": "constant", "warmup_epochs": 0}
    return Arm(name="benchmark", network=network, recipe=Recipe(**steady, batch_size=batch, augmentation=augmentation))


def made_up(side: int, channels: int, classes: int, count: int, held_out: float = 0.2) -> Prepared:
    """Noise as a dataset of `count` images: speed does not depend on what they show."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, side, side, channels), dtype=np.uint8)
    labels = np.arange(count, dtype=np.int64) % classes
    names = [str(label) for label in range(classes)]
    colours = (0.2 * np.eye(channels)).tolist()
    card = Card(mean=[0.5] * channels, std=[0.29] * channels, colours=colours, digest="made up", classes=names)
    return Prepared(pixels, labels, pixels[:100], labels[:100], card, held_out)
