"""The commands `tune` and `train`: what they write, and that nothing finished is trained twice."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import REPOSITORY, SCRIPTS, small_study
from takeoff.common.digests import closure
from takeoff.common.errors import TakeoffError
from takeoff.jobs.arm_job import ArmJob
from takeoff.study.arms import Arm, Run, make_arm, make_classical
from takeoff.study.loading import load_study
from takeoff.study.planned import planned_arms, write_arm
from takeoff.study.records import CURVES, RUNS

DESIGN = (
    "train_samples epochs learning_rate parameters train_loss train_accuracy test_loss test_accuracy "
    "test_top5_accuracy diverged seconds images_per_second device precision run_key arm seed"
).split()


@pytest.fixture
def train(run_here, capsys, digits, plan_arms, tmp_path) -> Callable[..., pd.DataFrame]:
    def run(study: Path, *arms: str, results: str = "") -> pd.DataFrame:
        plan_arms(study, tmp_path / results)
        wanted = [tmp_path / results / "arms" / arm / "runs.parquet" for arm in arms]
        run_here("train", "--data", digits, "--device", "cpu", *wanted)
        tables = [pd.read_parquet(path) for path in wanted]
        return pd.concat(tables).assign(log=capsys.readouterr().out)

    return run


def trained(runs: pd.DataFrame) -> int:
    """How many trainings the command's output tells of."""
    return runs["log"].iloc[0].count("  seed ")


