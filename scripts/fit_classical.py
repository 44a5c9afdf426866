"""Tune and fit older methods: tuning.json and runs.parquet in each arm's folder.

Finished runs are kept in the arm's folder `runs`; only those that are missing are fitted.
"""

from functools import cache

from takeoff.common.commands import run_command
from takeoff.common.parent import end_with_the_workflow
from takeoff.data.prepared import load_prepared
from takeoff.jobs.command import arms_parser
from takeoff.study.planned import Images, PlannedClassicalArm, arms_at


def main() -> None:
    """Fit every arm named; arms of the same images share these, and the features made of them."""
    arguments = arms_parser(__doc__).parse_args()
    arms = arms_at(arguments.arms, PlannedClassicalArm)
    end_with_the_workflow()
    from takeoff.classical.features import Workshop
    from takeoff.classical.jobs import ClassicalJob
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    @cache
    def workshop(images: Images, mirrored: bool, large: bool) -> Workshop:
        return Workshop(load_prepared(arguments.data, **images.model_dump(exclude={"dataset"})), mirrored, large)

    with threadpool_limits(arguments.threads):
        for folder, arm in arms:
            job = ClassicalJob(arm, workshop(arm.images, arm.mirrored, arm.large), folder, arguments.threads)
            job.fit(job.tune())


if __name__ == "__main__":
    run_command(main)
