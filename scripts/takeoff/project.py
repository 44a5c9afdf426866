"""A study on this machine: what the workflow asks of the package to wire its rules."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from takeoff.checks import check_archive, check_images
from takeoff.data.catalogue import Entry, entries
from takeoff.digests import ENGINE, PACKAGE, code_digest
from takeoff.errors import TakeoffError
from takeoff.experiments import registry
from takeoff.files import digest_of
from takeoff.packing import ARMS, fitting_seconds, packs_of, training_seconds
from takeoff.planning import Shape, shape_of
from takeoff.study.arms import AnyArm, Arm, ClassicalArm, distinct
from takeoff.study.configuration import Configuration
from takeoff.study.loading import check, load_study, study_path
from takeoff.study.model import Study

_OWN = {"network", "recipe", "train_samples", "features", "learner"}
"""What an arm is; the rest says how it is tuned, and with which seeds it is run."""
RESERVED = ("data", "benchmark", "mlartifacts", "reference")
"""Folders of the results that belong to no study."""


@dataclass(frozen=True)
class Project:
    """A configuration and the study that it names."""

    configuration: Configuration
    study: Study
    source: Path
    """The study's file."""

    @property
    def name(self) -> str:
        """The study's name: that of its file."""
        return self.source.stem

    @property
    def folder(self) -> Path:
        """Where the study's results go."""
        return Path(self.configuration.results) / self.name

    @property
    def data(self) -> Path:
        """Where the study's prepared images go."""
        dataset = self.study.dataset
        chosen = f"-{digest_of(dataset.classes)[:8]}" if dataset.classes else ""
        return Path(self.configuration.results) / "data" / dataset.name / f"{dataset.resolution}px{chosen}"

    @property
    def entry(self) -> Entry | None:
        """The dataset's entry in the catalogue, if it has one."""
        return entries().get(self.study.dataset.name)

    @cached_property
    def arms(self) -> dict[str, list[AnyArm]]:
        """The arms that each experiment needs."""
        return registry.arms_of(self.study, str(self.source))

    @cached_property
    def all_arms(self) -> list[AnyArm]:
        """Every arm, once, with all the seeds that are asked of it."""
        return distinct(arm for arms in self.arms.values() for arm in arms)

    @cached_property
    def options(self) -> dict[str, Any]:
        """The experiments that the study switches on, each with its checked options."""
        return registry.enabled(self.study, str(self.source))

    @property
    def network_arms(self) -> list[Arm]:
        """Those of networks."""
        return [arm for arm in self.all_arms if isinstance(arm, Arm)]

    @property
    def shape(self) -> Shape | None:
        """Of the dataset, as its catalogue tells; None where it is the user's own."""
        return None if self.entry is None else shape_of(self.entry, self.study)

    @cached_property
    def packs(self) -> list[list[Arm]]:
        """The networks' arms, in the groups that share a job."""
        seconds = training_seconds(self.study, self.shape, self.configuration.device)
        return packs_of(self.network_arms, self.configuration.arms_per_job, seconds)

    @cached_property
    def classical_packs(self) -> list[list[ClassicalArm]]:
        """The older methods' arms, likewise; those with the same features together, which are computed once."""
        arms = [arm for arm in self.all_arms if isinstance(arm, ClassicalArm)]
        arms.sort(key=lambda arm: arm.method)
        seconds = fitting_seconds(self.study, self.shape)
        return packs_of(arms, self.configuration.arms_per_job, seconds, ARMS)

    def lends(self, pack: Sequence[AnyArm]) -> bool:
        """Whether another pack waits for a choice that this one makes."""
        return not self._lenders.isdisjoint(arm.name for arm in pack)

    @cached_property
    def _lenders(self) -> frozenset[str | None]:
        return frozenset(arm.lender for arm in self.all_arms)

    def lenders(self, pack: Sequence[AnyArm]) -> list[AnyArm]:
        """The arms whose choices a pack takes."""
        names = dict.fromkeys(arm.lender for arm in pack if arm.lender is not None)
        if missing := [name for name in names if name not in self._by_name]:
            raise TakeoffError(f"{self.source}: no experiment that is switched on has the arm {missing[0]}")
        return [self._by_name[name] for name in names]

    @cached_property
    def _by_name(self) -> dict[str, AnyArm]:
        return {arm.name: arm for arm in self.all_arms}

    def arm_folder(self, arm: AnyArm) -> str:
        """Where an arm's results go."""
        return f"{self._arms_folder}/{arm.name}"

    @cached_property
    def _arms_folder(self) -> str:
        return (self.folder / "arms").as_posix()

    @property
    def given_archive(self) -> str | None:
        """The user's own archive, folder or address, if there is one."""
        return self.configuration.archives.get(self.study.dataset.name) or self.study.dataset.archive

    @property
    def local_archive(self) -> str | None:
        """The user's own archive, if it lies on this machine's disk."""
        given = self.given_archive
        if given is None or (":" in given and not given.startswith("file://")):
            return None
        return given.removeprefix("file://")

    @property
    def fetched_archive(self) -> Path | None:
        """Where the download goes, if there is one to make."""
        if self.local_archive or (self.entry and not self.entry.addresses):
            return None
        file = (
            Path(urlsplit(self.given_archive).path).name
            if self.given_archive
            else self.entry and self.entry.file
        )
        return Path(self.configuration.results) / "data" / self.study.dataset.name / str(file)

    @property
    def training_mb(self) -> int:
        """Memory to ask for a training job: torch, and images that are resident, read and counted once each."""
        entry, side = self.entry, self.study.dataset.resolution
        images = (entry.train + entry.test) * side * side * entry.channels if entry else 0
        return 4000 + 3 * images // 1_000_000

    @property
    def tracking_uri(self) -> str:
        """Where runs are logged."""
        given = self.configuration.tracking_uri
        if given is None:
            return f"sqlite:///{self.configuration.results}/mlflow.db"
        return "" if given == "off" else given.strip()

    @staticmethod
    def demands(pack: Sequence[AnyArm]) -> str:
        """What experiments ask of a pack's arms beyond the study's own grid and seeds; the same for all that ask
        for nothing, so that packing these otherwise changes no digest.
        """
        asked = [
            arm.model_dump(exclude={"network", "recipe", "train_samples"})
            for arm in pack
            if arm.model_dump(exclude={"name"}, exclude_defaults=True).keys() - _OWN
        ]
        return digest_of(sorted(asked, key=lambda arm: str(arm["name"])))

    @cached_property
    def recipe_digest(self) -> str:
        """What every arm's results depend on besides its images: the engine, the settings, the seeds.

        It knows nothing of which arms share a job, so that packing them otherwise retrains nothing.
        """
        study = self.study.model_dump(include={"dataset", "network", "recipe", "tuning", "seeds"})
        machine = self.configuration.model_dump(include={"device", "precision", "threads"})
        return digest_of([code_digest(*ENGINE), study, machine])

    @property
    def classical_digest(self) -> str:
        """What the older methods' results depend on besides their images."""
        study = self.study.model_dump(include={"dataset", "tuning", "seeds"})
        return digest_of([code_digest("classical", "data/splits.py", "randomness.py"), study])

    @property
    def speed_digest(self) -> str:
        """What the measurements of speed depend on: the engine, the probe, and the steps that are timed."""
        arms = [arm.model_dump() for arm in registry.timed_arms(self.study, str(self.source))]
        machine = self.configuration.model_dump(include={"device", "precision"})
        network = self.study.model_dump(include={"dataset", "network", "recipe"})
        return digest_of([code_digest(*ENGINE, "probing"), arms, machine, network])

    @property
    def preparation_digest(self) -> str:
        """What the prepared images depend on besides the archive's date: of a folder, the files in it."""
        # Which images a run takes is decided later.
        modules = sorted(f"data/{path.name}" for path in (PACKAGE / "data").glob("*.py"))
        code = code_digest(*(name for name in modules if name != "data/splits.py"))
        return digest_of([code, _listing(self.local_archive)])

    @property
    def study_digest(self) -> str:
        """What the plan depends on."""
        code = code_digest("planning.py", "models/architecture.py", "study")
        arms = {name: [arm.model_dump() for arm in arms] for name, arms in self.arms.items()}
        return digest_of([code, self.study.model_dump(mode="json"), arms])

    @property
    def counted(self) -> bool:
        """Whether the number of images is known before they are prepared."""
        return self.entry is not None

    def experiment(self, name: str) -> registry.Experiment:
        """The module of an experiment."""
        return registry.experiment(name)

    def tables(self, experiment: str) -> tuple[str, ...]:
        """The names of the tables that an experiment makes of the study."""
        return registry.tables_of(experiment, self.study, self.options[experiment])

    def figures(self, experiment: str) -> dict[str, str]:
        """The names of the figures that an experiment makes of the study, each with its label in the report."""
        return registry.figures_of(experiment, self.study, self.options[experiment])

    def reads_speed(self, experiment: str) -> bool:
        """Whether an experiment is analysed from the measurements of speed."""
        return registry.reads_speed(experiment)

    @property
    def timed(self) -> bool:
        """Whether any experiment is."""
        return any(registry.reads_speed(name) for name in self.options)

    def folders(
        self, arms: Sequence[AnyArm], kind: Literal["all", "network", "classical", "probed"]
    ) -> list[str]:
        """The folders of those of `arms` that are of a kind, once each."""
        return [
            self.arm_folder(arm)
            for arm in distinct(arms)
            if kind == "all"
            or kind == ("network" if isinstance(arm, Arm) else "classical")
            or (kind == "probed" and isinstance(arm, Arm) and arm.probed)
        ]

    @property
    def verdicts_digest(self) -> str:
        """What the verdicts depend on besides the tables."""
        code = code_digest("statistics", "experiments")
        return digest_of([code, self.study.model_dump(mode="json")])

    def analysis_digest(self, experiment: str) -> str:
        """What an experiment's tables and figures depend on besides its arms' results."""
        code = code_digest("statistics", "experiments")
        return digest_of([code, self.study.model_dump(mode="json"), experiment])


