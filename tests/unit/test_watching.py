"""How far a study is, from its plan and what jobs write down; and what a person is shown of it."""

import io
import logging
import os
import re
import time
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import pytest
from conftest import REPOSITORY
from takeoff.study.progress import FILE, Progress, TrainingRun, read_progress
from takeoff.workflow import console as consoles
from takeoff.workflow.console import Console, console, console_of
from takeoff.workflow.following import imports_of
from takeoff.workflow.project import load_project
from takeoff.workflow.watching import Watch, described
from takeoff.workflow.wiring import Commands

PLAN = "arm,purpose,expected_seconds\n" + "a,tune,10\n" * 2 + "a,final,40\n" * 2 + "b,final,50\n" * 2 + "c,fit,\n" * 3


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "birds"
    folder.mkdir()
    (folder / "plan.csv").write_text(PLAN)
    return folder


def test_what_jobs_write_is_what_is_read(tmp_path: Path) -> None:
    progress = Progress(tmp_path / "a" / FILE)
    progress.finished(["one", "two"])
    progress.finished(["two"])
    progress.trains([TrainingRun(3, True, 2, 8)])  # at once after the last: not written
    assert read_progress(progress.path) == (2, [])
    progress._written -= 60
    progress.trains([TrainingRun(3, True, 4, 8)])
    assert read_progress(progress.path) == (2, [TrainingRun(3, True, 4, 8)])
    progress.ends()
    assert read_progress(progress.path) is None
    progress.path.write_text('{"finished": 2')
    assert read_progress(progress.path) is None


def test_a_job_goes_on_where_its_progress_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    progress = Progress(tmp_path / "file" / FILE)
    progress.finished(["one"])
    progress.ends()


def test_runs_and_computation_are_counted_from_the_plan(study: Path) -> None:
    watch = Watch(study, 2)
    now = watch.now()
    assert now is not None
    assert (now.finished, now.runs, now.share, now.training) == (0, 9, 0.0, {})
    assert now.seconds_left == pytest.approx(200 / 2)
    # Two runs of `a` are finished, a final one is half through; `b` is done, `c` was interrupted after one.
    for arm, name in (("a", FILE), ("b", "runs.parquet"), ("c", "runs/key.json")):
        path = study / "arms" / arm / name
        path.parent.mkdir(parents=True)
        path.write_text('{"finished": 2, "training": [{"seed": 7, "final": true, "epoch": 4, "epochs": 8}]}')
    now = watch.now()
    assert now is not None
    assert (now.finished, now.runs) == (2 + 2 + 1, 9)
    assert now.share == pytest.approx((10 + 10 + 20 + 100) / 200)
    assert described(now.training, 3, {"a": "race: a"}) == "race: a seed 7, epoch 4 of 8"
    # By the pace so far: 140 expected seconds took a tenth of that.
    watch._first = (time.time() - 14, 0.0)
    now = watch.now()
    assert now is not None
    assert now.seconds_left == pytest.approx(6, rel=0.05)
    # What an earlier try was at does not train now.
    os.utime(study / "arms" / "a" / FILE, (0, 0))
    now = watch.now()
    assert now is not None
    assert (now.finished, now.training) == (5, {})


def test_without_a_plan_there_is_nothing_to_count(tmp_path: Path) -> None:
    assert Watch(tmp_path, 1).now() is None


class Snakemake:
    """Snakemake's logger with our console on it, and what a reader of the terminal sees."""

    def __init__(self, folder: Path) -> None:
        self.logger, self.shown = logging.Logger("snakemake"), io.StringIO()
        handler = logging.StreamHandler(self.shown)
        handler.name = consoles.SNAKEMAKES
        self.logger.addHandler(handler)
        made = console(self.logger)
        assert isinstance(made, Console)
        self.console = made
        study, commands = SimpleNamespace(title="Birds", factors={}), Commands("make report", "make ui")
        packs = {"train_0": ["a"], "train_1": ["b"], "fit_classical_0": ["c"]}
        made.follows(study, folder, 1, {"a": "race: a"}, packs, commands)  # type: ignore[arg-type]

    def says(self, message: str | None, event: str | None = None, **more: object) -> None:
        self.logger.info(message, extra={"event": event, **more} if event else more)

    def lines(self) -> list[str]:
        return self.shown.getvalue().splitlines()


