"""The commands `tune` and `train`: what they write, and that nothing finished is trained twice."""

import json
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import REPOSITORY, SCRIPTS, Command, small_study
from takeoff.errors import TakeoffError
from takeoff.records import CURVES, RUNS
from takeoff.training.tuning import choose_rate

DESIGN = (
    "train_samples epochs learning_rate parameters train_loss train_accuracy test_loss test_accuracy "
    "test_top5_accuracy diverged seconds images_per_second device precision run_key arm seed"
).split()


def run_here(name: str, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    """Run a command's `main` in this process, which has torch imported already."""
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    runpy.run_path(str(SCRIPTS / f"{name}.py"))["main"]()


@pytest.fixture
def train(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], digits: Path, tmp_path: Path
) -> Callable[..., pd.DataFrame]:
    def run(study: Path, *arms: str, results: str = "arms") -> pd.DataFrame:
        wanted = [tmp_path / results / arm / "runs.parquet" for arm in arms]
        run_here("train", monkeypatch, "--study", study, "--data", digits, "--device", "cpu", *wanted)
        tables = [pd.read_parquet(path) for path in wanted]
        return pd.concat(tables).assign(log=capsys.readouterr().out)

    return run


def trained(runs: pd.DataFrame) -> int:
    """How many trainings the command's output tells of."""
    return runs["log"].iloc[0].count("  seed ")


