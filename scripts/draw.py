"""Draw an experiment's figures from its tables: SVG and PNG, with the drawn numbers as CSV beside them.

python scripts/draw.py factorial --study STUDY --results results/digits --out results/digits/figures
"""

import argparse

from takeoff.common.arguments import add_paths
from takeoff.common.commands import run_command
from takeoff.common.errors import TakeoffError
from takeoff.common.spelling import choices
from takeoff.study.loading import load_study, study_path


def main() -> None:
    """Read the tables, draw every figure, write its three files."""
    parser = argparse.ArgumentParser(description="Draw an experiment's figures from its tables.")
    parser.add_argument("name", help="the experiment's name: factorial, …")
    parser.add_argument("--study", type=study_path, required=True, help="a name in config/studies, or a path")
    words = "the study's results, with <experiment>/*.csv and criteria.json"
    add_paths(parser, results=words, out="the folder to write the figures to")
    arguments = parser.parse_args()

    from takeoff.experiments.analysis import read_back
    from takeoff.experiments.base import FixedCriterion
    from takeoff.experiments.registry import enabled
    from takeoff.figures.style import save
    from takeoff.judging.claims import criterion_of, fixed_criteria

    name, study, results = arguments.name, arguments.study, arguments.results
    experiments = enabled(load_study(study), str(study))
    if name not in experiments:
        raise TakeoffError(f"{study}: experiments: {name} is not switched on; {choices(name, experiments)}")
    experiment = experiments[name]
    tables = {table: read_back(results / name / f"{table}.csv") for table in experiment.tables()}
    criteria = {
        claim: FixedCriterion(
            {part: criterion_of(numbers) for part, numbers in fixed["parts"].items()}, fixed["published_value"]
        )
        for claim, fixed in fixed_criteria(results / "criteria.json").items()
    }
    for drawing in experiment.draw(tables, criteria):
        save(drawing.figure, drawing.numbers, arguments.out / f"{name}-{drawing.name}")


if __name__ == "__main__":
    run_command(main)
