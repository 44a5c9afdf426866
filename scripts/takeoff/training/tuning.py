"""The choice of an arm's learning rate from its tuning runs."""

import json
import math
from collections import defaultdict
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from takeoff.errors import TakeoffError
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
    """Of every rate: mean validation accuracy and loss, and with a target the mean epochs to it; empty where the
    grid has only one."""
    seeds: list[int]
    runs: list[dict[str, Any]] = field(default_factory=list)
    """Every tuning run: its rate, seed, and what it ended with."""
    lender: str | None = None
    """The arm whose choice this is, where it is not the arm's own."""

    @property
    def remark(self) -> str:
        """What the reader of a log should know of the choice."""
        if self.lender is not None:
            return f" (as {self.lender})"
        if not self.grid:
            return " (the grid's only one)"
        tie = f" (untuned: all rates within {self.spread:.3f})" if self.untuned else ""
        return tie + (" (at the grid's edge)" if self.at_edge else "")


KEPT = (
    "learning_rate",
    "seed",
    "train_accuracy",
    "train_loss",
    "validation_accuracy",
    "validation_loss",
    "epochs_to_target",
    "diverged",
)
"""What is remembered of a tuning run."""


def choose_rate(rows: list[dict[str, Any]], validation_images: int) -> Choice:
    """The rate with the best mean validation accuracy over the tuning seeds; where all tie, the least loss.

    A diverged run counts with what it ended at, chance.

    Args:
        rows: of the tuning runs, one per rate and seed.
        validation_images: that each of them was validated on.

    """
    by_rate = _by_rate(rows)
    accuracy = {rate: fmean(row["validation_accuracy"] for row in runs) for rate, runs in by_rate.items()}
    loss = {rate: fmean(_number(row["validation_loss"]) for row in runs) for rate, runs in by_rate.items()}
    best = max(by_rate, key=lambda rate: (accuracy[rate], -loss[rate]))
    spread = accuracy[best] - min(accuracy.values())
    share = min(max(accuracy[best], 1 / validation_images), 1 - 1 / validation_images)
    # The seeds share their validation images, where all images are in use: they do not multiply them.
    tied_within = 2 * math.sqrt(share * (1 - share) / validation_images)
    untuned = spread <= tied_within
    if untuned:
        best = min(by_rate, key=lambda rate: (loss[rate], -accuracy[rate]))
    return _choice(by_rate, best, untuned, spread, tied_within)


def choose_soonest(rows: list[dict[str, Any]], horizon: float) -> Choice:
    """The rate whose runs reach their target soonest on average; of those that never do, the nearest to it.

    Args:
        rows: of the tuning runs; `epochs_to_target` is None where it was not reached by the `horizon`.
        horizon: epochs.

    """
    by_rate = _by_rate(rows)

    def epochs(row: dict[str, Any]) -> float:
        if row["epochs_to_target"] is not None:
            return float(row["epochs_to_target"])
        return horizon + 1 - float(row["train_accuracy"])

    mean = {rate: fmean(epochs(row) for row in runs) for rate, runs in by_rate.items()}
    best = min(by_rate, key=lambda rate: mean[rate])
    never = all(row["epochs_to_target"] is None for row in rows)
    return _choice(by_rate, best, untuned=never, spread=max(mean.values()) - mean[best], tied_within=0.0)


def _by_rate(rows: list[dict[str, Any]]) -> dict[float, list[dict[str, Any]]]:
    by_rate: dict[float, list[dict[str, Any]]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row["learning_rate"]):
        by_rate[row["learning_rate"]].append(row)
    return by_rate


def _choice(
    by_rate: dict[float, list[dict[str, Any]]], best: float, untuned: bool, spread: float, tied_within: float
) -> Choice:
    def mean(runs: list[dict[str, Any]], key: str) -> float | None:
        value = fmean(_number(run[key]) for run in runs)
        return value if math.isfinite(value) else None

    keys = ["validation_accuracy", "validation_loss"]
    keys += ["epochs_to_target"] * ("epochs_to_target" in next(iter(by_rate.values()))[0])
    return Choice(
        learning_rate=best,
        at_edge=best in {min(by_rate), max(by_rate)},
        untuned=untuned,
        spread=spread,
        tied_within=tied_within,
        grid=[
            {
                "learning_rate": rate,
                **{key: mean(runs, key) for key in keys},
                "diverged": sum(run["diverged"] for run in runs),
            }
            for rate, runs in by_rate.items()
        ],
        seeds=sorted({run["seed"] for runs in by_rate.values() for run in runs}),
        runs=[{key: run[key] for key in KEPT if key in run} for runs in by_rate.values() for run in runs],
    )


def only_rate(rate: float) -> Choice:
    """The choice where the grid leaves none: nothing is trained for it."""
    return Choice(rate, at_edge=False, untuned=True, spread=0.0, tied_within=0.0, grid=[], seeds=[])


def _number(value: float | None) -> float:
    """What diverged, or was not reached, is infinite."""
    return math.inf if value is None else value


def write_choice(path: Path, choice: Choice) -> None:
    """Write `learning_rate.json`."""
    write_json(path, asdict(choice))


def borrowed(path: Path, lender: str) -> Choice:
    """The choice that the arm `lender` made for itself, read from its `learning_rate.json`.

    Raises:
        TakeoffError: it is not there, or damaged.

    """
    try:
        made = json.loads(path.read_text(encoding="utf-8"))
        return replace(Choice(**made), runs=[], lender=lender)
    except FileNotFoundError:
        raise TakeoffError(f"{path}: there is no such file; tune {lender} first") from None
    except (TypeError, ValueError):
        raise TakeoffError(f"{path}: damaged; remove it, and tune {lender} again") from None
