"""A study on this machine: what the workflow's rules are made from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from shlex import quote
from typing import Any, Literal

from takeoff.common.addresses import check_folder
from takeoff.common.documents import parse_yaml, read_yaml
from takeoff.common.errors import TakeoffError
from takeoff.common.files import write_json
from takeoff.common.gpus import AMD, Found, driver
from takeoff.common.places import configured
from takeoff.common.spelling import one_line
from takeoff.experiments.base import Experiment
from takeoff.experiments.chance import guessing_lines
from takeoff.experiments.registry import EXPERIMENTS, arms_wanted, check_options, enabled, timed_arms
from takeoff.judging.claims import claims_file, criteria, fixed_criteria, load_claims
from takeoff.study.changes import FOLDER as CHANGED
from takeoff.study.changes import ChangedStudy, changed_study
from takeoff.study.configuration import WORDS, Configuration
from takeoff.study.loading import check, check_results, load_study, study_path
from takeoff.study.manifest import changed_files
from takeoff.study.model import Study
from takeoff.study.planned import ARM, NEEDED, AnyPlannedArm, PlannedArm, PlannedClassicalArm, planned_arms
from takeoff.study.records import seeds_in
from takeoff.tracking.server import kind_of
from takeoff.workflow.digests import changed
from takeoff.workflow.images import ImageSource, check_counts
from takeoff.workflow.packing import ARMS, WORTH, estimate, packs_of, seconds_left
from takeoff.workflow.planning import check_distinct, core_hours, over_budget, plan_runs
from takeoff.workflow.speeds import known, measure
from takeoff.workflow.wiring import Commands

RESERVED = ("data", "benchmark", "pool", "mlartifacts", "reference", CHANGED)
"""Folders of the results that belong to no study."""
DATABASE = "mlflow.db"
"""Of the results, with what SQLite keeps beside it."""
PACKED = "packed.json"
"""Of a study's folder: says that its jobs are packed for a GPU though the configured device is `auto`."""
LONGEST = 150
"""Bytes of a study's name: files beside its folder add to it."""
NO_NAME = set('{}*?<>|"')
"""Characters that stand for others, to Snakemake, to a shell or to a disk."""
WORKFLOW = ("config", "envs", "profiles", "scripts", "tests", "workflow", ".cache", ".git", ".snakemake", ".venv")
"""Folders of a clone, where no results go."""
NAMED = 3
"""How many missing arms a reason names."""


DOUBTFUL = 10
"""Times a budget up to which an estimate may be wrong: what seems to exceed it is timed before it is refused."""
TIMED = 20.0
"""Seconds that this may take; what is not timed by then stays estimated."""


