"""Turn runs into tables: statistics of any table of runs, or one of the study's experiments.

python scripts/analyse.py effects --runs RUNS --factors a,b --response test_accuracy --out FILE
python scripts/analyse.py effects --runs runs.csv --factors a,b --response test_acc --seed trial --out FILE
python scripts/analyse.py effects --runs RUNS --factors a,b --response test_accuracy --unpaired --out FILE
python scripts/analyse.py equivalence --runs RUNS --factors a,b --response test_accuracy --margin 0.01 --out FILE
python scripts/analyse.py scaling --runs RUNS --group method --size train_samples --response NAME --out FILE
python scripts/analyse.py crossings --curves CURVES --arm a --value train_accuracy --threshold 0.75 --out FILE
python scripts/analyse.py verdicts --values VALUES --criteria CRITERIA --out FILE
python scripts/analyse.py coverage --seeds 6 --factors 3
python scripts/analyse.py spreads results/digits --out config/spreads.csv
python scripts/analyse.py fit_times results/digits --out config/fit_times.csv
python scripts/analyse.py pool --results results/A results/B --out results/pool/claims.csv
python scripts/analyse.py compare --results results/A --against results/reference/A --out results/A/compare
python scripts/analyse.py experiment factorial --study STUDY --data DATA --results RESULTS --out FOLDER
"""

import argparse
from pathlib import Path

from takeoff.common.arguments import add_paths
from takeoff.common.commands import run_command
from takeoff.common.errors import TakeoffError
from takeoff.common.files import write_rows
from takeoff.common.spelling import choices
from takeoff.judging.claims import claims_file, load_claims
from takeoff.statistics.commands import add_statistics
from takeoff.study.loading import check_same, load_study, study_path


