"""Which factor mattered, and do they need each other? A 2^k factorial over the study's factors."""

from functools import cached_property
from itertools import product
from typing import Annotated, Literal

from pydantic import Field

from takeoff.common.errors import TakeoffError
from takeoff.experiments.base import Experiment
from takeoff.experiments.scoring import Scoring, scoring
from takeoff.study.arms import AnyArm, Arm, first_seeds, make_arm
from takeoff.study.bounds import Scores, Seeds
from takeoff.study.model import Level
from takeoff.study.settings import LearningRate, Settings

MOST_FACTORS = 6
"""Of more factors, a fraction of the cells is trained."""
SPEED, TOGETHER = "batch-norm-speeds-training", "dropout-and-batch-norm-do-not-add-up"
SPEEDS = {SPEED: "epochs", f"{SPEED}-in-seconds": "seconds"}
"""The claims about batch norm's speed, and the one part of each."""
Quartet = dict[tuple[bool, bool], list[str]]
"""The ReLU arms by (batch norm?, dropout?), as many in each of the four groups."""


class Options(Settings):
    """What a study may set below `factorial`."""

    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """The validation accuracy of which the epoch that first reaches it is measured (a fraction)."""
    fixed_rate: LearningRate | None = None
    """A learning rate at which every cell is trained too, to show what tuning the rate hides or brings; left out,
    none is."""
    fixed_seeds: Seeds | None = None
    """How many of the cells' seeds are trained at `fixed_rate`, the first ones; left out, all."""
    seeds: Seeds | None = None
    """How many of the study's seeds every cell has, the first ones; left out, all."""
    scores: Scores = 1
    """How often an epoch the two networks are scored on which batch norm's speed is measured; above 1 both are trained
    for it once more, at the rates of their twins. What is crossed before the 8th score is not judged."""
    resolution: Literal[3, 4, 5] = 5
    """Of the fraction that is trained of more than six factors. At 5 neither main effects nor interactions of two
    factors are mixed up with each other; at 4 such interactions are; at 3 main effects are, with interactions."""