def test_a_failed_jobs_error_comes_last_and_once(study: Path) -> None:
    snakemake, log = Snakemake(study), study / "train-0.log"
    log.write_text("=== try of yesterday\nerror: an old one\n")
    snakemake.says("Building DAG of jobs...")
    snakemake.says("localrule train_0: input: a, b", "job_info", jobid=1, rule_name="train_0", log=[str(log)])
    with log.open("a") as file:
        file.write("12:00:00  a  seed 0  test accuracy 0.5\nwarm\nerror: no space left\n")
    snakemake.says("Error in rule train_0", "job_error", jobid=1, rule_name="train_0")
    snakemake.says("RuleException", "error", exception="RuleException")
    snakemake.says("WorkflowError:\nAt least one job did not complete", "error", exception="WorkflowError")
    snakemake.console.stopped()
    said = snakemake.lines()
    assert str(log) in said[0]
    assert [line.strip() for line in said[1:-1]] == ["error: no space left"]
    assert "0 of 9 runs" in said[-1]


def test_a_benchmark_says_where_it_is_and_nothing_of_the_study(study: Path) -> None:
    snakemake, log = Snakemake(study), study / "benchmark" / "cpu" / "logs" / "measure.log"
    (study / "claims.csv").write_text("claim\n")
    for rule, logs in (("measure", [str(log)]), ("benchmark", [])):
        snakemake.says(rule, "job_info", jobid=1, rule_name=rule, log=logs)
        snakemake.says("", "job_finished", job_id=1)
    snakemake.console.succeeded()
    (said,) = [line for line in snakemake.lines() if "timing" not in line]
    assert said.startswith("benchmark: done in")
    assert said.endswith(str(log.parent.parent))


