"""What the commands that train, fit or time share: their arguments, and the images and jobs of arms."""

import argparse
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from takeoff.common.arguments import above_zero, positive
from takeoff.common.errors import TakeoffError
from takeoff.common.parent import end_with_the_workflow
from takeoff.data.prepared import load_prepared
from takeoff.study.configuration import Configuration
from takeoff.study.planned import Images, PlannedArm, arms_at

if TYPE_CHECKING:
    import torch

    from takeoff.engine.hardware import Hardware
    from takeoff.engine.resident import Resident
    from takeoff.jobs.arm_job import ArmJob


def arms_parser(description: str | None, arms: str = "+", threads: str = "--threads") -> argparse.ArgumentParser:
    """The arguments of a command that works on so many `arms` (as in argparse's `nargs`)."""
    result, default = argparse.ArgumentParser(description=description), Configuration().threads
    result.add_argument("--data", type=Path, required=True, help="the folder that prepare.py wrote")
    result.add_argument(threads, type=positive, default=default, help="of a CPU (default: %(default)s)")
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
    minutes = Configuration().checkpoint_minutes
    result.add_argument("--checkpoint-minutes", type=above_zero, default=minutes)
    return result


def load(folder: Path, images: Images, device: "torch.device") -> "Resident":
    """The prepared images in `folder`, as many as an arm's `images` state, on `device`.

    A `TakeoffError` says where they are missing, damaged, too few or of another side, or where a GPU has no room.
    """
    from torch.cuda import mem_get_info

    from takeoff.engine.resident import on_device

    found = load_prepared(folder, **images.model_dump(exclude={"dataset"}))
    if device.type == "cuda":
        check_room(folder, found.images.nbytes + found.test_images.nbytes, mem_get_info(device)[0])
    train, test = (found.images, found.labels), (found.test_images, found.test_labels)
    return on_device(train, test, found.card, found.validation_fraction, device)


def check_room(folder: Path, images: int, free: int) -> None:
    """Refuse images of so many bytes where a GPU has fewer free: all of them lie there for a whole job."""
    if images > free:
        raise TakeoffError(
            f"{folder}: the images take {images / 1e9:,.1f} GB, and the GPU has {free / 1e9:,.1f} GB left; valid: a "
            "lower dataset.resolution, fewer dataset.classes, or device: cpu"
        )


def jobs(arguments: argparse.Namespace) -> "Iterator[ArmJob]":
    """The job of each arm that the arguments name; arms of the same images share these.

    A `TakeoffError` says where a folder has no arm of a network, or where images or device are missing.
    """
    arms = arms_at(arguments.arms, PlannedArm)
    end_with_the_workflow()
    from takeoff.jobs.arm_job import ArmJob
    from takeoff.jobs.hardware import hardware_of

    @cache
    def ready(images: Images) -> "tuple[Resident, Hardware]":
        hardware = hardware_of(arguments.device, arguments.precision, arguments.threads, images.resolution)
        return load(arguments.data, images, hardware.device), hardware

    for folder, arm in arms:
        yield ArmJob(arm, *ready(arm.images), folder, arguments.checkpoint_minutes * 60)
