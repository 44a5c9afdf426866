"""The plain networks that `depth` and `stability` share: hidden layers of equal width, with and without batch norm."""

from typing import Annotated

from pydantic import Field

from takeoff.study.arms import Arm, make_arm
from takeoff.study.model import Study
from takeoff.study.settings import Activation, Count, Rates, Settings

Depths = Annotated[tuple[Annotated[int, Field(gt=0, le=100, strict=True)], ...], Field(min_length=1)]
NORMS = ("none", "batch")


class Grid(Settings):
    """What a study may set of the grid of plain networks; what two experiments both ask for is trained once."""

    depths: Depths = (2, 5, 10, 20)
    """Hidden layers."""
    rates: Rates = (0.01, 0.1, 1.0)
    """The grid of learning rates, wider and coarser than that of other arms: here the map is the result."""
    tuning_seeds: Annotated[int, Field(ge=2, strict=True)] = 4
    """Seeds that each rate is tried on, those of the study at least: what is said of shallow networks, and of rates,
    rests on them."""
    shallow_seeds: Count = 1
    """Final runs of networks that are not the deepest. What is said of these comes from the tuning runs."""


def plain_arm(
    study: Study,
    activation: Activation,
    norm: str,
    depth: int,
    *,
    rates: tuple[float, ...],
    seeds: tuple[int, ...] | None,
    tuning_seeds: int,
    probed: bool = False,
    initialisation: str = "by-activation",
) -> Arm:
    """A network of `depth` fully connected hidden layers, without dropout, with its own grid of rates.

    Without weight decay, too: it changes the weights of a layer that learns nothing, and how weights change is what is
    looked at.
    """
    return make_arm(
        study,
        {
            "activation": activation,
            "norm": norm,
            "dropout": 0,
            "response_norm": "none",
            "initialisation": initialisation,
        },
        network={"family": "plain", "depth": depth},
        recipe={"weight_decay": 0.0},
        rates=rates,
        seeds=seeds,
        tuning_seeds=max(tuning_seeds, study.tuning.seeds),
        probed=probed,
    )
