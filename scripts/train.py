"""Tune and train arms: learning_rate.json, runs.parquet and curves.parquet in each arm's folder.

Finished runs are kept in the arm's folder `runs`; only those that are missing are trained.
"""

from takeoff.common.commands import run_command
from takeoff.jobs.command import jobs, training_parser


def main() -> None:
    """Train every arm named."""
    parser = training_parser(__doc__)
    words = "keep the weights of an arm's best network, if it has so many at most (default: %(default)s)"
    parser.add_argument("--keep-weights", type=int, default=0, metavar="N", help=words)
    given = parser.parse_args()
    for job in jobs(given):
        job.keep_weights = given.keep_weights
        job.train(job.tune())


if __name__ == "__main__":
    run_command(main)
