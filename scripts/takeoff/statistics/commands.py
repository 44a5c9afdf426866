"""The commands that make tables of any runs: their arguments, and what they do."""

import argparse
import sys
from pathlib import Path
from typing import Any

from takeoff.errors import TakeoffError


def add_statistics(commands: Any) -> None:
    """Add to an argument parser's `commands` one per statistic, each with what to `do`."""
    effects = commands.add_parser("effects", help="the effects of any 2^k table of runs")
    effects.set_defaults(do=_effects)
    _add_design(effects)
    effects.add_argument("--log-odds", action="store_true", help="accuracies in log-odds too")
    effects.add_argument(
        "--censored",
        metavar="COLUMN",
        help="true where the responses are lower bounds: a crossing that was not reached by the horizon",
    )

    equivalence = commands.add_parser("equivalence", help="which of those effects are shown to be small")
    equivalence.set_defaults(do=_equivalence, log_odds=False, censored=None)
    _add_design(equivalence)
    equivalence.add_argument(
        "--margin",
        type=_above_zero,
        required=True,
        help="what is too small to matter, in the response's units",
    )

    collapse = commands.add_parser("collapse", help="how often runs end at chance, or diverge")
    collapse.set_defaults(do=_collapse)
    collapse.add_argument("--runs", type=Path, required=True, help="CSV or parquet, a row per run")
    collapse.add_argument("--group", required=True, metavar="COLUMN", help="tells arms apart")
    collapse.add_argument("--response", required=True, metavar="COLUMN", help="an accuracy, as a fraction")
    collapse.add_argument("--chance", type=_rate, required=True, metavar="RATE", help="of guessing")
    collapse.add_argument("--images", type=_positive, required=True, metavar="N", help="accuracies are of")
    _add_out(collapse)

    scaling = commands.add_parser("scaling", help="how error falls with the size of the training set")
    scaling.set_defaults(do=_scaling)
    _add_runs(scaling)
    scaling.add_argument("--group", required=True, metavar="COLUMN", help="tells methods apart")
    _add_sizes(scaling, "an accuracy, whose error is 1 − it, or a column of errors")

    agreement = commands.add_parser("agreement", help="do draws put the methods in the same order?")
    agreement.set_defaults(do=_agreement)
    _add_runs(agreement)
    agreement.add_argument("--methods", required=True, metavar="COLUMN", help="tells methods apart")
    _add_sizes(agreement, "a column of numbers to order by")

    crossings = commands.add_parser("crossings", help="how much sooner curves reach a threshold")
    crossings.set_defaults(do=_crossings)
    crossings.add_argument("--curves", type=Path, required=True, help="CSV or parquet, a row per point")
    crossings.add_argument(
        "--arm", required=True, metavar="COLUMN", help="tells arms apart; the first met is the baseline"
    )
    crossings.add_argument("--position", default="epoch", metavar="COLUMN", help="along the curve: epoch")
    crossings.add_argument("--value", required=True, metavar="COLUMN", help="what rises to the threshold")
    crossings.add_argument("--threshold", type=float, required=True)
    crossings.add_argument("--horizon", type=_above_zero, help="else the last position in the table")
    _add_out(crossings)

    coverage = commands.add_parser("coverage", help="how often the effects' intervals hold the truth")
    coverage.set_defaults(do=_coverage)
    coverage.add_argument("--seeds", type=_positive, default=6, help="runs in each cell, 2 or more: 6")
    coverage.add_argument("--factors", type=_positive, default=3, help="of the 2^k design, up to 6: 3")
    coverage.add_argument("--simulations", type=_positive, default=20000, help="of each scenario: 20000")
    coverage.add_argument("--out", type=Path, help="a CSV file to write too")


def _add_design(parser: argparse.ArgumentParser) -> None:
    _add_runs(parser)
    parser.add_argument(
        "--factors", required=True, help="columns with two levels each: activation,norm,dropout"
    )
    parser.add_argument(
        "--response",
        action="append",
        required=True,
        metavar="NAME",
        help="a column of numbers, generalisation_gap, or COLUMN_log_odds; may be repeated",
    )
    parser.add_argument(
        "--baseline", default="", metavar="FACTOR=LEVEL,…", help="else the level that the table has first"
    )
    parser.add_argument(
        "--images",
        type=_positive,
        metavar="N",
        help="of how many images accuracies are fractions: their log-odds take 0 and 1 as half an image "
        "away (without it, as 0.00005 away)",
    )


def _add_runs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=Path, required=True, help="CSV or parquet, a row per run")
    _add_out(parser)
    parser.add_argument(
        "--chance", type=float, metavar="RATE", help="what a diverged run without an accuracy counts as"
    )


