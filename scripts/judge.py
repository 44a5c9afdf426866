"""Judge the claims: each one's estimate, interval and verdict, as tables and as one figure.

python scripts/judge.py --study STUDY --data DATA --results results/digits --out results/digits
"""

import argparse
from pathlib import Path

from takeoff.common.arguments import add_paths
from takeoff.common.commands import run_command
from takeoff.common.errors import TakeoffError
from takeoff.common.spelling import choices
from takeoff.experiments.registry import EXPERIMENTS, enabled
from takeoff.judging.claims import claims_file, criteria, load_claims
from takeoff.study.loading import check_results, load_study, study_path


def main() -> None:
    """Read what every experiment measured, judge, write the tables and the figure, and print a line per claim."""
    parser = argparse.ArgumentParser(description="Judge the claims by what a study measured.")
    parser.add_argument("--study", type=study_path, required=True, help="a name in config/studies, or a path")
    add_paths(
        parser,
        data="the folder with the dataset's card.json",
        results="the study's results, with <experiment>/measured.csv",
        out="the folder to write claims.csv to",
    )
    parser.add_argument("--claims", type=Path, default=claims_file(), help="the claims (default: %(default)s)")
    words = "an experiment that could not be analysed, and why: its claims are not tested"
    parser.add_argument("--untested", action="append", default=[], metavar="NAME=REASON", help=words)
    arguments = parser.parse_args()

    from takeoff.common.tables import write_csv
    from takeoff.data.card import CARD, load_card
    from takeoff.figures.style import save
    from takeoff.judging.figure import draw_claims, number_words
    from takeoff.judging.judge import claims_table, judge_study, parts_table
    from takeoff.judging.looks import keep_look
    from takeoff.study.manifest import write_manifest

    study, claims = load_study(arguments.study), load_claims(arguments.claims, EXPERIMENTS)
    check_results(study, arguments.results)
    options = {name: one.options for name, one in enabled(study, str(arguments.study)).items()}
    now, card = criteria(claims, study, options), load_card(arguments.data / CARD)
    stated = [one.partition("=") for one in arguments.untested]
    absent = {name: reason for name, _, reason in stated if reason.strip()}
    for name in {name for name, *_ in stated} - absent.keys() | absent.keys() - options.keys():
        raise TakeoffError(f"--untested {name}: not an experiment of the study with a reason; {choices(name, options)}")
    judged = judge_study(study, claims, now, arguments.results, card, str(arguments.claims), absent)
    keep_look(arguments.results, judged, study=study.model_dump(mode="json"), criteria=now)  # before anyone sees one
    write_csv(claims_table(judged), arguments.out / "claims.csv")
    write_csv(parts_table(judged), arguments.out / "claims_parts.csv")
    write_manifest(arguments.out, ["claims.csv", "claims_parts.csv"])
    save(*draw_claims(study, judged), arguments.out / "figures" / "claims")
    for one in judged:
        words = one.reason if one.shown is None else " ".join(number_words(one.shown))
        changed = " (criterion changed after planning)" * one.changed
        print(f"{one.verdict:<13}{one.claim.name}: {words}{changed}")


if __name__ == "__main__":
    run_command(main)
