"""What a comparison of methods at sizes must be read with: where only a bound is known, and what its interval omits.

Of a method at chance, or near perfect, only a bound is known: the first may know less than it shows, the second may
know more. So a difference is a bound too, from above or from below, by the sign that the method has in it.
Where both signs meet the same bound, the difference means nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import inf

import pandas as pd

from takeoff.experiments.base import Tables
from takeoff.experiments.scaling.methods import listed, method_words
from takeoff.statistics.chance import chance_line, near_perfect
from takeoff.statistics.criterion import Range
from takeoff.statistics.measures import Veto
from takeoff.study.choices import STOPPED

FLOOR, CEILING = -1, 1
PLACES = {FLOOR: "at chance", CEILING: "within two standard errors of perfect"}
KINDS = {"older": "older methods", "network": "networks"}
Cell = tuple[str, int]
"""A method, and the size of its training set."""
Limits = tuple[Range, Veto, str]
"""What floors and ceilings leave of a measure: its bound and veto, and why; no reason where there are none."""


@dataclass(frozen=True)
class Caveats:
    """What the tables, read back, say of every method at every size."""

    tables: Tables
    test: tuple[float, int]
    """Chance on the test images, and their number."""

    @cached_property
    def ends(self) -> tuple[int, int]:
        """The smallest and the full size."""
        sizes = self.tables["runs"]["train_samples"]
        return int(sizes.min()), int(sizes.max())

    def of_difference(self, signs: Mapping[Cell, int]) -> Limits:
        """What is known of a difference, on any scale; `signs`: 1 where a higher accuracy raises it, else −1."""
        # At a floor the true place is lower: one with the sign 1 would lower the difference. A ceiling the other way.
        sides = {sign * self._at_limit.get(cell, 0) for cell, sign in signs.items()}
        below, above = -1 in sides, 1 in sides
        meaning = "means nothing" if below and above else f"is at {'most' if below else 'least'} this"
        return _limits(below, above, f"{self._words(signs)}, so that the difference {meaning}")

    def of_order(self, smallest: int, largest: int) -> Limits:
        """What is known of the agreement at `smallest` less that at `largest`.

        Luck alone orders two methods at the same limit, so that the order there agrees less than it would on harder
        or easier images.
        """
        places = [(size, limit) for size in (smallest, largest) for limit in PLACES]
        tied = [[cell for cell, at in self._at_limit.items() if (cell[1], at) == place] for place in places]
        lucky = [cell for cells in tied if len(cells) > 1 for cell in cells]
        sizes = {size for _, size in lucky}
        reason = f"{self._words(lucky)}, so that their order there is luck"
        return _limits(largest in sizes, smallest in sizes, reason)

    def words(self, cells: Iterable[Cell]) -> list[str]:
        """What an interval of a comparison of `cells` omits."""
        return [*self._sampling_words(cells), *self.settings_words(cells), *self._stopped_words(cells)]

    def settings_words(self, cells: Iterable[Cell]) -> list[str]:
        """Where the kinds are tuned of which a compared cell takes its settings from another arm."""
        runs = self.tables["runs"]
        taken = runs[runs["borrowed"].astype(bool)].set_index(["method", "train_samples"])["kind"]
        return [tuned_words(runs, kind) for kind in KINDS if taken[taken == kind].index.isin(cells).any()]

    def _sampling_words(self, cells: Iterable[Cell]) -> list[str]:
        """What an interval over seeds omits, since these share images at the full size."""
        runs, agreement, full = self.tables["runs"], self.tables["agreement"], self.ends[1]
        methods = {method for method, size in cells if size == full}
        own = runs[(runs["train_samples"] == full) & runs["method"].isin(methods)]
        if agreement.loc[agreement["train_samples"] == full, "share"].iloc[0] < 1:
            words = "at the full size seeds share images: the interval holds part of the sampling noise only"
            return [] if own["disjoint"].astype(bool).all() else [words]
        words = "at the full size every seed sees the same images: of that size the interval holds optimisation noise"
        return [f"{words} only, not sampling noise"] if methods else []

    def _stopped_words(self, cells: Iterable[Cell]) -> list[str]:
        """Of which cells a solver had more to do."""
        runs = self.tables["runs"]
        stopped = runs[runs["notes"].astype(str).str.contains(STOPPED)].groupby(["method", "train_samples"]).size()
        return [f"{method_words(one)} at {size:,} images {STOPPED}" for one, size in cells if (one, size) in stopped]

    @cached_property
    def _at_limit(self) -> dict[Cell, int]:
        """The cells whose mean accuracy is at `FLOOR` or `CEILING`, and at which of them."""
        means = self.tables["runs"].groupby(["method", "train_samples"])["test_accuracy"].mean()
        floor, images = chance_line(*self.test), self.test[1]
        limits = means.map(lambda mean: FLOOR if mean <= floor else CEILING * near_perfect(mean, images))
        return {(str(method), int(size)): limit for (method, size), limit in limits.items() if limit}

    def _words(self, cells: Iterable[Cell]) -> str:
        """Which of `cells` are at a limit, those of a size together: `HOG + RBF SVM at 40 images at chance`."""
        found: dict[tuple[str, int], list[str]] = {}
        for limit, place in PLACES.items():
            for method, size in sorted(cells, key=lambda cell: cell[1]):
                if self._at_limit.get((method, size)) == limit:
                    found.setdefault((place, size), []).append(method_words(method))
        return " and ".join(f"{listed(names)} at {size:,} images {at}" for (at, size), names in found.items())


def tuned_words(runs: pd.DataFrame, kind: str) -> str:
    """Where the methods of a kind are tuned, and what those elsewhere take."""
    own = runs[(runs["kind"] == kind) & ~runs["borrowed"].astype(bool)]
    if own.empty:
        shared = "the learning rate tuned for width 1× on all images, which favours that width and that size"
        return f"{KINDS[kind]} take {shared}"
    sizes = listed([f"{size:,}" for size in sorted(own["train_samples"].unique())])
    return f"{KINDS[kind]} are tuned at {sizes} images, and elsewhere take the setting of the nearest of these sizes"


def _limits(below: bool, above: bool, reason: str) -> Limits:
    """Of a quantity that may lie farther below, or above; where on both sides, nothing can be decided."""
    if below and above:
        return ((0.0, 0.0), "any", reason)
    return ((inf if below else 0.0, inf if above else 0.0), "", reason if below or above else "")
