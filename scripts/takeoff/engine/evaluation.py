"""Loss and accuracy of a network on images that it does not train on while they are read."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn import functional

from takeoff.engine.dataset import Dataset
from takeoff.engine.hardware import Hardware
from takeoff.engine.images import Images

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
def evaluate(
    model: nn.Module, data: Dataset, images: Images, labels: Tensor, chosen: Tensor, hardware: Hardware
) -> Score:
    """The score of `model`, in evaluation mode, on the unaugmented images at the positions `chosen`, one or more, whose
    classes are among the `labels` of all.
    """
    model.eval()
    total = torch.zeros((), dtype=torch.float64, device=hardware.device)
    hits = []
    size = BATCH[hardware.device.type]
    if hardware.device.type == "cpu":  # even ones; a GPU would plan its convolutions anew for each size
        size = math.ceil(len(chosen) / math.ceil(len(chosen) / size))
    feed, parts = images.feed(), chosen.split(size)
    # Of several ranks each scores its parts.
    own = parts[hardware.rank :: hardware.ranks]
    if own:
        feed.begin(own)
    for part in own:
        feed.advance()
        pixels, truth = data.normalised(feed.take(part)), labels.index_select(0, part)
        with torch.autocast(hardware.device.type, torch.bfloat16, enabled=hardware.half):
            logits = model(pixels)
        logits = logits.float()
        best = logits.topk(min(5, logits.shape[1])).indices == truth[:, None]
        hits.append(torch.stack([best[:, 0], best.any(1)]))
        total += functional.cross_entropy(logits, truth, reduction="sum").double()
    if hardware.ranks > 1:
        hits, total = _gathered(hits, [len(part) for part in parts], total, hardware)
    right = torch.cat(hits, dim=1).cpu().numpy()
    first, five = right.mean(axis=1).tolist()
    bits = [np.packbits(row).tobytes() for row in right]
    return Score(float(total) / len(chosen), first, five, *bits)


def _gathered(own: list[Tensor], sizes: list[int], total: Tensor, hardware: Hardware) -> tuple[list[Tensor], Tensor]:
    """Every rank's hits, of all parts of these sizes in their order, and the sum of every rank's total."""
    whole = [torch.zeros((2, size), dtype=torch.float64, device=hardware.device) for size in sizes]
    for place, hits in zip(range(hardware.rank, len(sizes), hardware.ranks), own, strict=True):
        whole[place] += hits
    together = torch.cat([total[None], *(part.flatten() for part in whole)])
    distributed.all_reduce(together)
    gathered = together[1:].split([2 * size for size in sizes])
    return [part.view(2, -1) > 0 for part in gathered], together[0]
