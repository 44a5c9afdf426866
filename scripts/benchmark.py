"""Measure this machine in one run: the engine against plain loops, what it costs to start, and many runs in a job.

python scripts/benchmark.py --out results/benchmark/cpu
"""

import argparse
import math
import time
from pathlib import Path

from takeoff.benchmarking.machine import cores_at_hand, facts, load
from takeoff.errors import TakeoffError, run_command

SECONDS, QUICK_SECONDS = 2.0, 0.5
MINUTES = {"cpu": math.inf, "cuda": 4.0}
"""After which no other setting begins, by default: on a GPU all of it is meant to take less than eight."""


def main() -> None:
    """Parse the arguments, measure, write the tables one by one."""
    began, arguments = time.perf_counter(), _parser().parse_args()
    quick, threads = arguments.quick, arguments.threads
    default = QUICK_SECONDS if quick else SECONDS
    seconds = default if arguments.seconds is None else arguments.seconds
    if threads < 1:
        raise TakeoffError(f"--threads {threads}; valid: 1 or more")
    if not 0 < seconds <= 600:
        raise TakeoffError(f"--seconds {seconds:g}; valid: above 0, up to 600")
    if arguments.minutes is not None and not arguments.minutes >= 0:
        raise TakeoffError(f"--minutes {arguments.minutes:g}; valid: 0 or more")
    if arguments.out.is_file():
        raise TakeoffError(f"--out {arguments.out}: a file; valid: a folder")

    from takeoff.benchmarking.growth import Row as GrowthRow
    from takeoff.benchmarking.growth import measure_growth
    from takeoff.benchmarking.images import load_images
    from takeoff.benchmarking.processes import measure_processes
    from takeoff.benchmarking.startup import MOST_SECONDS, measure_startup
    from takeoff.benchmarking.startup import Row as StartRow
    from takeoff.benchmarking.summary import markdown
    from takeoff.benchmarking.table import Row, write_rows
    from takeoff.benchmarking.throughput import busy_settings, left_out, measure, settings
    from takeoff.files import write_json, write_text
    from takeoff.training.hardware import choose

    hardware = choose(arguments.device, "auto", 1)
    device, out = hardware.device.type, arguments.out
    images = {side: load_images(arguments.data, side) for side in (32, 8)}
    about = facts(hardware.name)
    minutes = MINUTES[device] if arguments.minutes is None else arguments.minutes
    rows: list[Row] = []
    planned = [(setting, False) for setting in settings(device, threads, quick)]
    if device == "cpu" and not quick:
        planned += [(setting, True) for setting in busy_settings()]
    for setting, busy in planned:
        shown = images[setting.resolution]
        if rows and time.perf_counter() - began > 60 * minutes:
            rows += [left_out(setting, shown, device, f"{minutes:g} minutes were over", _say)]
        elif busy:
            rows += measure_processes(setting, shown, threads, seconds, _say)
        else:
            rows += measure(setting, shown, device, threads, seconds, _say, quick)
        write_rows(out / "throughput.csv", Row, rows)  # what is measured stays, whatever the next one does
    small = choose(arguments.device, "auto", 1, side=8)
    write_rows(out / "runs.csv", GrowthRow, measure_growth(images[8], small, quick, _say))
    write_rows(
        out / "startup.csv", StartRow, measure_startup(quick, Path.cwd(), _say, most=MOST_SECONDS[device])
    )
    write_json(out / "machine.json", about | {"precision": hardware.precision, "load_after": load()})
    write_text(out / "throughput.md", markdown(rows, about))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure this machine: the engine against plain loops.")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write the tables to")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--quick", action="store_true", help="half a minute, one setting of each size")
    parser.add_argument(
        "--minutes",
        type=float,
        help=f"after which no other setting begins (default: no end; on a GPU {MINUTES['cuda']:g})",
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("results/data"),
        help="where images are prepared; without CIFAR-10 and digits in it, they are made up (default: %(default)s)",
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=cores_at_hand(),
        help="what all threads are (default: the cores at hand, %(default)s)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        help=f"of each measurement, about (default: {SECONDS:g}; with --quick {QUICK_SECONDS:g})",
    )
    return parser


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    run_command(main)
