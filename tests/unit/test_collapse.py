"""`analyse.py collapse`, and effects on what is censored, of any table of runs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Command
from scipy import stats

RUNS = pd.DataFrame(
    {
        "arm": ["plain"] * 6 + ["norm"] * 6,
        "seed": [*range(6)] * 2,
        "test_accuracy": [0.1, 0.09, np.nan, 0.6, 0.7, 0.8, *[0.9] * 6],
        "diverged": [False, False, True, *[False] * 9],
        "epochs": [4.0, 4.0, 4.0, 3.0, 2.5, 2.0, *np.linspace(1, 1.5, 6)],
        "never": [True, True, True, *[False] * 9],
    }
)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    RUNS.to_csv(tmp_path / "runs.csv", index=False)
    return tmp_path / "runs.csv"


def test_rates_of_collapse_have_their_exact_intervals(command: Command, runs: Path, tmp_path: Path) -> None:
    options = ("--group", "arm", "--response", "test_accuracy", "--chance", 0.1, "--images", 1000)
    done = command("analyse", "collapse", "--runs", runs, *options, "--out", tmp_path / "out.csv")
    assert done.returncode == 0, done.stderr
    plain, norm = pd.read_csv(tmp_path / "out.csv").itertuples(index=False)
    exact = stats.binomtest(3, 6).proportion_ci(method="exact")
    assert (plain.group, plain.runs, plain.collapsed, plain.rate) == ("plain", 6, 3, 0.5)
    assert (plain.ci_low, plain.ci_high) == pytest.approx((exact.low, exact.high))
    assert (plain.mean, plain.mean_of_rest) == pytest.approx(((0.1 + 0.09 + 0.1 + 2.1) / 6, 0.7))
    assert plain.line == pytest.approx(0.1 + 2 * np.sqrt(0.09 / 1000))
    assert (norm.collapsed, norm.rate, norm.ci_low) == (0, 0, 0)


def test_effects_on_lower_bounds_are_bounds(command: Command, runs: Path, tmp_path: Path) -> None:
    options = (
        "--factors",
        "arm",
        "--response",
        "epochs",
        "--baseline",
        "arm=plain",
        "--out",
        tmp_path / "out.csv",
    )
    done = command("analyse", "effects", "--runs", runs, *options, "--censored", "never")
    assert done.returncode == 0, done.stderr
    main = pd.read_csv(tmp_path / "out.csv").query("kind == 'main'").iloc[0]
    wide = RUNS.pivot(index="seed", columns="arm", values="epochs")
    interval = stats.ttest_1samp(wide["norm"] - wide["plain"], 0).confidence_interval()
    assert (main["n_censored"], main["ci_low"]) == (3, -np.inf)
    assert main["ci_high"] == pytest.approx(interval.high)
    wrong = command("analyse", "effects", "--runs", runs, *options, "--censored", "nevr")
    assert wrong.returncode != 0
    assert "no column nevr; did you mean never?" in wrong.stderr