@dataclass(frozen=True)
class Project:
    """A configuration and the study that it names."""

    configuration: Configuration
    study: Study
    source: Path
    """The study's file."""
    changed_study: ChangedStudy | None = None
    """What `set` has made of it, to be written to that file."""
    elsewhere: bool = True
    """Whether jobs run on other machines, whatever this one has."""

    @property
    def folder(self) -> Path:
        """Where the study's results go; its file's name is the study's."""
        return Path(self.configuration.results) / self.source.stem

    @property
    def images(self) -> ImageSource:
        """Where the study's images come from."""
        folder = Path(self.configuration.results) / "data"
        return ImageSource(self.study.dataset, self.configuration.archives, folder)

    @cached_property
    def experiments(self) -> dict[str, Experiment[Any]]:
        """Those that the study switches on."""
        return enabled(self.study, str(self.source))

    @cached_property
    def arms(self) -> dict[str, AnyPlannedArm]:
        """Every arm, once and whole, by its name."""
        train = self.images.shape.train if self.images.shape else None
        arms = arms_wanted(self.experiments, self.study, str(self.source))
        return {arm.name: arm for arm in planned_arms(self.study, arms, train)}

    @cached_property
    def absent(self) -> dict[str, str]:
        """Of a partial study, the experiments that something is missing of, and what; else none."""
        if not self.configuration.partial:
            return {}
        missing, found = [name for name, arm in self.arms.items() if not self._done(arm)], {}
        timed = (self.folder / "speed.csv").is_file()
        for name, experiment in self.experiments.items():
            own = [arm.name for arm in self.arms.values() if name in arm.experiments]
            gone = [arm for arm in own if arm in missing]
            more = f" and {len(gone) - NAMED} more" * (len(gone) > NAMED)
            if gone:
                found[name] = f"{len(gone)} of {len(own)} arms are missing: {', '.join(gone[:NAMED])}{more}"
            elif experiment.reads_speed() and not timed:
                found[name] = "speed.csv is missing"
        return found

    def _done(self, arm: AnyPlannedArm) -> bool:
        """Whether an arm, as it is planned today, has all its files, and in them all its seeds."""
        folder = self.folder / "arms" / arm.name
        files = [*NEEDED[arm.kind], *["probe.parquet"] * (isinstance(arm, PlannedArm) and arm.probed)]
        there = arm.name not in self.unwritten and all((folder / file).is_file() for file in files)
        return there and seeds_in(folder / "runs.parquet") >= set(arm.seeds)

    @cached_property
    def analysed(self) -> dict[str, Experiment[Any]]:
        """The experiments that are analysed: of a partial study, those that nothing is missing of."""
        return {name: one for name, one in self.experiments.items() if name not in self.absent}

    @cached_property
    def packs(self) -> list[list[AnyPlannedArm]]:
        """The networks' arms, in the groups that share a job; none of a partial study, which trains nothing."""
        return self._packs([arm for arm in self.arms.values() if isinstance(arm, PlannedArm)], self.packed_for)

    @cached_property
    def classical_packs(self) -> list[list[AnyPlannedArm]]:
        """The older methods' arms, likewise; those with the same features together, which are computed once. No GPU
        fits them.
        """
        arms = [arm for arm in self.arms.values() if isinstance(arm, PlannedClassicalArm)]
        arms.sort(key=lambda arm: arm.method)
        return self._packs(arms, "cpu", ARMS)

    @property
    def trained_by(self) -> dict[str, list[str]]:
        """The arms of each rule that trains or fits some."""
        packs = {"train": self.packs, "fit_classical": self.classical_packs}
        numbered = [(f"{verb}_{n}", pack) for verb, all_ in packs.items() for n, pack in enumerate(all_)]
        return {rule: [arm.name for arm in pack] for rule, pack in numbered}

    def _packs(self, arms: Sequence[AnyPlannedArm], device: str, least: int = 1) -> list[list[AnyPlannedArm]]:
        if self.configuration.partial:
            return []
        seconds = estimate(self.images.shape, device)
        return packs_of(arms, self.configuration.arms_per_job, seconds, WORTH[device], least)

    @cached_property
    def gpus(self) -> Found:
        """The GPUs here that torch can use, where the configuration lets it. Torch is asked, which takes seconds, only
        where there is a driver.
        """
        if self.configuration.device == "cpu" or not (driver() or AMD.exists()):
            return Found(0)
        from takeoff.jobs.hardware import found_gpus

        return found_gpus()

    @cached_property
    def packed_for(self) -> Literal["cpu", "cuda"]:
        """The device that networks' jobs are packed for: the one that trains, as far as every machine can know that.

        A job that is packed otherwise runs anew, and another device trains its runs anew. So where the configured
        device is `auto`, and this machine's jobs would train on its GPU, that counts for a study of which nothing is
        finished, and is written down (`remember_packs`): wherever its results are then, its jobs stay as they are.
        """
        machine = self.configuration
        if machine.stays_on_cpu(self.study.dataset.resolution):
            return "cpu"
        if machine.device == "cuda" or (self.folder / PACKED).is_file():
            return "cuda"
        if self.elsewhere or any(self.folder.glob("arms/*/curves.parquet")):  # of networks; older methods have none
            return "cpu"
        return "cuda" if self.gpus.gpus else "cpu"

    def remember_packs(self) -> None:
        """Write down what jobs are packed for, where the configuration does not say so."""
        if self.configuration.device == "auto" and self.packed_for == "cuda":
            write_json(self.folder / PACKED, {"device": self.packed_for})

    @cached_property
    def unwritten(self) -> frozenset[str]:
        """The arms whose files planning has to write: those that are new, or that changed."""
        paths = dict(zip(self.arms, map(Path, self.files(self.arms.values())), strict=True))
        return frozenset(name for name, arm in self.arms.items() if changed(paths[name], arm))

    @cached_property
    def criteria_stand(self) -> bool:
        """Whether every criterion of the study's claims is written down."""
        options = {name: one.options for name, one in self.experiments.items()}
        own = criteria(load_claims(claims_file(), EXPERIMENTS), self.study, options)
        path = self.folder / "criteria.json"
        return own.keys() <= fixed_criteria(path).keys() and path.exists()

    @property
    def commands(self) -> Commands:
        """What a user may call next, for the report and for MLflow's UI, with the keys that name this study."""
        keys = {"study": self.configuration.study, "set": self.configuration.set}
        default = read_yaml(configured("config.yaml")).get("results", "results")
        page = f"{self.folder.as_posix()}/report.html"
        if self.configuration.results == default:
            named = " ".join(f"{key.upper()}={quote(value)}" for key, value in keys.items() if value)
            return Commands(f"make report {named}", f"make ui {named}")
        keys["results"] = self.configuration.results
        named = " ".join(quote(f"{key}={value}") for key, value in keys.items() if value)
        return Commands(f"snakemake --config {named} --report {quote(page)}", f"python scripts/ui.py {named}")

    def changed(self) -> dict[Path, list[Path]]:
        """The finished files of arms and experiments, and the verdicts, that were changed, damaged or removed since
        their jobs wrote them; with what rests on each, as far as that has to go for Snakemake to make both anew.
        """
        claims, places = self.folder / "claims.csv", {self.folder / name: [name] for name in self.experiments}
        places |= {self.folder / "arms" / arm.name: list(arm.experiments) for arm in self.arms.values()}
        places |= {self.folder: []}
        resting = {
            place: [claims, *[self.folder / name / "measured.csv" for name in places[place]]] for place in places
        }
        return {path: resting[path.parent] for path in changed_files(places)}

    def check_budget(self) -> None:
        """Refuse, with a TakeoffError, a study that is not planned yet and exceeds its budget, as far as the catalogue
        counts its images.
        """
        if self.images.shape is None or self.configuration.partial or not self.unwritten:
            return
        arms, shape, machine, budget = self.arms.values(), self.images.shape, self.configuration, self.study.budget
        runs = plan_runs(arms, shape, known(machine))
        if machine.device != "cuda" and budget.core_hours < core_hours(runs) <= DOUBTFUL * budget.core_hours:
            networks = [arm for arm in arms if isinstance(arm, PlannedArm)]
            runs = plan_runs(arms, shape, measure(networks, shape, machine, longest=TIMED))
        if excess := over_budget(str(self.source), runs, budget):
            raise TakeoffError(excess)

    def choosers(self, pack: Sequence[AnyPlannedArm]) -> list[AnyPlannedArm]:
        """The arms whose choices a pack takes."""
        return [self.arms[name] for name in dict.fromkeys(a.choice_from for a in pack if a.choice_from)]

    def priority(self, pack: Sequence[AnyPlannedArm]) -> int:
        """Of a pack's job: about the milliseconds until the last one has ended that waits for it.

        Long ones go first, so that no core is left alone with one at the end.
        """
        return self._priorities[pack[0].name]

    @cached_property
    def _priorities(self) -> dict[str, int]:
        seconds, packs = estimate(self.images.shape, self.packed_for), [*self.packs, *self.classical_packs]
        left = seconds_left(packs, seconds)
        return {pack[0].name: 1 + round(1000 * own) for pack, own in zip(packs, left, strict=True)}

    @cached_property
    def _choosers(self) -> set[str]:
        return {arm.choice_from for arm in self.arms.values() if arm.choice_from}

    @cached_property
    def timed(self) -> list[AnyPlannedArm]:
        """The arms whose steps are timed against each other."""
        return [self.arms[arm.name] for arm in timed_arms(self.experiments.values())]

    def files(self, arms: Iterable[AnyPlannedArm], name: str = ARM) -> list[str]:
        """The file of that name of each arm."""
        folder = (self.folder / "arms").as_posix()
        return [f"{folder}/{arm.name}/{name}" for arm in arms]

    @cached_property
    def pooled(self) -> list[Path]:
        """The folders of the studies that are pooled; a TakeoffError says that there is none of a name."""
        return [self.results_of(name, "studies") for name in self.configuration.studies]

    @cached_property
    def against(self) -> Path | None:
        """The results that the study's own are compared with; a TakeoffError says that they are none of it."""
        name = self.configuration.against
        folder = None if name is None else self.results_of(name, "against")
        if folder == self.folder:
            raise TakeoffError(f"against={name}: the study's own results; valid: others of it")
        if folder is not None:
            check_results(self.study, folder, f"against={name}")
        return folder

    def results_of(self, name: str, key: str) -> Path:
        """The results of a study: a folder, or that of this name in the results or among the committed ones. Those of
        this study need not be there yet. A TakeoffError, which names the configuration's `key`, says what is missing.
        """
        results = Path(self.configuration.results)
        places = [Path(name), results / name, results / "reference" / name]
        found = next((place for place in places if place == self.folder or (place / "study.json").is_file()), None)
        if found is None:
            words = ", ".join(f"{place.as_posix()}/study.json" for place in places)
            raise TakeoffError(f"{key}={name}: no results of a study there: none of {words}; valid: results/STUDY")
        return found

    @property
    def tracking_uri(self) -> str:
        """Where runs are logged; empty for nowhere."""
        given = self.configuration.tracking_uri
        if given is None:
            return f"sqlite:///{self.configuration.results}/{DATABASE}"
        return "" if given == "off" else given.strip()


