"""Measure what this machine makes of training: first whether its numbers are right, then how fast they come.

python scripts/benchmark.py --out results/benchmark/cpu
"""

import argparse
import time
from pathlib import Path

from takeoff.common.arguments import above_zero, positive
from takeoff.common.commands import run_command
from takeoff.common.errors import TakeoffError


def main() -> None:
    """Parse the arguments, measure, write machine.json, numbers.csv, throughput.csv and, on a GPU, convolutions.csv."""
    parser = argparse.ArgumentParser(description="Measure whether this machine trains right, and how fast.")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--quick", action="store_true", help="two of the three settings, in few short blocks")
    parser.add_argument("--threads", type=positive, default=1, help="of each loop on a CPU (default: 1)")
    parser.add_argument("--seconds", type=above_zero, help="of a loop's blocks (default: 2; if quick 0.5)")
    parser.add_argument("--minutes", type=above_zero, help="in all; what does not begin before is left out")
    given = parser.parse_args()
    if given.out.is_file():
        raise TakeoffError(f"--out {given.out}: a file; valid: a folder")
    began = time.monotonic()

    from takeoff.benchmark.kernels import convolutions
    from takeoff.benchmark.machine import facts
    from takeoff.benchmark.numbers import checks
    from takeoff.benchmark.table import Speed
    from takeoff.benchmark.throughput import SETTINGS, measure
    from takeoff.common.files import write_json, write_rows
    from takeoff.jobs.hardware import hardware_of

    def over(what: str) -> bool:
        late = given.minutes is not None and time.monotonic() - began > 60 * given.minutes
        if late:
            print(f"{what}: left out, after {given.minutes:g} minutes")
        return late

    hardware = hardware_of(given.device, "auto", given.threads)
    seconds = given.seconds or (0.5 if given.quick else 2.0)
    device, wide = hardware.device.type, SETTINGS[-1]
    write_json(given.out / "machine.json", facts(hardware.name) | {"precision": hardware.precision})

    # What is measured stays, whatever happens next.
    found = []
    for check in checks(hardware, width=0.125 if given.quick else 0.25):
        found.append(check)
        print(check)
        write_rows(given.out / "numbers.csv", found)
    if wrong := [check for check in found if not check.right]:
        raise TakeoffError(f"{given.out / 'numbers.csv'}: {len(wrong)} of {len(found)} checks failed; {wrong[0]}")
    rows: list[Speed] = []
    threads = 1 if device == "cuda" else given.threads
    # A GPU's time is short, and its question the full width: that goes first.
    settings = SETTINGS[: 2 if given.quick else 3]
    for setting in reversed(settings) if device == "cuda" else settings:
        if over(f"{setting.resolution} px, width {setting.width:g}"):
            break
        measured = measure(setting, device, threads, seconds, given.quick)
        print(*measured, sep="\n")
        rows += measured
        write_rows(given.out / "throughput.csv", rows)
    if device == "cuda" and not over("convolutions"):
        each = list(convolutions(wide.network, wide.resolution, wide.batch, hardware))
        write_rows(given.out / "convolutions.csv", each)


if __name__ == "__main__":
    run_command(main)
