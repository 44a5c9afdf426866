"""`curves` and `crossings`: tables of anything that was measured again and again along training."""

import argparse
from typing import Any

from takeoff.arguments import above_zero
from takeoff.statistics.commands import arguments as shared


def add(commands: Any) -> None:
    """Add the two to an argument parser's `commands`."""
    curves = commands.add_parser("curves", help="means of curves over seeds, with their intervals")
    curves.set_defaults(do=_curves)
    _add_curves(curves, "tells arms apart", "what is averaged at each position")

    crossings = commands.add_parser("crossings", help="how much sooner curves reach a threshold")
    crossings.set_defaults(do=_crossings)
    _add_curves(crossings, "tells arms apart; the first met is the baseline", "what rises to the threshold")
    crossings.add_argument("--threshold", type=float, required=True)
    crossings.add_argument("--horizon", type=above_zero, help="else the last position in the table")


def _add_curves(parser: argparse.ArgumentParser, arm: str, value: str) -> None:
    shared.add_table(parser, "--curves", "a row per point")
    parser.add_argument("--arm", required=True, metavar="COLUMN", help=arm)
    parser.add_argument("--position", default="epoch", metavar="COLUMN", help="along the curve: epoch")
    parser.add_argument("--value", required=True, metavar="COLUMN", help=value)


def _curves(arguments: argparse.Namespace) -> None:
    from takeoff.statistics.bands import bands_table
    from takeoff.statistics.tables import read_table, write_csv

    columns = (arguments.arm, arguments.position, arguments.value)
    write_csv(bands_table(read_table(arguments.curves), *columns, str(arguments.curves)), arguments.out)


def _crossings(arguments: argparse.Namespace) -> None:
    from takeoff.statistics.censoring import crossings_table
    from takeoff.statistics.tables import read_table, write_csv

    columns = (arguments.arm, arguments.position, arguments.value)
    table = crossings_table(
        read_table(arguments.curves), *columns, arguments.threshold, arguments.horizon, str(arguments.curves)
    )
    write_csv(table, arguments.out)
