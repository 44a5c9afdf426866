"""Measure what this machine makes of training: first whether its numbers are right, then how fast they come.

python scripts/benchmark.py --out results/benchmark/cpu
python scripts/benchmark.py --out results/benchmark/cuda --device cuda --minutes 6
python scripts/benchmark.py --out results/benchmark/cuda --device cuda --minutes 6 --parts arms \
    --study config/studies/cifar10.yaml --data results/data/cifar10/32px
"""

import argparse
from pathlib import Path

from takeoff.benchmark.parts import OF_A_STUDY, PARTS
from takeoff.common.arguments import above_zero, folder, thread_count
from takeoff.common.commands import run_command
from takeoff.common.errors import TakeoffError


def main() -> None:
    """Parse the arguments, measure, and write machine.json and a table per part."""
    parser = argparse.ArgumentParser(description="Measure whether this machine trains right, and how fast.")
    words = "the folder to write to; what is measured again is replaced"
    parser.add_argument("--out", type=folder, required=True, help=words)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--quick", action="store_true", help="two of the three settings, in few short blocks")
    parser.add_argument("--threads", type=thread_count, default=1, help="of each loop on a CPU (default: 1)")
    parser.add_argument("--seconds", type=above_zero, help="of a loop's blocks (default: 2; if quick 0.5)")
    parser.add_argument(
        "--minutes",
        type=above_zero,
        help="in all; what does not begin before is left out, and training ends with an epoch",
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, help="what to measure (default: all)")
    parser.add_argument("--study", type=Path, help="train its networks too, all seeds of each, at one rate")
    parser.add_argument("--data", type=Path, help="the study's prepared images")
    given = parser.parse_args()
    if (given.study is None) != (given.data is None):
        raise TakeoffError("--study and --data: one without the other; valid: both, or none")
    if given.study is None and OF_A_STUDY in (given.parts or ()):
        raise TakeoffError(f"--parts {OF_A_STUDY}: needs --study and --data")
    if given.study and OF_A_STUDY not in (given.parts or PARTS):
        raise TakeoffError(f"--study {given.study}: of no part in --parts; valid: {OF_A_STUDY} among them")
    from takeoff.benchmark.measurement import Measurement  # takes torch, seconds

    Measurement(given).run()


if __name__ == "__main__":
    run_command(main)
