"""Loss and accuracy of a network on images that it does not train on while they are read."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from takeoff.engine.hardware import Hardware
from takeoff.engine.resident import Resident

BATCH = {"cpu": 520, "cuda": 2000}
"""Images at a time, at most; a CPU scores small ones a third faster so than 250 at a time, large ones as fast."""


@dataclass(frozen=True)
class Score:
    """Mean cross-entropy in nats, and the share of images whose class is first, or among the first five."""

    loss: float
    accuracy: float
    top5_accuracy: float
    correct: bytes
    """A bit per image: whether its class is first (`numpy.packbits`)."""
    top5_correct: bytes
    """A bit per image: whether its class is among the first five."""


@torch.no_grad()
def evaluate(model: nn.Module, data: Resident, images: Tensor, labels: Tensor, hardware: Hardware) -> Score:
    """The score of `model`, in evaluation mode, on unaugmented images (N × H × W × C uint8, N > 0)."""
    model.eval()
    total = torch.zeros((), dtype=torch.float64, device=hardware.device)
    hits = []
    size = BATCH[hardware.device.type]
    if hardware.device.type == "cpu":  # even ones; a GPU would plan its convolutions anew for each size
        size = math.ceil(len(images) / math.ceil(len(images) / size))
    for part, truth in zip(images.split(size), labels.split(size), strict=True):
        pixels = data.normalised(part)
        with torch.autocast(hardware.device.type, torch.bfloat16, enabled=hardware.half):
            logits = model(pixels)
        logits = logits.float()
        best = logits.topk(min(5, logits.shape[1])).indices == truth[:, None]
        hits.append(torch.stack([best[:, 0], best.any(1)]))
        total += functional.cross_entropy(logits, truth, reduction="sum").double()
    right = torch.cat(hits, dim=1).cpu().numpy()
    first, five = right.mean(axis=1).tolist()
    bits = [np.packbits(row).tobytes() for row in right]
    return Score(float(total) / len(images), first, five, *bits)
