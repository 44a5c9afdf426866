"""Turn runs into tables: statistics of any table of runs, or one of the study's experiments.

python scripts/analyse.py effects --runs RUNS --factors a,b --response test_accuracy --out FILE
python scripts/analyse.py pooled --runs RUNS --factors a,b --response test_accuracy --out FILE
python scripts/analyse.py pairing --runs RUNS --factors a,b --response test_accuracy --out FILE
python scripts/analyse.py equivalence --runs RUNS --factors a,b --response test_accuracy --margin 0.01 --out FILE
python scripts/analyse.py collapse --runs RUNS --group arm --response test_accuracy --chance 0.1 --images N --out FILE
python scripts/analyse.py search --runs RUNS --response validation_accuracy --out FILE
python scripts/analyse.py ratio --errors ERRORS --of network --over rival --response wrong --out FILE
python scripts/analyse.py scaling --runs RUNS --group method --size train_samples --response NAME --out FILE
python scripts/analyse.py agreement --runs RUNS --methods method --size train_samples --response NAME --out FILE
python scripts/analyse.py curves --curves CURVES --arm a --value train_accuracy --out FILE
python scripts/analyse.py crossings --curves CURVES --arm a --value train_accuracy --threshold 0.75 --out FILE
python scripts/analyse.py verdicts --values VALUES --criteria CRITERIA --out FILE
python scripts/analyse.py coverage --seeds 6 --factors 3
python scripts/analyse.py experiment factorial --study STUDY --data DATA --results RESULTS --out FOLDER
"""

import argparse
from pathlib import Path

from takeoff.arguments import study_file
from takeoff.errors import TakeoffError, choices, run_command
from takeoff.files import load_json
from takeoff.statistics.commands.parser import add_statistics


def main() -> None:
    """Parse the arguments and do what the first one says."""
    arguments = _parser().parse_args()
    arguments.do(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Turn runs into tables.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_statistics(commands)

    experiment = commands.add_parser("experiment", help="an experiment of a study")
    experiment.set_defaults(do=_experiment)
    experiment.add_argument("name", help="the experiment's name: factorial, …")
    experiment.add_argument(
        "--study", type=study_file, required=True, help="a name in config/studies, or a path"
    )
    experiment.add_argument(
        "--data", type=Path, required=True, help="the folder with the dataset's card.json"
    )
    experiment.add_argument(
        "--results", type=Path, required=True, help="the study's results, with arms/ in it"
    )
    experiment.add_argument("--out", type=Path, required=True, help="the folder to write the tables to")
    return parser


def _experiment(arguments: argparse.Namespace) -> None:
    from takeoff.experiments.gathering import choices_table, gathered
    from takeoff.experiments.registry import CHOICES, enabled, experiment, tables_of
    from takeoff.statistics.tables import write_csv
    from takeoff.study.loading import load_study

    name = arguments.name
    study = load_study(arguments.study)
    options = enabled(study, str(arguments.study))
    if name not in options:
        raise TakeoffError(
            f"{arguments.study}: experiments: {name} is not switched on; {choices(name, options)}"
        )
    module = experiment(name)
    arms = module.arms(study, options[name])
    results = gathered(study, arms, arguments.results, load_json(arguments.data / "card.json"))
    tables = module.analyse(study, options[name], results) | {CHOICES: choices_table(arms, results.runs)}
    for table in tables_of(name, study, options[name]):
        write_csv(tables[table], arguments.out / f"{table}.csv")


if __name__ == "__main__":
    run_command(main)
