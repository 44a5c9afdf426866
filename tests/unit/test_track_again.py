"""The MLflow importer on results that it knows: what is new replaces what is old, and nothing else changes."""

import os
import signal
import subprocess
import sys

import pytest
from conftest import SCRIPTS
from mlflow.entities import ViewType
from results_folder import make_results, retrain
from takeoff.tracking import importer
from unit.mlflow_store import Store, counts, import_into_mlflow

TWO_FACTORS = {
    "activation": {"baseline": "tanh", "treatment": "relu"},
    "norm": {"baseline": "none", "treatment": "batch"},
}
RUNS_ONLY = ("--only", "runs")
KILL_AT_THIRD_RUN = """
import os, signal, sys
import track
from mlflow import MlflowClient
finish, calls = MlflowClient.set_terminated, []
def kill_at_third(*args):
    calls.append(args)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    finish(*args)
MlflowClient.set_terminated = kill_at_third
track.main()
"""


@pytest.fixture
def imported(fresh_results, monkeypatch):
    """Results that were imported once: their folder, what MLflow holds, and how to import them again."""

    def once(**options):
        folder = fresh_results(**options)
        import_into_mlflow(folder, monkeypatch)
        return folder, Store(folder), lambda: import_into_mlflow(folder, monkeypatch)

    return once


def test_a_changed_run_is_replaced_not_doubled(imported):
    folder, store, again = imported()
    before = store.ids()
    retrain(folder, "relu", seed=1)
    # The run, and its arm's means.
    assert again() == counts(updated=2, unchanged=5)
    runs, after = store.runs(), store.ids()
    assert {name for name in after if after[name] != before[name]} == {"relu", "relu seed 1"}
    assert runs["relu seed 1"].data.metrics["test_accuracy"] == pytest.approx(0.987)
    assert len(store.history(runs["relu seed 1"], "test_accuracy")) == 1
    assert runs["relu"].data.metrics["test_accuracy"] == pytest.approx((0.55 + 0.987) / 2)
    assert {runs[f"relu seed {s}"].data.tags["mlflow.parentRunId"] for s in (0, 1)} == {after["relu"]}
    trash = store.runs(ViewType.DELETED_ONLY).values()
    assert {run.info.run_id for run in trash} == {before["relu"], before["relu seed 1"]}
    assert again()["unchanged"] == 7


def test_a_new_figure_replaces_only_the_experiment(imported):
    folder, _, again = imported()
    (folder.results / "figures" / "factorial-effects.csv").write_text("term,estimate\nactivation,0.02\n")
    assert again() == counts(updated=1, unchanged=6)


def test_runs_may_go_first_and_experiments_follow(fresh_results, monkeypatch):
    folder = fresh_results()
    assert import_into_mlflow(folder, monkeypatch, options=RUNS_ONLY) == counts(created=6)
    assert {run.data.tags["takeoff.role"] for run in Store(folder).runs().values()} == {"arm", "run"}
    assert import_into_mlflow(folder, monkeypatch) == counts(created=1, unchanged=6)
    before = Store(folder).ids()
    retrain(folder, "relu", seed=1)
    # The experiment is older than its runs for a while, and stays.
    assert import_into_mlflow(folder, monkeypatch, options=RUNS_ONLY) == counts(updated=2, unchanged=4)
    assert set(Store(folder).ids()) == set(before)


def test_more_seeds_add_only_their_runs(imported):
    folder, store, again = imported()
    before = store.ids()
    make_results(folder.root, seeds=3)
    # The arms' means and the experiment, which holds study.json, are new; the four trainings stay.
    assert again() == counts(created=2, updated=3, unchanged=4)
    after = store.ids()
    assert {name for name in before if after[name] == before[name]} == {n for n in before if "seed" in n}
    assert {"tanh seed 2", "relu seed 2"} == set(after) - set(before)


def test_what_left_the_study_is_deleted_and_printed(imported, capsys):
    folder, store, again = imported(factors=TWO_FACTORS)
    mine = store.client.create_run(store.experiment.experiment_id, run_name="my own").info.run_id
    folder.plan({"activation": TWO_FACTORS["activation"]}, seeds=1)
    assert again()["deleted"] == 8
    assert set(store.runs()) == {"factorial", "tanh", "tanh seed 0", "relu", "relu seed 0", "my own"}
    assert store.ids()["my own"] == mine
    printed = [line.split(",")[0] for line in capsys.readouterr().out.splitlines() if "deleted " in line]
    assert "takeoff/digits: deleted relu seed 1" in printed
    assert "takeoff/digits: deleted relu+batch" in printed


def test_runs_are_known_again_on_every_page_and_under_another_name(imported, monkeypatch):
    _, store, again = imported()
    store.client.update_run(store.ids()["relu seed 0"], name="my favourite")
    monkeypatch.setattr(importer, "PAGE", 3)
    assert again()["unchanged"] == 7
    assert "my favourite" in store.runs()


def test_a_killed_import_is_repaired(fresh_results, monkeypatch):
    folder = fresh_results()
    env = os.environ | {"PYTHONPATH": str(SCRIPTS)}
    command = [sys.executable, "-c", KILL_AT_THIRD_RUN, *folder.command()[2:]]
    killed = subprocess.run(command, env=env, capture_output=True, timeout=300, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not folder.out.exists()
    store = Store(folder)
    half = store.runs()
    assert len(half) == 3
    assert [run.info.status for run in half.values()].count("RUNNING") == 1
    assert import_into_mlflow(folder, monkeypatch) == counts(created=5, unchanged=2)
    assert len(store.runs()) == 7
    assert {run.info.status for run in store.runs().values()} == {"FINISHED"}
    assert import_into_mlflow(folder, monkeypatch)["unchanged"] == 7


def test_a_deleted_experiment_is_restored_without_its_trash(imported, capsys):
    folder, store, again = imported()
    retrain(folder, "relu", seed=1)
    again()
    ids = store.ids()
    store.client.delete_experiment(store.experiment.experiment_id)
    # MLflow restores the runs that were in the trash before, too.
    assert again()["unchanged"] == 7
    assert store.ids() == ids
    assert "restored from MLflow's trash" in capsys.readouterr().out
