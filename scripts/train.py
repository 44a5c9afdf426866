"""Tune and train arms: learning_rate.json, runs.parquet and curves.parquet in each arm's folder.

Finished runs are kept in the arm's folder `runs`; only those that are missing are trained.
"""

from takeoff.common.errors import run_command
from takeoff.jobs.command import jobs, training_parser


def main() -> None:
    """Train every arm named."""
    for job in jobs(training_parser(__doc__).parse_args()):
        job.train(job.tune())


if __name__ == "__main__":
    run_command(main)
