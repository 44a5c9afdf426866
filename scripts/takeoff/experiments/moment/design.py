"""The 2012 ImageNet moment: does the network nearly halve the error of the best hand-made pipeline?"""

from functools import cached_property
from typing import Annotated

from pydantic import AfterValidator, Field

from takeoff.experiments.base import Experiment
from takeoff.experiments.scaling.methods import Method, pair
from takeoff.study.arms import AnyArm, first_seeds, make_arm, make_classical
from takeoff.study.bounds import Seeds, once
from takeoff.study.model import Level
from takeoff.study.settings import Settings

NETWORKS: dict[str, dict[str, Level]] = {
    "network-2012": {"activation": "relu", "norm": "none", "dropout": 0.5},
    "network-modern": {"activation": "relu", "norm": "batch", "dropout": 0},
}
"""As in 2012, ReLU and dropout (Krizhevsky 2012), and with batch norm instead of dropout (Ioffe & Szegedy 2015)."""


class Options(Settings):
    """What a study may set below `moment`."""

    seeds: Seeds | None = None
    """How many of the study's seeds every method has, the first ones; left out, all."""
    methods: Annotated[tuple[Method, ...], Field(min_length=1), AfterValidator(once)] = (
        "fisher-linear-svm",
        "hog-linear-svm",
        "hog-rbf-svm",
        "kmeans-linear-svm",
    )
    """The older methods, as features and learner."""


class Design(Experiment[Options]):
    """Two networks and the older methods, each tuned, on all images."""

    title = "The 2012 moment: the network against the best hand-made pipeline"
    Options = Options

    def tables(self) -> tuple[str, ...]:
        """Errors by method, the ratio of the best two, and every run."""
        return ("methods", "ratio", "runs")

    def figures(self) -> dict[str, str]:
        """Every method's error, and the ratio."""
        return {"errors": "Errors beside the published ones", "ratio": "The network's over the hand-made one"}

    def arms(self) -> list[AnyArm]:
        """An arm per method."""
        return [*self.methods.values()]

    @cached_property
    def methods(self) -> dict[str, AnyArm]:
        """The arms, by method; the factorial has the same networks where its levels are theirs."""
        seeds = first_seeds(self.study, self.options.seeds)
        found: dict[str, AnyArm] = {}
        for name, levels in NETWORKS.items():
            found[name] = make_arm(self.study, levels, seeds=seeds)
        for method in self.options.methods:
            found[method] = make_classical(self.study, *pair(method), seeds=seeds)
        return found
