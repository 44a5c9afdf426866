"""Which arms share a job: small ones of one experiment until they are worth its start-up, those that take another
arm's choice in jobs of their own.

Every part of a workflow packs alike, on any machine: what an arm takes is estimated from what the catalogue says of
its images, at a rate that the kind of device alone decides (see `Project.packed_for`). An experiment's arms are packed
by themselves, so that another setting in one experiment leaves the jobs of the others as they are.
"""

from collections.abc import Callable, Iterable, Sequence
from math import ceil, inf

from takeoff.study.planned import AnyPlannedArm
from takeoff.workflow.images import Shape
from takeoff.workflow.planning import expected_seconds
from takeoff.workflow.speeds import estimated

Seconds = Callable[[AnyPlannedArm], float]
MOST_PACKS = 500
"""Jobs that train, about, at most: Snakemake's own work, and a cluster's, grow with them."""
ARMS = 4
"""Of a job, where nobody knows how long they take; of older methods at least, which share features."""
WORTH = {"cpu": 40.0, "cuda": 300.0}
"""Seconds of such a job at least, by the device that it is packed for: importing torch takes three to five of them, and
on a GPU its start, the measurement of ways and what is captured or compiled take half a minute and more."""
FLOPS_PER_SECOND = {"cpu": 5e10, "cuda": 5e13}
"""Of that estimate: of one thread, so that its seconds are one or two on most CPUs, and of a GPU."""


def packs_of(
    arms: Sequence[AnyPlannedArm], per_job: int | None, seconds: Seconds, worth: float, least: int = 1
) -> list[list[AnyPlannedArm]]:
    """The arms, which are of one kind, in groups that share a job, those without a choice_from first.

    Of very many arms more than `per_job` share one. Where that is None, `least` or more do: as many as it takes to be
    worth a job of so many seconds, by about the seconds that each takes.
    """
    crowded = ceil(len(arms) / MOST_PACKS)
    size = max(least if per_job is None else per_job, crowded)
    # Where the number of jobs is bounded anyhow, no arm needs its estimate.
    worth = worth if per_job is None and crowded <= ARMS else 0.0
    groups: dict[tuple[bool, str], list[AnyPlannedArm]] = {}
    for arm in arms:
        groups.setdefault((arm.choice_from is not None, arm.experiments[0]), []).append(arm)
    ordered = sorted(groups.items(), key=lambda group: group[0][0])
    return [pack for _, group in ordered for pack in _in_order(group, size, worth, seconds)]


def _in_order(arms: Iterable[AnyPlannedArm], size: int, worth: float, seconds: Seconds) -> list[list[AnyPlannedArm]]:
    """Packs of `size` arms and `worth` seconds or more; what is left over joins the last one, if it is small."""
    packs: list[list[AnyPlannedArm]] = []
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


def seconds_left(packs: Sequence[Sequence[AnyPlannedArm]], seconds: Seconds) -> list[float]:
    """About the seconds from the start of each pack until the last one has ended that waits for a choice it makes, by
    about the seconds that each arm takes.
    """
    own = [sum(map(seconds, pack)) for pack in packs]
    waiting: dict[str, float] = {}
    for pack, spent in zip(packs, own, strict=True):
        for name in {arm.choice_from for arm in pack if arm.choice_from}:
            waiting[name] = max(waiting.get(name, 0.0), spent)
    longest = [max((waiting.get(arm.name, 0.0) for arm in pack), default=0.0) for pack in packs]
    return [spent + later for spent, later in zip(own, longest, strict=True)]


def estimate(shape: Shape | None, device: str) -> Seconds:
    """About what an arm takes; where nobody knows how many images there are, a part of a job's worth."""

    def seconds(arm: AnyPlannedArm) -> float:
        if shape is None:
            return WORTH[device] / ARMS
        return expected_seconds(arm, shape, estimated(FLOPS_PER_SECOND[device]))

    return seconds
