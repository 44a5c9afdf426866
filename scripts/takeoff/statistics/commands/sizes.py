"""`scaling` and `agreement`: tables of any methods over training-set sizes."""

import argparse
from typing import Any

from takeoff.arguments import positive
from takeoff.errors import TakeoffError
from takeoff.statistics.commands import arguments as shared


def add(commands: Any) -> None:
    """Add the two to an argument parser's `commands`."""
    scaling = commands.add_parser("scaling", help="how error falls with the size of the training set")
    scaling.set_defaults(do=_scaling)
    shared.add_runs(scaling)
    scaling.add_argument("--group", required=True, metavar="COLUMN", help="tells methods apart")
    _add_sizes(scaling, "an accuracy, whose error is 1 − it, or a column of errors")

    agreement = commands.add_parser("agreement", help="do draws put the methods in the same order?")
    agreement.set_defaults(do=_agreement)
    shared.add_runs(agreement)
    agreement.add_argument("--methods", required=True, metavar="COLUMN", help="tells methods apart")
    _add_sizes(agreement, "a column of numbers to order by")


def _add_sizes(parser: argparse.ArgumentParser, response: str) -> None:
    parser.add_argument("--draw", default="seed", metavar="COLUMN", help="tells draws apart: seed")
    parser.add_argument("--size", required=True, metavar="COLUMN", help="of the training set")
    parser.add_argument("--response", required=True, metavar="NAME", help=response)
    parser.add_argument(
        "--images",
        type=positive,
        metavar="N",
        help="of how many images accuracies are fractions: logarithms take an error of 0 as half an image",
    )


def _scaling(arguments: argparse.Namespace) -> None:
    from takeoff.statistics.scaling import scaling_table
    from takeoff.statistics.tables import write_csv

    runs, keys, values = _sizes(arguments, arguments.group)
    errors = 1 - values if arguments.response.endswith("accuracy") else values
    nearest = 0.5 / arguments.images if arguments.images else 0.0
    write_csv(scaling_table(runs, *keys, errors, nearest, str(arguments.runs)), arguments.out)


def _agreement(arguments: argparse.Namespace) -> None:
    from takeoff.statistics.agreement import agreement_table
    from takeoff.statistics.tables import write_csv

    runs, keys, values = _sizes(arguments, arguments.methods)
    table, notes = agreement_table(runs, *keys, values, str(arguments.runs))
    shared.note(notes)
    write_csv(table, arguments.out)


def _sizes(arguments: argparse.Namespace, methods: str) -> tuple[Any, tuple[str, str, str], Any]:
    """The runs, their columns of methods, draws and sizes, and the response of each."""
    from takeoff.statistics.responses import responses_of
    from takeoff.statistics.tables import read_table

    runs, keys = read_table(arguments.runs), (methods, arguments.draw, arguments.size)
    shared.check_response(arguments.response, *keys)
    if len(set(keys)) < len(keys):
        raise TakeoffError(f"columns {', '.join(keys)}: one stands twice; valid: three that tell runs apart")
    source = str(arguments.runs)
    found = responses_of(runs, [arguments.response], arguments.images, arguments.chance, source)
    return runs, keys, found[arguments.response]
