"""Masks of dropout, drawn from a stream."""

import torch
from torch import Tensor


def draw_mask(mask: Tensor, rate: float, generator: torch.Generator) -> Tensor:
    """Fill `mask` with what dropout multiplies by: 0 with probability `rate`, else 1 / (1 - rate).

    Args:
        mask: of any shape; changed, and returned.
        rate: the probability to drop, below 1.
        generator: on the device of the mask.

    """
    keep = 1 - rate
    if mask.is_cuda:
        mask.bernoulli_(keep, generator=generator)
    else:
        # What torch 2.15's `bernoulli_` draws on a CPU, number for number, in less than half the time.
        drawn = torch.empty_like(mask, dtype=torch.float64).uniform_(generator=generator)
        torch.lt(drawn, keep, out=mask)
    return mask.div_(keep)
