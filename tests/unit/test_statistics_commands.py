"""Statistics of any tables as a user runs them: `analyse.py verdicts`, and the effects of fractions."""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Command
from scipy import stats
from statsmodels.stats.weightstats import ttost_ind
from takeoff.common.errors import TakeoffError
from takeoff.statistics.effects import unpaired_equivalence_test
from unit.in_process import analyse


def written(table: pd.DataFrame, path: Path) -> Path:
    table.to_csv(path, index=False)
    return path


def test_a_fractions_effects_name_their_aliases(command: Command, tmp_path: Path) -> None:
    rows = [
        (a, b, a ^ b, seed, 1.0 * a + 0.25 * (a & b) + 0.01 * seed) for a, b, seed in product((0, 1), (0, 1), range(3))
    ]
    table = pd.DataFrame(rows, columns=["a", "b", "c", "seed", "y"])
    options = ("--factors", "a,b,c", "--response", "y", "--baseline", "a=0,b=0,c=0", "--out", tmp_path / "o.csv")
    half = ("analyse", "effects", "--runs", written(table, tmp_path / "half.csv"), *options)
    assert "no run with a=0,b=0,c=1" in command.refused(*half)
    command.done(*half, "--fraction")
    effects = pd.read_csv(tmp_path / "o.csv").set_index("term")
    assert list(effects.index) == ["a", "b", "c"]
    assert effects["aliases"].to_dict() == {"a": "- b:c", "b": "- a:c", "c": "- a:b"}
    means = table.groupby("a")["y"].mean()
    assert effects.loc["a", "estimate"] == pytest.approx(means[1] - means[0])

    for wrong, words in (
        (table[table["a"] == table["b"]].assign(c=table["a"]), "a and b change only together"),
        (table[table["a"] + table["b"] < 2], "3 of the 8 combinations of levels"),
    ):
        path = written(wrong, tmp_path / "wrong.csv")
        assert words in command.refused("analyse", "effects", "--runs", path, *options, "--fraction")


def test_effects_on_lower_bounds_are_bounds(command: Command, tmp_path: Path) -> None:
    epochs = np.array([[4.0, 4.0, 4.0, 3.0, 2.5, 2.0], np.linspace(1, 1.5, 6)])
    rows = [(arm, seed, epochs[at, seed]) for at, arm in enumerate(["plain", "norm"]) for seed in range(6)]
    table = pd.DataFrame(rows, columns=["arm", "seed", "epochs"]).assign(never=lambda t: t["epochs"] == 4)
    path = written(table, tmp_path / "runs.csv")
    options = ("--runs", path, "--factors", "arm", "--response", "epochs", "--out", tmp_path / "out.csv")
    command.done("analyse", "effects", *options, "--censored", "never")
    main = pd.read_csv(tmp_path / "out.csv").query("kind == 'main'").iloc[0]
    interval = stats.ttest_1samp(epochs[1] - epochs[0], 0).confidence_interval()
    assert (main["n_censored"], main["ci_low"]) == (3, -np.inf)
    assert main["ci_high"] == pytest.approx(interval.high)
    assert "did you mean never?" in command.refused("analyse", "effects", *options, "--censored", "nevr")


VALUES = {"sooner": [3.0, 3.5, 4.0, 3.2, 3.8, 4.4], "better": [0.01, -0.02, 0.03, 0.0, 0.02, -0.01]}


@pytest.fixture
def values(tmp_path: Path) -> Path:
    rows = [(part, value, value > 4) for part, found in VALUES.items() for value in found]
    return written(pd.DataFrame(rows, columns=["part", "value", "never"]), tmp_path / "values.csv")


def test_verdicts_of_any_table_follow_the_rule(command: Command, values: Path, tmp_path: Path) -> None:
    criteria = pd.DataFrame(
        {"part": ["sooner", "better"], "claim": ["speed", "speed"], "above": [2, 0], "ratio": [True, False]}
    )
    options = ("--criteria", written(criteria, tmp_path / "criteria.csv"), "--out", tmp_path / "out.csv")
    command.done("analyse", "verdicts", "--values", values, *options)
    sooner, better = pd.read_csv(tmp_path / "out.csv").to_dict("records")
    logs = np.log(VALUES["sooner"])
    interval = stats.ttest_1samp(logs, 0).confidence_interval(0.95)  # for one claim, both of whose parts are needed
    assert (sooner["ci_low"], sooner["ci_high"]) == pytest.approx(tuple(np.exp(interval)))
    assert sooner["estimate"] == pytest.approx(np.exp(logs.mean()))
    assert (sooner["verdict"], better["verdict"]) == ("supported", "undecided")
    assert {sooner["claim_verdict"], better["claim_verdict"]} == {"undecided"}
    assert sooner["supports"] == "(2, inf)"
    command.done("analyse", "verdicts", "--values", values, *options, "--censored", "never")
    assert pd.read_csv(tmp_path / "out.csv")["ci_high"][0] == np.inf


