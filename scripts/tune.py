"""Choose the learning rate of arms on validation images: learning_rate.json in each arm's folder."""

from takeoff.common.commands import run_command
from takeoff.jobs.command import jobs, training_parser


def main() -> None:
    """Tune every arm named."""
    for job in jobs(training_parser(__doc__).parse_args()):
        job.tune()


if __name__ == "__main__":
    run_command(main)
