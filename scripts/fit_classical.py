"""Tune and fit older methods: tuning.json and runs.parquet in each arm's folder.

Finished runs are kept in the arm's folder `runs`; only those that are missing are fitted.
"""

from takeoff.classical.command import fit_all, parser
from takeoff.errors import run_command
from takeoff.experiments.registry import all_arms
from takeoff.study.loading import load_study


def main() -> None:
    """Fit every arm named."""
    arguments = parser(__doc__).parse_args()
    study = load_study(arguments.study)
    fit_all(arguments, study, all_arms(study, str(arguments.study)))


if __name__ == "__main__":
    run_command(main)
