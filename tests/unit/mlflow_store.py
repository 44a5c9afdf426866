"""Importing into MLflow in this process, and what MLflow then holds of the study."""

import json
import sqlite3
import sys

import track
from mlflow import MlflowClient
from mlflow.entities import ViewType
from results_folder import ResultsFolder
from takeoff.common.commands import run_command


class Store:
    """What MLflow holds of a study."""

    def __init__(self, folder: ResultsFolder) -> None:
        self.folder = folder
        self.client = MlflowClient(folder.uri)
        self.experiment = self.client.get_experiment_by_name("takeoff/digits")

    def runs(self, state=ViewType.ACTIVE_ONLY):
        """The runs by name; a name that stands twice fails."""
        found = self.client.search_runs([self.experiment.experiment_id], run_view_type=state, max_results=1000)
        assert state != ViewType.ACTIVE_ONLY or len({run.info.run_name for run in found}) == len(found)
        return {run.info.run_name: run for run in found}

    def ids(self):
        return {name: run.info.run_id for name, run in self.runs().items()}

    def history(self, run, key):
        return [(m.step, m.timestamp, m.value) for m in self.client.get_metric_history(run.info.run_id, key)]

    def rows(self):
        """How many rows every table has."""
        with sqlite3.connect(self.folder.database) as database:
            tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return {table: database.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] for table in tables}


def import_into_mlflow(folder: ResultsFolder, monkeypatch, uri=None, options=()):
    """Run the command in this process; what it counted."""
    monkeypatch.setattr(sys, "argv", [*folder.command(uri)[1:], *options])
    run_command(track.main)
    written = json.loads(folder.out.read_text())
    return {key: written[key] for key in counts() if key in written}


def counts(**some: int) -> dict[str, int]:
    """Such counts, of which those not given are 0."""
    return {"created": 0, "updated": 0, "unchanged": 0, "deleted": 0} | some
