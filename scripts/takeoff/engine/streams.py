"""Torch's random streams, a generator per seed and purpose, and the masks of dropout that are drawn from them."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from takeoff.common.randomness import entropy


def stream(seed: int, purpose: str, device: torch.device) -> torch.Generator:
    """A generator on `device` for one purpose of one seed."""
    state = int(entropy(seed, purpose).generate_state(1, np.uint64)[0])
    return torch.Generator(device).manual_seed(state >> 1)


def draw_masks(masks: Tensor, rate: float, generators: Sequence[torch.Generator]) -> Tensor:
    """Fill `masks`, runs × any shape, with what dropout multiplies by: 0 with probability `rate`, else 1 / (1 - rate).

    The runs' generators are on the masks' device. Returns the masks.
    """
    keep = 1 - rate
    for mask, own in zip(masks, generators, strict=True):
        if mask.is_cuda:
            mask.bernoulli_(keep, generator=own)
        else:
            # What torch 2.15's `bernoulli_` draws on a CPU, number for number, in less than half the time.
            drawn = torch.empty_like(mask, dtype=torch.float64).uniform_(generator=own)
            torch.lt(drawn, keep, out=mask)
    return masks.div_(keep)
