"""Every command that makes tables of any runs: its arguments, and what it does."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from takeoff.common.arguments import above_zero, positive, rate
from takeoff.common.errors import TakeoffError
from takeoff.common.exports import runs_exported
from takeoff.common.table_files import read_table
from takeoff.common.tables import column, flags, write_csv
from takeoff.statistics.censoring import crossings_table
from takeoff.statistics.coverage import coverage_table, summary
from takeoff.statistics.criteria import parts_of, verdicts_table
from takeoff.statistics.design import design_of
from takeoff.statistics.effects import contrasts_of, effects_table, equivalence_table
from takeoff.statistics.fractional import aliases_table, check_regular, fraction_contrasts
from takeoff.statistics.responses import is_accuracy, responses_of, with_log_odds
from takeoff.statistics.scaling import check_falling, scaling_table

SEED = "seed"
"""The column that pairs runs where --seed names none."""
LEAST_ALPHA = 1e-9
"""Far below any rate in use; divided among a million claims it still has a quantile of t."""


def add_statistics(commands: Any) -> None:
    """Add to an argument parser's `commands` one per statistic, each with what to `do`."""
    effects = _add(commands, "effects", _effects, "the effects of any 2^k table of runs", margin=None)
    words = "which of those effects are shown to be small"
    equivalence = _add(commands, "equivalence", _effects, words, log_odds=False, censored=None)
    for parser in (effects, equivalence):
        _add_runs(parser, factors="columns with two levels each: activation,norm,dropout")
        words = "a column of numbers, generalisation_gap, or COLUMN_log_odds; may be repeated"
        parser.add_argument("--response", action="append", required=True, metavar="NAME", help=words)
        words = "else the level that the table has first"
        parser.add_argument("--baseline", default="", metavar="FACTOR=LEVEL,…", help=words)
        words = "the runs are of a regular fraction: main effects and interactions of two, aliases named"
        parser.add_argument("--fraction", action="store_true", help=words)
        _add_pairs(parser)
    effects.add_argument("--log-odds", action="store_true", help="accuracies in log-odds too")
    words = "true where responses are lower bounds: a crossing that was not reached by the horizon"
    effects.add_argument("--censored", metavar="COLUMN", help=words)
    words = "what is too small to matter, in the response's units"
    equivalence.add_argument("--margin", type=above_zero, required=True, help=words)

    scaling = _add(commands, "scaling", _scaling, "how error falls with the size of the training set")
    words = "a column of errors, or an accuracy, whose error is 1 − it"
    _add_runs(scaling, group="of methods", size="of the training set", response=words)
    scaling.add_argument("--seed", "--draw", metavar="COLUMN", help="of draws: seed")

    crossings = _add(commands, "crossings", _crossings, "how much sooner curves reach a threshold")
    words = "of arms; the first met is the baseline"
    _add_table(crossings, "--curves", "a row per point", arm=words, value="what rises to the threshold")
    crossings.add_argument("--position", default="epoch", metavar="COLUMN", help="along the curve: epoch")
    crossings.add_argument("--threshold", type=float, required=True)
    crossings.add_argument("--horizon", type=above_zero, help="else the last position in the table")
    _add_pairs(crossings)

    verdicts = _add(commands, "verdicts", _verdicts, "on which side of a criterion paired values lie")
    _add_table(verdicts, "--values", "a row per part and seed: part, value, already paired")
    words = (
        "CSV or parquet, a row per part: part, above, below, and if you like claim, unit, ratio (True where values are "
        "ratios), contradicted_below, contradicted_above; an end that is empty is open"
    )
    verdicts.add_argument("--criteria", type=Path, required=True, help=words)
    verdicts.add_argument("--seed", metavar="COLUMN", help="of which each part has one value: seed")
    verdicts.add_argument("--censored", metavar="COLUMN", help="true where a value is a lower bound")
    verdicts.add_argument("--alpha", type=rate, default=0.05, help="error rate of all claims together: 0.05")

    coverage = _add(commands, "coverage", _coverage, "how often the effects' intervals hold the truth")
    coverage.add_argument("--seeds", type=positive, default=6, help="runs in each cell, 2 or more: 6")
    coverage.add_argument("--factors", type=positive, default=3, help="of the 2^k design, up to 6: 3")
    coverage.add_argument("--simulations", type=positive, default=20000, help="of each scenario: 20000")
    coverage.add_argument("--out", type=Path, help="a CSV file to write too")


def _add(commands: Any, name: str, do: Any, words: str, **defaults: object) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=words)
    parser.set_defaults(do=do, **defaults)
    return parser


def _add_table(parser: argparse.ArgumentParser, name: str, rows: str, **columns: str) -> None:
    """Add a table to read, columns of it to name, and the table to write."""
    parser.add_argument(name, type=Path, required=True, help=f"CSV or parquet, {rows}")
    for option, words in columns.items():
        parser.add_argument(f"--{option}", required=True, metavar="COLUMN", help=words)
    parser.add_argument("--out", type=Path, required=True, help="the CSV file to write")


def _add_runs(parser: argparse.ArgumentParser, **columns: str) -> None:
    _add_table(parser, "--runs", "a row per run", **columns)
    words = "what a diverged run without an accuracy counts as"
    parser.add_argument("--chance", type=rate, metavar="ACCURACY", help=words)
    words = "of how many images accuracies are fractions: logarithms take 0 and 1 as half an image away"
    parser.add_argument("--images", type=positive, metavar="N", help=words)


def _add_pairs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", metavar="COLUMN", help="what pairs runs, and tells those of a cell apart: seed")
    words = "runs have no seeds in common: Welch's intervals, which take all runs as independent"
    parser.add_argument("--unpaired", action="store_true", help=words)


