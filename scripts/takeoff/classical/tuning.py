"""The choice of an older method's setting from its validation accuracy on the tuning seeds."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from takeoff.classical.learners import Setting, at_edge, tied_within
from takeoff.errors import TakeoffError
from takeoff.files import write_json
from takeoff.study.arms import Learner

FILE = "tuning.json"


@dataclass(frozen=True)
class Choice:
    """An arm's setting, and what spoke for it."""

    setting: Setting
    at_edge: bool
    """A value of it is its grid's least or greatest: a better one may lie outside."""
    untuned: bool
    """The whole grid ties: the validation images cannot tell its settings apart."""
    spread: float
    """Best less worst mean validation accuracy over the grid."""
    tied_within: float
    """Spreads up to this count as a tie: two binomial standard errors of the best mean."""
    grid: list[dict[str, Any]]
    """Mean validation accuracy of every setting."""
    seeds: list[int]
    runs: list[dict[str, Any]] = field(default_factory=list)
    """Every setting on every tuning seed, with what it scored."""
    notes: list[str] = field(default_factory=list)
    """What was approximated or made smaller."""
    lender: str | None = None
    """The arm whose choice this is, where it is not the arm's own."""

    @property
    def remark(self) -> str:
        """What the reader of a log should know of the choice."""
        if self.lender is not None:
            return f" (as {self.lender})"
        tie = f" (untuned: the whole grid within {self.spread:.3f})" if self.untuned else ""
        return tie + (" (at the grid's edge)" if self.at_edge else "")


def choose(learner: Learner, runs: list[dict[str, Any]], validation_images: int, notes: list[str]) -> Choice:
    """The setting with the best mean validation accuracy; of equals, the most regularised.

    Args:
        learner: whose grid it is.
        runs: `setting`, `seed` and `validation_accuracy` of each fit, the most regularised setting first.
        validation_images: that each was scored on.
        notes: for the record.

    """
    by_setting: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        by_setting.setdefault(json.dumps(run["setting"]), []).append(run)
    grid = [
        {"setting": rows[0]["setting"], "validation_accuracy": fmean(r["validation_accuracy"] for r in rows)}
        for rows in by_setting.values()
    ]
    # max keeps the first of equals; rounded, since a mean's last digit is no difference.
    best = max(grid, key=lambda row: round(row["validation_accuracy"], 9))
    spread = best["validation_accuracy"] - min(row["validation_accuracy"] for row in grid)
    limit = tied_within(best["validation_accuracy"], validation_images)
    return Choice(
        setting=best["setting"],
        at_edge=at_edge(learner, best["setting"]),
        untuned=spread <= limit,
        spread=spread,
        tied_within=limit,
        grid=grid,
        seeds=sorted({run["seed"] for run in runs}),
        runs=runs,
        notes=notes,
    )


def write_choice(folder: Path, choice: Choice) -> None:
    """Write `tuning.json`."""
    write_json(folder / FILE, asdict(choice))


def borrowed(folder: Path, lender: str) -> Choice:
    """The choice that the arm `lender` made for itself, read from its `folder`.

    Raises:
        TakeoffError: it is not there, or damaged.

    """
    path = folder / FILE
    try:
        choice = Choice(**json.loads(path.read_text(encoding="utf-8")))
        return replace(choice, runs=[], lender=lender)
    except FileNotFoundError:
        raise TakeoffError(f"{path}: there is no such file; fit {lender} first") from None
    except (TypeError, ValueError):
        raise TakeoffError(f"{path}: damaged; remove it, and fit {lender} again") from None
