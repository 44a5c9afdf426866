"""Statistics of any tables as a user runs them: `analyse.py pooled`, `search`, `ratio`, `verdicts`, and fractions."""

from itertools import combinations, product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from conftest import Command
from scipy import stats


def written(table: pd.DataFrame, path: Path) -> Path:
    table.to_csv(path, index=False)
    return path


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    rows = [
        (a, b, seed, 0.5 + 0.1 * a + 0.05 * b - 0.04 * a * b + 0.01 * rng.normal())
        for a, b, seed in product((0, 1), (0, 1), range(5))
    ]
    table = pd.DataFrame(rows, columns=["a", "b", "seed", "test_accuracy"])
    return written(table, tmp_path / "runs.csv")


def test_pooled_intervals_are_those_of_the_linear_model(command: Command, runs: Path, tmp_path: Path) -> None:
    options = ("--factors", "a,b", "--response", "test_accuracy", "--out", tmp_path / "out.csv")
    done = command("analyse", "pooled", "--runs", runs, *options)
    assert done.returncode == 0, done.stderr
    pooled = pd.read_csv(tmp_path / "out.csv").query("kind in ('main', 'interaction')").set_index("term")
    coded = pd.read_csv(runs).assign(a=lambda t: 2 * t["a"] - 1, b=lambda t: 2 * t["b"] - 1)
    model = smf.ols("test_accuracy ~ a * b", coded).fit()
    for term in ("a", "b", "a:b"):  # with levels at −1 and 1, an effect is twice its coefficient
        row = pooled.loc[term]
        assert row["estimate"] == pytest.approx(2 * model.params[term])
        assert (row["ci_low"], row["ci_high"]) == pytest.approx(tuple(2 * model.conf_int().loc[term]))


def test_a_fractions_effects_name_their_aliases(command: Command, tmp_path: Path) -> None:
    rows = [
        (a, b, a ^ b, seed, 1.0 * a + 0.25 * (a & b) + 0.01 * seed)
        for a, b, seed in product((0, 1), (0, 1), range(3))
    ]
    table = pd.DataFrame(rows, columns=["a", "b", "c", "seed", "y"])
    options = (
        "--factors",
        "a,b,c",
        "--response",
        "y",
        "--baseline",
        "a=0,b=0,c=0",
        "--out",
        tmp_path / "o.csv",
    )
    whole = command("analyse", "effects", "--runs", written(table, tmp_path / "half.csv"), *options)
    assert whole.returncode != 0
    assert "no run with a=0,b=0,c=1" in whole.stderr
    done = command("analyse", "effects", "--runs", tmp_path / "half.csv", *options, "--fraction")
    assert done.returncode == 0, done.stderr
    effects = pd.read_csv(tmp_path / "o.csv").set_index("term")
    assert list(effects.index) == ["a", "b", "c"]
    assert effects["aliases"].to_dict() == {"a": "- b:c", "b": "- a:c", "c": "- a:b"}
    means = table.groupby("a")["y"].mean()
    assert effects.loc["a", "estimate"] == pytest.approx(means[1] - means[0])

    alike = written(table[table["a"] == table["b"]].assign(c=table["a"]), tmp_path / "alike.csv")
    confounded = command("analyse", "effects", "--runs", alike, *options, "--fraction")
    assert confounded.returncode != 0
    assert "a and b change only together, so that no run tells their effects apart" in confounded.stderr

    three = written(table[table["a"] + table["b"] < 2], tmp_path / "three.csv")
    broken = command("analyse", "effects", "--runs", three, *options, "--fraction")
    assert broken.returncode != 0
    assert "3 of the 8 combinations of levels are there, which are no regular fraction" in broken.stderr


def test_the_best_of_k_runs_is_that_of_all_subsets(command: Command, tmp_path: Path) -> None:
    accuracies = [0.5, 0.9, 0.7, 0.6]
    table = written(pd.DataFrame({"validation_accuracy": accuracies}), tmp_path / "runs.csv")
    options = ("--response", "validation_accuracy", "--out", tmp_path / "out.csv")
    done = command("analyse", "search", "--runs", table, *options)
    assert done.returncode == 0, done.stderr
    found = pd.read_csv(tmp_path / "out.csv")
    expected = [np.mean([max(some) for some in combinations(accuracies, k)]) for k in range(1, 5)]
    assert found["n_runs"].tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(found["best"], expected)


