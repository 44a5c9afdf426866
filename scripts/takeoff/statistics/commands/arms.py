"""`collapse`, `search` and `ratio`: tables that compare arms of any runs."""

import argparse
from typing import Any

from takeoff.arguments import positive, rate
from takeoff.errors import TakeoffError
from takeoff.statistics.commands import arguments as shared


def add(commands: Any) -> None:
    """Add the three to an argument parser's `commands`."""
    collapse = commands.add_parser("collapse", help="how often runs end at chance, or diverge")
    collapse.set_defaults(do=_collapse)
    shared.add_table(collapse, "--runs", "a row per run")
    collapse.add_argument("--group", required=True, metavar="COLUMN", help="tells arms apart")
    collapse.add_argument("--response", required=True, metavar="COLUMN", help="an accuracy, as a fraction")
    collapse.add_argument("--chance", type=rate, required=True, metavar="RATE", help="of guessing")
    collapse.add_argument("--images", type=positive, required=True, metavar="N", help="accuracies are of")

    search = commands.add_parser("search", help="the best that k of the runs, taken at random, would find")
    search.set_defaults(do=_search)
    shared.add_runs(search)
    search.add_argument(
        "--response", required=True, metavar="NAME", help="a column of numbers: the more the better"
    )

    ratio = commands.add_parser("ratio", help="one arm's errors over another's, paired over seeds and images")
    ratio.set_defaults(do=_ratio)
    shared.add_table(ratio, "--errors", "a row per arm, seed and image")
    ratio.add_argument("--arm", default="arm", metavar="COLUMN", help="tells arms apart: arm")
    ratio.add_argument("--of", required=True, metavar="ARM", help="above the line")
    ratio.add_argument("--over", required=True, metavar="ARM", help="below it")
    ratio.add_argument("--seed", default="seed", metavar="COLUMN", help="tells runs apart: seed")
    ratio.add_argument("--image", default="image", metavar="COLUMN", help="tells test images apart: image")
    ratio.add_argument(
        "--response", required=True, metavar="COLUMN", help="1 where a run errs, else 0; or a loss"
    )


def _collapse(arguments: argparse.Namespace) -> None:
    from takeoff.statistics.chance import collapse_table
    from takeoff.statistics.responses import responses_of
    from takeoff.statistics.tables import first_rows, flags, level_texts, read_table, write_csv

    source, runs = str(arguments.runs), read_table(arguments.runs)
    shared.check_response(arguments.response, arguments.group, "diverged")
    found = responses_of(runs, [arguments.response], arguments.images, arguments.chance, source)
    accuracy = found[arguments.response]
    if ((accuracy < 0) | (accuracy > 1)).any():
        rows = ((accuracy < 0) | (accuracy > 1)).nonzero()[0]
        raise TakeoffError(
            f"{source}: column {arguments.response}: {first_rows(rows)}: {accuracy[rows[0]]:g} is no accuracy; "
            "valid: fractions between 0 and 1"
        )
    table = collapse_table(
        level_texts(runs, arguments.group, source),
        accuracy,
        flags(runs, "diverged", source),
        arguments.chance,
        arguments.images,
    )
    write_csv(table, arguments.out)


def _search(arguments: argparse.Namespace) -> None:
    from takeoff.statistics.draws import search_table
    from takeoff.statistics.responses import responses_of
    from takeoff.statistics.tables import read_table, write_csv

    shared.check_response(arguments.response, "diverged")
    runs, source = read_table(arguments.runs), str(arguments.runs)
    found = responses_of(runs, [arguments.response], None, arguments.chance, source)
    write_csv(search_table(found[arguments.response]), arguments.out)


def _ratio(arguments: argparse.Namespace) -> None:
    from takeoff.statistics.clustered import ratio_row, wide_errors
    from takeoff.statistics.tables import read_table, write_csv

    keys = (arguments.arm, arguments.seed, arguments.image)
    shared.check_response(arguments.response, *keys)
    if arguments.of == arguments.over:
        raise TakeoffError(f"--of {arguments.of} --over {arguments.over}: valid: two arms")
    table, source = read_table(arguments.errors), str(arguments.errors)
    errors, others, notes = wide_errors(
        table, keys, arguments.response, (arguments.of, arguments.over), source
    )
    shared.note(notes)
    write_csv(ratio_row(arguments.of, arguments.over, errors, others), arguments.out)
