"""Paths and numbers as the commands take them; a number that is not valid is refused in a line."""

import argparse
from pathlib import Path


def add_paths(parser: argparse.ArgumentParser, **words: str) -> None:
    """Add paths that a command must have: `--data`, `--results` and the like, each with its help."""
    for name, help_words in words.items():
        parser.add_argument(f"--{name}", type=Path, required=True, help=help_words)


def above_zero(text: str) -> float:
    """A finite number above 0."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def rate(text: str) -> float:
    """A number between 0 and 1."""
    number = float(text)
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return number


def positive(text: str) -> int:
    """A whole number above 0."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number
