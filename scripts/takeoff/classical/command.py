"""The command `fit_classical`: its arguments, and the arms' jobs that these name."""

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

from takeoff.arguments import positive, study_file
from takeoff.errors import TakeoffError, choices
from takeoff.study.arms import AnyArm, ClassicalArm
from takeoff.study.configuration import Configuration
from takeoff.study.model import Study

FILES = ("runs.parquet", "tuning.json")


def parser(description: str) -> argparse.ArgumentParser:
    """The arguments of the command."""
    result = argparse.ArgumentParser(description=description)
    result.add_argument("--study", type=study_file, required=True, help="a name in config/studies, or a path")
    result.add_argument("--data", type=Path, required=True, help="the folder that prepare.py wrote")
    result.add_argument(
        "--threads", type=positive, default=Configuration().threads, help="of the CPU (default: %(default)s)"
    )
    result.add_argument(
        "arms",
        type=Path,
        nargs="+",
        metavar="ARM",
        help="what to write: results/<study>/arms/<arm>/runs.parquet",
    )
    return result


def fit_all(arguments: argparse.Namespace, study: Study, arms: Iterable[AnyArm]) -> None:
    """Tune and fit every arm whose folder the arguments name; images and features are shared.

    Raises:
        TakeoffError: a folder is no older method's of the study, the images are not there, or a lender's choice.

    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    from takeoff.classical.features import Workshop
    from takeoff.classical.images import load
    from takeoff.classical.jobs import ClassicalJob

    chosen = list(_chosen(arguments, arms))
    workshop = Workshop(load(arguments.data, study.dataset))
    with threadpool_limits(arguments.threads):
        for folder, arm in chosen:
            job = ClassicalJob(study, arm, workshop, folder, arguments.threads, _say)
            job.fit(job.tune())


def _chosen(arguments: argparse.Namespace, arms: Iterable[AnyArm]) -> Iterator[tuple[Path, ClassicalArm]]:
    by_name = {arm.name: arm for arm in arms if isinstance(arm, ClassicalArm)}
    # The folder, or a file in it; lenders before those that borrow from them.
    folders = [path.parent if path.name in FILES else path for path in arguments.arms]
    for folder in folders:
        if folder.name not in by_name:
            valid = choices(folder.name, by_name) if by_name else "none of its experiments asks for one"
            raise TakeoffError(f"{folder}: {arguments.study} has no such older method; {valid}")
    for folder in sorted(folders, key=lambda folder: by_name[folder.name].lender is not None):
        yield folder, by_name[folder.name]


def _say(line: str) -> None:
    print(line, flush=True)
