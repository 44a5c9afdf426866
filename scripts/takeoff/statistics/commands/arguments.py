"""Arguments that the commands share, and their checks."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from takeoff.arguments import rate
from takeoff.errors import TakeoffError


def add_runs(parser: argparse.ArgumentParser) -> None:
    """Add a table of runs, and what a diverged one counts as."""
    add_table(parser, "--runs", "a row per run")
    parser.add_argument(
        "--chance", type=rate, metavar="RATE", help="what a diverged run without an accuracy counts as"
    )


def add_table(parser: argparse.ArgumentParser, name: str, rows: str) -> None:
    """Add a table to read, and the table to write."""
    parser.add_argument(name, type=Path, required=True, help=f"CSV or parquet, {rows}")
    parser.add_argument("--out", type=Path, required=True, help="the CSV file to write")


def pairs(text: str) -> dict[str, str]:
    """`activation=tanh,norm=none` as a mapping.

    Raises:
        TakeoffError: a part is no pair, or a factor stands twice.

    """
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        factor, equals, level = part.partition("=")
        if not (factor and equals and level) or factor in found:
            raise TakeoffError(
                f"--baseline {text}: {part!r} is not valid; valid: FACTOR=LEVEL,…, each factor once"
            )
        found[factor.strip()] = level.strip()
    return found


def check_response(name: str, *others: str) -> None:
    """Check that a response is none of the columns that mean something else.

    Raises:
        TakeoffError: it is.

    """
    if name in others:
        raise TakeoffError(f"--response {name}: a column cannot be a response and something else")


def note(sentences: Iterable[str]) -> None:
    """Print what a reader must know of a table."""
    for sentence in sentences:
        print(f"note: {sentence}", file=sys.stderr)
