"""`analyse.py effects` as a user runs it: any table in, one tidy table or one clear error out."""

import os
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from takeoff.common.errors import TakeoffError
from takeoff.common.table_files import read_table
from takeoff.common.tables import flags, level_text, level_texts
from takeoff.statistics.design import design_of
from takeoff.statistics.effects import COLUMNS, effects_table
from takeoff.statistics.responses import responses_of, with_log_odds

FACTORS = ["activation", "norm", "dropout"]
COMMON = ("--factors", ",".join(FACTORS), "--response", "test_accuracy")


def make_runs(seeds=6):
    """Runs of a 2^3 design whose cells differ, and whose seeds differ in all cells alike."""
    rng = np.random.default_rng(0)
    rows = []
    for activation, norm, dropout, seed in product(["tanh", "relu"], ["none", "batch"], [0.0, 0.5], range(seeds)):
        accuracy = 0.5 + 0.1 * (activation == "relu") + 0.02 * seed + 0.01 * rng.normal()
        rows.append((activation, norm, dropout, seed, accuracy + 0.1, accuracy, False))
    names = [*FACTORS, "seed", "train_accuracy", "test_accuracy", "diverged"]
    return pd.DataFrame(rows, columns=names)


@pytest.fixture
def runs():
    return make_runs()


def table_of(runs, factors=FACTORS, names=("test_accuracy",), **options):
    design = design_of(runs, factors, **options)
    return effects_table(design, responses_of(runs, names), flags(runs, "diverged", "runs"))


def effect(table, term, kind="main", response="test_accuracy"):
    found = table[(table["term"] == term) & (table["kind"] == kind) & (table["response"] == response)]
    assert len(found) == 1
    return found.iloc[0]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_command_writes_the_contract(tmp_path, command, runs, suffix):
    path, out = tmp_path / f"runs.{suffix}", tmp_path / "deep" / "effects.csv"
    runs.to_csv(path, index=False) if suffix == "csv" else runs.to_parquet(path)
    more = ["--response", "generalisation_gap", "--baseline", "dropout=0,norm=batch", "--out", out]
    more += ["--log-odds", "--images", 500]
    done = command.done("analyse", "effects", "--runs", path, *COMMON, *more)
    assert done.stderr == ""
    table = pd.read_csv(out)
    assert tuple(table.columns) == COLUMNS
    assert table["response"].unique().tolist() == ["test_accuracy", "test_accuracy_log_odds", "generalisation_gap"]
    counts = table[table["response"] == "test_accuracy"]["kind"].value_counts()
    assert counts.to_dict() == {"simple": 12, "interaction": 4, "main": 3, "shapley": 3}
    assert (table["n_seeds"] == 6).all()
    accuracy = runs.set_index(FACTORS)["test_accuracy"]
    assert effect(table, "norm").estimate == pytest.approx(
        accuracy.xs("none", level="norm").mean() - accuracy.xs("batch", level="norm").mean()
    )
    simple = effect(table, "activation@norm=batch,dropout=0.5", "simple")
    pair = [accuracy.loc[(level, "batch", 0.5)].to_numpy() for level in ("relu", "tanh")]
    scipys = stats.ttest_rel(*pair)
    assert simple.estimate == pytest.approx((pair[0] - pair[1]).mean())
    assert simple.p_value == pytest.approx(scipys.pvalue)
    assert (simple.ci_low, simple.ci_high) == pytest.approx(tuple(scipys.confidence_interval()))
    logs = np.log(accuracy / (1 - accuracy))
    expected = logs.xs("relu", level="activation").mean() - logs.xs("tanh", level="activation").mean()
    assert effect(table, "activation", response="test_accuracy_log_odds").estimate == pytest.approx(expected)


def test_shapley_sums_to_the_whole_gain(runs):
    table = table_of(runs)
    accuracy = runs.groupby(FACTORS)["test_accuracy"].mean()
    total = accuracy.loc[("relu", "batch", 0.5)] - accuracy.loc[("tanh", "none", 0.0)]
    assert table[table["kind"] == "shapley"]["estimate"].sum() == pytest.approx(total)


