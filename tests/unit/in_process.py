"""Commands on any table, in this process: a process of its own takes seconds to start."""

import argparse
from pathlib import Path

import pandas as pd
from takeoff.statistics.commands import add_statistics

TABLES = {"crossings": "--curves", "verdicts": "--values"}


def analyse(command: str, path: Path, out: Path, *options: object) -> pd.DataFrame:
    """The table that `analyse.py` writes to `out`, of the table at `path`; what it refuses is a TakeoffError."""
    parser = argparse.ArgumentParser()
    add_statistics(parser.add_subparsers())
    given = [command, TABLES.get(command, "--runs"), path, "--out", out, *options]
    arguments = parser.parse_args([str(word) for word in given])
    arguments.do(arguments)
    return pd.read_csv(out)
