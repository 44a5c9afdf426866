"""Bring finished runs of other results among a study's own, or pack a study's runs into one file.

python scripts/merge.py --study A --results results/A ../other/results/A results/reference/A/runs.tar.xz
python scripts/merge.py --study A --results results/A --pack results/reference/A/runs.tar.xz
"""

import argparse
from pathlib import Path

from takeoff.across.merging import merge, pack
from takeoff.common.arguments import add_paths
from takeoff.common.commands import run_command
from takeoff.common.errors import TakeoffError
from takeoff.experiments.registry import enabled, wanted
from takeoff.study.loading import check_results, load_study, study_path
from takeoff.study.planned import planned_arms


def main() -> None:
    """Parse the arguments, merge each source, or pack, and print a line of what was done."""
    parser = argparse.ArgumentParser(description="Merge the finished runs of a study, or pack them.")
    parser.add_argument("--study", type=study_path, required=True, help="a name in config/studies, or a path")
    add_paths(parser, results="the study's results")
    words = "results folders of the study, from other machines or seeds, or runs.tar.xz"
    parser.add_argument("sources", type=Path, nargs="*", metavar="FROM", help=words)
    words = "write the study's own run files to it, a .tar.xz, the same bytes for the same runs"
    parser.add_argument("--pack", type=Path, metavar="FILE", help=words)
    arguments = parser.parse_args()
    results, sources = arguments.results, arguments.sources
    if bool(sources) == bool(arguments.pack):
        raise TakeoffError("merge: name either what to merge, or --pack FILE")
    study = load_study(arguments.study)
    if arguments.pack:
        print(f"{arguments.pack}: {pack(results, arguments.pack)} runs")
    arms = {arm.name: arm.kind for arm in planned_arms(study, wanted(enabled(study, str(arguments.study))))}
    for source in sources:
        check_results(study, source)
        counts = merge(results, source, arms)
        print(f"{source}: runs " + ", ".join(f"{count} {what}" for what, count in counts.items()))


if __name__ == "__main__":
    run_command(main)
