"""Paths and numbers as the commands take them; a number that is not valid is refused in a line."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Number = TypeVar("Number", int, float)

MOST_THREADS = 1024
"""Of a CPU: a system gives no process as many as it likes."""


def add_paths(parser: argparse.ArgumentParser, **words: str) -> None:
    """Add paths that a command must have: `--data`, `--results` and the like, each with its help."""
    for name, help_words in words.items():
        parser.add_argument(f"--{name}", type=Path, required=True, help=help_words)


def above_zero(text: str) -> float:
    """A finite number above 0."""
    return _valid(text, float, lambda number: 0 < number < float("inf"), "above 0")


def rate(text: str) -> float:
    """A number between 0 and 1."""
    return _valid(text, float, lambda number: 0 < number < 1, "between 0 and 1")


def positive(text: str) -> int:
    """A whole number above 0."""
    return _valid(text, int, lambda number: number > 0, "a whole number above 0")


def thread_count(text: str) -> int:
    """As many threads as a job may have."""
    return _valid(text, int, lambda number: 0 < number <= MOST_THREADS, f"a whole number from 1 to {MOST_THREADS}")


def folder(text: str) -> Path:
    """A folder to write to, which need not be there."""
    if not text or Path(text).is_file():
        raise argparse.ArgumentTypeError(f"{text or 'nothing'}: {'a file; ' * bool(text)}valid: a folder")
    return Path(text)


def _valid(text: str, kind: Callable[[str], Number], holds: Callable[[Number], bool], words: str) -> Number:
    try:
        number = kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no number; valid: {words}") from None
    if not holds(number):
        raise argparse.ArgumentTypeError(f"{text} is not valid; valid: {words}")
    return number