def test_what_a_seed_adds_to_all_runs_changes_nothing(runs):
    shifted = runs.assign(test_accuracy=runs["test_accuracy"] + 0.003 * runs["seed"] ** 2)
    pd.testing.assert_frame_equal(table_of(runs), table_of(shifted), rtol=1e-6)


def test_order_of_rows_matters_only_for_the_baseline(runs):
    shuffled = runs.sample(frac=1, random_state=1)
    baseline = {"activation": "tanh", "norm": "none", "dropout": 0}
    pd.testing.assert_frame_equal(table_of(runs), table_of(shuffled, baseline=baseline))
    turned = table_of(runs[::-1])
    assert effect(turned, "norm").estimate == pytest.approx(-effect(table_of(runs), "norm").estimate)


@pytest.mark.parametrize("zero", [0, 0.0, "0", "0.0"])
def test_levels_that_are_numbers_match_however_written(runs, zero):
    written = runs.assign(dropout=runs["dropout"].map({0.0: "0", 0.5: "0.50"}))
    table = table_of(written, baseline={"dropout": zero})
    pd.testing.assert_frame_equal(table, table_of(runs))
    assert "norm@activation=tanh,dropout=0" in set(table["term"])


def test_levels_as_text():
    values = [1200000, "1200000.0", np.float64(0.25), True, float("nan"), " none ", "inf"]
    assert [level_text(v) for v in values] == ["1200000", "1200000", "0.25", "True", "", "none", "inf"]


def test_underscores_are_of_names_and_not_of_numbers():
    table = pd.DataFrame({"seed": ["1_10", "11_0", "110"]})
    assert level_texts(table, "seed", "x") == ["1_10", "11_0", "110"]


def test_one_run_per_cell_has_estimates_without_intervals(runs):
    for single in (runs[runs["seed"] == 0], runs[runs["seed"] == 0].drop(columns=["seed", "diverged"])):
        table = table_of(single)
        assert table["estimate"].notna().all()
        assert table[["ci_low", "ci_high", "p_value", "p_adjusted"]].isna().all(axis=None)
        assert (table["n_seeds"] == 1).all()


def test_one_factor_has_a_main_effect_and_its_share(runs):
    one = runs[(runs["norm"] == "none") & (runs["dropout"] == 0)]
    table = table_of(one, ["activation"])
    assert table["kind"].tolist() == ["main", "shapley"]
    assert table["estimate"].nunique() == 1


def test_no_variance_is_an_interval_without_width(runs):
    exact = runs.assign(test_accuracy=0.1 * (runs["activation"] == "relu") + 0.3 + 0.01 * runs["seed"])
    table = table_of(exact)
    activation, norm = effect(table, "activation"), effect(table, "norm")
    assert (activation.ci_low, activation.ci_high) == pytest.approx((0.1, 0.1))
    assert activation.p_value == 0.5 ** (exact["seed"].nunique() - 1)
    assert norm[["estimate", "ci_low", "ci_high", "p_value"]].tolist() == [0, 0, 0, 1]


def test_unequal_seeds_pair_on_those_in_common(tmp_path, command, runs):
    left_out = (runs["activation"] == "relu") & (runs["norm"] == "batch") & (runs["seed"] > 3)
    path, out = tmp_path / "runs.csv", tmp_path / "effects.csv"
    runs[~left_out].to_csv(path, index=False)
    done = command.done("analyse", "effects", "--runs", path, *COMMON, "--out", out)
    assert "activation=relu,norm=batch,dropout=0.5 has no run with seed 4, 5" in done.stderr
    table = pd.read_csv(out)
    assert effect(table, "activation").n_seeds == 4
    assert effect(table, "norm@activation=tanh,dropout=0", "simple").n_seeds == 6
    common = runs[runs["seed"] <= 3]
    assert effect(table, "norm").estimate == pytest.approx(effect(table_of(common), "norm").estimate)