def load_project(config: dict[str, Any], elsewhere: bool = True) -> Project:
    """The project that config.yaml, with the command line's changes, names, checked before a job starts; its jobs run
    here or `elsewhere`.

    Raises TakeoffError where a key, a value, a level, a dataset or a path is wrong.
    """
    given = {key: WORDS.get(value, value) if isinstance(value, str) else value for key, value in config.items()}
    configuration = check(Configuration, given, "config/config.yaml (or --config)")
    source = study_path(configuration.study)
    _check_name(source, f"study={configuration.study}")
    _check_results(Path(configuration.results), source.stem)
    changed = None
    if configuration.set:
        changed = changed_study(source, configuration.set, Path(configuration.results))
        source = changed.path
    # A changed study is written once all is known to be right.
    origin = f"set={one_line(configuration.set)}" if changed else str(source)
    study = changed.study if changed else load_study(source)
    project = Project(configuration, study, source, changed, elsewhere)
    if project.tracking_uri:
        kind_of(project.tracking_uri)
    if (ranks := configuration.gpus_per_run) > (batch := project.study.recipe.batch_size):
        raise TakeoffError(
            f"gpus_per_run: {ranks} is more than the {batch} images of a batch, recipe.batch_size of {origin}; valid: "
            f"1 to {batch}"
        )
    project.images.check(origin)
    # Of the user's own copy, `prepare` counts the images.
    check_counts(project.study, origin, None if project.images.given else project.images.shape)
    if shape := project.images.shape:
        lines = guessing_lines(project.study, None, shape.classes, shape.train, shape.test)
        check_options(project.experiments, origin, lines)
    try:
        missing = project._choosers - project.arms.keys()
        # Claims, criteria and studies that are wrong are refused before a job starts.
        project.criteria_stand, project.pooled, project.against  # noqa: B018
    except ValueError as error:
        raise TakeoffError(f"{origin}: {error}") from None
    if project.images.shape:
        check_distinct(project.arms.values(), project.images.shape, origin)
    if missing:
        raise TakeoffError(f"{origin}: experiments: none that is switched on has the arm {min(missing)}")
    return project


