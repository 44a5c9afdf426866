"""Random streams: one per seed and purpose, so that arms of one seed share their draws."""

import zlib

import numpy as np


def entropy(seed: int, purpose: str) -> np.random.SeedSequence:
    """The seed sequence of a run's seed and a purpose such as `order`; no two purposes share one."""
    return np.random.SeedSequence([seed, zlib.crc32(purpose.encode())])
