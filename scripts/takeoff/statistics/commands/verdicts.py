"""`verdicts`: on which side of criteria that you fixed beforehand the values of any study lie."""

import argparse
from typing import Any

from takeoff.arguments import rate
from takeoff.statistics.commands import arguments as shared


def add(commands: Any) -> None:
    """Add it to an argument parser's `commands`."""
    verdicts = commands.add_parser("verdicts", help="on which side of a criterion paired values lie")
    verdicts.set_defaults(do=_verdicts)
    shared.add_table(verdicts, "--values", "a row per part and seed: part, value, already paired")
    verdicts.add_argument(
        "--criteria",
        type=shared.Path,
        required=True,
        help="CSV or parquet, a row per part: part, above, below, and if you like claim, unit, ratio (True where "
        "values are ratios), contradicted_below, contradicted_above; an end that is empty is open",
    )
    verdicts.add_argument("--censored", metavar="COLUMN", help="true where a value is a lower bound")
    verdicts.add_argument("--alpha", type=rate, default=0.05, help="error rate of all parts together: 0.05")


def _verdicts(arguments: argparse.Namespace) -> None:
    from takeoff.statistics.criteria import parts_of, verdicts_table
    from takeoff.statistics.tables import read_table, write_csv

    values, criteria = read_table(arguments.values), read_table(arguments.criteria)
    parts = parts_of(values, criteria, arguments.censored, (str(arguments.values), str(arguments.criteria)))
    write_csv(verdicts_table(parts, arguments.alpha), arguments.out)
