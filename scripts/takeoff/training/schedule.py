"""The learning rate at every step."""

import math

from takeoff.study.settings import Recipe


def learning_rate_at(step: int, steps_per_epoch: int, peak: float, recipe: Recipe) -> float:
    """The rate of step `step` (from 0): a linear climb to `peak`, then down as the recipe's schedule says.

    The cosine ends at zero after the last step (Loshchilov & Hutter 2017, one cycle).
    """
    total = recipe.epochs * steps_per_epoch
    warmup = recipe.warmup_epochs * steps_per_epoch
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    match recipe.schedule:
        case "constant":
            return peak
        case "step":
            return peak * 0.1 ** sum(step >= share * total for share in (0.5, 0.75))
    progress = (step - warmup) / max(1.0, total - warmup)
    return peak * 0.5 * (1 + math.cos(math.pi * progress))
