"""The whole workflow, as a user runs it: from images to figures, MLflow and a report, and again."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import REPOSITORY, small_study
from gpu_driver import Shown, make_driver
from snakemake_command import BIN, clone, jobs, run_snakemake, said
from takeoff.study.loading import load_study
from takeoff.workflow.wiring import TRY
from unit import image_archives as make
from unit.data_server import serve
from webdriver import chromium

Snakemake = Callable[..., subprocess.CompletedProcess[str]]


RESULTS = "it's my results"


LARGER = small_study()["dataset"] | {"resolution": 16, "train_samples": 200, "test_samples": 100}
"""Images that train on a GPU, where there is one."""


@pytest.fixture
def snakemake(tmp_path: Path, write_study: Callable[..., Path]) -> Snakemake:
    """Run the small study in a folder of its own, without MLflow; keywords change the study."""

    def run(*arguments: str, config: tuple[str, ...] = (), fails: bool = False, **changes: object):
        config = (f"study={write_study(**changes)}", "tracking_uri=''", *config)
        return run_snakemake(tmp_path / "here", *(arguments or ("--cores", "all")), config=config, fails=fails)

    return run


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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_packing_arms_otherwise_trains_nothing(finished: Finished) -> None:
    assert {path.name for path in (finished.study / "logs").glob("train-*.log")} == {"train-0.log"}
    done = finished.snakemake(config=("arms_per_job=1",))
    assert {"train_0", "train_1"} <= jobs(done)
    assert finished.trained() == 0


@pytest.mark.slow
def test_bare_cores_all_keeps_to_the_gpu_slots(
    snakemake: Snakemake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A machine whose driver shows a GPU, and whose torch uses none: what is tested is the order of jobs.
    make_driver(tmp_path / "driver")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path / "driver"))

    def at_once(*arguments: str) -> int:
        shutil.rmtree(tmp_path / "here" / "results" / "small", ignore_errors=True)
        until = ("--until", "train_0", "train_1")
        done = snakemake("--cores", "2", *until, *arguments, config=("arms_per_job=1",), dataset=LARGER)
        running = most = 0
        for line in said(done).splitlines():
            running += bool(re.match(r"(?:local)?rule train_\d+:", line)) - bool(
                re.search(r"Finished .*train_\d+", line)
            )
            most = max(most, running)
        assert {"train_0", "train_1"} <= jobs(done)
        return most

    assert at_once() == 1
    assert at_once("--resources", "gpu=2") == 2
    make_driver(tmp_path / "driver", gpus=[("NVIDIA H200", (9, 0))] * 2)
    assert at_once() == 2


def _of(done: subprocess.CompletedProcess[str], rule: str) -> str:
    """What a dry run says of a rule."""
    (own,) = re.findall(rf"^rule {rule}:\n(?:[ ]+.*\n)+", done.stdout, re.MULTILINE)
    return own


@pytest.mark.parametrize(
    ("gpus", "side", "taken", "words"),
    [
        ([], 16, 0, None),
        ([("NVIDIA H200", (9, 0))] * 3, 16, 1, None),
        ([("NVIDIA H200", (9, 0))] * 3, 8, 0, None),  # images that a CPU trains sooner
        ([("Tesla K80", (3, 7))], 16, 0, "Tesla K80 (3.7)"),
        ([("Tesla K80", (3, 7)), ("NVIDIA H200", (9, 0))], 16, 1, "Tesla K80 (3.7)"),
    ],
)
def test_jobs_take_the_gpus_that_the_driver_shows_and_torch_can_use(
    tmp_path: Path,
    write_study: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    gpus: Shown,
    side: int,
    taken: int,
    words: str | None,
) -> None:
    tool = tmp_path / "bin" / "nvidia-smi"  # one that says nothing of what there is
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\nexit 0\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    make_driver(tmp_path / "driver", gpus=gpus)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path / "driver"))
    config = (f"study={write_study(dataset=LARGER | {'resolution': side})}",)
    done = run_snakemake(tmp_path / "here", "--cores", "2", "--dry-run", config=config)
    assert ("gpu=1" in _of(done, "train_0")) == bool(taken)
    lines = [line for line in done.stderr.splitlines() if "not used" in line]
    assert len(lines) == (words is not None)
    assert all(str(words) in line for line in lines)


def test_jobs_are_packed_for_the_gpus_that_the_driver_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the configuration had named a GPU; on a cluster, whose nodes nobody knows, as without one."""

    def packs(device: str, *words: str) -> int:
        config = ("study=cifar10-quick", "set=recipe.epochs=3", f"device={device}")
        done = run_snakemake(tmp_path / "here", "--dry-run", *(words or ("--cores", "2")), config=config)
        return len([name for name in jobs(done) if name.startswith("train_")])

    alone = packs("auto")
    make_driver(tmp_path / "driver")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path / "driver"))
    assert packs("auto") == packs("cuda") < alone
    assert packs("auto", "--executor", "slurm", "--jobs", "2") == packs("cpu") == alone


