"""The experiments that a study may switch on."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from takeoff.common.errors import TakeoffError
from takeoff.common.spelling import choices
from takeoff.experiments.base import Experiment
from takeoff.study.arms import AnyArm, Arm, blocks_of, distinct, seeds_of
from takeoff.study.bounds import RUNS
from takeoff.study.loading import check, described
from takeoff.study.model import Study

EXPERIMENTS = ("factorial", "race", "depth", "stability", "dropout", "scaling", "moment", "compute", "synergy", "gain")


FORMATS = (".csv", ".png", ".svg")
"""Of every figure, its numbers among them."""


def design(name: str) -> type[Experiment[Any]]:
    """The class of an experiment: `Design` in its module `design`."""
    return import_module(f"takeoff.experiments.{name}.design").Design


def enabled(study: Study, source: str) -> dict[str, Experiment[Any]]:
    """The experiments that `study`, read from `source`, switches on.

    A TakeoffError says that there is no such experiment, or that one of its options is wrong.
    """
    found = {}
    for name, given in study.experiments.items():
        if name not in EXPERIMENTS:
            raise TakeoffError(f"{source}: experiments.{name}: no such experiment; {choices(name, EXPERIMENTS)}")
        kind = design(name)
        found[name] = kind(study, check(kind.Options, given or {}, f"{source}: experiments.{name}"))
    return found


def wanted(experiments: Mapping[str, Experiment[Any]]) -> dict[str, list[AnyArm]]:
    """The arms that each experiment needs, by its name, with their seeds: one may want more than the study has."""
    return {
        name: [arm.model_copy(update={"seeds": tuple(seeds_of(one.study, arm))}) for arm in one.arms()]
        for name, one in experiments.items()
    }


def arms_wanted(experiments: Mapping[str, Experiment[Any]], study: Study, source: str) -> dict[str, list[AnyArm]]:
    """The same of `study`, read from `source`.

    A TakeoffError says that an experiment's options make an arm that cannot be, or too many runs to list.
    """
    try:
        found = wanted(experiments)
        runs = sum(_runs_at_least(study, arm) for arm in distinct(arm for arms in found.values() for arm in arms))
    except ValidationError as error:
        raise TakeoffError(f"{source}: experiments: an arm of theirs: {described(error, Arm)}") from None
    except (TakeoffError, ValueError) as error:
        raise TakeoffError(f"{source}: experiments: {error}") from None
    if runs > RUNS:
        raise TakeoffError(f"{source}: experiments: they want {runs:,} runs at least; valid: up to {RUNS:,}")
    return found


def _runs_at_least(study: Study, arm: AnyArm) -> int:
    seeds = seeds_of(study, arm)
    if not isinstance(arm, Arm) or not arm.tuned:
        return len(seeds)
    tuning, own = study.tuning, arm.learning_rates
    decays = 1 if own or tuning.search == "line" else len(tuning.weight_decays or (0,))
    tried = len(own or tuning.learning_rates) * decays * max(arm.tuning_seeds or 0, tuning.seeds)
    return len(seeds) + tried * len(blocks_of(study, seeds))


def stale_figures(folder: Path, experiments: Mapping[str, Experiment[Any]]) -> list[Path]:
    """The files in a `folder` of figures that are called as an experiment draws them, in every format, and that these
    ones do not draw.
    """
    drawn = {f"{name}-{figure}" for name, one in experiments.items() for figure in one.figures()}
    tables = [path for path in folder.glob("*-*.csv") if path.stem.partition("-")[0] in EXPERIMENTS]
    figures = [[path.with_suffix(suffix) for suffix in FORMATS] for path in tables if path.stem not in drawn]
    return sorted(path for figure in figures if all(map(Path.is_file, figure)) for path in figure)


def timed_arms(experiments: Iterable[Experiment[Any]]) -> list[Arm]:
    """The networks whose steps are timed against each other, once each."""
    arms = distinct(arm for experiment in experiments for arm in experiment.timed())
    return [arm for arm in arms if isinstance(arm, Arm)]


def check_options(experiments: Mapping[str, Experiment[Any]], source: str, lines: tuple[float, float]) -> None:
    """Refuse options that are no better than guessing, with a TakeoffError that names the study's file, `source`;
    `lines` are those of `Experiment.check`.
    """
    if experiments and lines[0] >= 1:
        raise TakeoffError(f"{source}: so few test images tell no accuracy from guessing; valid: more of each class")
    for experiment in experiments.values():
        try:
            experiment.check(*lines)
        except TakeoffError as error:
            raise TakeoffError(f"{source}: experiments: {error}") from None