def test_diverged_runs_are_counted_where_they_are_compared(runs):
    first = runs.index == 0  # tanh, none, 0
    table = table_of(runs.assign(diverged=first))
    assert effect(table, "norm").n_diverged == 1
    assert effect(table, "norm@activation=tanh,dropout=0", "simple").n_diverged == 1
    assert effect(table, "norm@activation=relu,dropout=0", "simple").n_diverged == 0


def test_diverged_runs_without_an_accuracy_count_as_chance(tmp_path, command, runs):
    runs.loc[0, ["test_accuracy", "train_accuracy", "diverged"]] = [np.nan, np.nan, True]
    path, out = tmp_path / "runs.csv", tmp_path / "effects.csv"
    runs.to_csv(path, index=False)
    common = ("analyse", "effects", "--runs", path, *COMMON, "--out", out)
    assert "column test_accuracy: row 1" in command.refused(*common)
    assert not out.exists()
    command.done(*common, "--chance", 0.1)
    filled = runs.fillna({"test_accuracy": 0.1})
    estimate = effect(table_of(filled), "norm").estimate
    assert effect(pd.read_csv(out), "norm").estimate == pytest.approx(estimate)


def _cell(runs, norm="batch"):
    return (runs["activation"] == "relu") & (runs["norm"] == norm) & (runs["dropout"] == 0)


WRONG_TABLES = {
    "empty cell": (lambda r: r[~_cell(r)], "no run with activation=relu,norm=batch,dropout=0"),
    "duplicate": (
        lambda r: pd.concat([r, r[:1]]),
        "two rows with activation tanh, norm none, dropout 0, seed 0; valid: one",
    ),
    "no seed": (
        lambda r: r.drop(columns="seed"),
        "two rows with activation tanh, norm none, dropout 0; valid: .* column seed",
    ),
    "three levels": (lambda r: r.assign(norm=r["norm"].where(~_cell(r), "lrn")), "norm has 3 levels"),
    "one level": (lambda r: r[r["norm"] == "none"], "norm has 1 level "),
    "no factor": (lambda r: r.drop(columns="norm"), "no column norm"),
    "empty level": (lambda r: r.assign(norm=r["norm"].where(r.index != 2)), "column norm: row 3 is empty"),
    "no response": (lambda r: r.drop(columns="test_accuracy"), "no column test_accuracy; did you mean train_acc"),
    "missing": (lambda r: r.assign(test_accuracy=r["test_accuracy"].where(r.index != 1)), "row 2: nan"),
    "infinite": (lambda r: r.assign(test_accuracy=r["test_accuracy"].where(r.index > 0, np.inf)), "row 1: inf"),
    "text": (lambda r: r.assign(test_accuracy="good"), "row 1: 'good' is not a number"),
    "percent": (
        lambda r: r.assign(test_accuracy=r["test_accuracy"].where(r.index != 1, 55)),
        "column test_accuracy: row 2: 55 is no accuracy; valid: fractions from 0 to 1",
    ),
    "below 0": (lambda r: r.assign(test_accuracy=r["test_accuracy"].where(r.index != 1, -0.3)), "row 2: -0.3 is no"),
    "no common seed": (
        lambda r: r.assign(seed=r["seed"] + 10 * _cell(r)),
        "activation: no seed is in all of the 8 cells",
    ),
    "flag": (lambda r: r.assign(diverged="perhaps"), "diverged: row 1: 'perhaps' is not valid"),
}


@pytest.mark.parametrize("case", WRONG_TABLES)
def test_wrong_tables_are_one_clear_error(runs, case):
    change, message = WRONG_TABLES[case]
    with pytest.raises(TakeoffError, match=message) as caught:
        table_of(change(runs))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("runs: ")


LONG = "x" * 3_000_000
ENDLESS = {
    "third level": lambda r: r.assign(norm=r["norm"].where(r.index > 0, LONG)),
    "empty cell": lambda r: r[~_cell(r)].replace({"norm": {"batch": LONG}}),
    "duplicate": lambda r: pd.concat([r, r[:1]]).replace({"norm": {"none": LONG}}),
    "column": lambda r: r.drop(columns="norm").assign(**{LONG: 1}),
}