def test_what_jobs_are_packed_for_is_written_down_where_something_is_made(
    tmp_path: Path, write_study: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_driver(tmp_path / "driver")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path / "driver"))
    packed = tmp_path / "here" / "results" / "small" / "packed.json"

    def snakemake(*words: str, side: int = 16) -> None:
        config = (f"study={write_study(dataset=LARGER | {'resolution': side})}",)
        run_snakemake(tmp_path / "here", "--cores", "2", "--until", "study", *words, config=config)

    snakemake("--dry-run")
    snakemake(side=8)  # images that a CPU trains sooner
    assert not packed.exists()
    snakemake()
    assert json.loads(packed.read_text()) == {"device": "cuda"}


def test_a_run_has_as_many_gpus_as_there_are_at_most(
    tmp_path: Path, write_study: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_driver(tmp_path / "driver", gpus=[("NVIDIA H200", (9, 0))] * 2 + [("Tesla K80", (3, 7))])
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path / "driver"))

    def dry(ranks: int, side: int = 16, *looks: str, fails: bool = False) -> subprocess.CompletedProcess[str]:
        study = write_study(dataset=LARGER | {"resolution": side})
        config = (f"study={study}", f"gpus_per_run={ranks}")
        words = looks or ("--dry-run",)
        return run_snakemake(tmp_path / "here", "--cores", "4", *words, config=config, fails=fails)

    own = _of(dry(2), "train_0")
    assert "gpu=2" in own
    line = dry(3, fails=True).stderr.splitlines()[-1]
    assert line.startswith("error: gpus_per_run: 3 ")
    assert line.endswith("valid: 1 to 2")
    assert "threads: 3" in _of(dry(3, 8), "train_0")  # processes of the CPU
    dry(3, 16, "--summary")
    assert "gpu=3" in _of(dry(3, 16, "--dry-run", "--executor", "slurm", "--jobs", "2"), "train_0")


def test_each_process_that_trains_has_memory(snakemake: Snakemake) -> None:
    """Once its images are there; what times steps is one process."""
    timed = {"experiments": {"compute": {}}}
    snakemake("--cores", "2", "--until", "study", **timed)
    asked = []
    for ranks in (1, 3):
        done = snakemake("--cores", "3", "--dry-run", config=(f"gpus_per_run={ranks}",), **timed)
        asked.append([int(re.findall(r"mem_mb=(\d+)", _of(done, rule))[0]) for rule in ("train_0", "probe")])
    (alone, probe), (together, still) = asked
    assert 3 * 4000 <= together < 3 * 4100
    assert 4000 <= alone == probe == still < 4100


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


def test_a_plan_beyond_the_budget_trains_nothing(snakemake: Snakemake, tmp_path: Path) -> None:
    done = snakemake(budget={"runs": 3, "core_hours": 1}, config=("set=seeds=3",), fails=True)
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


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_workflow_leaves_no_job_that_trains(
    tmp_path: Path, write_study: Callable[..., Path], number: int
) -> None:
    study = write_study(recipe=small_study()["recipe"] | {"epochs": 100_000}, budget={"runs": 20, "core_hours": 99})
    arguments = ("--cores", "1", "--config", f"study={study}", "tracking_uri=''")
    here = tmp_path / "here"
    here.mkdir()
    line = [BIN / "snakemake", "-s", REPOSITORY / "Snakefile", "--directory", here, *arguments]
    with (tmp_path / "shown").open("w") as shown:
        running = subprocess.Popen(line, stdout=shown, stderr=shown, start_new_session=True)

    def trains() -> bool:
        """Whether a job has written how far it is in the last seconds."""
        written = [path.stat().st_mtime for path in here.glob("results/small/arms/*/progress.json")]
        return bool(written) and time.time() - max(written) < 10

    def wait_for(what: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 120
        while not what():
            assert time.monotonic() < deadline
            time.sleep(0.5)

    wait_for(trains)
    if number == signal.SIGINT:
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does
        assert running.wait(60) == 1
        assert (tmp_path / "shown").read_text().splitlines()[-1].startswith("stopped: 0 of 12 runs")
    else:
        running.kill()
        running.wait()
    wait_for(lambda: not trains())


def test_plan_prints_whatever_is_up_to_date(snakemake: Snakemake) -> None:
    for _ in range(2):
        done = snakemake("plan", "--cores", "1")
        assert "2 arms, 12 runs" in done.stdout


def test_the_environment_need_not_be_activated(tmp_path: Path, write_study: Callable[..., Path]) -> None:
    line, config = ("plan", "--cores", "1"), (f"study={write_study()}",)
    run_snakemake(tmp_path / "here", *line, config=config, environment={"PATH": "/usr/bin:/bin"})
