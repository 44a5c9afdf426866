"""What the workflow says and writes down: errors in a line, logs that keep earlier tries, and nowhere a password."""

from collections.abc import Callable
from pathlib import Path

import pytest
from snakemake_command import run_snakemake
from takeoff.study.loading import load_study
from takeoff.workflow.wiring import TRY
from unit import image_archives as make
from unit.data_server import serve


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("stduy=digits", "stduy: no such key; did you mean study?"),
        ("tracking_uri=nonsense", "tracking_uri=nonsense: MLflow keeps no runs there. Valid: sqlite"),
    ],
)
def test_bad_configuration_is_one_line(tmp_path: Path, config: str, words: str) -> None:
    done = run_snakemake(tmp_path / "here", "--cores", "1", config=(config,), fails=True)
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    ours = [line for line in done.stderr.strip().splitlines() if not line.startswith(("Config file", "Using workflow"))]
    assert len(ours) == 1


def test_no_command_line_shows_the_tracking_servers_password(tmp_path: Path, write_study: Callable[..., Path]) -> None:
    """They stand in logs, in reports, and in every process list."""
    (tmp_path / "more.yaml").write_text("tracking_uri: postgresql://me:s3cret@db:5432/runs?sslpassword=s3cret\n")
    line = ("--cores", "1", "-n", "-p", "--configfile", str(tmp_path / "more.yaml"))
    done = run_snakemake(tmp_path / "here", *line, config=(f"study={write_study()}",))
    shown = done.stdout + done.stderr
    assert "track.py" in shown
    assert "s3cret" not in shown


def test_the_password_of_an_archives_address_is_written_nowhere(
    tmp_path: Path, write_study: Callable[..., Path]
) -> None:
    """The archive is fetched from it, while Snakemake's log and the study's files hold no more than the host."""
    archive = make.write_tar(tmp_path / "own.tgz", make.folders(classes="abcd", train=20))
    with serve(archive.read_bytes()) as site:
        address = f"{site.address.replace('//', '//me:s3cret@')}/{archive.name}?key=s3cret"
        study = write_study(dataset={"name": "own", "resolution": 8, "archive": address})
        folder = tmp_path / "here"
        done = run_snakemake(folder, "--cores", "1", "-p", "--until", "prepare", config=(f"study={study}",))
    assert site.requests
    assert "s3cret" not in done.stdout + done.stderr
    written = [path for path in folder.rglob("*") if path.is_file() and "s3cret" in path.read_text(errors="ignore")]
    assert written == []
    assert load_study(study).model_dump()["dataset"]["archive"] == f"{site.address}/{archive.name}"


def test_a_plan_beyond_the_budget_trains_nothing(tmp_path: Path, write_study: Callable[..., Path]) -> None:
    config = (f"study={write_study(budget={'runs': 3, 'core_hours': 1})}", "set=seeds=3")
    done = run_snakemake(tmp_path / "here", "--cores", "all", config=config, fails=True)
    assert "14 runs, budget.runs is 3" in done.stderr
    assert not (tmp_path / "here" / "results").exists()


def test_logs_keep_earlier_tries_and_an_error_comes_after_what_was_printed(
    tmp_path: Path, write_study: Callable[..., Path]
) -> None:
    study = write_study(budget={"runs": 3, "core_hours": 1})
    for tries in (1, 2):
        done = run_snakemake(tmp_path / "here", "--cores", "1", "plan", config=(f"study={study}",), fails=True)
        log = (tmp_path / "here" / "results" / "small" / "logs" / "plan.log").read_text()
        assert log.count(TRY) == tries
        lines = (done.stdout + done.stderr).splitlines()
        errors = [line for line in lines if "budget.runs is 3" in line]
        assert len(errors) == 1
        assert errors[0].strip().startswith("error: ")


def test_plan_prints_whatever_is_up_to_date(tmp_path: Path, write_study: Callable[..., Path]) -> None:
    for _ in range(2):
        done = run_snakemake(tmp_path / "here", "plan", "--cores", "1", config=(f"study={write_study()}",))
        assert "2 arms, 12 runs" in done.stdout
