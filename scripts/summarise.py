"""Write what a study found, and how to do it again, as a page of Markdown."""

import argparse

from takeoff.common.arguments import add_paths
from takeoff.common.errors import run_command
from takeoff.common.files import write_text
from takeoff.study.loading import load_study, study_path


def main() -> None:
    """Parse the arguments and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=study_path, required=True, help="a name in config/studies, or a path")
    add_paths(parser, results="the study's results", card="the dataset's card.json", out="the file to write")
    given = parser.parse_args()
    from takeoff.data.card import load_card
    from takeoff.reporting.summary import summary

    write_text(given.out, summary(given.results, load_study(given.study), load_card(given.card, "dataset", "digest")))


if __name__ == "__main__":
    run_command(main)