def test_a_benchmark_that_fails_or_goes_on_counts_no_runs_of_the_study(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although the study's folder has a plan, and runs that are finished."""
    monkeypatch.setattr(consoles, "TICK", 0.01)
    (study / "arms" / "b").mkdir(parents=True)
    (study / "arms" / "b" / "runs.parquet").touch()
    snakemake, until = Snakemake(study), time.monotonic() + 20
    snakemake.says("", "job_info", jobid=1, rule_name="measure", log=[])
    while not snakemake.lines() and time.monotonic() < until:
        time.sleep(0.01)
    snakemake.says("", "job_error", jobid=1, rule_name="measure")
    snakemake.console.stopped()
    timing, failed, end = snakemake.lines()
    assert timing.split("  ")[1:] == ["timing training, beside plain loops"]
    assert failed == "failed: measure"
    assert end == "what is finished is kept; once that is put right, to go on, run the same command again"


@pytest.mark.parametrize("rules", [(), ("train_0",), ("measure", "train_0"), ("train_0", "measure")])
def test_a_benchmark_beside_a_study_ends_as_the_study_does(study: Path, rules: tuple[str, ...]) -> None:
    """And so does what ended before any job began."""
    snakemake = Snakemake(study)
    for number, rule in enumerate(rules):
        snakemake.says("", "job_info", jobid=number, rule_name=rule, log=[])
        snakemake.says("", "job_finished", job_id=number)
    snakemake.console.stopped()
    assert snakemake.lines()[-1].startswith("0 of 9 runs are finished")
    snakemake.console.succeeded()
    assert not any("benchmark" in line for line in snakemake.lines())
    assert any(line.startswith("Birds: 9 runs, done in") for line in snakemake.lines()) == bool(rules)


def test_the_rules_of_the_benchmark_are_those_of_its_file() -> None:
    rules = (REPOSITORY / "workflow" / "rules" / "benchmark.smk").read_text()
    assert set(re.findall(r"^(?:rule|checkpoint) (\w+):", rules, re.MULTILINE)) == consoles.BENCHMARK


def test_runs_that_nobody_asked_for_do_not_count_unless_they_are_finished(study: Path) -> None:
    snakemake = Snakemake(study)
    asked = {"train_0 judge total": 4, "mine_train_1 fit_classical_0": 5, "judge pretrain_0 train_99": 0}
    for rules, runs in asked.items():
        snakemake.says("Job stats:", "run_info", stats=dict.fromkeys(rules.split(), 1))
        now = snakemake.console.watch.now()
        assert (now.runs if now else 0) == runs
    snakemake.console.stopped()
    assert not any("0 of 0" in line for line in snakemake.lines())
    for arm, name in (("b", "runs.parquet"), ("c", "runs/key.json")):
        path = study / "arms" / arm / name
        path.parent.mkdir(parents=True)
        path.touch()
    now = snakemake.console.watch.now()
    assert now is not None
    assert (now.finished, now.runs, now.share) == (3, 3, 1.0)


def test_other_errors_and_what_is_not_known_are_shown(study: Path) -> None:
    snakemake = Snakemake(study)
    snakemake.says("Nothing to be done (all requested files are present and up to date).")
    snakemake.says("LockException:\nDirectory cannot be locked.", "error", exception="LockException")
    assert "Nothing to be done" in snakemake.lines()[0]
    assert "Directory cannot be locked." in snakemake.lines()[-1]


def test_runs_that_end_are_lines_where_nobody_watches(study: Path) -> None:
    snakemake, log = Snakemake(study), study / "train-0.log"
    snakemake.says("", "job_info", jobid=1, rule_name="train_0", log=[str(log)])
    log.write_text("12:00:00  a  seed 0  test accuracy 0.5\na: learning rate 0.1\n12:00:01  a  seed 1  test ac")
    snakemake.says("", "job_finished", job_id=1)
    snakemake.console.succeeded()
    assert [line for line in snakemake.lines() if "seed" in line] == ["12:00:00  race: a  seed 0  test accuracy 0.5"]


def test_a_stop_by_the_user_is_no_failure(study: Path) -> None:
    snakemake = Snakemake(study)
    snakemake.says("", "job_info", jobid=1, rule_name="train_0", log=[])
    snakemake.says("Terminating processes on user request, this might take some time.")
    snakemake.says("", "job_error", jobid=1, rule_name="train_0")
    snakemake.console.stopped()
    assert not any("failed" in line for line in snakemake.lines())
    assert snakemake.lines()[-1].startswith("stopped: 0 of 9 runs")


def test_finished_arms_are_looked_for_while_something_trains(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And an import that goes on at the end is stopped."""
    monkeypatch.setattr(consoles, "TICK", 0.01)
    looked, stopped = Event(), Event()
    snakemake = Snakemake(study)
    snakemake.console.imports = SimpleNamespace(look=looked.set, stop=stopped.set)  # type: ignore[assignment]
    snakemake.says("", "job_info", jobid=1, rule_name="train_0", log=[])
    assert not looked.wait(0.3)
    progress = Progress(study / "arms" / "a" / FILE)
    progress.trains([TrainingRun(3, True, 2, 8)])
    assert looked.wait(20)
    assert not stopped.is_set()
    snakemake.console.stopped()
    assert stopped.is_set()


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, {"seconds": 300, "options": []}),
        ({"tracking_minutes": 1, "log_models": False}, {"seconds": 60, "options": ["--no-models"]}),
        ({"tracking_minutes": 0}, None),
        ({"tracking_uri": "off"}, None),
    ],
)
def test_the_configuration_says_whether_and_how_often_finished_arms_are_logged(
    tmp_path: Path, changes: dict, wanted: dict | None
) -> None:
    found = imports_of(load_project({"results": str(tmp_path)} | changes))
    if wanted is None:
        assert found is None
    else:
        assert found is not None
        assert {name: getattr(found, name) for name in wanted} == wanted


@pytest.mark.parametrize(
    ("asked", "main", "own", "speaks"),
    [
        (None, True, True, True),
        *[(word, True, True, False) for word in ("dryrun", "verbose", "debug_dag", "quiet")],
        (None, False, True, False),
        (None, True, False, False),
    ],
)
def test_snakemakes_own_words_stay_where_they_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, main: bool, own: bool, speaks: bool
) -> None:
    """As a dry run's, which are its result; and in a job, and in a workflow that uses this one as a module."""
    logger, handler = logging.Logger("snakemake"), logging.StreamHandler(io.StringIO())
    handler.name = consoles.SNAKEMAKES
    logger.addHandler(handler)
    monkeypatch.setattr("snakemake.logging.logger", logger)
    words = dict.fromkeys(("dryrun", "verbose", "debug_dag", "quiet"), False) | ({asked: True} if asked else {})
    modifier = SimpleNamespace(is_main_snakefile=lambda: own)
    workflow = SimpleNamespace(output_settings=SimpleNamespace(**words), is_main_process=main, modifier=modifier)
    assert isinstance(console_of(workflow), Console) == speaks
    assert (handler in logger.handlers) != speaks


def test_another_handler_than_snakemakes_own_stays() -> None:
    assert console(logging.Logger("snakemake")) is None