class Design(Experiment[Options]):
    """Every combination of the factors' levels, or a fraction of them, each at its own learning rate."""

    title = "Which factor mattered?"
    Options = Options

    def arms(self) -> list[AnyArm]:
        """Every cell tuned and, where a rate is fixed, at that rate too; and two that are scored within epochs."""
        return [*self.tuned_arms, *self.fixed_arms, *(self.timed() if self.options.scores > 1 else [])]

    def timed(self) -> list[Arm]:
        """The plain arm and the one with batch norm, whose steps are timed against each other."""
        return [] if isinstance(self.speed_pair, str) else [*self.speed_pair]

    def untestable(self) -> dict[str, str]:
        """Those on batch norm's speed without its two networks, that on its sum with dropout without the four."""
        found = dict.fromkeys(SPEEDS, self.speed_pair) | {TOGETHER: self.quartet}
        return {claim: reason for claim, reason in found.items() if isinstance(reason, str)}

    def check(self, test: float, training: float) -> None:
        """The threshold lies above what guessing reaches."""
        if self.options.threshold <= test:
            raise TakeoffError(
                f"factorial.threshold {self.options.threshold:g} is no better than guessing; valid: above {test:.3f}"
            )

    def tables(self) -> tuple[str, ...]:
        """Those at a fixed rate, and aliases, only where the study has these."""
        names = "effects cells collapse pairing curves runs equivalence pooled test_images"
        names += " speed_up speed_curves step_seconds"
        names += "" if self.options.fixed_rate is None else " fixed_effects fixed_cells fixed"
        return tuple((names if self.fraction is None else f"{names} aliases").split())

    def figures(self) -> dict[str, str]:
        """Those of a claim only where the study's factors let it be judged."""
        found = {
            "effects": "Effects and Shapley shares",
            "log-odds": "Effects in log-odds",
            "cells": "Every combination",
            "curves": "Learning curves",
        }
        if self.options.fixed_rate is not None:
            found["rates"] = "Tuned rates against one rate"
        if self.timed():
            found["speed-up"] = "Does batch norm speed training?"
        if not isinstance(self.quartet, str):
            found["interaction"] = "Do dropout and batch norm add up?"
        return found

    def notes(self) -> list[str]:
        """Of a fraction: its resolution, and what each effect takes in besides its own."""
        if self.fraction is None:
            return []
        from takeoff.statistics.fractional import aliases_table, resolution_of

        table = aliases_table(list(self.levels), self.fraction)
        width = int(table["term"].str.len().max())
        resolution = resolution_of(self.fraction)
        head = f"{len(self.fraction)} of {2 ** len(self.levels)} combinations, a fraction of resolution {resolution}"
        return [
            f"factorial: {head}; an effect estimates itself and",
            *(f"  {row.term:{width}}  {row.aliases}" for row in table.itertuples()),
        ]

    @cached_property
    def fraction(self) -> tuple[tuple[int, ...], ...] | None:
        """The cells of the fraction, each a zero (baseline) or one per factor; None where all cells are trained."""
        if len(self.study.factors) <= MOST_FACTORS:
            return None
        from takeoff.statistics.fractional import fraction_rows

        return fraction_rows(len(self.study.factors), self.options.resolution)

    @property
    def levels(self) -> dict[str, tuple[Level, Level]]:
        """Each factor's baseline and treatment."""
        return {name: (factor.baseline, factor.treatment) for name, factor in self.study.factors.items()}

    @cached_property
    def cells(self) -> list[dict[str, Level]]:
        """The levels of every cell that is trained, the baselines first."""
        rows = self.fraction or product((0, 1), repeat=len(self.levels))
        return [{name: pair[i] for (name, pair), i in zip(self.levels.items(), row, strict=True)} for row in rows]

    @cached_property
    def tuned_arms(self) -> list[Arm]:
        """An arm per cell, its rate tuned."""
        return [make_arm(self.study, levels, seeds=self._seeds) for levels in self.cells]

    @property
    def _seeds(self) -> tuple[int, ...] | None:
        return first_seeds(self.study, self.options.seeds)

    @cached_property
    def fixed_arms(self) -> list[Arm]:
        """An arm per cell at the fixed rate; none where there is no such rate."""
        rate, wanted = self.options.fixed_rate, (self.options.seeds, self.options.fixed_seeds)
        seeds = first_seeds(self.study, min((number for number in wanted if number), default=None))
        return [
            make_arm(self.study, levels, learning_rate=rate, choice_from=tuned.name, seeds=seeds)
            for levels, tuned in zip(self.cells, self.tuned_arms, strict=True)
            if rate is not None
        ]

    @cached_property
    def scoring(self) -> Scoring:
        """How scores part the epochs of those two."""
        scores, samples = self.options.scores, self.tuned_arms[0].train_samples
        return scoring(self.study, self.study.recipe.epochs, scores, "factorial.scores", samples)

    @cached_property
    def speed_pair(self) -> tuple[Arm, Arm] | str:
        """The arms of ReLU without dropout, plain and with batch norm, all other factors at their baselines, scored as
        often as the study asks; or why there are none.
        """
        pair = []
        parted = self.scoring.recipe | {"warmup_epochs": self.study.recipe.warmup_epochs / self.scoring.share}
        for norm in ("none", "batch"):
            wanted: dict[str, Level] = {"activation": "relu", "dropout": 0, "norm": norm}
            levels = {name: wanted.get(name, baseline) for name, (baseline, _) in self.levels.items()}
            arm = make_arm(self.study, levels, seeds=self._seeds)
            if not wanted.items() <= arm.levels.items():
                return "the study has no ReLU networks without dropout both with and without batch norm"
            if arm.name in {one.name for one in self.tuned_arms}:
                often = make_arm(self.study, levels, recipe=parted, seeds=self._seeds, choice_from=arm.name)
                pair.append(arm if self.options.scores == 1 else often)
        if len(pair) < 2:
            return "the study trains no two ReLU networks without dropout that differ in batch norm alone"
        return pair[0], pair[1]

    @cached_property
    def quartet(self) -> Quartet | str:
        """The ReLU arms that cross batch norm with dropout; or why there are none."""
        if self.fraction is not None:
            return "of a fraction of the cells, the interaction at ReLU alone cannot be separated from others"
        groups: Quartet = {}
        for arm in self.tuned_arms:
            network = arm.network
            if network.activation == "relu":
                groups.setdefault((network.norm == "batch", network.dropout > 0), []).append(arm.name)
        lacking = "the study does not cross batch norm with dropout in ReLU networks"
        return groups if len(groups) == 4 else lacking
