"""Draw what benchmark.py measured: throughput.svg and throughput.png beside throughput.csv.

python scripts/draw_benchmark.py results/benchmark/cpu
"""

import argparse
from pathlib import Path

from takeoff.common.commands import run_command
from takeoff.common.errors import TakeoffError


def main() -> None:
    """Read the table, draw the figure, write its two files."""
    parser = argparse.ArgumentParser(description="Draw what benchmark.py measured.")
    parser.add_argument("folder", type=Path, help="the folder that benchmark.py wrote")
    folder = parser.parse_args().folder

    import pandas as pd
    from takeoff.benchmark.figure import draw_throughput
    from takeoff.benchmark.machine import facts_of
    from takeoff.figures.style import save_pictures

    path = folder / "throughput.csv"
    if not path.is_file():
        raise TakeoffError(f"{path}: there is no such file; scripts/benchmark.py writes it")
    facts = facts_of(folder, "throughput")
    machine = facts["cpu"] if facts["device"] == "cpu" else facts["device"]
    words = f"{machine}, torch {facts['torch']}"
    save_pictures(draw_throughput(pd.read_csv(path), words), folder / "throughput")


if __name__ == "__main__":
    run_command(main)
