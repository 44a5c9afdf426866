"""The experiments that a study may switch on, and the interface that each module keeps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from takeoff.errors import TakeoffError, choices
from takeoff.study.arms import AnyArm, Arm, distinct
from takeoff.study.loading import check
from takeoff.study.model import Study
from takeoff.study.settings import Settings

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from takeoff.experiments.claims import Claim, Finding

EXPERIMENTS = (
    "factorial",
    "race",
    "depth",
    "stability",
    "dropout",
    "scaling",
    "moment",
    "compute",
    "synergy",
)

CHOICES = "choices"
"""The table of how each arm of an experiment was tuned; `gathering.choices_table` makes it."""


@dataclass(frozen=True)
class Results:
    """What an experiment is analysed from: of its arms, and of the seeds that it asked for."""

    runs: "pd.DataFrame"
    """A row per final run: the columns of `runs.parquet`, and how the arm was tuned (`at_edge`, `untuned`)."""
    curves: "pd.DataFrame"
    """A row per such run of a network and epoch: the columns of `curves.parquet`."""
    card: dict[str, Any]
    """The dataset's card, as `prepare` writes it."""
    tuning: "pd.DataFrame"
    """A row per tuning run of a network that was tuned itself: `arm`, and the keys of `tuning.KEPT`."""
    probes: "pd.DataFrame"
    """A row per run of a probed arm, moment and layer: the columns of `probe.parquet`."""
    speed: "pd.DataFrame | None" = None
    """How long steps take: the columns of `speed.csv`."""


class Experiment(Protocol):
    """What a module in this folder offers. Its top level imports neither pandas nor matplotlib, so that the
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
    CLAIMS: tuple["Claim", ...]
    """The claims that it judges, each with a criterion fixed before training."""

    def arms(self, study: Study, options: Any) -> list[AnyArm]:
        """The arms that the experiment needs."""

    def analyse(self, study: Study, options: Any, results: Results) -> "dict[str, pd.DataFrame]":
        """The tidy tables, by name."""

    def judge(
        self, study: Study, options: Any, tables: "dict[str, pd.DataFrame]", card: dict[str, Any]
    ) -> "list[Finding]":
        """What the tables, read back, say of each of `CLAIMS`."""

    def draw(
        self, study: Study, options: Any, tables: "dict[str, pd.DataFrame]"
    ) -> "Iterator[tuple[str, Figure, pd.DataFrame]]":
        """Each figure: its name, the figure, and the numbers drawn in it."""


def experiment(name: str) -> Experiment:
    """The module of an experiment."""
    return cast(Experiment, import_module(f"takeoff.experiments.{name}"))


def reads_speed(name: str) -> bool:
    """Whether an experiment is analysed from the measurements of speed: those that have arms timed are."""
    return hasattr(experiment(name), "timed")


def tables_of(name: str, study: Study, options: Any) -> tuple[str, ...]:
    """The tables that an experiment makes of `study`: its own `tables`, where they depend on options, and `CHOICES`,
    which every experiment has.
    """
    module: Any = experiment(name)
    return (*(module.tables(study, options) if hasattr(module, "tables") else module.TABLES), CHOICES)


def figures_of(name: str, study: Study, options: Any) -> dict[str, str]:
    """The figures that an experiment makes of `study`: its own `figures`, where they depend on options."""
    module: Any = experiment(name)
    return dict(module.figures(study, options) if hasattr(module, "figures") else module.FIGURES)


def timed_arms(study: Study, source: str) -> list[Arm]:
    """The networks whose steps are timed against each other, for the experiments that ask for it."""
    wanted: list[AnyArm] = []
    for name, options in enabled(study, source).items():
        module: Any = experiment(name)
        wanted += module.timed(study, options) if hasattr(module, "timed") else []
    return [arm for arm in distinct(wanted) if isinstance(arm, Arm)]


def criteria(study: Study, source: str) -> dict[str, str]:
    """The criterion of each claim of the experiments that `study` switches on, written down beforehand: its words,
    then the study's numbers that it rests on, as `… [margin 0.01, error 0.25]`.
    """
    written: dict[str, str] = {}
    for name, options in enabled(study, source).items():
        module: Any = experiment(name)
        numbers = {"margin": study.margin}
        numbers |= {option: getattr(options, option) for option in getattr(module, "RESTS_ON", ())}
        words = ", ".join(f"{option} {_numbers(given)}" for option, given in numbers.items())
        written |= {claim.name: f"{claim.criterion} [{words}]" for claim in getattr(module, "CLAIMS", ())}
    return written


def _numbers(given: float | str | Sequence[float | str] | None) -> str:
    """As in `0.01`, `0 0.2 0.5` or `tanh`; `none` where nothing was set."""
    values = given if isinstance(given, Sequence) and not isinstance(given, str) else (given,)
    words = (
        "none" if value is None else value if isinstance(value, str) else f"{value:g}" for value in values
    )
    return " ".join(words)


def notes(study: Study, source: str) -> list[str]:
    """What must be known of the designs that `study` asks for before they are trained, in lines."""
    found: list[str] = []
    for name, options in enabled(study, source).items():
        module: Any = experiment(name)
        found += module.notes(study, options) if hasattr(module, "notes") else []
    return found


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


def arms_of(study: Study, source: str) -> dict[str, list[AnyArm]]:
    """The arms of each experiment that `study` switches on."""
    return {name: experiment(name).arms(study, options) for name, options in enabled(study, source).items()}


def all_arms(study: Study, source: str) -> list[AnyArm]:
    """Every arm of the study, once, with all the seeds that are asked of it."""
    return distinct(arm for arms in arms_of(study, source).values() for arm in arms)
