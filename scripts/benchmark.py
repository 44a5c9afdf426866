"""Measure how fast this machine trains, the engine against plain loops.

python scripts/benchmark.py --out results/benchmark/cpu
"""

import argparse
from pathlib import Path

from takeoff.common.arguments import above_zero, positive
from takeoff.common.commands import run_command
from takeoff.common.errors import TakeoffError


def main() -> None:
    """Parse the arguments, measure, write machine.json and, setting by setting, throughput.csv."""
    parser = argparse.ArgumentParser(description="Measure how fast this machine trains.")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--quick", action="store_true", help="two of the three settings, in few short blocks")
    parser.add_argument("--threads", type=positive, default=1, help="of each loop on a CPU (default: 1)")
    parser.add_argument("--seconds", type=above_zero, help="of a loop's blocks (default: 2; if quick 0.5)")
    given = parser.parse_args()
    if given.out.is_file():
        raise TakeoffError(f"--out {given.out}: a file; valid: a folder")

    from takeoff.benchmark.machine import facts
    from takeoff.benchmark.table import Speed
    from takeoff.benchmark.throughput import SETTINGS, measure
    from takeoff.common.files import write_json, write_rows
    from takeoff.jobs.hardware import hardware_of

    hardware = hardware_of(given.device, "auto", given.threads)
    seconds = given.seconds or (0.5 if given.quick else 2.0)
    device = hardware.device.type
    write_json(given.out / "machine.json", facts(hardware.name) | {"precision": hardware.precision})
    rows: list[Speed] = []
    threads = 1 if device == "cuda" else given.threads
    for setting in SETTINGS[: 2 if given.quick else 3]:
        measured = measure(setting, device, threads, seconds, given.quick)
        print(*measured, sep="\n")
        rows += measured
        # What is measured stays, whatever happens in the next setting.
        write_rows(given.out / "throughput.csv", rows)


if __name__ == "__main__":
    run_command(main)
