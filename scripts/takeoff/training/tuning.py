"""The choice of an arm's learning rate from its tuning runs."""

import math
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from takeoff.files import write_json


@dataclass(frozen=True)
class Choice:
    """An arm's learning rate, and what spoke for it."""

    learning_rate: float
    at_edge: bool
    """The best rate is the grid's least or greatest: a better one may lie outside."""
    untuned: bool
    """All rates tie: these runs cannot tell them apart."""
    spread: float
    """Best less worst mean validation accuracy over the grid."""
    tied_within: float
    """Spreads up to this count as a tie: two binomial standard errors of the best mean, for that many images."""
    grid: list[dict[str, float | None]]
    """Mean validation accuracy and loss of every rate; empty where the grid has only one."""
    seeds: list[int]

    @property
    def remark(self) -> str:
        """What the reader of a log should know of the choice."""
        if not self.grid:
            return " (the grid's only one)"
        tie = f" (untuned: all rates within {self.spread:.3f})" if self.untuned else ""
        return tie + (" (at the grid's edge)" if self.at_edge else "")


def choose_rate(rows: list[dict[str, Any]], validation_images: int) -> Choice:
    """The rate with the best mean validation accuracy over the tuning seeds; where all tie, the least loss.

    A diverged run counts with what it ended at, chance.

    Args:
        rows: of the tuning runs, one per rate and seed.
        validation_images: that each of them was validated on.

    """
    by_rate: dict[float, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_rate[row["learning_rate"]].append(row)
    rates = sorted(by_rate)
    accuracy = {rate: fmean(row["validation_accuracy"] for row in by_rate[rate]) for rate in rates}
    loss = {rate: fmean(_number(row["validation_loss"]) for row in by_rate[rate]) for rate in rates}
    best = max(rates, key=lambda rate: (accuracy[rate], -loss[rate]))
    spread = accuracy[best] - min(accuracy.values())
    seeds = sorted({row["seed"] for row in rows})
    share = min(max(accuracy[best], 1 / validation_images), 1 - 1 / validation_images)
    # The seeds share their validation images, where all images are in use: they do not multiply them.
    tied_within = 2 * math.sqrt(share * (1 - share) / validation_images)
    untuned = spread <= tied_within
    if untuned:
        best = min(rates, key=lambda rate: (loss[rate], -accuracy[rate]))
    return Choice(
        learning_rate=best,
        at_edge=best in {rates[0], rates[-1]},
        untuned=untuned,
        spread=spread,
        tied_within=tied_within,
        grid=[
            {
                "learning_rate": rate,
                "validation_accuracy": accuracy[rate],
                "validation_loss": loss[rate] if math.isfinite(loss[rate]) else None,
                "diverged": sum(row["diverged"] for row in by_rate[rate]),
            }
            for rate in rates
        ],
        seeds=seeds,
    )


def only_rate(rate: float) -> Choice:
    """The choice where the grid leaves none: nothing is trained for it."""
    return Choice(rate, at_edge=False, untuned=True, spread=0.0, tied_within=0.0, grid=[], seeds=[])


def _number(loss: float | None) -> float:
    return math.inf if loss is None else loss


def write_choice(path: Path, choice: Choice) -> None:
    """Write `learning_rate.json`."""
    write_json(path, asdict(choice))
