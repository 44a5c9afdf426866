"""torch.compile, for a group's forward and backward pass."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")

SHAPES = 256
"""Shapes and activations that a job compiles for, at most; torch's own limit is eight, beyond which it raises."""


def compile_once(function: Callable[P, R]) -> Callable[P, R]:
    """The function compiled when it is first called, for the shapes that it is called with; no graph may break.

    Torch keeps what it compiled in the folder `TORCHINDUCTOR_CACHE_DIR`, for the next job.
    """
    from torch._dynamo import config  # the compiler, two seconds of import, for those who compile

    config.recompile_limit = config.accumulated_recompile_limit = SHAPES
    compiled: Callable[P, R] = torch.compile(function, dynamic=False, fullgraph=True)
    return compiled
