"""The whole workflow, as a user runs it: from images to figures, MLflow and a report, and again."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import small_study
from snakemake_command import clone, jobs, run_snakemake
from takeoff.workflow.wiring import TRY
from webdriver import chromium

pytestmark = pytest.mark.slow

RESULTS = "it's my results"


class Finished:
    """A folder with the workflow's files, the small study, and what it gave; only MLflow has absolute paths."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "clone"
        self.study = folder / RESULTS / "small"

    def snakemake(self, *arguments: str, config: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        """Run the study again, with MLflow."""
        config = ("study=small.yaml", f"results={RESULTS}", *config)
        snakefile = self.home / "Snakefile"
        return run_snakemake(self.folder, *(arguments or ("--cores", "all")), config=config, snakefile=snakefile)

    def change(self, **keys: object) -> None:
        """Change keys of the study."""
        (self.folder / "small.yaml").write_text(yaml.safe_dump(small_study(**keys), sort_keys=False))

    def trained(self) -> int:
        """How many trainings the last tries of jobs name in their logs."""
        logs = (self.study / "logs").glob("train-*.log")
        return sum(log.read_text().rpartition(TRY)[2].count("  seed ") for log in logs)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The small study, run once for all tests of what comes after."""
    finished = Finished(tmp_path_factory.mktemp("finished") / "here")
    clone(finished.home)
    finished.change()
    # With its report, as `make study` makes it.
    finished.snakemake("--cores", "all", "--report", str(finished.study / "report.html"), "--report-after-run")
    return finished


@pytest.fixture
def finished(once: Finished, tmp_path: Path) -> Finished:
    """A copy of it, to go on from."""
    shutil.copytree(once.folder, tmp_path / "here", symlinks=True)
    return Finished(tmp_path / "here")


def test_from_images_to_a_report_and_nothing_again(finished: Finished) -> None:
    study = finished.study
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

    again = finished.snakemake()
    assert "Nothing to be done" in again.stdout + again.stderr
    # What was found stands there all the same, but after a look.
    assert "summary.md" in again.stderr
    assert "summary.md" not in finished.snakemake("--cores", "1", "--dry-run").stderr

    page = (study / "report.html").read_text()
    assert "factorial-effects" in page
    assert "Which factor made deep learning take off?" in page
    graph = json.loads(re.search(r"rulegraph_spec = (\{.*\});?$", page, re.MULTILINE)[1])
    drawn = [node["verb"] for node in next(one["values"] for one in graph["data"] if one["name"] == "node-data")]
    assert len(drawn) == len(set(drawn))
    assert {"prepare", "train", "analyse", "draw", "judge", "summary", "track"} <= set(drawn)
    assert drawn.index("prepare") < drawn.index("train") < drawn.index("analyse") < drawn.index("judge")


def test_a_figure_is_found_by_its_question_and_comes_with_its_caption(
    finished: Finished, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """In the report, as `make report` makes it, in a browser."""
    found = "[...document.querySelectorAll('*')].find(e => !e.children.length && e.innerText?.trim() === arguments[0])"
    with chromium(tmp_path_factory.mktemp("browser")) as browser:
        finished.snakemake("--report", str(finished.study / "report.html"))
        browser.open((finished.study / "report.html").as_uri())
        browser.wait_for(f"return Boolean({found})", "A. All claims, judged")
        # The answer comes first, and can be seen, though the page is longer than the window.
        top = browser.wait_for(f"return {found}?.getBoundingClientRect().top", "What each factor does")
        assert 0 < top < 200
        browser.wait_for(f"const e = {found}; e?.click(); return Boolean(e)", "B. Which factor mattered?")
        effects = "Effects and Shapley shares"
        for label in (effects, "Every combination", "Learning curves"):
            browser.wait_for(f"return Boolean({found})", label)
        browser.run(f"{found}.closest('tr').querySelector('a[iconname=eye]').click()", effects)
        browser.wait_for(
            "return [...document.images, ...document.querySelectorAll('svg, object, embed, iframe')]"
            ".some(e => e.getBoundingClientRect().width > 300 && e.getBoundingClientRect().height > 80)"
        )
        browser.run(f"{found}.closest('tr').querySelector('a[iconname=information-circle]').click()", effects)
        browser.wait_for("return document.body.innerText.includes('Student t over paired seeds')")


def test_raising_the_seeds_trains_only_the_new_also_in_a_copy_of_the_results(finished: Finished) -> None:
    assert finished.trained() == 2 * (4 + 2)
    shutil.rmtree(finished.folder / ".snakemake")
    again = finished.snakemake()
    assert "Nothing to be done" in again.stdout + again.stderr
    study = finished.study
    criteria = json.loads((study / "criteria.json").read_text())
    criteria["batch-norm-speeds-training"]["margin"] = 0.5
    (study / "criteria.json").write_text(json.dumps(criteria))
    finished.change(seeds=3)
    finished.snakemake()
    assert finished.trained() == 2 * 1
    effects = pd.read_csv(study / "factorial" / "effects.csv")
    assert (effects["n_seeds"] == 3).all()
    # What was written down first stays.
    assert json.loads((study / "criteria.json").read_text()) == criteria


def test_finished_files_that_were_changed_are_made_anew_and_nothing_is_left_behind(finished: Finished) -> None:
    study = finished.study
    changed = [study / "arms" / "relu" / name for name in ("runs.parquet", "learning_rate.json")]
    changed += [study / "factorial" / "effects.csv"]
    whole = [path.read_bytes() for path in changed]
    for path, content in zip(changed, whole, strict=True):
        path.write_bytes(content[:-2] + b"9\n")
    for looks in (("--cores", "1", "--dry-run"), ("--summary",), ("--cores", "1", "plan")):
        finished.snakemake(*looks)
        assert all(path.exists() for path in changed)
    stray = study / "figures" / ".claims-ab12cd34.png"
    stray.write_bytes(b"half")
    os.utime(stray, (0, 0))
    done = finished.snakemake()
    assert finished.trained() == 0
    assert [path.read_bytes() for path in changed] == whole
    assert sum("changed, damaged or gone" in line for line in done.stderr.splitlines()) == 3
    assert not stray.exists()
    gone = [study / name for name in ("power.csv", "explore.html", "claims_parts.csv", "figures/factorial-effects.png")]
    gone += [*changed, study / "factorial" / "measured.csv", study / "arms" / "relu" / "arm.json"]
    whole = [path.read_bytes() if path.suffix in {".parquet", ".csv"} else b"" for path in gone]
    for path in gone:
        path.unlink()
    finished.snakemake()
    assert finished.trained() == 0
    assert [path.read_bytes() if path.suffix in {".parquet", ".csv"} else b"" for path in gone] == whole
    again = finished.snakemake()
    assert "Nothing to be done" in again.stdout + again.stderr


def test_packing_arms_otherwise_trains_nothing(finished: Finished) -> None:
    assert {path.name for path in (finished.study / "logs").glob("train-*.log")} == {"train-0.log"}
    done = finished.snakemake(config=("arms_per_job=1",))
    assert {"train_0", "train_1"} <= jobs(done)
    assert finished.trained() == 0