def _read(path: Path, seed: str | None, *names: str, experiment: str = "") -> tuple[pd.DataFrame, str, str]:
    """The runs in a table, of MLflow's those that have the columns `names` and a seed, and of this project's export an
    `experiment`'s; where it was read from; and the column of seeds: `seed`, which must be there, or else the one called
    so, which may be.
    """
    source = str(path)
    runs, left_out = runs_exported(read_table(path), [*names, seed or SEED], source, experiment)
    if seed:
        column(runs, seed, source)
        _check_apart("--seed", seed, *names)
    if left_out:
        print(f"note: {left_out}", file=sys.stderr)
    return runs, source, seed or SEED


def _effects(arguments: argparse.Namespace) -> None:
    """The effects, or with a margin which of them are shown to be smaller; seeds that are left out are printed."""
    factors = [name.strip() for name in arguments.factors.split(",") if name.strip()]
    runs, source, seed = _read(arguments.runs, arguments.seed, *factors, experiment="factorial")
    names = with_log_odds(arguments.response) if arguments.log_odds else arguments.response
    censored = [arguments.censored] if arguments.censored else []
    for name in censored:
        _check_apart("--censored", name, *factors, seed)
    for name in names:
        _check_apart("--response", name, *factors, seed, "diverged", *censored)
    wanted, paired = () if arguments.fraction else None, not arguments.unpaired
    design = design_of(runs, factors, _pairs(arguments.baseline), source, wanted, seed, paired)
    if arguments.fraction:
        check_regular(design)
        contrasts = fraction_contrasts(factors, design.cells)
    else:
        contrasts = contrasts_of(design.levels)
    responses = responses_of(runs, names, arguments.images, arguments.chance, source)
    if arguments.margin:
        _check_margin(arguments.margin, responses)
        table = equivalence_table(design, responses, arguments.margin, contrasts)
    else:
        diverged = flags(runs, "diverged", source)
        bounds = {name: flags(runs, flag, source, needed=True) for flag in censored for name in responses}
        table = effects_table(design, responses, diverged, contrasts, bounds)
    if arguments.fraction:
        aliases = aliases_table(factors, design.cells).set_index("term")["aliases"]
        table = table.assign(aliases=table["term"].map(aliases))
    for sentence in design.unpaired():
        print(f"note: {sentence}", file=sys.stderr)
    write_csv(table, arguments.out)


def _pairs(text: str) -> dict[str, str]:
    """`activation=tanh,norm=none` as a mapping."""
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        factor, _, level = (word.strip() for word in part.partition("="))
        if not (factor and level) or factor in found:
            raise TakeoffError(f"--baseline {text}: {part!r} is not valid; valid: FACTOR=LEVEL,…, each once")
        found[factor] = level
    return found


def _check_margin(margin: float, responses: Iterable[str]) -> None:
    for name in responses:
        if margin >= 1 and is_accuracy(name):
            valid = "valid: below 1, in fractions as the accuracies are: 0.01 is a point"
            raise TakeoffError(f"--margin {margin:g}: no two of {name} could differ by more; {valid}")


def _check_apart(option: str, name: str, *others: str) -> None:
    if name in others:
        raise TakeoffError(f"{option} {name}: a column cannot be this and something else; valid: another column")


def _scaling(arguments: argparse.Namespace) -> None:
    runs, source, seed = _read(arguments.runs, arguments.seed, arguments.group, arguments.size, experiment="scaling")
    keys = (arguments.group, seed, arguments.size)
    _check_apart("--response", arguments.response, *keys)
    if len(set(keys)) < len(keys):
        raise TakeoffError(f"columns {', '.join(keys)}: one stands twice; valid: three different ones")
    response = arguments.response
    values = responses_of(runs, [response], arguments.images, arguments.chance, source)[response]
    errors = 1 - values if is_accuracy(response) else values
    nearest = 0.5 / arguments.images if arguments.images else 0.0
    table = scaling_table(runs, *keys, errors, nearest, source)
    check_falling(runs, arguments.group, arguments.size, np.maximum(errors, nearest), source)
    write_csv(table, arguments.out)


def _crossings(arguments: argparse.Namespace) -> None:
    columns = (arguments.arm, arguments.position, arguments.value)
    curves, source, seed = _read(arguments.curves, arguments.seed, *columns[:2])
    _check_apart("--value", arguments.value, *columns[:2], seed)
    paired = not arguments.unpaired
    table = crossings_table(curves, *columns, arguments.threshold, arguments.horizon, source, seed, paired)
    write_csv(table, arguments.out)


def _verdicts(arguments: argparse.Namespace) -> None:
    if arguments.alpha < LEAST_ALPHA:
        raise TakeoffError(f"--alpha {arguments.alpha:g}: too small for an interval; valid: {LEAST_ALPHA:g} or more")
    values, source, seed = _read(arguments.values, arguments.seed)
    censored = np.zeros(len(values), dtype=bool)
    if arguments.censored:
        _check_apart("--censored", arguments.censored, "part", "value", seed)
        censored = flags(values, arguments.censored, source, needed=True)
    parts = parts_of(values, read_table(arguments.criteria), censored, (source, str(arguments.criteria)), seed)
    write_csv(verdicts_table(parts, arguments.alpha), arguments.out)


def _coverage(arguments: argparse.Namespace) -> None:
    if arguments.seeds < 2 or arguments.factors > 6:
        given = f"--seeds {arguments.seeds} --factors {arguments.factors}"
        raise TakeoffError(f"{given}: valid: two seeds or more, six factors or fewer")
    table = coverage_table(arguments.factors, arguments.seeds, arguments.simulations)
    print(summary(table))
    if arguments.out:
        write_csv(table, arguments.out)
