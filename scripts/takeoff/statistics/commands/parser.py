"""Every command that makes tables of any runs, added to one argument parser."""

import argparse
from pathlib import Path
from typing import Any

from takeoff.arguments import positive
from takeoff.errors import TakeoffError
from takeoff.statistics.commands import arms, curves, designs, sizes, verdicts


def add_statistics(commands: Any) -> None:
    """Add to an argument parser's `commands` one per statistic, each with what to `do`."""
    for module in (designs, arms, sizes, curves, verdicts):
        module.add(commands)

    coverage = commands.add_parser("coverage", help="how often the effects' intervals hold the truth")
    coverage.set_defaults(do=_coverage)
    coverage.add_argument("--seeds", type=positive, default=6, help="runs in each cell, 2 or more: 6")
    coverage.add_argument("--factors", type=positive, default=3, help="of the 2^k design, up to 6: 3")
    coverage.add_argument("--simulations", type=positive, default=20000, help="of each scenario: 20000")
    coverage.add_argument("--out", type=Path, help="a CSV file to write too")


def _coverage(arguments: argparse.Namespace) -> None:
    from takeoff.statistics.coverage import coverage_table, summary
    from takeoff.statistics.tables import write_csv

    if arguments.seeds < 2 or arguments.factors > 6:
        raise TakeoffError(
            f"--seeds {arguments.seeds} --factors {arguments.factors}: valid: two seeds or more, six factors or "
            "fewer"
        )
    table = coverage_table(arguments.factors, arguments.seeds, arguments.simulations)
    print(summary(table))
    if arguments.out:
        write_csv(table, arguments.out)
