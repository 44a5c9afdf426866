"""The whole workflow, as a user runs it: from images to figures, MLflow and a report, and again."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from conftest import REPOSITORY
from snakemake_command import run_snakemake

Snakemake = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def snakemake(tmp_path: Path, write_study: Callable[..., Path]) -> Snakemake:
    """Run the small study in a folder of its own, without MLflow unless asked for; keywords change the study."""

    def run(
        *arguments: str,
        config: tuple[str, ...] = (),
        home: Path = REPOSITORY,
        tracked: bool = False,
        **changes: object,
    ):
        config = (f"study={write_study(**changes)}", *([] if tracked else ["tracking_uri=''"]), *config)
        arguments = arguments or ("--cores", "all")
        return run_snakemake(tmp_path / "here", *arguments, config=config, home=home)

    return run


def trained(folder: Path) -> int:
    """How many trainings the last jobs' logs tell of."""
    logs = (folder / "here" / "results" / "small" / "logs").glob("train-*.log")
    return sum(log.read_text().count("  seed ") for log in logs)


def jobs(done: subprocess.CompletedProcess[str]) -> set[str]:
    """The rules that ran, or would run."""
    return set(re.findall(r"^(?:local)?rule (\w+):", done.stdout + done.stderr, re.MULTILINE))


def test_from_images_to_a_report_and_nothing_again(snakemake: Snakemake, tmp_path: Path) -> None:
    results = ("results=it's my results",)
    done = snakemake(config=results, tracked=True)
    assert done.returncode == 0, done.stderr
    study = tmp_path / "here" / "it's my results" / "small"
    for name in ("effects", "cells", "curves"):
        for suffix in (".svg", ".png", ".csv"):
            assert (study / "figures" / f"factorial-{name}{suffix}").stat().st_size > 100
    effects = pd.read_csv(study / "factorial" / "effects.csv")
    accuracy = effects[(effects["response"] == "test_accuracy") & (effects["kind"] == "main")]
    runs = pd.concat(pd.read_parquet(path) for path in sorted(study.glob("arms/*/runs.parquet")))
    means = runs.groupby("norm")["test_accuracy"].mean()
    assert accuracy["term"].tolist() == ["norm"]
    assert accuracy["estimate"].iloc[0] == pytest.approx(means["batch"] - means["none"])
    assert (study.parent / "mlflow.db").exists()

    again = snakemake(config=results, tracked=True)
    assert again.returncode == 0
    assert "Nothing to be done" in again.stdout + again.stderr

    report = snakemake("--report", str(study / "report.html"), config=results, tracked=True)
    assert report.returncode == 0, report.stderr
    page = (study / "report.html").read_text()
    assert "factorial-effects" in page
    assert "Which factor made deep learning take off?" in page


@pytest.mark.slow
def test_raising_the_seeds_trains_only_the_new(snakemake: Snakemake, tmp_path: Path) -> None:
    assert snakemake().returncode == 0
    assert trained(tmp_path) == 2 * (4 + 2)
    study = tmp_path / "here" / "results" / "small"
    criteria = json.loads((study / "criteria.json").read_text())
    criteria["batch-norm-speeds-training"] = "supported above 9"
    (study / "criteria.json").write_text(json.dumps(criteria))
    done = snakemake(seeds=3)
    assert done.returncode == 0, done.stderr
    assert trained(tmp_path) == 2 * 1
    effects = pd.read_csv(study / "factorial" / "effects.csv")
    assert (effects["n_seeds"] == 3).all()
    # What was written down first stays, and the verdict tells.
    assert json.loads((study / "criteria.json").read_text()) == criteria
    claims = pd.read_csv(study / "claims.csv").set_index("claim")
    assert "was changed" in claims.loc["batch-norm-speeds-training", "reason"]


