"""Write what a study found, and how to do it again, as a page of Markdown; and a page of HTML to explore it."""

import argparse
from pathlib import Path

from takeoff.common.arguments import add_paths
from takeoff.common.commands import run_command
from takeoff.common.errors import TakeoffError
from takeoff.common.files import write_text
from takeoff.study.loading import check_results, load_study, study_path


def main() -> None:
    """Parse the arguments and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=study_path, required=True, help="a name in config/studies, or a path")
    add_paths(parser, results="the study's results", card="the dataset's card.json", out="the file to write")
    parser.add_argument("--explore-out", type=Path, help="where the page to explore goes")
    given = parser.parse_args()
    from takeoff.data.card import load_card
    from takeoff.reporting.explore import explore
    from takeoff.reporting.summary import summary

    study, card = load_study(given.study), load_card(given.card, "dataset", "digest")
    if not (given.results / "study.json").is_file():
        raise TakeoffError(f"{given.results}: no study.json in it; valid: the results of a study")
    check_results(study, given.results)
    pages = {given.out: summary(given.results, study, card)}
    if given.explore_out:
        pages[given.explore_out] = explore(given.results, study)
    for path, text in pages.items():  # not one without the other
        write_text(path, text)


if __name__ == "__main__":
    run_command(main)
