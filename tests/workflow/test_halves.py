"""Results in pieces: two halves of the seeds merge to what one run gives, and a part of the arms is reported."""

import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import Command, small_study
from snakemake_command import jobs, run_snakemake

pytestmark = pytest.mark.slow

TIMED = ("speed.csv", "step_seconds.csv", "speed-up.csv")
"""Tables that hold what a machine timed."""
RACE = {"width": 0.25, "error": 0.5, "epochs": 2}


def write(folder: Path, seeds: list[int], **changes: object) -> None:
    """A study at 16 px, whose runs a CPU trains one by one, so that no run depends on which others are missing."""
    study = small_study(seeds=seeds, **changes)
    study["dataset"] |= {"resolution": 16, "train_samples": 200, "test_samples": 100}
    study["tuning"] |= {"blocks": 2}
    (folder / "small.yaml").write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")


def run(folder: Path, *arguments: str, config: tuple[str, ...] = ()):
    return run_snakemake(folder, *(arguments or ("--cores", "all")), config=("study=small.yaml", *config))


def trained(folder: Path) -> int:
    return sum(log.read_text().count("  seed ") for log in (folder / "results" / "small" / "logs").glob("train-*.log"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    write(folder, [0, 1])
    run(folder, "--cores", "all", config=("tracking_uri=''",))
    return folder


def test_halves_merge_to_the_tables_of_one_run(whole: Path, tmp_path: Path, command: Command) -> None:
    halves = [tmp_path / "first", tmp_path / "second"]
    for folder, seeds in zip(halves, ([0], [1]), strict=True):
        folder.mkdir()
        write(folder, seeds)
        run(folder, "--cores", "all", "--until", "train_0")
    home, packed = tmp_path / "merged", tmp_path / "runs.tar.xz"
    home.mkdir()
    write(home, [0, 1])
    line = ("merge", "--study", home / "small.yaml", "--results")
    command.done(*line, halves[1] / "results" / "small", "--pack", packed)
    own = home / "results" / "small"
    done = command.done(*line, own, halves[0] / "results" / "small", packed)
    # Two arms: two rates on two tuning seeds of the one block, and a final seed.
    assert [text.partition(": ")[2] for text in done.stdout.splitlines()] == [
        "runs 10 taken, 0 already there, 0 of other arms, 0 damaged"
    ] * 2
    run(home, config=("tracking_uri=''",))
    assert trained(home) == 0
    expected = whole / "results" / "small"
    names = {path.relative_to(expected) for path in expected.rglob("*.csv")}
    assert {path.relative_to(own) for path in own.rglob("*.csv")} == names
    compared = [name for name in names if not name.name.endswith(TIMED)]
    differ = {name.as_posix() for name in compared if (own / name).read_bytes() != (expected / name).read_bytes()}
    assert differ <= {"plan.csv", "claims.csv", "claims_parts.csv", "figures/claims.csv", "factorial/measured.csv"}
    assert len(compared) > 12
    for name in differ:  # what is said of seconds is of one machine's busy moments
        one, other = (_untimed(folder / name) for folder in (own, expected))
        assert one.equals(other), name


def _untimed(path: Path) -> pd.DataFrame:
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if path.name == "plan.csv":
        return table.drop(columns="expected_seconds")
    return table[~table["claim"].str.contains("seconds|cheaper")].reset_index(drop=True)


def test_a_study_with_arms_missing_reports_the_others(tmp_path: Path) -> None:
    home = tmp_path / "here"
    home.mkdir()
    both = {"factorial": {"threshold": 0.5}, "race": RACE}
    write(home, [0, 1], experiments=both)
    run(home, "--cores", "all", "--until", "probe", "train_0", config=("arms_per_job=2", "tracking_uri=''"))
    results = home / "results" / "small"
    assert not list(results.glob("arms/*four-layer*/runs.parquet"))
    before = {path: path.stat().st_mtime_ns for path in results.glob("arms/*/*.parquet")}
    report = ("--cores", "all", "--report", str(home / "report.html"), "--report-after-run")
    done = run(home, *report, config=("partial=true",))
    assert re.search(r"race is not analysed: (\d) of \1 arms are missing: ", done.stderr)
    assert not {rule for rule in jobs(done) if rule.startswith(("train", "fit", "track", "probe"))}
    assert {path: path.stat().st_mtime_ns for path in results.glob("arms/*/*.parquet")} == before
    claims = pd.read_csv(results / "claims.csv").set_index("claim")
    gone = claims.loc["relu-trains-faster"]
    assert gone["verdict"] == "not tested"
    assert re.match(r"(\d) of \1 arms are missing: relu\+four-layer", gone["reason"])
    assert "missing" not in str(claims.loc["batch-norm-speeds-training", "reason"])
    assert (results / "figures" / "factorial-effects.svg").stat().st_size > 1000
    assert not (results / "race").exists()
    assert not (results / "tracked.json").exists()
    assert "factorial-effects" in (home / "report.html").read_text()
    # What is missing is trained when the whole study is asked for, and nothing else.
    again = run(home, "-n", "--cores", "1", config=("arms_per_job=2", "tracking_uri=''"))
    assert {rule for rule in jobs(again) if rule.startswith("train")} == {"train_1", "train_2"}