@pytest.mark.parametrize("case", ENDLESS)
def test_an_endless_cell_is_shortened_in_the_error(runs, case):
    with pytest.raises(TakeoffError) as caught:
        table_of(ENDLESS[case](runs))
    assert "xxx…" in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_an_endless_level_is_no_baseline(runs):
    with pytest.raises(TakeoffError, match="baseline lrn is not in it") as caught:
        table_of(runs.replace({"norm": {"none": LONG}}), baseline={"norm": "lrn"})
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(("factors", "wanted"), [(11, None), (40, None), (16, ()), (70, ())])
def test_more_factors_than_can_be_estimated_are_refused(factors, wanted):
    names = [f"f{at}" for at in range(factors)]
    levels = np.random.default_rng(0).integers(2, size=(64, factors))
    with pytest.raises(
        TakeoffError, match=f"runs: {factors} factors are too many; valid: up to {10 if wanted is None else 15}"
    ):
        design_of(pd.DataFrame(levels, columns=names), names, wanted=wanted)


def test_wrong_names_are_one_clear_error(runs):
    for factors, baseline, message in (
        (["norm", "norm"], {}, "norm stands twice"),
        ([], {}, "there is none"),
        (FACTORS, {"nrom": "none"}, "baseline: nrom is not among the factors; did you mean norm"),
        (FACTORS, {"norm": "bath"}, "baseline bath is not in it; did you mean batch"),
    ):
        with pytest.raises(TakeoffError, match=message):
            table_of(runs, factors, baseline=baseline)
    with pytest.raises(TakeoffError, match="none of the responses seconds is called an accuracy"):
        with_log_odds(["seconds"])
    with pytest.raises(TakeoffError, match="55 is no accuracy"):
        responses_of(runs.assign(score=55), ["score_log_odds"])


def test_wrong_arguments_are_one_line_and_status_1(tmp_path, command, runs):
    path, broken, empty = tmp_path / "runs.csv", tmp_path / "broken.parquet", tmp_path / "empty.csv"
    runs.to_csv(path, index=False)
    broken.write_text("no parquet")
    empty.write_text("activation,test_accuracy\n")
    for file, extra, message in (
        (path, ["--baseline", "activation"], "--baseline activation: 'activation' is not valid"),
        (path, ["--response", "norm"], "--response norm: a column cannot be"),
        (path, ["--censored", "norm"], "--censored norm: a column cannot be"),
        (broken, [], "not a table"),
        (tmp_path / "none.csv", [], "there is no such file"),
        (empty, [], "no row"),
    ):
        line = ("--runs", file, *COMMON, "--out", tmp_path / "effects.csv", *extra)
        assert message in command.refused("analyse", "effects", *line)
    assert not (tmp_path / "effects.csv").exists()


def test_what_is_read_and_what_is_no_file_is_not_written_over(tmp_path, command, runs):
    path, folder, pipe = tmp_path / "runs.csv", tmp_path / "folder", tmp_path / "pipe"
    runs.to_csv(path, index=False)
    folder.mkdir()
    os.mkfifo(pipe)
    before = path.read_bytes()
    for out in (path, folder, pipe):
        assert str(out) in command.refused("analyse", "effects", "--runs", path, *COMMON, "--out", out)
    assert path.read_bytes() == before
    assert pipe.is_fifo()
    (tmp_path / "link.csv").symlink_to(folder / "effects.csv")
    (folder / "effects.csv").touch()
    command.done("analyse", "effects", "--runs", path, *COMMON, "--out", tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert len(pd.read_csv(folder / "effects.csv"))


def test_a_csv_is_read_as_it_stands(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("norm,test_accuracy\nNone,0.5\nnull,0.6\n")
    table = table_of(read_table(path), ["norm"])
    assert table["estimate"].tolist() == pytest.approx([0.1, 0.1])