def _listing(archive: str | None) -> list[tuple[str, int, int]]:
    """The files below a folder of images, with sizes and dates: a folder's own date tells of none of them."""
    if archive is None or not Path(archive).is_dir():
        return []
    files = (Path(root) / name for root, _, names in os.walk(archive) for name in names)
    return sorted((path.as_posix(), path.stat().st_size, path.stat().st_mtime_ns) for path in files)


def load_project(config: dict[str, Any], studies: Path) -> Project:
    """The project that a configuration names, everything checked that can be before a job starts.

    Args:
        config: the mapping of config.yaml with the command line's changes.
        studies: the folder of the named studies.

    Raises:
        TakeoffError: a key, a value, a level, a dataset or a path is wrong.

    """
    configuration = check(Configuration, config, "config/config.yaml (or --config)")
    source = study_path(configuration.study, studies)
    if source.stem in RESERVED:
        raise TakeoffError(
            f"study={configuration.study}: results/{source.stem} is taken; name the file otherwise"
        )
    results = Path(configuration.results)
    if any(place.exists() and not place.is_dir() for place in (results, *results.parents)):
        raise TakeoffError(
            f"results={configuration.results}: there is a file of that name; valid: a folder, or a new name"
        )
    project = Project(configuration, load_study(source), source)
    check_images(project)
    check_archive(project)
    try:
        project.arms  # noqa: B018 (what is wrong with them is told before anything runs)
        project.all_arms  # noqa: B018
    except ValueError as error:
        raise TakeoffError(f"{source}: {error}") from None
    return project
