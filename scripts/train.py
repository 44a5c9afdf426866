"""Tune and train arms: learning_rate.json, runs.parquet and curves.parquet in each arm's folder.

Finished runs are kept in the arm's folder `runs`; only those that are missing are trained.
"""

from takeoff.errors import run_command
from takeoff.experiments.registry import all_arms
from takeoff.study.loading import load_study
from takeoff.training.command import jobs, parser


def main() -> None:
    """Train every arm named."""
    arguments = parser(__doc__).parse_args()
    study = load_study(arguments.study)
    for job in jobs(arguments, study, all_arms(study, str(arguments.study))):
        job.train(job.tune())


if __name__ == "__main__":
    run_command(main)
