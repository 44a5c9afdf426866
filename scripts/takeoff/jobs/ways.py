"""Ways of making steps: one run after another or several in one network; step by step or as a CUDA graph; compiled."""

from collections.abc import Sequence
from dataclasses import dataclass

from takeoff.engine.fused import FusedStep
from takeoff.engine.graphs import Graphed
from takeoff.engine.parallel import ParallelStep
from takeoff.engine.state import Training
from takeoff.engine.steps import Eager, OneStep, Step


@dataclass(frozen=True)
class Way:
    """How the runs of a group are trained; every way gives the same numbers within rounding."""

    at_once: int = 1
    """Runs of a group, at most."""
    fused: bool = False
    """Whether the group is one network."""
    graph: bool = False
    """Whether a step is a CUDA graph; those of runs that are not fused overlap."""
    compiled: bool = False
    """Whether forward and backward pass go through torch.compile."""

    @property
    def name(self) -> str:
        """As in `12 fused, graph`."""
        kind = "fused" if self.fused else "overlapped" if self.graph else "in turn"
        words = [f"{self.at_once} {kind}"] if self.at_once > 1 else ["one after another"]
        return ", ".join(words + ["graph"] * self.graph + ["compiled"] * self.compiled)

    def stepper(self, trainings: Sequence[Training]) -> Eager | Graphed:
        """What trains a group of at most `at_once` runs, whose networks it may change the storage of."""
        if trainings[0].hardware.ranks > 1:
            return Eager([ParallelStep([training]) for training in trainings])
        groups = [trainings] if self.fused else [[training] for training in trainings]
        steps: list[Step] = [
            FusedStep(group, self.compiled) if self.compiled or len(group) > 1 else OneStep(group) for group in groups
        ]
        return Graphed(steps) if self.graph else Eager(steps)


ONE_AFTER_ANOTHER = Way()