@pytest.mark.parametrize(("option", "value"), [("--alpha", "1e-300"), ("--censored", "value"), ("--censored", "part")])
def test_an_option_of_verdicts_without_sense_is_refused(values: Path, tmp_path: Path, option: str, value: str) -> None:
    criteria = written(pd.DataFrame({"part": list(VALUES), "above": [2, 0]}), tmp_path / "criteria.csv")
    with pytest.raises(TakeoffError, match=f"{option} {value}: .*valid: "):
        analyse("verdicts", values, tmp_path / "out.csv", "--criteria", criteria, option, value)
    smallest = analyse("verdicts", values, tmp_path / "out.csv", "--criteria", criteria, "--alpha", 1e-9)
    assert np.isfinite(smallest[["ci_low", "ci_high"]]).all(axis=None)


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
        ({"part": ["sooner", "better"], "above": [2, 0], "ratio": [True, True]}, "is no ratio, and {criteria}"),
    ],
)
def test_a_wrong_criterion_is_named(
    command: Command, values: Path, tmp_path: Path, criteria: dict[str, list[object]], message: str
) -> None:
    path = written(pd.DataFrame(criteria), tmp_path / "criteria.csv")
    out = tmp_path / "out.csv"
    options = ("--values", values, "--criteria", path, "--out", out)
    assert message.format(criteria=path) in command.refused("analyse", "verdicts", *options)
    assert not out.exists()


def test_a_value_counts_once_for_each_seed(command: Command, tmp_path: Path) -> None:
    copies = pd.DataFrame({"part": ["sooner"] * 3, "value": [3.0, 3.1, 3.2], "seed": [0, 0, 1]})
    criteria = written(pd.DataFrame({"part": ["sooner"], "above": [2]}), tmp_path / "criteria.csv")
    values = written(copies, tmp_path / "values.csv")
    options = ("--values", values, "--criteria", criteria, "--out", tmp_path / "out.csv")
    assert "two rows with part sooner, seed 0" in command.refused("analyse", "verdicts", *options)


def test_a_row_longer_than_the_header_is_refused(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "ragged.csv"
    path.write_text("y,z\n1,2,3\n4,5\n")
    options = ("--factors", "z", "--response", "y", "--out", tmp_path / "out.csv")
    assert f"{path}: not a table" in command.refused("analyse", "effects", "--runs", path, *options)
    assert not (tmp_path / "out.csv").exists()


def test_runs_that_share_no_seeds_have_welchs_intervals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(7)
    rows = [
        (a, b, rng.integers(10**6), 0.6 + 0.05 * a + (0.01 + 0.03 * b) * rng.normal())
        for a, b, number in ((0, 0, 6), (0, 1, 4), (1, 0, 5), (1, 1, 6))
        for _ in range(number)
    ]
    table = pd.DataFrame(rows, columns=["a", "b", "seed", "y"])
    out, options = tmp_path / "out.csv", ("--factors", "a,b", "--response", "y")
    own = written(table, tmp_path / "own.csv")
    with pytest.raises(TakeoffError, match=r"no seed is in all of the 4 cells compared; valid: .*--unpaired"):
        analyse("effects", own, out, *options)
    assert not out.exists()
    effects = analyse("effects", own, out, *options, "--unpaired").set_index(["kind", "term"])
    assert capsys.readouterr().err == ""
    one, other = (table.loc[(table["a"] == a) & (table["b"] == 1), "y"] for a in (1, 0))
    scipys, simple = stats.ttest_ind(one, other, equal_var=False), effects.loc["simple", "a@b=1"]
    assert (simple["ci_low"], simple["ci_high"]) == pytest.approx(tuple(scipys.confidence_interval()), rel=1e-12)
    assert (simple["p_value"], simple["n_seeds"]) == (pytest.approx(scipys.pvalue, rel=1e-12), 4)
    means = table.groupby(["a", "b"])["y"].mean()
    assert effects.loc[("main", "a"), "estimate"] == pytest.approx(means[1].mean() - means[0].mean())

    none = written(table.drop(columns="seed"), tmp_path / "none.csv")
    with pytest.raises(TakeoffError, match="--unpaired"):
        analyse("effects", none, out, *options)
    small = analyse("equivalence", none, out, *options, "--unpaired", "--margin", 0.1).set_index("term")
    p_value = ttost_ind(one, other, -0.1, 0.1, usevar="unequal")[0]
    assert small.loc["a@b=1", "p_value"] == pytest.approx(p_value, rel=1e-12)
    copies = written(pd.concat([table, table[:1]]), tmp_path / "copies.csv")
    with pytest.raises(TakeoffError, match="two rows with a 0, b 0, seed"):
        analyse("effects", copies, out, *options, "--unpaired")


def test_lower_bounds_of_runs_that_share_no_seeds_are_counted(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"arm": list("aaaabb"), "epochs": [3.0, 4, 4, 5, 1, 2], "never": [False] * 3 + [True] + [False] * 2}
    )
    path = written(table.assign(diverged=table["epochs"] == 1), tmp_path / "runs.csv")
    options = ("--factors", "arm", "--response", "epochs", "--censored", "never", "--unpaired")
    main = analyse("effects", path, tmp_path / "out.csv", *options).iloc[0]
    assert main[["n_seeds", "n_diverged", "n_censored", "ci_low"]].tolist() == [2, 1, 1, -np.inf]
    ends = stats.ttest_ind([1, 2], [3, 4, 4, 5], equal_var=False).confidence_interval()
    assert main["ci_high"] == pytest.approx(ends.high)


def test_one_seed_that_runs_happen_to_share_pairs_nothing(tmp_path: Path) -> None:
    seeds = [0, 1, 2, 0, 11, 12]
    table = pd.DataFrame({"a": list("nnnyyy"), "seed": seeds, "y": [0.5, 0.6, 0.7, 0.6, 0.7, 0.8]})
    with pytest.raises(TakeoffError, match="one seed alone"):
        analyse(
            "effects", written(table, tmp_path / "runs.csv"), tmp_path / "out.csv", "--factors", "a", "--response", "y"
        )
    assert unpaired_equivalence_test([[0.5] * 3, [0.5] * 3], [-1, 1], 0.1).p_value == 1 / 8
