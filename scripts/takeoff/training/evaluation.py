"""Loss and accuracy of a network on images that it does not train on while they are read."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from takeoff.training.hardware import Hardware
from takeoff.training.resident import Resident

BATCH = 1000


@dataclass(frozen=True)
class Score:
    """Mean cross-entropy in nats, and the share of images whose class is first, or among the first five."""

    loss: float
    accuracy: float
    top5_accuracy: float


@torch.no_grad()
def evaluate(model: nn.Module, data: Resident, images: Tensor, labels: Tensor, hardware: Hardware) -> Score:
    """The score of `model`, in evaluation mode, on unaugmented images (N × H × W × C uint8, N > 0)."""
    model.eval()
    sums = torch.zeros(3, dtype=torch.float64, device=hardware.device)
    for start in range(0, len(images), BATCH):
        pixels = data.normalised(images[start : start + BATCH])
        truth = labels[start : start + BATCH]
        with torch.autocast(hardware.device.type, torch.bfloat16, enabled=hardware.half):
            logits = model(pixels)
        logits = logits.float()
        best = logits.topk(min(5, logits.shape[1])).indices == truth[:, None]
        loss = functional.cross_entropy(logits, truth, reduction="sum")
        sums += torch.stack([loss, best[:, 0].sum(), best.any(1).sum()]).to(sums.dtype)
    loss, first, five = (sums / len(images)).tolist()
    return Score(loss, first, five)
