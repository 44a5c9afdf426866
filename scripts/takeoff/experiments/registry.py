"""The experiments that a study may switch on."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from takeoff.common.errors import TakeoffError, choices
from takeoff.experiments.base import Experiment
from takeoff.study.arms import AnyArm, Arm, distinct, seeds_of
from takeoff.study.loading import check
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
    for experiment in experiments.values():
        try:
            experiment.check(*lines)
        except TakeoffError as error:
            raise TakeoffError(f"{source}: experiments: {error}") from None
