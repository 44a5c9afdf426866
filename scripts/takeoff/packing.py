"""Which arms share a job: small ones until they are worth its start-up, those that take another's choice in jobs of
their own.

Every part of a workflow packs alike, on any machine: what an arm takes is estimated from what the catalogue tells of
its images, at a rate that the configured device alone decides.
"""

from collections.abc import Callable, Sequence
from math import ceil, inf
from typing import TypeVar

from takeoff.planning import Shape, expected_seconds
from takeoff.study.arms import Arm, ClassicalArm, seeds_of
from takeoff.study.model import Study

T = TypeVar("T", Arm, ClassicalArm)
MOST_PACKS = 500
"""Jobs that train, about, at most: Snakemake's own work, and a cluster's, grow with them."""
ARMS = 4
"""Of a job, where nobody knows how long they take; of older methods at least, which share features."""
WORTH = 40.0
"""Seconds of such a job at least, of which importing torch takes three to five."""
FLOPS_PER_SECOND = {"cpu": 5e10, "auto": 5e10, "cuda": 5e13}
"""Of that estimate, by the configured device: of one thread, so that its seconds are one or two on most CPUs, and of a
GPU. Whether `auto` finds one may differ between the machine that plans and those that train."""
FIT_SECONDS = 1.5e-5
"""An older method's time per image and pixel on its side squared, tuning included: that of the default study."""


def packs_of(
    arms: Sequence[T], per_job: int | None, seconds: Callable[[T], float], least: int = 1
) -> list[list[T]]:
    """The arms in their order, in groups that share a job, those without a lender first.

    Args:
        arms: of a study.
        per_job: how many share one; None: `least` or more, as many as it takes to be worth a job. Of very many arms
            more do.
        seconds: about what an arm takes.
        least: see `per_job`.

    """
    crowded = ceil(len(arms) / MOST_PACKS)
    size = max(least if per_job is None else per_job, crowded)
    # Where the number of jobs is bounded anyhow, no arm needs its estimate.
    worth = WORTH if per_job is None and crowded <= ARMS else 0.0
    packs: list[list[T]] = []
    for group in ([a for a in arms if a.lender is None], [a for a in arms if a.lender is not None]):
        packs += _in_order(group, size, worth, seconds)
    return packs


def _in_order(arms: Sequence[T], size: int, worth: float, seconds: Callable[[T], float]) -> list[list[T]]:
    """Packs of `size` arms and `worth` seconds or more; what is left over joins the last one, if it is small."""
    packs: list[list[T]] = []
    spent = inf
    for arm in arms:
        if spent >= worth and (not packs or len(packs[-1]) >= size):
            packs.append([])
            spent = 0.0
        packs[-1].append(arm)
        spent += seconds(arm) if worth else 0.0
    if len(packs) > 1 and spent < worth / 2:
        rest = packs.pop()
        packs[-1] += rest
    return packs


def training_seconds(study: Study, shape: Shape | None, device: str) -> Callable[[Arm], float]:
    """About what an arm of networks takes; where nobody knows how many images there are, a part of a job's worth."""
    rate = FLOPS_PER_SECOND[device]
    return lambda arm: WORTH / ARMS if shape is None else expected_seconds(study, arm, shape, rate)


def fitting_seconds(study: Study, shape: Shape | None) -> Callable[[ClassicalArm], float]:
    """About what an arm of an older method takes: images, times their pixels, times seeds; as above where unknown."""

    def seconds(arm: ClassicalArm) -> float:
        if shape is None:
            return WORTH / ARMS
        images = (arm.train_samples or shape.train) * len(seeds_of(study, arm))
        return FIT_SECONDS * images * study.dataset.resolution**2

    return seconds
