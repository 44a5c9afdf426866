"""Draw an experiment's figures from its tables: SVG and PNG, with the drawn numbers as CSV beside them.

python scripts/draw.py factorial --study STUDY --tables results/digits/factorial --out results/digits/figures
"""

import argparse
from pathlib import Path

from takeoff.arguments import study_file
from takeoff.errors import TakeoffError, choices, run_command


def main() -> None:
    """Read the tables, draw every figure, write its three files."""
    parser = argparse.ArgumentParser(description="Draw an experiment's figures from its tables.")
    parser.add_argument("name", help="the experiment's name: factorial, …")
    parser.add_argument("--study", type=study_file, required=True, help="a name in config/studies, or a path")
    parser.add_argument("--tables", type=Path, required=True, help="the folder that analyse wrote")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write the figures to")
    arguments = parser.parse_args()

    from takeoff.experiments.gathering import read_back
    from takeoff.experiments.plotting import save
    from takeoff.experiments.registry import enabled, experiment, tables_of
    from takeoff.study.loading import load_study

    name, study = arguments.name, load_study(arguments.study)
    options = enabled(study, str(arguments.study))
    if name not in options:
        raise TakeoffError(
            f"{arguments.study}: experiments: {name} is not switched on; {choices(name, options)}"
        )
    module = experiment(name)
    names = tables_of(name, study, options[name])
    tables = {table: read_back(arguments.tables / f"{table}.csv") for table in names}
    for figure_name, figure, numbers in module.draw(study, options[name], tables):
        save(figure, numbers, arguments.out / f"{name}-{figure_name}")


if __name__ == "__main__":
    run_command(main)