def _check_name(source: Path, given: str) -> None:
    """Refuse, with a TakeoffError, a study's file whose name no folder of its results can have."""
    name, known = source.stem, source.stem.casefold()
    if known in RESERVED or known.startswith(DATABASE):  # a disk may not tell capitals apart
        raise TakeoffError(f"{given}: results/{name} is taken; name the file otherwise")
    if not name[0].isalnum() or name[-1] in " ." or set(name) & NO_NAME or len(name.encode()) > LONGEST:
        valid = f"letters, digits, and of others not {' '.join(sorted(NO_NAME))}; up to {LONGEST} bytes"
        raise TakeoffError(f"{one_line(given)}: {one_line(name)!r} names no folder of results; valid: {valid}")


def _check_results(results: Path, study: str) -> None:
    """Refuse, with a TakeoffError, results that cannot be written, or would lie among other files."""
    try:
        check_folder(results)
        check_folder(results / study)
        place, here = results.resolve(), Path.cwd().resolve()
        of_workflow = any(place.is_relative_to(here / name) for name in WORKFLOW)
        if odd := sorted(set(str(results)) & NO_NAME):
            raise ValueError(f"it has {' '.join(odd)}, which stand for others; valid: a folder's name without")
        if here.is_relative_to(place) or Path.home().resolve().is_relative_to(place) or of_workflow:
            raise ValueError("files of other kinds lie there; valid: a folder of their own, such as results")
    except ValueError as error:
        raise TakeoffError(f"results={results}: {error}") from None


def project_of(words: Iterable[str]) -> Project:
    """The project that config.yaml names, with keys given as `study=digits`, as Snakemake's `--config` takes them.

    Raises TakeoffError where a word is no key with a value, and where `load_project` does.
    """
    given = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise TakeoffError(f"{word}: valid: KEY=VALUE, as in study=digits")
        given[key] = value if key == "set" else parse_yaml(value, key)
    return load_project(read_yaml(configured("config.yaml")) | given)
