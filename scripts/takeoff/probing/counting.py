"""Floating-point operations, counted by torch while they are made."""

from collections.abc import Callable

from torch.utils.flop_counter import FlopCounterMode

from takeoff.models.small_maps import as_convolutions


def counted_flops(action: Callable[[], object]) -> int:
    """Those of one call; of convolutions, as is usual, with the products with padding, made or not."""
    with as_convolutions(), FlopCounterMode(display=False) as counter:
        action()
    return int(counter.get_total_flops())
