"""`effects`, `pooled`, `pairing` and `equivalence`: tables of any 2^k design, or of a regular fraction of one."""

import argparse
from typing import TYPE_CHECKING, Any, NamedTuple

from takeoff.arguments import above_zero, positive
from takeoff.errors import TakeoffError
from takeoff.statistics.commands import arguments as shared

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from takeoff.statistics.contrasts import Floats
    from takeoff.statistics.design import Design
    from takeoff.statistics.effects import Contrast


class Asked(NamedTuple):
    """What a command is about."""

    design: "Design"
    contrasts: "list[Contrast]"
    responses: "dict[str, Floats]"
    diverged: "np.ndarray"
    censored: "np.ndarray | None"


def add(commands: Any) -> None:
    """Add the four to an argument parser's `commands`."""
    effects = commands.add_parser("effects", help="the effects of any 2^k table of runs")
    effects.set_defaults(do=_effects)
    _add_design(effects)
    effects.add_argument("--log-odds", action="store_true", help="accuracies in log-odds too")
    effects.add_argument(
        "--censored",
        metavar="COLUMN",
        help="true where the responses are lower bounds: a crossing that was not reached by the horizon",
    )

    pooled = commands.add_parser(
        "pooled", help="those effects with the pooled error of all cells: how sensitive their intervals are"
    )
    pooled.set_defaults(do=_pooled, log_odds=False, censored=None)
    _add_design(pooled)

    pairing = commands.add_parser(
        "pairing", help="how alike the same seeds make the cells, and what that saves"
    )
    pairing.set_defaults(do=_pairing, log_odds=False, censored=None)
    _add_design(pairing)

    equivalence = commands.add_parser("equivalence", help="which of those effects are shown to be small")
    equivalence.set_defaults(do=_equivalence, log_odds=False, censored=None)
    _add_design(equivalence)
    equivalence.add_argument(
        "--margin",
        type=above_zero,
        required=True,
        help="what is too small to matter, in the response's units",
    )


def _add_design(parser: argparse.ArgumentParser) -> None:
    shared.add_runs(parser)
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
        "--fraction",
        action="store_true",
        help="the runs are of a regular fraction: main effects and interactions of two, aliases named",
    )
    parser.add_argument(
        "--images",
        type=positive,
        metavar="N",
        help="of how many images accuracies are fractions: their log-odds take 0 and 1 as half an image "
        "away (without it, as 0.00005 away)",
    )


def _effects(arguments: argparse.Namespace) -> None:
    from takeoff.statistics.effects import effects_table

    asked = _asked(arguments)
    shared.note(asked.design.unpaired())
    censored = None if asked.censored is None else dict.fromkeys(asked.responses, asked.censored)
    found = effects_table(
        asked.design, asked.responses, asked.diverged, contrasts=asked.contrasts, censored=censored
    )
    _write(found, asked, arguments)


def _pooled(arguments: argparse.Namespace) -> None:
    from takeoff.statistics.effects import pooled_table

    asked = _asked(arguments)
    _write(pooled_table(asked.design, asked.responses, asked.contrasts), asked, arguments)


def _pairing(arguments: argparse.Namespace) -> None:
    from takeoff.statistics.pairing import pairing_table
    from takeoff.statistics.tables import write_csv

    asked = _asked(arguments)
    write_csv(pairing_table(asked.design, asked.responses, asked.contrasts), arguments.out)


def _equivalence(arguments: argparse.Namespace) -> None:
    from takeoff.statistics.equivalence import equivalence_table

    asked = _asked(arguments)
    shared.note(asked.design.unpaired())
    found = equivalence_table(asked.design, asked.responses, arguments.margin, asked.contrasts)
    _write(found, asked, arguments)


def _asked(arguments: argparse.Namespace) -> Asked:
    """The design, effects, responses, diverged and censored runs."""
    from takeoff.statistics.design import design_of
    from takeoff.statistics.effects import contrasts_of
    from takeoff.statistics.responses import responses_of, with_log_odds
    from takeoff.statistics.tables import column, flags, read_table

    source = str(arguments.runs)
    runs = read_table(arguments.runs)
    factors = [name.strip() for name in arguments.factors.split(",") if name.strip()]
    names = with_log_odds(arguments.response) if arguments.log_odds else arguments.response
    for name in names:
        shared.check_response(name, *factors, "seed", "diverged", *filter(None, [arguments.censored]))
    wanted = () if arguments.fraction else None
    design = design_of(runs, factors, shared.pairs(arguments.baseline), source, wanted)
    contrasts = _of_fraction(design) if arguments.fraction else contrasts_of(design.levels)
    responses = responses_of(runs, names, arguments.images, arguments.chance, source)
    censored = None
    if arguments.censored:
        column(runs, arguments.censored, source)
        censored = flags(runs, arguments.censored, source)
    return Asked(design, contrasts, responses, flags(runs, "diverged", source), censored)


def _of_fraction(design: "Design") -> "list[Contrast]":
    from takeoff.statistics.fractional import confounded, fraction_contrasts, is_regular

    rows, factors = design.rows, list(design.levels)
    mixed = confounded(rows)
    if mixed:
        names = " and ".join(factors[place] for place in mixed)
        what = "changes nowhere" if len(mixed) == 1 else "change only together"
        raise TakeoffError(
            f"{design.source}: {names} {what}, so that no run tells their effects apart; valid: a fraction of "
            "resolution III or more"
        )
    if not is_regular(rows):
        raise TakeoffError(
            f"{design.source}: {len(rows)} of the {2**design.k} combinations of levels are there, which are no "
            "regular fraction; valid: half of them, a quarter, …, as a fractional design chooses them"
        )
    return fraction_contrasts(factors, rows)


def _write(table: "pd.DataFrame", asked: Asked, arguments: argparse.Namespace) -> None:
    from takeoff.statistics.fractional import aliases_table
    from takeoff.statistics.tables import write_csv

    if arguments.fraction:
        aliases = aliases_table(list(asked.design.levels), asked.design.rows).set_index("term")["aliases"]
        table = table.assign(aliases=table["term"].map(aliases))
    write_csv(table, arguments.out)
