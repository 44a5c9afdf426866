"""What the commands that train, fit or time share: their arguments, and the images and jobs of arms."""

import argparse
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from takeoff.common.arguments import above_zero, positive, thread_count
from takeoff.common.parent import end_with_the_workflow
from takeoff.data.prepared import load_prepared
from takeoff.study.configuration import Configuration
from takeoff.study.planned import Images, PlannedArm, arms_at

if TYPE_CHECKING:
    import torch

    from takeoff.engine.dataset import Dataset
    from takeoff.engine.hardware import Hardware
    from takeoff.jobs.arm_job import ArmJob


def arms_parser(description: str | None, arms: str = "+", threads: str = "--threads") -> argparse.ArgumentParser:
    """The arguments of a command that works on so many `arms` (as in argparse's `nargs`)."""
    result, default = argparse.ArgumentParser(description=description), Configuration().threads
    result.add_argument("--data", type=Path, required=True, help="the folder that prepare.py wrote")
    result.add_argument(threads, type=thread_count, default=default, help="of a CPU (default: %(default)s)")
    words = "an arm's folder, results/<study>/arms/<arm>, or a file in it; its arm.json says what the arm is"
    result.add_argument("arms", type=Path, nargs=arms, metavar="ARM", help=words)
    return result


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add the options for the device and its precision."""
    given, words = Configuration(), "(default: %(default)s)"
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default=given.device, help=words)
    precisions = ("auto", "float32", "bfloat16")
    parser.add_argument("--precision", choices=precisions, default=given.precision, help=words)


def training_parser(description: str | None) -> argparse.ArgumentParser:
    """The arguments of a command that trains."""
    result = arms_parser(description)
    add_device(result)
    given = Configuration()
    result.add_argument("--checkpoint-minutes", type=above_zero, default=given.checkpoint_minutes)
    words = "that train each run together; on a CPU as many processes (default: %(default)s)"
    result.add_argument("--gpus-per-run", type=positive, default=given.gpus_per_run, metavar="N", help=words)
    add_image_memory(result)
    return result


def add_image_memory(parser: argparse.ArgumentParser) -> None:
    """Add the option for the memory of images."""
    words = "MB of images that stay on the device, at most; larger sets are read from disk as they train"
    parser.add_argument("--image-memory-mb", type=int, metavar="MB", help=words)


def load(
    folder: Path, images: Images, device: "torch.device", room_mb: int | None = None, arms: Sequence[PlannedArm] = ()
) -> "Dataset":
    """The prepared images in `folder`, as many as an arm's `images` state, for training `arms` on `device`, where they
    lie if they take so many megabytes at most (see `dataset_of`).

    A `TakeoffError` says where they are missing, damaged, too few or of another side.
    """
    from takeoff.jobs.loading import dataset_of

    found = load_prepared(folder, **images.model_dump(exclude={"dataset"}))
    return dataset_of(found, device, None if room_mb is None else room_mb * 10**6, arms)


def jobs(arguments: argparse.Namespace) -> "Iterator[ArmJob]":
    """The job of each arm that the arguments name; arms of the same images share these.

    A `TakeoffError` says where a folder has no arm of a network, or where images or device are missing.
    """
    arms = arms_at(arguments.arms, PlannedArm)
    end_with_the_workflow()
    if arguments.gpus_per_run > 1:
        from takeoff.jobs.ranks import start

        start(arguments.gpus_per_run)
    from takeoff.jobs.arm_job import ArmJob
    from takeoff.jobs.hardware import hardware_of
    from takeoff.jobs.ranks import leave

    @cache
    def ready(images: Images) -> "tuple[Dataset, Hardware]":
        hardware = hardware_of(arguments.device, arguments.precision, arguments.threads, images.resolution)
        sharing = [arm for _, arm in arms if arm.images == images]
        return load(arguments.data, images, hardware.device, arguments.image_memory_mb, sharing), hardware

    for folder, arm in arms:
        data, hardware = ready(arm.images)
        report = print if hardware.rank == 0 else _silent
        yield ArmJob(arm, data, hardware, folder, arguments.checkpoint_minutes * 60, report=report)
    leave()


def _silent(line: str) -> None:
    """What every rank would say, the first one says."""
