"""Measure how fast this machine trains: seconds per step of the arms that experiments want timed, and the rates
of one CPU thread, all threads and the GPU, beside the rate of a matrix product.

python scripts/probe.py --study STUDY --data DATA --threads 2 --out results/digits/speed.csv
"""

import argparse
import os
from pathlib import Path

from takeoff.arguments import positive, study_file
from takeoff.errors import TakeoffError, run_command


def main() -> None:
    """Parse the arguments, measure, write speed.csv."""
    arguments = _parser().parse_args()
    if arguments.threads < 1:
        raise TakeoffError(f"--threads {arguments.threads}; valid: 1 or more")
    if not 0 < arguments.seconds <= 3600:
        raise TakeoffError(f"--seconds {arguments.seconds:g}; valid: above 0, up to 3600")

    import torch
    from takeoff.experiments.registry import timed_arms
    from takeoff.probing.rates import measured_rates
    from takeoff.probing.steps import time_steps
    from takeoff.probing.table import write_rows
    from takeoff.study.loading import load_study
    from takeoff.training.hardware import choose
    from takeoff.training.resident import load

    study = load_study(arguments.study)
    arms = timed_arms(study, str(arguments.study))
    hardware = choose(arguments.device, arguments.precision, arguments.step_threads, study.dataset.resolution)
    data = load(arguments.data, study.dataset, hardware.device)
    rows = time_steps(study, arms, data, hardware, arguments.seconds)
    cuda = arguments.device != "cpu" and torch.cuda.is_available()
    rows += measured_rates(study, data, cuda, arguments.threads, arguments.seconds)
    write_rows(arguments.out, rows)
    for line in _summary(rows):
        print(line)


def _parser() -> argparse.ArgumentParser:
    from takeoff.study.configuration import Configuration

    defaults = Configuration()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser = argparse.ArgumentParser(description="Measure how fast this machine trains.")
    parser.add_argument("--study", type=study_file, required=True, help="a name in config/studies, or a path")
    parser.add_argument("--data", type=Path, required=True, help="the folder that prepare.py wrote")
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default=defaults.device,
        help="where steps are timed; rates are measured on the CPU too (default: %(default)s)",
    )
    parser.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16"),
        default=defaults.precision,
        help="of the steps that are timed; rates are measured in both (default: %(default)s)",
    )
    parser.add_argument(
        "--step-threads", type=positive, default=1, help="a CPU's, for steps (default: %(default)s)"
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=cores,
        help="what all threads are (default: the cores at hand, %(default)s)",
    )
    parser.add_argument(
        "--seconds", type=float, default=0.5, help="of each measurement, about (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, required=True, help="the CSV file to write")
    return parser


def _summary(rows: list) -> list[str]:
    """A line per measurement: the median block."""
    from statistics import median

    groups: dict[tuple, list] = {}
    for row in rows:
        groups.setdefault((row.kind, row.name, row.device, row.threads, row.precision), []).append(row)
    lines = []
    for (kind, name, device, threads, precision), group in groups.items():
        where = f"{device}{f', {threads} thread{chr(115) * (threads > 1)}' if device == 'cpu' else ''}, {precision}"
        if group[0].seconds is None:
            lines.append(f"{kind}: {where}: {group[0].note}")
            continue
        spent, rate = median(row.seconds for row in group), median(row.rate for row in group)
        lines.append(f"{kind} {name}: {where}: {1000 * spent:.3g} ms, {rate / 1e9:.4g} GFLOP/s")
    return lines


if __name__ == "__main__":
    run_command(main)
