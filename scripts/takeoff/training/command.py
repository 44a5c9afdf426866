"""What the commands `tune` and `train` share: their arguments, and the arms' jobs that these name."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from takeoff.arguments import above_zero, positive, study_file
from takeoff.errors import TakeoffError, choices
from takeoff.study.arms import AnyArm, Arm
from takeoff.study.configuration import Configuration
from takeoff.study.model import Study
from takeoff.training.hardware import choose
from takeoff.training.jobs import ArmJob
from takeoff.training.resident import load

FILES = ("runs.parquet", "curves.parquet", "probe.parquet", "learning_rate.json")


def parser(description: str) -> argparse.ArgumentParser:
    """The arguments of a command that trains."""
    defaults = Configuration()
    result = argparse.ArgumentParser(description=description)
    result.add_argument("--study", type=study_file, required=True, help="a name in config/studies, or a path")
    result.add_argument("--data", type=Path, required=True, help="the folder that prepare.py wrote")
    result.add_argument("--device", choices=("auto", "cpu", "cuda"), default=defaults.device)
    result.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default=defaults.precision)
    result.add_argument(
        "--threads", type=positive, default=defaults.threads, help="of a CPU (default: %(default)s)"
    )
    result.add_argument("--checkpoint-minutes", type=above_zero, default=defaults.checkpoint_minutes)
    result.add_argument(
        "arms",
        type=Path,
        nargs="+",
        metavar="ARM",
        help="what to write: results/<study>/arms/<arm>/runs.parquet",
    )
    return result


def jobs(arguments: argparse.Namespace, study: Study, arms: list[AnyArm]) -> Iterator[ArmJob]:
    """The job of each arm whose folder the arguments name; the images are loaded once.

    Raises:
        TakeoffError: a folder is no arm's of the study, or the images or the device are not there.

    """
    by_name = {arm.name: arm for arm in arms if isinstance(arm, Arm)}
    # The folder, or a file in it: the arm's name may well end in something like a suffix (`dropout0.5`).
    folders = [path.parent if path.name in FILES else path for path in arguments.arms]
    for folder in folders:
        if folder.name not in by_name:
            raise TakeoffError(
                f"{folder}: {arguments.study} has no such arm; {choices(folder.name, by_name)}"
            )
    hardware = choose(arguments.device, arguments.precision, arguments.threads, study.dataset.resolution)
    data = load(arguments.data, study.dataset, hardware.device)
    for folder in folders:
        # Beside all studies: a device is as fast for the next one.
        ways = folder.absolute().parents[2] / "benchmark" / "ways"
        yield ArmJob(
            study, by_name[folder.name], data, hardware, folder, arguments.checkpoint_minutes * 60, ways, _say
        )


def _say(line: str) -> None:
    print(line, flush=True)
