"""How many steps there are, and the learning rate at each."""

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


def steps_of(recipe: Recipe, images: int) -> tuple[int, int]:
    """The steps of a pass over so many training images, and those of an epoch: one at least, of however few.

    Whatever fills no batch is left out. An epoch is a pass, unless the recipe says how many images it presents: then
    sets of all sizes make as many steps.

    >>> steps_of(Recipe(batch_size=32), 1038), steps_of(Recipe(batch_size=32, epoch_images=256), 1038)
    ((32, 32), (32, 8))
    """
    per_pass = max(1, images // recipe.batch_size)
    if recipe.epoch_images is None:
        return per_pass, per_pass
    return per_pass, max(1, recipe.epoch_images // recipe.batch_size)