def main() -> None:
    """Parse the arguments and do what the first one says."""
    parser = argparse.ArgumentParser(description="Turn runs into tables.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_statistics(commands)
    experiment = commands.add_parser("experiment", help="an experiment of a study")
    experiment.set_defaults(do=_experiment)
    experiment.add_argument("name", help="the experiment's name: factorial, …")
    words = "a name in config/studies, or a path"
    experiment.add_argument("--study", type=study_path, required=True, help=words)
    add_paths(
        experiment,
        data="the folder with the dataset's card.json",
        results="the study's results, with arms/ in it",
        out="the folder to write the tables to",
    )
    spreads = commands.add_parser("spreads", help="how much claims' quantities differ between seeds, to plan by")
    spreads.set_defaults(do=_spreads)
    words = "a study's results, with <experiment>/measured.csv in it, and study.json"
    spreads.add_argument("results", type=Path, nargs="+", help=words)
    spreads.add_argument("--out", type=Path, required=True, help="the CSV file to write")
    fits = commands.add_parser("fit_times", help="how long fits of older methods took, to plan by")
    fits.set_defaults(do=_fits)
    words = "results of studies, with arms/ in them: of a method and size that two have, the first one's time counts"
    fits.add_argument("results", type=Path, nargs="+", help=words)
    fits.add_argument("--out", type=Path, required=True, help="the CSV file to write")
    pool = commands.add_parser("pool", help="one verdict over several studies, with its figure")
    pool.set_defaults(do=_pool)
    words = "folders of studies that were judged: results/STUDY, results/reference/STUDY"
    pool.add_argument("--results", type=Path, nargs="*", required=True, help=words)
    pool.add_argument("--claims", type=Path, default=claims_file(), help="the claims (default: %(default)s)")
    pool.add_argument("--out", type=Path, required=True, help="the CSV file to write; its figure goes beside it")
    compare = commands.add_parser("compare", help="two results of one study side by side, with a figure")
    compare.set_defaults(do=_compare)
    compare.add_argument("--results", type=Path, required=True, help="the first: its intervals are the measure")
    compare.add_argument("--against", type=Path, nargs="*", required=True, help="the second")
    compare.add_argument("--out", type=Path, required=True, help="the folder for the table and its figure")
    arguments = parser.parse_args()
    read = [path for path in vars(arguments).values() if isinstance(path, Path) and path is not arguments.out]
    if arguments.out and any(path.is_file() and path.resolve() == arguments.out.resolve() for path in read):
        raise TakeoffError(f"--out {arguments.out}: a table that is read; valid: another file")
    right = Path.is_dir if arguments.do in (_experiment, _compare) else Path.is_file
    if arguments.out and arguments.out.exists() and not right(arguments.out):
        kind = "folder" if right is Path.is_dir else "file, and no folder or device"
        raise TakeoffError(f"--out {arguments.out}: valid: the name of a {kind}")
    arguments.do(arguments)


def _spreads(arguments: argparse.Namespace) -> None:
    from takeoff.judging.spreads import spreads_of

    found = [one for folder in arguments.results for one in spreads_of(folder)]
    if not found:
        raise TakeoffError(f"{arguments.results[0]}: no claim has a spread; valid: results of two seeds or more")
    write_rows(arguments.out, found)


def _fits(arguments: argparse.Namespace) -> None:
    from takeoff.workflow.fit_times import fit_times, merged

    found = merged(time for folder in arguments.results for time in fit_times(folder))
    if not found:
        raise TakeoffError(f"{arguments.results[0]}: no fit of an older method in it; valid: results with some")
    write_rows(arguments.out, found)


def _experiment(arguments: argparse.Namespace) -> None:
    from takeoff.data.card import CARD, load_card
    from takeoff.experiments.analysis import analysed
    from takeoff.experiments.registry import enabled

    name, study = arguments.name, arguments.study
    experiments = enabled(load_study(study), str(study))
    if name not in experiments:
        raise TakeoffError(f"{study}: experiments: {name} is not switched on; {choices(name, experiments)}")
    analysed(experiments[name], arguments.results, load_card(arguments.data / CARD), arguments.out)


def _pool(arguments: argparse.Namespace) -> None:
    from takeoff.across.pool import labelled, pool_studies
    from takeoff.across.pool_figure import draw_pool
    from takeoff.experiments.registry import EXPERIMENTS
    from takeoff.figures.style import save

    if not arguments.results:
        raise TakeoffError("--results: no study; valid: their folders; `snakemake pool` takes --config 'studies=[A,B]'")
    if arguments.out.suffix != ".csv":
        raise TakeoffError(f"--out {arguments.out}: not a CSV file; valid: a name that ends in .csv")
    studies = labelled(arguments.results)
    parts = pool_studies(studies, load_claims(arguments.claims, EXPERIMENTS))
    save(*draw_pool(parts, list(studies)), arguments.out.with_suffix(""))
    for name, verdict in {one.claim.name: one.claim_verdict for one in parts}.items():
        disagree = any(one.disagree for one in parts if one.claim.name == name)
        print(f"{verdict:<13}{name}{' (studies disagree)' * disagree}")


def _compare(arguments: argparse.Namespace) -> None:
    from takeoff.across.compare import compared, name_beside, summary
    from takeoff.across.compare_figure import draw_compared
    from takeoff.across.results import read_results
    from takeoff.figures.style import save

    if len(arguments.against) != 1:
        raise TakeoffError("--against: one folder of results; `snakemake compare` takes --config study=A against=PATH")
    if arguments.results.resolve() == arguments.against[0].resolve():
        raise TakeoffError(f"--against {arguments.against[0]}: the results themselves; valid: others of the study")
    first, second = (read_results(folder) for folder in (arguments.results, arguments.against[0]))
    check_same(first.study, second.study, str(second.folder))
    table = compared(first, second)
    save(*draw_compared(table, first, second), arguments.out / name_beside(first.folder, second.folder))
    for line in summary(table, first, second):
        print(line)


if __name__ == "__main__":
    run_command(main)
