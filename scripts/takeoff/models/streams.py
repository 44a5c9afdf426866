"""Random streams: one per run and purpose, so that arms of one seed share their draws."""

import zlib

import numpy as np
import torch


def entropy(seed: int, purpose: str) -> np.random.SeedSequence:
    """The seed sequence of a run's seed and a purpose such as `order`; no two purposes share one."""
    return np.random.SeedSequence([seed, zlib.crc32(purpose.encode())])


def stream(seed: int, purpose: str, device: torch.device) -> torch.Generator:
    """A generator on `device` for one purpose of one seed."""
    generator = torch.Generator(device)
    state = int(entropy(seed, purpose).generate_state(1, np.uint64)[0])
    generator.manual_seed(state >> 1)
    return generator
