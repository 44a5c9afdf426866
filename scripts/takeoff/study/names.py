"""What arms are called where people read: by what sets each apart from the arms that the same experiments want."""

from collections import defaultdict
from collections.abc import Collection

from takeoff.study.planned import AnyPlannedArm


def short_names(arms: Collection[AnyPlannedArm]) -> dict[str, str]:
    """By the arm's own name, a name that no other arm has.

    An arm of the factorial keeps its own. Another one is called after its first experiment, without the words that all
    arms of the same experiments share, unless nothing is left then, or two would be alike.
    """
    groups: dict[tuple[str, ...], list[AnyPlannedArm]] = defaultdict(list)
    for arm in arms:
        groups[tuple(arm.experiments)].append(arm)
    found: dict[str, str] = {}
    for experiments, group in groups.items():
        shared = set.intersection(*(set(arm.name.split("+")) for arm in group)) if len(group) > 1 else set()
        for arm in group:
            left = "+".join(word for word in arm.name.split("+") if word not in shared)
            short = f"{experiments[0]}: {left}" if experiments and "factorial" not in experiments and left else arm.name
            found[arm.name] = short
    names = list(found.values())
    return {own: short if names.count(short) == 1 else own for own, short in found.items()}
