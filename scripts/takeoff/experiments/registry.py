"""The experiments that a study may switch on, and the interface that each module keeps."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from takeoff.errors import TakeoffError, choices
from takeoff.study.arms import Arm, distinct
from takeoff.study.loading import check
from takeoff.study.model import Study
from takeoff.study.settings import Settings

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

EXPERIMENTS = ("factorial",)


@dataclass(frozen=True)
class Results:
    """What an experiment is analysed from."""

    runs: "pd.DataFrame"
    """A row per final run of the experiment's arms: the columns of `runs.parquet`."""
    curves: "pd.DataFrame"
    """A row per such run and epoch: the columns of `curves.parquet`."""
    card: dict[str, Any]
    """The dataset's card, as `prepare` writes it."""


class Experiment(Protocol):
    """What a module in this folder offers. Its top level imports neither pandas nor seaborn, so that the
    workflow, which only asks for `arms`, `TABLES` and `FIGURES`, is planned at once.
    """

    TITLE: str
    """What the report calls the experiment: its question."""
    Options: type[Settings]
    """The keys that a study may set below the experiment's name."""
    TABLES: tuple[str, ...]
    """Names of the CSV files that `analyse` makes."""
    FIGURES: dict[str, str]
    """Names of the figures that `draw` makes, each with its label in the report; their captions stand in
    workflow/report/<experiment>-<figure>.rst."""

    def arms(self, study: Study, options: Any) -> list[Arm]:
        """The arms that the experiment needs."""

    def analyse(self, study: Study, options: Any, results: Results) -> "dict[str, pd.DataFrame]":
        """The tidy tables, by name."""

    def draw(
        self, study: Study, options: Any, tables: "dict[str, pd.DataFrame]"
    ) -> "Iterator[tuple[str, Figure, pd.DataFrame]]":
        """Each figure: its name, the figure, and the numbers drawn in it."""


def experiment(name: str) -> Experiment:
    """The module of an experiment."""
    return cast(Experiment, import_module(f"takeoff.experiments.{name}"))


def enabled(study: Study, source: str) -> dict[str, Any]:
    """The experiments that `study` (read from `source`) switches on, each with its checked options.

    Raises:
        TakeoffError: there is no such experiment, or one of its options is wrong.

    """
    options = {}
    for name, given in study.experiments.items():
        if name not in EXPERIMENTS:
            raise TakeoffError(
                f"{source}: experiments.{name}: no such experiment; {choices(name, EXPERIMENTS)}"
            )
        options[name] = check(experiment(name).Options, given or {}, f"{source}: experiments.{name}")
    return options


def arms_of(study: Study, source: str) -> dict[str, list[Arm]]:
    """The arms of each experiment that `study` switches on."""
    return {name: experiment(name).arms(study, options) for name, options in enabled(study, source).items()}


def all_arms(study: Study, source: str) -> list[Arm]:
    """Every arm of the study, once."""
    return distinct(arm for arms in arms_of(study, source).values() for arm in arms)
