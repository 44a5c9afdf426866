"""What each job's files depend on besides its inputs, as a digest that stands in its rule's params.

Snakemake runs a job again where its digest changed. A digest covers the code that makes the files, and of the study
just the part that they depend on; no place of a file, no title of another experiment, no help text of a command.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from takeoff.common.digests import ENGINE, classical_digest, code_digest
from takeoff.common.documents import read_yaml
from takeoff.common.files import digest_of
from takeoff.common.places import PACKAGE
from takeoff.experiments.base import Experiment
from takeoff.judging.claims import claims_file
from takeoff.study.configuration import Configuration
from takeoff.study.model import Study
from takeoff.study.planned import AnyPlannedArm, written
from takeoff.workflow.images import ImageSource

LABELS = {"name", "experiments"}
"""Of an arm: what changes none of its numbers."""


def contents(arms: Iterable[AnyPlannedArm]) -> list[dict[str, Any]]:
    """All of the arms that their numbers depend on."""
    return [arm.model_dump(mode="json", exclude=LABELS) for arm in arms]


def changed(path: Path, arm: AnyPlannedArm) -> bool:
    """Whether an arm's file is not there, or an arm's numbers depend on something else than it says."""
    return {k: v for k, v in written(path).items() if k not in LABELS} != contents([arm])[0]


def preparing(images: ImageSource) -> str:
    """Of prepared images, besides the archive's date: of a folder, the files in it."""
    return digest_of([code_digest("data/preparing.py"), images.files()])


def planning(study: Study, arms: Iterable[AnyPlannedArm]) -> str:
    """Of the plan. What the claims say is not in it: their criteria are written down once."""
    code = code_digest("workflow/planning.py", "study/planned.py")
    return digest_of([code, study.model_dump(mode="json"), [arm.model_dump(mode="json") for arm in arms]])


def training(arms: Iterable[AnyPlannedArm], machine: Configuration) -> str:
    """Of the runs of networks."""
    return digest_of([code_digest(ENGINE), contents(arms), machine.device, machine.precision, machine.threads])


def fitting(arms: Iterable[AnyPlannedArm], machine: Configuration) -> str:
    """Of the runs of older methods."""
    return digest_of([classical_digest(), contents(arms), machine.threads])


def timing(study: Study, arms: Iterable[AnyPlannedArm], machine: Configuration) -> str:
    """Of the measurements of speed: of steps of the arms, and of the study's own network."""
    network = study.model_dump(mode="json", include={"dataset", "network", "recipe"})
    steps = [arm.model_dump(mode="json", include={"network", "recipe", "train_samples"}) for arm in arms]
    return digest_of([code_digest(ENGINE, "speed"), network, steps, machine.device, machine.precision])


def analysing(experiment: Experiment[Any]) -> str:
    """Of an experiment's tables."""
    code = _code(experiment, "design", "tables", "measured")
    study = experiment.study.model_dump(mode="json", exclude={"title", "experiments", "budget"})
    return digest_of([code, code_digest("experiments/analysis.py"), study, experiment.options.model_dump(mode="json")])


def drawing(experiment: Experiment[Any]) -> str:
    """Of an experiment's figures."""
    study = experiment.study.model_dump(mode="json", exclude={"experiments", "budget"})
    return digest_of([_code(experiment, "design", "figures"), study, experiment.options.model_dump(mode="json")])


def judging(study: Study) -> str:
    """Of the verdicts."""
    known = study.model_dump(mode="json", exclude={"budget"})
    return digest_of([code_digest("judging"), read_yaml(claims_file()), known])


def pooling() -> str:
    """Of what is pooled over studies."""
    return digest_of([code_digest("across/pool.py", "across/pool_figure.py"), read_yaml(claims_file())])


def _code(experiment: Experiment[Any], *modules: str) -> str:
    """Of those of the experiment's modules that it has."""
    folder = Path(*type(experiment).__module__.split(".")[1:-1])
    files = [folder / f"{module}.py" for module in modules]
    return code_digest(*(file.as_posix() for file in files if (PACKAGE / file).is_file()))