def test_the_tables_have_the_columns_of_the_design(
    train: Callable[..., pd.DataFrame], write_study: Callable[..., Path], tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr("takeoff.training.hardware._cpu_computes_bfloat16", lambda: True)
    runs = train(write_study(), "relu+batch")
    folder = tmp_path / "arms" / "relu+batch"
    assert set(DESIGN) <= set(runs.columns)
    assert pq.read_schema(folder / "runs.parquet").equals(RUNS)
    assert pq.read_schema(folder / "curves.parquet").equals(CURVES)
    assert runs["seed"].tolist() == [0, 1]
    assert (runs[["norm", "activation", "train_samples", "epochs"]] == ["batch", "relu", 1297, 2]).all(
        axis=None
    )
    assert runs["test_accuracy"].between(0, 1).all()
    assert (runs["device"] == "cpu").all()
    assert (runs["precision"] == "float32").all()  # images of 8 px, whatever the CPU multiplies in
    curves = pd.read_parquet(folder / "curves.parquet")
    assert curves.groupby("seed")["epoch"].apply(list).tolist() == [[0, 1, 2]] * 2
    assert set(curves["run_key"]) == set(runs["run_key"])
    choice = json.loads((folder / "learning_rate.json").read_text())
    assert choice["learning_rate"] in {0.01, 0.1}
    assert [rate["learning_rate"] for rate in choice["grid"]] == [0.01, 0.1]
    assert choice["seeds"] == [1_000_000, 1_000_001]
    assert (runs["learning_rate"] == choice["learning_rate"]).all()


def test_nothing_finished_is_trained_twice(
    train: Callable[..., pd.DataFrame], write_study: Callable[..., Path], tmp_path: Path
) -> None:
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


def test_a_damaged_run_is_trained_anew(
    train: Callable[..., pd.DataFrame], write_study: Callable[..., Path], tmp_path: Path
) -> None:
    first = train(write_study(), "relu")
    key = first["run_key"].iloc[1]
    (tmp_path / "arms" / "relu" / "runs" / f"{key}.json").write_text('{"run": ')
    again = train(write_study(), "relu")
    assert trained(again) == 1
    assert again["test_accuracy"].tolist() == first["test_accuracy"].tolist()


def test_arms_of_one_job_are_as_arms_of_two(
    train: Callable[..., pd.DataFrame], write_study: Callable[..., Path]
) -> None:
    together = train(write_study(), "relu", "relu+batch", results="together")
    apart = pd.concat([train(write_study(), arm, results="apart") for arm in ("relu+batch", "relu")])
    columns = ["arm", "seed", "run_key", "learning_rate", "test_loss", "test_accuracy", "train_loss"]
    pd.testing.assert_frame_equal(
        together[columns].sort_values(columns[:2], ignore_index=True),
        apart[columns].sort_values(columns[:2], ignore_index=True),
    )


def test_a_killed_job_keeps_its_finished_runs(
    train: Callable[..., pd.DataFrame], write_study: Callable[..., Path], digits: Path, tmp_path: Path
) -> None:
    study = write_study()
    target = tmp_path / "arms" / "relu" / "runs.parquet"
    line = [
        sys.executable,
        SCRIPTS / "train.py",
        "--study",
        study,
        "--data",
        digits,
        "--device",
        "cpu",
        target,
    ]
    process = subprocess.Popen([*map(str, line)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    finished = sum("  seed " in process.stdout.readline() for _ in range(3))
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = len(list((target.parent / "runs").glob("[!.]*.json")))
    assert 3 == finished <= kept < 6
    assert not target.exists()
    assert trained(train(study, "relu")) == 6 - kept


def test_a_rate_that_explodes_is_recorded(
    train: Callable[..., pd.DataFrame], write_study: Callable[..., Path], tmp_path: Path
) -> None:
    runs = train(write_study(tuning={"learning_rates": [100.0], "seeds": 2}), "relu")
    assert runs["diverged"].all()
    assert runs["test_accuracy"].tolist() == pytest.approx([0.1, 0.1])
    assert runs["test_loss"].isna().all()
    assert trained(runs) == 2  # a grid of one rate needs no tuning


def test_an_unknown_arm_is_named(command: Command, digits: Path, write_study: Callable[..., Path]) -> None:
    done = command("train", "--study", write_study(), "--data", digits, "somewhere/relu+bach/runs.parquet")
    assert done.returncode == 1
    assert "somewhere/relu+bach" in done.stderr
    assert "did you mean relu+batch?" in done.stderr
    assert done.stderr.count("\n") == 1


def test_missing_images_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, write_study: Callable[..., Path]
) -> None:
    arguments = ("--study", write_study(), "--data", tmp_path / "nowhere", tmp_path / "relu")
    with pytest.raises(TakeoffError, match=r"prepare\.py"):
        run_here("train", monkeypatch, *arguments)
    assert not (tmp_path / "relu").exists()


def test_more_images_than_prepared(
    monkeypatch: pytest.MonkeyPatch, digits: Path, write_study: Callable[..., Path], tmp_path: Path
) -> None:
    study = write_study(dataset=small_study()["dataset"] | {"train_samples": 5000})
    with pytest.raises(TakeoffError, match="train_samples 5000: the dataset has 1297 training images"):
        run_here("tune", monkeypatch, "--study", study, "--data", digits, tmp_path / "relu")


# The choice of a rate --------------------------------------------------------------------------------


def tuning_rows(accuracy: dict[float, list[float]], loss: float | None = 1.0) -> list[dict]:
    return [
        {
            "learning_rate": rate,
            "seed": seed,
            "validation_accuracy": value,
            "validation_loss": loss,
            "diverged": loss is None,
        }
        for rate, values in accuracy.items()
        for seed, value in enumerate(values)
    ]


def test_the_best_mean_over_seeds_wins() -> None:
    choice = choose_rate(tuning_rows({0.01: [0.5, 0.6], 0.1: [0.7, 0.7], 1.0: [0.9, 0.1]}), 1000)
    assert choice.learning_rate == 0.1
    assert not choice.at_edge
    assert not choice.untuned
    assert choice.spread == pytest.approx(0.2)


def test_a_rate_at_the_grids_edge_is_reported() -> None:
    assert choose_rate(tuning_rows({0.01: [0.5, 0.6], 0.1: [0.7, 0.7]}), 1000).at_edge
    assert choose_rate(tuning_rows({0.01: [0.9, 0.9], 0.1: [0.7, 0.7]}), 1000).at_edge


def test_tied_rates_are_marked_untuned() -> None:
    choice = choose_rate(tuning_rows({0.01: [0.1, 0.1], 0.1: [0.105, 0.1], 1.0: [0.1, 0.1]}, None), 1000)
    assert choice.untuned
    assert choice.learning_rate == 0.1
    assert "untuned" in choice.remark


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("train", ["--threads", 0], "argument --threads: 0 is not above 0"),
        ("train", ["--checkpoint-minutes", 0], "argument --checkpoint-minutes: 0 is not above 0"),
        ("fit_classical", ["--threads", -1], "argument --threads: -1 is not above 0"),
        ("probe", ["--step-threads", 0], "argument --step-threads: 0 is not above 0"),
        ("prepare", ["--threads", 0], "argument --threads: 0 is not above 0"),
    ],
)
def test_numbers_out_of_bounds_are_refused(command: Command, name: str, arguments: list, words: str) -> None:
    done = command(name, *arguments)
    assert done.returncode == 2
    assert words in done.stderr
