"""Arms that are finished appear in MLflow while others train, and imports wait for each other."""

import json
import os
import subprocess

import pytest
from results_folder import ResultsFolder, make_results
from takeoff.workflow.following import Imports
from unit.mlflow_store import Store, counts, import_into_mlflow


@pytest.fixture
def half(fresh_results) -> ResultsFolder:
    """Results of which one arm of two is trained."""
    folder = fresh_results()
    folder.runs("relu").rename(folder.root / "later.parquet")
    return folder


def finish(folder: ResultsFolder) -> None:
    """Let the other arm be trained, too."""
    (folder.root / "later.parquet").rename(folder.runs("relu"))


def test_finished_arms_go_first_and_nothing_is_deleted(half: ResultsFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    only = ("--only", "finished")
    assert import_into_mlflow(half, monkeypatch, options=only) == counts(created=3)
    assert set(Store(half).runs()) == {"tanh", "tanh seed 0", "tanh seed 1"}
    finish(half)
    assert import_into_mlflow(half, monkeypatch) == counts(created=4, unchanged=3)
    half.runs("tanh").unlink()  # it is trained again
    before = Store(half).ids()
    assert import_into_mlflow(half, monkeypatch, options=only) == counts(unchanged=3)
    assert Store(half).ids() == before


def test_an_import_starts_when_arms_have_finished_since_the_last(
    half: ResultsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", half.uri)
    imports = Imports(half.results, str(half.card), 0)
    started: list[subprocess.Popen] = []

    def look() -> int:
        """How many imports were started so far, all of them at an end."""
        imports.look()
        if (running := imports._running) and running not in started:
            assert running.wait(timeout=120) == 0
            started.append(running)
        return len(started)

    assert look() == 1
    assert {run.data.tags.get("takeoff.arm") for run in Store(half).runs().values()} == {"tanh"}
    assert look() == 1
    finish(half)
    assert look() == 2
    assert {run.data.tags.get("takeoff.arm") for run in Store(half).runs().values()} == {"tanh", "relu"}
    assert json.loads((half.results / "tracked_finished.json").read_text())["experiment_id"] == "1"
    hourly = Imports(half.results, str(half.card), 3600)
    hourly.look()
    assert hourly._running is None
    imports.stop()


def test_an_arm_that_is_planned_anew_keeps_its_runs_in_mlflow_until_it_is_trained(
    half: ResultsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its settings are no longer those that its runs were trained with."""
    finish(half)
    import_into_mlflow(half, monkeypatch)
    before = Store(half).ids()
    planned = json.loads(half.runs("relu").with_name("arm.json").read_text())
    planned["recipe"]["epochs"] += 10
    half.runs("relu").with_name("arm.json").write_text(json.dumps(planned))
    os.utime(half.runs("relu"), ns=(0, 0))
    assert import_into_mlflow(half, monkeypatch, options=("--only", "finished")) == counts(unchanged=3)
    assert Store(half).ids() == before
    os.utime(half.runs("relu"))
    assert import_into_mlflow(half, monkeypatch, options=("--only", "finished")) == counts(updated=3, unchanged=3)


def test_an_import_that_fails_stops_nothing_and_says_why_in_its_log(
    half: ResultsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    imports = Imports(half.results, str(half.card), 0)
    imports.look()
    assert imports._running
    assert imports._running.wait(timeout=120) == 1
    assert "nothing answers there" in (half.results / "logs" / "track-finished.log").read_text()
    failed = imports._running
    imports.look()  # it is tried again, though no arm has finished since
    assert imports._running is not failed
    imports.stop()
    (half.results / "logs" / "track-finished.log").unlink()
    (half.results / "logs" / "track-finished.log").mkdir()
    imports.look()
    imports.stop()


def test_two_imports_at_once_make_each_run_once(fresh_results) -> None:
    """Of one study, into a new store, which both would make."""
    folder = fresh_results()
    folder.database.unlink()
    both = [subprocess.Popen(folder.command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    for one in both:
        said, error = one.communicate(timeout=300)
        assert (one.returncode, error) == (0, b""), said
    runs = Store(folder).runs()  # a name that stands twice fails
    assert len(runs) == 7


def test_two_studies_may_make_one_store(fresh_results, tmp_path) -> None:
    folder = fresh_results()
    folder.database.unlink()
    other = make_results(tmp_path / "other")
    moved = folder.results.parent / "again"
    other.results.rename(moved)
    line = folder.command()
    second = [word.replace(str(folder.results), str(moved)) for word in line]
    both = [subprocess.Popen(one, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for one in (line, second)]
    for one in both:
        _, error = one.communicate(timeout=300)
        assert (one.returncode, error) == (0, b"")
    names = {one.name for one in Store(folder).client.search_experiments()}
    assert {"takeoff/digits", "takeoff/again"} <= names
