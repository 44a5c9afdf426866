"""Torch's random streams: a generator per seed and purpose."""

import numpy as np
import torch

from takeoff.randomness import entropy


def stream(seed: int, purpose: str, device: torch.device) -> torch.Generator:
    """A generator on `device` for one purpose of one seed."""
    generator = torch.Generator(device)
    state = int(entropy(seed, purpose).generate_state(1, np.uint64)[0])
    generator.manual_seed(state >> 1)
    return generator
