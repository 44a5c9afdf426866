"""What an experiment is: one question, the arms it needs, its tables, what it measures of claims, and its figures."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

from takeoff.data.catalogue import entries
from takeoff.study.arms import AnyArm, Arm, seeds_of
from takeoff.study.model import Study
from takeoff.study.settings import Settings

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from takeoff.statistics.criterion import Criterion
    from takeoff.statistics.measures import Measure

Given = TypeVar("Given", bound=Settings)
Tables = Mapping[str, "pd.DataFrame"]
CHOICES, MEASURED = "choices", "measured"
"""The tables that every experiment has: how its arms were tuned, and what its claims rest on."""


@dataclass(frozen=True)
class Results:
    """What an experiment is analysed from: of its arms, and of the seeds that it wants."""

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


class FixedCriterion(NamedTuple):
    """A claim's criterion as it was fixed when the study was planned, for a figure to draw."""

    parts: "Mapping[str, Criterion]"
    """By the part's name."""
    published: float | None
    """The published figure, in the units of the first part."""


class Drawing(NamedTuple):
    """A figure, and the numbers drawn in it."""

    name: str
    figure: "Figure"
    numbers: "pd.DataFrame"


@dataclass(frozen=True)
class Experiment(ABC, Generic[Given]):
    """One question asked of a study, with the options that the study sets.

    A subclass stands as `Design` in `experiments/<name>/design.py`, which imports neither torch nor pandas: planning
    imports it. What is heavy stands beside it, found by name: `analyse` in `tables.py`, `measure` in `measured.py`
    and `draw` in `figures.py` do the work of the methods of these names, and take the experiment first. A small
    experiment has the work in these methods itself.
    """

    study: Study
    options: Given

    title: ClassVar[str]
    """What the report calls the experiment: its question."""
    Options: ClassVar[type[Settings]] = Settings
    """The keys that a study may set below the experiment's name."""
    seeded: ClassVar[Literal["final", "tune"]] = "final"
    """Which runs give a value per seed: final ones, or those that tune."""

    @property
    def beside_published(self) -> bool:
        """Whether figures show published values: not beside those of images that are the user's own."""
        return self.study.dataset.name in entries()

    def published(self, fixed: FixedCriterion | None) -> float | None:
        """The published figure of a claim, if it is to be shown."""
        return fixed.published if fixed and self.beside_published else None

    @abstractmethod
    def arms(self) -> list[AnyArm]:
        """The arms that the experiment needs."""

    @abstractmethod
    def tables(self) -> tuple[str, ...]:
        """The names of the CSV files that `analyse` makes."""

    @abstractmethod
    def figures(self) -> dict[str, str]:
        """The names of the figures that `draw` makes, each with its label in the report; their captions stand in
        `workflow/report/<experiment>-<figure>.rst`.
        """

    def timed(self) -> list[Arm]:
        """The networks whose steps are timed against each other."""
        return []

    def reads_speed(self) -> bool:
        """Whether `analyse` needs `speed.csv`, what was timed on this machine."""
        return bool(self.timed())

    def check(self, test: float, training: float) -> None:
        """Refuse, with a TakeoffError, options that are no better than guessing: an accuracy on test images counts as
        chance up to `test`, one on training images up to `training` (`chance_line`). Planning asks, before any run.
        """

    def notes(self) -> list[str]:
        """What must be known of the design before it is trained, in lines that `plan` prints."""
        return []

    def untestable(self) -> dict[str, str]:
        """The claims that no outcome of this design can test, each with the reason; planning asks, before any run."""
        return {}

    def values(self, claim: str) -> int:
        """How many values, one per seed, the design gives a claim that is measured over seeds."""
        return max(len(seeds_of(self.study, arm)) for arm in self.arms())

    def analyse(self, results: Results) -> Tables:
        """The tidy tables, by name. A TakeoffError says what of the results does not fit the design."""
        return self._beside("tables").analyse(self, results)

    def measure(self, tables: Tables, card: dict[str, Any]) -> "Iterable[Measure]":
        """What the tables, read back, `choices` among them, and the dataset's card say of the experiment's claims in
        `config/claims.yaml`.
        """
        return self._beside("measured").measure(self, tables, card)

    def draw(self, tables: Tables, criteria: Mapping[str, FixedCriterion]) -> Iterable[Drawing]:
        """Each figure, from the tables as they are read back, and the criterion of each claim, by its name."""
        return self._beside("figures").draw(self, tables, criteria)

    def _beside(self, module: str) -> Any:
        # By name, so that what planning imports, and what tables depend on, leaves drawing out.
        return import_module(f"{type(self).__module__.rpartition('.')[0]}.{module}")
