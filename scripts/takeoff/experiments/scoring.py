"""How often within an epoch a network is scored, and how many scores a crossing needs before it to be judged."""

from typing import TYPE_CHECKING, NamedTuple

from takeoff.common.errors import TakeoffError
from takeoff.study.model import Study
from takeoff.study.sizes import full_size, presented

if TYPE_CHECKING:
    import pandas as pd

BEFORE = 8
"""Scores up to a crossing on which a claim rests, at least: an eighth of the way lies between two of them at most."""


class Scoring(NamedTuple):
    """Epochs that scores part: each part is an epoch of the engine's."""

    recipe: dict[str, int]
    """The recipe's `epochs`, which are parts, and `epoch_images`, the images of one."""
    share: float
    """What a part is of an epoch."""
    horizon: float
    """The epochs that they are."""


def scoring(study: Study, epochs: int, scores: int, option: str, samples: int | None = None) -> Scoring:
    """So many scores an epoch at least, for so many epochs to the nearest part, on `samples` images, validation images
    counted among them; None: on all.

    A TakeoffError says that an epoch has fewer steps, or that their number is not known; `option` is the key at fault.
    """
    if scores == 1:
        return Scoring({"epochs": epochs}, 1.0, epochs)
    batch, images = study.recipe.batch_size, study.recipe.epoch_images
    steps = max(1, (images or presented(study, samples or full_size(study, f"{option} {scores}"))) // batch)
    if scores > steps:
        raise TakeoffError(f"{option} {scores}: an epoch has {steps} steps of {batch} images; valid: 1 to {steps}")
    part = steps // scores
    parts = round(epochs * steps / part)
    return Scoring({"epochs": parts, "epoch_images": part * batch}, part / steps, parts * (part / steps))


def reached_words(
    who: str, epochs: "pd.Series", censored: "pd.Series", earliest: float
) -> tuple[bool, bool, list[str]]:
    """Whether any of an arm's runs did not get there, whether any did before the epochs from which a crossing is
    judged, and of both how many in words, in which the arm is `who`.
    """
    late = censored.astype(bool)
    lost, early = int(late.sum()), int((epochs[~late] < earliest).sum())
    words = {"did not get there": lost, f"got there too soon to be judged, before {earliest:.3g} epochs,": early}
    return lost > 0, early > 0, [f"{who} {what} in {n} of {len(late)} runs" for what, n in words.items() if n]
