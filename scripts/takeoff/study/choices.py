"""How an arm's learning rate, or an older method's setting, was chosen: what every such choice says."""

import math
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]  # what a run ended with, or an epoch

STOPPED = "stopped before it converged"
"""What the notes of an older method's choice and runs say of a solver that had more to do."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The reasons for a choice from a grid; each kind of choice adds what was chosen."""

    at_edge: bool
    """A value of it is its grid's least or greatest: a better one may lie outside."""
    untuned: bool
    """The whole grid ties: the tuning runs cannot tell its points apart."""
    spread: float
    """Best less worst mean over the grid: of validation accuracies, or of epochs to a target."""
    tied_within: float
    """Spreads up to this count as a tie: two binomial standard errors of the best mean accuracy."""
    grid: list[dict[str, Any]]
    """The means of every point of the grid; empty where the grid has only one."""
    seeds: list[int]
    runs: list[dict[str, Any]] = field(default_factory=list)
    """Every tuning run: what was tried, on which seed, and what it ended with."""
    choice_from: str | None = None
    """The arm whose choice this is, where it is not the arm's own."""
    block: int = 0
    """The block of final seeds that it is for."""


def tied_within(accuracy: float, images: int) -> float:
    """Two binomial standard errors of an accuracy that was measured on so many images."""
    share = min(max(accuracy, 1 / images), 1 - 1 / images)
    return 2 * math.sqrt(share * (1 - share) / images)