def test_the_tables_have_the_columns_of_the_design(train, write_study, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("takeoff.jobs.hardware._cpu_computes_bfloat16", lambda: True)
    runs = train(write_study(), "relu+batch")
    folder = tmp_path / "arms" / "relu+batch"
    assert set(DESIGN) <= set(runs.columns)
    assert pq.read_schema(folder / "runs.parquet").equals(RUNS)
    assert pq.read_schema(folder / "curves.parquet").equals(CURVES)
    assert runs["seed"].tolist() == [0, 1]
    assert (runs[["norm", "activation", "train_samples", "epochs"]] == ["batch", "relu", 1297, 2]).all(axis=None)
    assert runs["test_accuracy"].between(0, 1).all()
    assert (runs["device"] == "cpu").all()
    assert (runs["precision"] == "float32").all()  # images of 8 px, whatever the CPU multiplies in
    curves = pd.read_parquet(folder / "curves.parquet")
    assert curves.groupby("seed")["epoch"].apply(list).tolist() == [[0, 1, 2]] * 2
    assert set(curves["run_key"]) == set(runs["run_key"])
    (choice,) = json.loads((folder / "learning_rate.json").read_text())["choices"]
    assert choice["learning_rate"] in {0.01, 0.1}
    assert [rate["learning_rate"] for rate in choice["grid"]] == [0.01, 0.1]
    assert choice["seeds"] == [1_000_000, 1_000_001]
    assert (runs["learning_rate"] == choice["learning_rate"]).all()


def test_nothing_finished_is_trained_twice(train, write_study, tmp_path) -> None:
    first = train(write_study(), "relu")
    assert trained(first) == 4 + 2
    for name in ("runs.parquet", "curves.parquet", "learning_rate.json"):
        (tmp_path / "arms" / "relu" / name).unlink()  # as Snakemake does before a job's next try
    again = train(write_study(), "relu")
    assert trained(again) == 0
    pd.testing.assert_frame_equal(again.drop(columns="log"), first.drop(columns="log"))
    more = train(write_study(seeds=3), "relu")
    assert trained(more) == 1
    pd.testing.assert_frame_equal(more.drop(columns="log").head(2), first.drop(columns="log"))
    wider = train(write_study(tuning={"learning_rates": [0.01, 0.1, 0.3], "seeds": 2}), "relu")
    assert trained(wider) >= 2


DAMAGE = [
    (r"(?s).*", '{"run": '),
    (r"(?s)\}\s*$", ""),
    (r'"test_accuracy":[^,]*', '"test_accuracy":5.0'),
    (r'"test_accuracy":[^,]*', '"test_accuracy":NaN'),
    (r'"test_accuracy":[^,]*', '"test_accuracy":null'),
    (r'"test_accuracy":[^,]*', '"test_accuracy":0.5'),
    (r'"train_loss":[^,]*', '"train_loss":0.1'),
    (r'"test_correct":"', '"test_correct":"AAAA'),
    # Of earlier versions, whose records have no digest.
    (r'"test_accuracy":[^,]*(.*),"digest":"[^"]*"', r'"test_accuracy":5.0\1'),
    (r'"test_accuracy":[^,]*(.*),"digest":"[^"]*"', r'"test_accuracy":null\1'),
]
"""Of a run's file: what is found there, and what stands there instead."""


def test_a_run_that_was_damaged_or_changed_is_trained_anew(train, write_study, tmp_path) -> None:
    first = train(write_study(), "relu")
    key = first["run_key"].iloc[1]
    path = tmp_path / "arms" / "relu" / "runs" / f"{key}.json"
    for pattern, text in DAMAGE:
        changed, times = re.subn(pattern, text, path.read_text(), count=1)
        assert times == 1
        path.write_text(changed)
        again = train(write_study(), "relu")
        assert trained(again) == 1
        assert f"{key}.json: damaged" in again["log"].iloc[0]
        assert again["test_accuracy"].tolist() == first["test_accuracy"].tolist()


def test_runs_of_earlier_versions_have_no_digest_and_are_kept(train, write_study, tmp_path) -> None:
    train(write_study(), "relu")
    for path in (tmp_path / "arms" / "relu" / "runs").glob("*.json"):
        path.write_text(re.sub(r',"digest":"[^"]*"', "", path.read_text()))
    assert trained(train(write_study(), "relu")) == 0


def test_images_that_were_changed_are_refused(digits, write_study, plan_arms, tmp_path) -> None:
    data = shutil.copytree(digits, tmp_path / "images")
    plan_arms(write_study(), tmp_path)
    with (data / "train.safetensors").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)[0]
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last ^ 1]))
    line = [sys.executable, SCRIPTS / "train.py", "--data", data, "--device", "cpu", tmp_path / "arms" / "relu"]
    done = subprocess.run([*map(str, line)], cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {data}: ")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.glob("arms/relu/runs/*"))


def test_arms_of_one_job_are_as_arms_of_two(train, write_study) -> None:
    together = train(write_study(), "relu", "relu+batch", results="together")
    apart = pd.concat([train(write_study(), arm, results="apart") for arm in ("relu+batch", "relu")])
    columns = ["arm", "seed", "run_key", "learning_rate", "test_loss", "test_accuracy", "train_loss"]
    pd.testing.assert_frame_equal(
        together[columns].sort_values(columns[:2], ignore_index=True),
        apart[columns].sort_values(columns[:2], ignore_index=True),
    )


def test_a_killed_job_keeps_its_finished_runs(train, write_study, plan_arms, digits, tmp_path) -> None:
    study = write_study()
    plan_arms(study, tmp_path)
    target = tmp_path / "arms" / "relu" / "runs.parquet"
    line = [sys.executable, SCRIPTS / "train.py", "--data", digits, "--device", "cpu", target]
    process = subprocess.Popen([*map(str, line)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    finished = sum("  seed " in process.stdout.readline() for _ in range(3))
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = len(list((target.parent / "runs").glob("[!.]*.json")))
    assert 3 == finished <= kept < 6
    assert not target.exists()
    assert trained(train(study, "relu")) == 6 - kept


def test_a_rate_that_explodes_is_recorded(train, write_study, tmp_path) -> None:
    runs = train(write_study(tuning={"learning_rates": [100.0], "seeds": 2}), "relu")
    assert runs["diverged"].all()
    assert runs["test_accuracy"].tolist() == pytest.approx([0.1, 0.1])
    assert runs["test_loss"].isna().all()
    assert trained(runs) == 2  # a grid of one rate needs no tuning


@pytest.mark.parametrize(
    ("verb", "file", "words"),
    [
        ("train", "arms/relu+bach/runs.parquet", "arms/relu+bach/arm.json: there is no such file"),
        ("tune", "arms/relu+bach", "plan.py --arms-out"),
        ("fit_classical", "arms/relu/arm.json", "arms/relu/arm.json: kind: 'network' is not valid here"),
        ("train", "arms/hog-logistic/runs.parquet", "kind: 'classical' is not valid here"),
        ("probe", "arms/hog-logistic", "kind: 'classical' is not valid here"),
        ("train", "arms/broken", "arms/broken/arm.json: network.activation: 'rleu'"),
    ],
)
def test_an_arm_that_is_not_written_down_or_of_another_kind_is_one_line(
    command, digits, write_study, plan_arms, tmp_path, verb: str, file: str, words: str
) -> None:
    plan_arms(write_study(), tmp_path)
    whole = tmp_path / "arms" / "relu" / "arm.json"
    study = load_study(write_study())
    arms = planned_arms(study, {"scaling": [make_classical(study, "hog", "logistic")]})
    write_arm(tmp_path / "arms" / "hog-logistic" / "arm.json", arms[0])
    (tmp_path / "arms" / "broken").mkdir()
    (tmp_path / "arms" / "broken" / "arm.json").write_text(whole.read_text().replace('"relu"', '"rleu"'))
    more = ("--study", write_study(), "--out", tmp_path / "speed.csv") if verb == "probe" else ()
    assert words in command.refused(verb, "--data", digits, *more, tmp_path / file)


@pytest.mark.parametrize(
    ("dataset", "data", "words"),
    [
        ({}, "nowhere", r"prepare\.py"),
        ({"train_samples": 5000}, "digits", "train_samples 5000: the dataset has 1297 training images"),
        ({"test_samples": 501}, "digits", "test_samples 501: the dataset has 500 test images"),
        ({"resolution": 32}, "digits", "the images have 8 px; valid for this arm: 32 px"),
    ],
)
def test_images_that_are_not_there_are_named(
    run_here, digits, write_study, plan_arms, tmp_path, dataset: dict, data: str, words: str
) -> None:
    plan_arms(write_study(dataset=small_study()["dataset"] | dataset), tmp_path)
    folder = {"digits": digits}.get(data, tmp_path / data)
    with pytest.raises(TakeoffError, match=words):
        run_here("tune", "--data", folder, tmp_path / "arms" / "relu")
    assert [path.name for path in (tmp_path / "arms" / "relu").iterdir()] == ["arm.json"]


def test_an_arm_that_takes_anothers_choice_comes_after_it_whatever_is_named_first(train, write_study, tmp_path) -> None:
    study = load_study(write_study())
    taker = make_arm(study, {"norm": "none"}, recipe={"epochs": 1}, choice_from="relu")
    (planned,) = planned_arms(study, {"scaling": [taker]})
    write_arm(tmp_path / "arms" / taker.name / "arm.json", planned)
    runs = train(write_study(), taker.name, "relu")
    assert runs["learning_rate"].nunique() == 1
    assert runs["arm"].tolist() == [taker.name] * 2 + ["relu"] * 2


def test_a_runs_key_follows_the_engine_its_arm_and_nothing_around_it(images, hardware, arm, monkeypatch) -> None:
    def key(own: Arm, seed: int = 0, rate: float = 0.05, decay: float = 0.0, **where: object) -> str:
        job = ArmJob(own, images, replace(hardware, **where), Path())  # type: ignore[arg-type]
        return job.key(Run(seed, rate), own.recipe.model_copy(update={"weight_decay": decay}))

    assert key(arm()) == key(arm().model_copy(update={"name": "other", "learning_rates": (0.1, 0.2)}))
    others = [arm({"momentum": 0.8}), arm(norm="batch"), arm(probed=True), arm(train_samples=500)]
    keys = {key(arm()), key(arm(), seed=1), key(arm(), rate=0.06), key(arm(), decay=0.1), *map(key, others)}
    keys |= {key(arm(), **where) for where in ({"name": "a GPU"}, {"precision": "bfloat16"}, {"threads": 2})}
    assert len(keys) == 11
    assert key(arm(), rank=1, ranks=2) == key(arm())
    covered = closure("engine")
    assert "statistics/crossing.py" in covered
    assert not [module for module in covered if module.startswith(("jobs/", "experiments/"))]
    monkeypatch.setattr("takeoff.jobs.arm_job.code_digest", lambda part: f"another {part}")
    assert key(arm()) not in keys


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("train", ["--threads", 0], "argument --threads: 0 is not valid"),
        ("train", ["--checkpoint-minutes", 0], "argument --checkpoint-minutes: 0 is not valid"),
        ("fit_classical", ["--threads", -1], "argument --threads: -1 is not valid"),
        ("probe", ["--step-threads", 0], "argument --step-threads: 0 is not valid"),
        ("probe", ["--seconds", -1], "argument --seconds: -1 is not valid"),
        ("probe", ["--device", "tpu"], "argument --device: invalid choice"),
        ("benchmark", ["--seconds", 0], "argument --seconds: 0 is not valid"),
        ("benchmark", ["--threads", 0], "argument --threads: 0 is not valid"),
        ("prepare", ["--threads", 0], "argument --threads: 0 is not valid"),
    ],
)
def test_numbers_out_of_bounds_are_refused(command, name: str, arguments: list, words: str) -> None:
    done = command(name, *arguments)
    assert done.returncode == 2
    assert words in done.stderr
