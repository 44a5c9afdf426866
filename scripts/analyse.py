"""Turn runs into tables: the effects of any 2^k table of runs, or one of the study's experiments.

python scripts/analyse.py effects --runs RUNS --factors a,b --response test_accuracy --out effects.csv
python scripts/analyse.py experiment factorial --study STUDY --data DATA --results RESULTS --out FOLDER
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from takeoff.errors import TakeoffError, choices, run_command


def main() -> None:
    """Parse the arguments and do what the first one says."""
    arguments = _parser().parse_args()
    arguments.do(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Turn runs into tables.")
    commands = parser.add_subparsers(required=True, metavar="effects | experiment")

    effects = commands.add_parser("effects", help="the effects of any 2^k table of runs")
    effects.set_defaults(do=_effects)
    effects.add_argument("--runs", type=Path, required=True, help="CSV or parquet, a row per run")
    effects.add_argument(
        "--factors", required=True, help="columns with two levels each: activation,norm,dropout"
    )
    effects.add_argument(
        "--response",
        action="append",
        required=True,
        metavar="NAME",
        help="a column of numbers, generalisation_gap, or COLUMN_log_odds; may be repeated",
    )
    effects.add_argument("--out", type=Path, required=True, help="the CSV file to write")
    effects.add_argument(
        "--baseline", default="", metavar="FACTOR=LEVEL,…", help="else the level that the table has first"
    )
    effects.add_argument("--log-odds", action="store_true", help="accuracies in log-odds too")
    effects.add_argument(
        "--images",
        type=_positive,
        metavar="N",
        help="of how many images accuracies are fractions: their log-odds take 0 and 1 as half an image "
        "away (without it, as 0.00005 away)",
    )
    effects.add_argument(
        "--chance", type=float, metavar="RATE", help="what a diverged run without an accuracy counts as"
    )

    experiment = commands.add_parser("experiment", help="an experiment of a study")
    experiment.set_defaults(do=_experiment)
    experiment.add_argument("name", help="the experiment's name: factorial, …")
    experiment.add_argument("--study", type=Path, required=True, help="the study, YAML or JSON")
    experiment.add_argument(
        "--data", type=Path, required=True, help="the folder with the dataset's card.json"
    )
    experiment.add_argument(
        "--results", type=Path, required=True, help="the study's results, with arms/ in it"
    )
    experiment.add_argument("--out", type=Path, required=True, help="the folder to write the tables to")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def _effects(arguments: argparse.Namespace) -> None:
    from takeoff.statistics.design import design_of
    from takeoff.statistics.effects import effects_table
    from takeoff.statistics.responses import responses_of, with_log_odds
    from takeoff.statistics.tables import flags, read_table, write_csv

    source = str(arguments.runs)
    runs = read_table(arguments.runs)
    factors = [name.strip() for name in arguments.factors.split(",") if name.strip()]
    names = with_log_odds(arguments.response) if arguments.log_odds else arguments.response
    for name in names:
        if name in (*factors, "seed", "diverged"):
            raise TakeoffError(f"--response {name}: a column cannot be a response and something else")
    design = design_of(runs, factors, _pairs(arguments.baseline), source)
    responses = responses_of(runs, names, arguments.images, arguments.chance, source)
    table = effects_table(design, responses, flags(runs, "diverged", source))
    for sentence in design.unpaired():
        print(f"note: {sentence}", file=sys.stderr)
    write_csv(table, arguments.out)


def _pairs(text: str) -> dict[str, str]:
    """`activation=tanh,norm=none` as a mapping."""
    pairs: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        factor, equals, level = part.partition("=")
        if not (factor and equals and level) or factor in pairs:
            raise TakeoffError(
                f"--baseline {text}: {part!r} is not valid; valid: FACTOR=LEVEL,…, each factor once"
            )
        pairs[factor.strip()] = level.strip()
    return pairs


def _experiment(arguments: argparse.Namespace) -> None:
    from takeoff.experiments.registry import Results, enabled, experiment
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
    folders = [arguments.results / "arms" / arm.name for arm in module.arms(study, options[name])]
    results = Results(*_runs_and_curves(folders), _json(arguments.data / "card.json"))
    tables = module.analyse(study, options[name], results)
    for table in module.TABLES:
        write_csv(tables[table], arguments.out / f"{table}.csv")


def _runs_and_curves(folders: list[Path]) -> tuple[Any, Any]:
    """The runs and curves of all arms; a run says how its arm's rate was tuned (`at_edge`, `untuned`)."""
    import pandas as pd
    from takeoff.statistics.tables import read_table

    runs = []
    for folder in folders:
        tuned = _json(folder / "learning_rate.json")
        table = read_table(folder / "runs.parquet")
        runs.append(table.assign(**{key: bool(tuned.get(key, False)) for key in ("at_edge", "untuned")}))
    curves = [read_table(folder / "curves.parquet") for folder in folders]
    return pd.concat(runs, ignore_index=True), pd.concat(curves, ignore_index=True)


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TakeoffError(f"{path}: there is no such file") from None
    except ValueError as error:
        raise TakeoffError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(content, dict):
        raise TakeoffError(f"{path}: expected keys and values, found {type(content).__name__}")
    return content


if __name__ == "__main__":
    run_command(main)
