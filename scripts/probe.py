"""Measure how fast this machine trains: seconds per step of arms side by side, and the rates of one CPU thread, all
threads and the GPU, beside the rate of a matrix product.

python scripts/probe.py --study STUDY --data DATA --threads 2 --out results/digits/speed.csv ARM ARM
"""

from itertools import groupby
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from takeoff.common.arguments import above_zero, thread_count
from takeoff.common.commands import run_command
from takeoff.common.digests import ENGINE, code_digest
from takeoff.common.files import write_rows
from takeoff.common.machine import cores_at_hand, cpu_name
from takeoff.jobs.command import add_device, add_image_memory, arms_parser, load
from takeoff.study.loading import load_study, study_path
from takeoff.study.planned import PlannedArm, arms_at, images_of

if TYPE_CHECKING:
    from takeoff.speed.timing import Timing

TIMED = {"name", "network", "recipe", "train_samples", "seeds"}
"""What of an arm its timings depend on."""


def main() -> None:
    """Parse the arguments, measure, write speed.csv."""
    words = "Measure how fast this machine trains; of the arms named, their steps."
    parser = arms_parser(words, "*", "--step-threads")
    words = "whose network is measured: a name, or a path"
    parser.add_argument("--study", type=study_path, required=True, help=words)
    add_device(parser)
    add_image_memory(parser)
    cores, words = cores_at_hand(), "what all threads are (default: the cores at hand, %(default)s)"
    parser.add_argument("--threads", type=thread_count, default=cores, help=words)
    words = "of each measurement, about (default: %(default)s)"
    parser.add_argument("--seconds", type=above_zero, default=0.5, help=words)
    parser.add_argument("--out", type=Path, required=True, help="the CSV file to write")
    given = parser.parse_args()
    study = load_study(given.study)
    arms = [arm for _, arm in arms_at(given.arms, PlannedArm)]

    import torch
    from takeoff.jobs.hardware import gpus_here, hardware_of, take_gpu
    from takeoff.speed.kept import timed_once
    from takeoff.speed.rates import measured_rates
    from takeoff.speed.steps import time_steps

    hardware = hardware_of(given.device, given.precision, given.step_threads, study.dataset.resolution)
    data = load(given.data, images_of(study), hardware.device, given.image_memory_mb, arms)
    cuda = given.device != "cpu" and bool(gpus_here())
    benchmark = given.out.absolute().parents[1] / "benchmark"

    def measure() -> "list[Timing]":
        rows = time_steps(arms, data, hardware, given.seconds, benchmark / "ways")
        return rows + measured_rates(study, data, cuda, given.threads, given.seconds)

    subject = {
        "code": [code_digest(ENGINE, "speed"), torch.__version__],
        "machine": [cpu_name(), torch.cuda.get_device_name(take_gpu()) if cuda else None, hardware.precision],
        "threads": [given.step_threads, given.threads],
        "seconds": given.seconds,
        "images": data.shape,
        "study": study.model_dump(mode="json", include={"network", "recipe"}),
        "arms": [arm.model_dump(mode="json", include=TIMED) for arm in arms],
    }
    rows = timed_once(benchmark / "timings", subject, measure)
    write_rows(given.out, rows)
    for _, blocks in groupby(rows, key=lambda row: (row.kind, row.name, row.device, row.threads, row.precision)):
        print(_summary(list(blocks)))


def _summary(blocks: "list[Timing]") -> str:
    """The median block of a measurement."""
    one = blocks[0]
    count = f", {one.threads} thread{'s' * (one.threads > 1)}" if one.device == "cpu" else ""
    where = f"{one.device}{count}, {one.precision}"
    spent = [row.seconds for row in blocks if row.seconds is not None]
    if not spent:
        return f"{one.kind}: {where}: {one.note}"
    rate = median(row.rate for row in blocks)
    return f"{one.kind} {one.name}: {where}: {1000 * median(spent):.3g} ms, {rate / 1e9:.4g} GFLOP/s"


if __name__ == "__main__":
    run_command(main)
