"""The images that are trained on while speed is measured: prepared ones, or made up in the same shape."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from takeoff.data.card import CARD, load_card
from takeoff.data.store import load_split
from takeoff.training.resident import Resident, on_device

MOST = 10_000
"""Images that are used: enough that no cache holds them all."""
PREPARED = {32: ("cifar10", "CIFAR-10", 3), 8: ("digits", "digits", 1)}
"""By the images' side in pixels: the dataset's folder, what the tables call it, and its channels."""
GENERATED = "generated: speed does not depend on what is shown"


@dataclass(frozen=True)
class Images:
    """Images N × H × W × C uint8, labels N int64, and the card of their dataset."""

    source: str
    pixels: np.ndarray
    labels: np.ndarray
    card: dict[str, Any]

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.card["classes"])

    def resident(self, device: torch.device, held_out: float | None = None) -> Resident:
        """On `device`, with the share `held_out` for validation; without one a single image, so that an epoch's
        scores take next to no time.
        """
        fraction = 1.5 / len(self.labels) if held_out is None else held_out
        test = self.pixels[:100], self.labels[:100]
        return on_device((self.pixels, self.labels), test, self.card, fraction, device)

    def on_host(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Tensors N × C × H × W uint8 and N int64, as plain loops want them."""
        return torch.from_numpy(self.pixels).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(self.labels)


def load_images(data: Path, side: int) -> Images:
    """The prepared images of `side` pixels below `data`, or as many that are made up.

    Raises:
        TakeoffError: a prepared file is damaged.

    """
    dataset, name, channels = PREPARED[side]
    folder = data / dataset / f"{side}px"
    if not (folder / CARD).is_file():
        return made_up(side, channels, MOST if side > 8 else 1797)
    pixels, labels = load_split(folder / "train.safetensors")
    return Images(
        name, np.array(pixels[:MOST]), labels[:MOST], load_card(folder / CARD, "classes", "mean", "std")
    )


def made_up(side: int, channels: int, count: int, classes: int = 10) -> Images:
    """Noise, as a dataset."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, side, side, channels), dtype=np.uint8)
    labels = np.arange(count, dtype=np.int64) % classes
    card = {
        "mean": [0.5] * channels,
        "std": [0.29] * channels,
        "digest": "made up",
        "classes": [str(label) for label in range(classes)],
    }
    return Images(GENERATED, pixels, labels, card)