def test_a_ratio_of_errors_pairs_seeds_and_images(command: Command, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [
        (arm, seed, image, int(rng.random() < rate))
        for arm, rate in (("network", 0.2), ("rival", 0.4))
        for seed, image in product(range(4), range(200))
    ]
    table = pd.DataFrame(rows, columns=["arm", "seed", "image", "wrong"])
    extra = pd.DataFrame([("rival", 9, image, 0) for image in range(200)], columns=table.columns)
    path = written(pd.concat([table, extra]), tmp_path / "errors.csv")
    options = ("--errors", path, "--response", "wrong", "--out", tmp_path / "out.csv")
    done = command("analyse", "ratio", *options, "--of", "network", "--over", "rival")
    assert done.returncode == 0, done.stderr
    assert "1 seed of only one of network and rival: left out" in done.stderr
    row = pd.read_csv(tmp_path / "out.csv").iloc[0]
    means = table.groupby("arm")["wrong"].mean()
    assert row["ratio"] == pytest.approx(means["network"] / means["rival"])
    assert (row["n_seeds"], row["n_images"]) == (4, 200)
    # By hand: an image counts as its error over the mean, and errors vary over seeds and images.
    wide = {
        name: own.pivot(index="seed", columns="image", values="wrong") for name, own in table.groupby("arm")
    }
    one, other = wide["network"].to_numpy(), wide["rival"].to_numpy()
    linear = one / one.mean() - other / other.mean()
    by_seed, by_image = linear.mean(axis=1), linear.mean(axis=0)
    parts = np.array([by_seed.var(ddof=1) / 4, by_image.var(ddof=1) / 200])
    rest = linear - by_seed[:, None] - by_image + linear.mean()
    variance = max(parts.sum() - (rest**2).sum() / (3 * 199) / 800, parts.max())
    freedom = parts.sum() ** 2 / (parts**2 / [3, 199]).sum()
    half = stats.t.isf(0.025, freedom) * np.sqrt(variance)
    assert np.log([row["ci_low"], row["ci_high"]]) == pytest.approx(
        np.log(row["ratio"]) + np.array([-half, half])
    )
    wrong = command("analyse", "ratio", *options, "--of", "networks", "--over", "rival")
    assert wrong.returncode != 0
    assert "did you mean network?" in wrong.stderr


VALUES = {"sooner": [3.0, 3.5, 4.0, 3.2, 3.8, 4.4], "better": [0.01, -0.02, 0.03, 0.0, 0.02, -0.01]}


@pytest.fixture
def values(tmp_path: Path) -> Path:
    rows = [(part, value, False) for part, found in VALUES.items() for value in found]
    return written(pd.DataFrame(rows, columns=["part", "value", "never"]), tmp_path / "values.csv")


def test_verdicts_of_any_table_follow_the_rule(command: Command, values: Path, tmp_path: Path) -> None:
    criteria = pd.DataFrame(
        {"part": ["sooner", "better"], "claim": ["speed", "speed"], "above": [2, 0], "ratio": [True, False]}
    )
    options = ("--criteria", written(criteria, tmp_path / "criteria.csv"), "--out", tmp_path / "out.csv")
    done = command("analyse", "verdicts", "--values", values, *options)
    assert done.returncode == 0, done.stderr
    sooner, better = pd.read_csv(tmp_path / "out.csv").to_dict("records")
    logs = np.log(VALUES["sooner"])
    interval = stats.ttest_1samp(logs, 0).confidence_interval(1 - 0.05 / 2)  # Holm's first of two
    assert (sooner["ci_low"], sooner["ci_high"]) == pytest.approx(tuple(np.exp(interval)))
    assert sooner["estimate"] == pytest.approx(np.exp(logs.mean()))
    assert (sooner["verdict"], better["verdict"]) == ("supported", "undecided")
    assert {sooner["claim_verdict"], better["claim_verdict"]} == {"undecided"}
    assert sooner["supports"] == "(2, inf)"


def test_a_lower_bound_cannot_contradict_what_is_to_be_larger(command: Command, tmp_path: Path) -> None:
    rows = [("sooner", value, value > 1.4) for value in (1.1, 1.2, 1.3, 1.25, 1.15, 1.5)]
    table = written(pd.DataFrame(rows, columns=["part", "value", "never"]), tmp_path / "values.csv")
    criteria = written(pd.DataFrame({"part": ["sooner"], "above": [2]}), tmp_path / "criteria.csv")
    options = ("--values", table, "--criteria", criteria, "--out", tmp_path / "out.csv")
    verdicts = []
    for censored in ((), ("--censored", "never")):
        done = command("analyse", "verdicts", *options, *censored)
        assert done.returncode == 0, done.stderr
        verdicts.append(pd.read_csv(tmp_path / "out.csv")["verdict"].item())
    assert verdicts == ["contradicted", "undecided"]


@pytest.mark.parametrize(
    ("criteria", "message"),
    [
        ({"part": ["sooner"], "above": [2]}, "no criterion in {criteria} for better"),
        ({"part": ["sooner", "better"], "abvoe": [2, 0]}, "column abvoe: did you mean above?"),
        ({"part": ["sooner", "better"], "above": [2, None]}, "row 2: better: (-inf, inf) is no side"),
        (
            {"part": ["sooner", "better"], "above": [2, 0], "contradicted_above": [1, None]},
            "row 1: sooner: (1, inf) both supports and contradicts",
        ),
        ({"part": ["sooner", "sooner"], "above": [2, 0]}, "two rows with part sooner"),
        ({"part": ["sooner", "better"], "above": ["inf", 0]}, "column above: row 1: inf is no end"),
        (
            {"part": ["sooner", "better"], "above": [2, 0], "ratio": [True, True]},
            "is no ratio, and {criteria}",
        ),
    ],
)
def test_a_wrong_criterion_is_named(
    command: Command, values: Path, tmp_path: Path, criteria: dict[str, list[object]], message: str
) -> None:
    path = written(pd.DataFrame(criteria), tmp_path / "criteria.csv")
    out = tmp_path / "out.csv"
    done = command("analyse", "verdicts", "--values", values, "--criteria", path, "--out", out)
    assert done.returncode != 0
    assert message.format(criteria=path) in done.stderr
    assert not out.exists()


def test_a_value_counts_once_for_each_seed(command: Command, tmp_path: Path) -> None:
    copies = pd.DataFrame({"part": ["sooner"] * 3, "value": [3.0, 3.1, 3.2], "seed": [0, 0, 1]})
    criteria = written(pd.DataFrame({"part": ["sooner"], "above": [2]}), tmp_path / "criteria.csv")
    options = ("--criteria", criteria, "--out", tmp_path / "out.csv")
    done = command("analyse", "verdicts", "--values", written(copies, tmp_path / "values.csv"), *options)
    assert done.returncode != 0
    assert "two rows with part sooner, seed 0; valid: one" in done.stderr


def test_a_row_longer_than_the_header_is_refused(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "ragged.csv"
    path.write_text("y,z\n1,2,3\n4,5\n")
    done = command("analyse", "search", "--runs", path, "--response", "y", "--out", tmp_path / "out.csv")
    assert done.returncode != 0
    assert f"{path}: not a table" in done.stderr
    assert not (tmp_path / "out.csv").exists()


def test_what_pairing_bought(command: Command, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    shared = rng.normal(size=8)  # what a seed does to both cells
    values = {level: shared + 0.3 * rng.normal(size=8) for level in (0, 1)}
    rows = [(level, seed, y) for level, found in values.items() for seed, y in enumerate(found)]
    path = written(pd.DataFrame(rows, columns=["a", "seed", "y"]), tmp_path / "runs.csv")
    options = ("--factors", "a", "--response", "y", "--out", tmp_path / "out.csv")
    done = command("analyse", "pairing", "--runs", path, *options)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "out.csv").set_index("quantity")["value"]
    assert table["mean_correlation"] == pytest.approx(np.corrcoef(values[0], values[1])[0, 1])
    apart = np.var(values[0], ddof=1) + np.var(values[1], ddof=1)
    assert table["variance_ratio"] == pytest.approx(np.var(values[1] - values[0], ddof=1) / apart)


def test_curves_have_student_bands(command: Command, tmp_path: Path) -> None:
    rows = [(seed, epoch, seed + epoch**2, "x") for seed in range(4) for epoch in (1, 2)]
    table = pd.DataFrame([*rows, (4, 1, None, "x")], columns=["seed", "epoch", "loss", "arm"])
    options = ("--arm", "arm", "--value", "loss", "--out", tmp_path / "out.csv")
    done = command("analyse", "curves", "--curves", written(table, tmp_path / "curves.csv"), *options)
    assert done.returncode == 0, done.stderr
    first, second = pd.read_csv(tmp_path / "out.csv").to_dict("records")
    interval = stats.ttest_1samp([1, 2, 3, 4], 0).confidence_interval()
    assert (first["position"], first["mean"], first["n_seeds"]) == (
        1,
        2.5,
        4,
    )  # an empty value counts nowhere
    assert (first["ci_low"], first["ci_high"]) == pytest.approx(tuple(interval))
    assert second["mean"] == 5.5
