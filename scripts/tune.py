"""Choose the learning rate of arms on validation images: learning_rate.json in each arm's folder."""

from takeoff.errors import run_command
from takeoff.experiments.registry import all_arms
from takeoff.study.loading import load_study
from takeoff.training.command import jobs, parser


def main() -> None:
    """Tune every arm named."""
    arguments = parser(__doc__).parse_args()
    study = load_study(arguments.study)
    for job in jobs(arguments, study, all_arms(study, str(arguments.study))):
        job.tune()


if __name__ == "__main__":
    run_command(main)
