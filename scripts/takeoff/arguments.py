"""Studies and numbers as the commands take them, refused in a line where there is no such one."""

import argparse
from pathlib import Path


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


def study_file(text: str) -> Path:
    """A study's file, by its name in config/studies or by its path."""
    from takeoff.study.loading import study_path

    return study_path(text)