@pytest.mark.slow
def test_packing_arms_otherwise_retrains_nothing(snakemake: Snakemake, tmp_path: Path) -> None:
    assert snakemake(config=("arms_per_job=1",)).returncode == 0
    done = snakemake(config=("arms_per_job=2",))
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The workflow's files, copied, to be changed."""
    home = tmp_path / "clone"
    for folder in ("scripts", "workflow", "config", "envs"):
        shutil.copytree(REPOSITORY / folder, home / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "Snakefile", home)
    return home


@pytest.mark.slow
def test_an_engine_change_retrains_and_a_figures_change_does_not(
    snakemake: Snakemake, clone: Path, tmp_path: Path
) -> None:
    package = clone / "scripts" / "takeoff"
    assert snakemake(home=clone).returncode == 0

    with (package / "training" / "engine.py").open("a") as file:
        file.write("\n# A comment.\n")
    unchanged = snakemake("--cores", "all", "--dry-run", home=clone)
    assert "Nothing to be done" in unchanged.stdout + unchanged.stderr

    with (package / "experiments" / "plotting.py").open("a") as file:
        file.write("\nNEW = 1\n")
    redrawn = snakemake("--cores", "all", home=clone)
    assert redrawn.returncode == 0, redrawn.stderr
    assert jobs(redrawn) == {"analyse_factorial", "draw_factorial", "judge", "track", "all"}

    with (package / "training" / "engine.py").open("a") as file:
        file.write("\nNEW = 1\n")
    retrained = snakemake("--cores", "all", "--dry-run", home=clone)
    assert "train_0" in jobs(retrained)


@pytest.mark.slow
def test_bare_cores_all_keeps_to_the_gpu_slots(
    snakemake: Snakemake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A machine that shows a GPU, and whose torch uses none: what is tested is the order of jobs.
    tool = tmp_path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\nexit 0\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")

    def at_once(*arguments: str) -> int:
        shutil.rmtree(tmp_path / "here" / "results" / "small", ignore_errors=True)
        done = snakemake("--cores", "2", *arguments, config=("arms_per_job=1",))
        assert done.returncode == 0, done.stderr
        running = most = 0
        for line in (done.stdout + done.stderr).splitlines():
            running += bool(re.match(r"(?:local)?rule train_\d+:", line)) - bool(
                re.search(r"Finished .*train_\d+", line)
            )
            most = max(most, running)
        return most

    assert at_once() == 1
    assert at_once("--resources", "gpu=2") == 2


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("study=digit", "study=digit: no such study; did you mean digits?"),
        ("stduy=digits", "stduy: no such key; did you mean study?"),
        ("device=gpu", "device: 'gpu' is not valid"),
    ],
)
def test_bad_configuration_is_one_line(tmp_path: Path, config: str, words: str) -> None:
    done = run_snakemake(tmp_path / "here", "--cores", "1", config=(config,))
    assert done.returncode != 0
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    ours = [line for line in done.stderr.strip().splitlines() if not line.startswith("Config file")]
    assert len(ours) == 1


def test_a_plan_beyond_the_budget_trains_nothing(snakemake: Snakemake, tmp_path: Path) -> None:
    done = snakemake(budget={"runs": 3, "core_hours": 1})
    assert done.returncode != 0
    assert "12 runs, budget.runs is 3" in done.stderr
    assert not (tmp_path / "here" / "results" / "small" / "arms").exists()


def test_plan_prints_whatever_is_up_to_date(snakemake: Snakemake) -> None:
    for _ in range(2):
        done = snakemake("plan", "--cores", "1")
        assert done.returncode == 0, done.stderr
        assert "2 arms, 12 runs" in done.stdout


def test_the_environment_need_not_be_activated(tmp_path: Path, write_study: Callable[..., Path]) -> None:
    config = (f"study={write_study()}",)
    done = run_snakemake(tmp_path / "here", "plan", "--cores", "1", config=config, path="/usr/bin:/bin")
    assert done.returncode == 0, done.stderr
