"""Log a study's runs, arms, figures and tables to MLflow; a second import changes nothing.

Nothing else of this project writes there. One import at a time goes into a SQLite file, and to a server from one folder
of results.
"""

import argparse
import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from takeoff.common.commands import run_command
from takeoff.common.errors import TakeoffError
from takeoff.common.files import write_json
from takeoff.common.parent import end_with_the_workflow
from takeoff.study.loading import load_study, study_path

if TYPE_CHECKING:
    from takeoff.tracking.entries import Entry


def main() -> None:
    """Parse the arguments, bring MLflow in step with the results, write what was done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=study_path, required=True, help="a name in config/studies, or a path")
    parser.add_argument("--results", type=Path, required=True, help="the study's results; its name is the study's")
    parser.add_argument("--card", type=Path, required=True, help="the dataset's card.json")
    parser.add_argument(
        "--tracking-uri",
        default=os.environ.get("MLFLOW_TRACKING_URI"),
        help="database or server (default: MLFLOW_TRACKING_URI of the environment); off, or empty: nowhere",
    )
    parser.add_argument(
        "--only",
        choices=("runs", "finished"),
        help="runs: runs and arms, while experiments, with their figures, stay as they are; finished: those of trained "
        "arms, while the others stay as they are, too",
    )
    parser.add_argument("--no-models", action="store_true", help="log no arm's best network as a model")
    parser.add_argument("--out", type=Path, help="a JSON file that says what was done")
    given = parser.parse_args()
    if given.tracking_uri is None:
        raise TakeoffError("say where to log to: --tracking-uri, or MLFLOW_TRACKING_URI in the environment")
    uri = given.tracking_uri.strip()
    if uri in {"", "off"}:
        if given.out:
            write_json(given.out, {"tracking": "off", "tracking_uri": ""})
        return

    from takeoff.common.addresses import without_secrets
    from takeoff.data.card import load_card
    from takeoff.tracking.importer import Importer
    from takeoff.tracking.reading import read_entries
    from takeoff.tracking.server import at_once, connect, keep_view, one_at_a_time, open_experiment, reported, settle

    study = load_study(given.study)
    card = load_card(given.card, "dataset", "digest", "resolution")
    name = f"takeoff/{given.results.absolute().name}"
    end_with_the_workflow()
    with one_at_a_time(uri, given.results), reported(uri):
        client = connect(uri)
        entries = read_entries(study, given.results, card["digest"][:16], given.only)
        if given.no_models:
            entries = [replace(entry, weights=None) for entry in entries]
        experiment_id = open_experiment(client, uri, name, study.title, given.results.absolute().parent)
        keep_view(client, experiment_id, study.factors)
        importer = Importer(client, experiment_id, card, at_once(uri))
        importer.bring_in_step(_with_progress(entries, name), given.only)
        settle(uri)
    for gone in importer.gone:
        print(f"{name}: deleted {gone}, no longer in the study (MLflow's trash keeps it)")
    print(f"{name}: " + ", ".join(f"{n} {what}" for what, n in importer.counts.items()))
    written = {"tracking": "on", "tracking_uri": without_secrets(uri), "experiment": name}
    if given.out:
        write_json(given.out, written | {"experiment_id": experiment_id, "runs": len(entries), **importer.counts})


def _with_progress(entries: "list[Entry]", name: str) -> "Iterable[Entry]":
    """The entries, with a bar where someone watches."""
    if not sys.stderr.isatty():
        return entries
    from rich.console import Console
    from rich.progress import track

    return track(entries, description=name, console=Console(stderr=True), transient=True)


if __name__ == "__main__":
    run_command(main)