def _add_sizes(parser: argparse.ArgumentParser, response: str) -> None:
    parser.add_argument("--draw", default="seed", metavar="COLUMN", help="tells draws apart: seed")
    parser.add_argument("--size", required=True, metavar="COLUMN", help="of the training set")
    parser.add_argument("--response", required=True, metavar="NAME", help=response)
    parser.add_argument(
        "--images",
        type=_positive,
        metavar="N",
        help="of how many images accuracies are fractions: logarithms take an error of 0 as half an image",
    )


def _add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, help="the CSV file to write")


def _above_zero(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def _rate(text: str) -> float:
    number = float(text)
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return number


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def _effects(arguments: argparse.Namespace) -> None:
    from takeoff.statistics.effects import effects_table
    from takeoff.statistics.tables import write_csv

    design, responses, diverged, bounds = _design(arguments)
    censored = None if bounds is None else dict.fromkeys(responses, bounds)
    write_csv(effects_table(design, responses, diverged, censored=censored), arguments.out)


def _equivalence(arguments: argparse.Namespace) -> None:
    from takeoff.statistics.equivalence import equivalence_table
    from takeoff.statistics.tables import write_csv

    design, responses, _, _ = _design(arguments)
    write_csv(equivalence_table(design, responses, arguments.margin), arguments.out)


def _design(arguments: argparse.Namespace) -> tuple[Any, Any, Any, Any]:
    """The design, responses, diverged and censored runs that a command asks for; says which seeds are left out."""
    from takeoff.statistics.design import design_of
    from takeoff.statistics.responses import responses_of, with_log_odds
    from takeoff.statistics.tables import column, flags, read_table

    source = str(arguments.runs)
    runs = read_table(arguments.runs)
    factors = [name.strip() for name in arguments.factors.split(",") if name.strip()]
    names = with_log_odds(arguments.response) if arguments.log_odds else arguments.response
    for name in names:
        _check_response(name, *factors, "seed", "diverged", *filter(None, [arguments.censored]))
    design = design_of(runs, factors, _pairs(arguments.baseline), source)
    responses = responses_of(runs, names, arguments.images, arguments.chance, source)
    censored = None
    if arguments.censored:
        column(runs, arguments.censored, source)
        censored = flags(runs, arguments.censored, source)
    _note(design.unpaired())
    return design, responses, flags(runs, "diverged", source), censored


def _collapse(arguments: argparse.Namespace) -> None:
    from takeoff.statistics.chance import collapse_table
    from takeoff.statistics.responses import responses_of
    from takeoff.statistics.tables import first_rows, flags, level_texts, read_table, write_csv

    source, runs = str(arguments.runs), read_table(arguments.runs)
    _check_response(arguments.response, arguments.group, "diverged")
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
    _note(notes)
    write_csv(table, arguments.out)


def _sizes(arguments: argparse.Namespace, methods: str) -> tuple[Any, tuple[str, str, str], Any]:
    """The runs, their columns of methods, draws and sizes, and the response of each."""
    from takeoff.statistics.responses import responses_of
    from takeoff.statistics.tables import read_table

    runs, keys = read_table(arguments.runs), (methods, arguments.draw, arguments.size)
    _check_response(arguments.response, *keys)
    if len(set(keys)) < len(keys):
        raise TakeoffError(f"columns {', '.join(keys)}: one stands twice; valid: three that tell runs apart")
    source = str(arguments.runs)
    found = responses_of(runs, [arguments.response], arguments.images, arguments.chance, source)
    return runs, keys, found[arguments.response]


def _check_response(name: str, *others: str) -> None:
    if name in others:
        raise TakeoffError(f"--response {name}: a column cannot be a response and something else")


def _note(sentences: list[str]) -> None:
    for sentence in sentences:
        print(f"note: {sentence}", file=sys.stderr)


def _crossings(arguments: argparse.Namespace) -> None:
    from takeoff.statistics.censoring import crossings_table
    from takeoff.statistics.tables import read_table, write_csv

    columns = (arguments.arm, arguments.position, arguments.value)
    table = crossings_table(
        read_table(arguments.curves), *columns, arguments.threshold, arguments.horizon, str(arguments.curves)
    )
    write_csv(table, arguments.out)


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


def _pairs(text: str) -> dict[str, str]:
    """`activation=tanh,norm=none` as a mapping."""
    pairs: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        factor, equals, level = part.partition("=")
        if not (factor and equals and level) or factor in pairs:
            raise TakeoffError(
                f"--baseline {text}: {part!r} is not valid; valid: FACTOR=LEVEL,…, each factor once"
            )
        pairs[factor.strip()] = level.strip()
    return pairs
