"""Made-up claims, and values that support them."""

from numpy import inf
from takeoff.judging.claims import Claim
from takeoff.statistics.measures import Measure
from takeoff.statistics.verdicts import Criterion, Part

RATIOS = [2.9, 3.1, 3.4, 2.8]
EPOCHS = {"quantity": "the ratio", "unit": "ratio", "supports": {"above": 2}}


def stated(name, experiment="race", parts=None, **changes):
    """A claim as `claims.yaml` has it, without its name; its words say which field they are."""
    words = {"statement": f"{name} holds", "source": "Someone 1989", "quantity": "epochs", "published": "6×"}
    given = {"experiment": experiment, "figure": "race-ratios", "parts": parts or {"epochs": EPOCHS}}
    return words | given | changes


def claim(name, **changes):
    """The same as it is read."""
    return Claim.model_validate({"name": name, **stated(name, **changes)})


def part(label, values, supports=(0, inf), unit="", contradicts=None, bound=(0, 0), veto=""):
    """A measured quantity with its criterion."""
    measure = Measure.of("made-up", label, label, values, unit, bound, veto)
    return Part(measure, Criterion(supports, contradicts))
