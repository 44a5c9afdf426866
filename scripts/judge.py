"""Judge the claims: each one's estimate, interval and verdict, as tables and as one figure.

python scripts/judge.py --study STUDY --data DATA --results results/digits --out results/digits
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from takeoff.arguments import study_file
from takeoff.errors import run_command

if TYPE_CHECKING:
    from takeoff.experiments.judging import JudgedClaim


def main() -> None:
    """Read every experiment's tables, judge, write the tables and the figure, and print a line per claim."""
    parser = argparse.ArgumentParser(description="Judge the claims by what a study measured.")
    parser.add_argument("--study", type=study_file, required=True, help="a name in config/studies, or a path")
    parser.add_argument("--data", type=Path, required=True, help="the folder with the dataset's card.json")
    parser.add_argument(
        "--results", type=Path, required=True, help="the study's results, with <experiment>/*.csv"
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder to write claims.csv to")
    arguments = parser.parse_args()

    from takeoff.experiments.claims_figure import draw_claims
    from takeoff.experiments.judging import claims_table, judge_study, parts_table
    from takeoff.experiments.plotting import save
    from takeoff.experiments.registry import enabled
    from takeoff.files import load_json
    from takeoff.statistics.tables import write_csv
    from takeoff.study.loading import load_study

    study = load_study(arguments.study)
    options = enabled(study, str(arguments.study))
    card = load_json(arguments.data / "card.json")
    judged = judge_study(study, str(arguments.study), options, arguments.results, card)
    write_csv(claims_table(judged), arguments.out / "claims.csv")
    write_csv(parts_table(judged), arguments.out / "claims_parts.csv")
    save(*draw_claims(study, judged), arguments.out / "figures" / "claims")
    for one in judged:
        print(_line(one))


def _line(judged: "JudgedClaim") -> str:
    """Verdict, claim and numbers, or why there are none."""
    from takeoff.experiments.claims_scale import number_words

    shown = judged.shown
    words = judged.reason if shown is None else " ".join(number_words(shown))
    changed = " (criterion changed after planning)" * judged.changed
    return f"{judged.verdict:<13}{judged.claim.name}: {words}{changed}"


if __name__ == "__main__":
    run_command(main)
