"""Tables of runs as other tools write them, MLflow's exports among them: read right, or refused."""

import bz2
import csv
import gzip
import lzma
from decimal import Decimal
from itertools import product

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from takeoff.common import table_files
from takeoff.common.errors import TakeoffError
from takeoff.common.table_files import read_table
from takeoff.common.tables import level_text
from takeoff.statistics.responses import is_accuracy
from unit.in_process import analyse
from unit.mlflow_store import import_into_mlflow

FACTORS = ["activation", "norm"]
KEYS = [*FACTORS, "seed"]
LEVELS = ["tanh", "relu"], ["none", "batch"]
COMMON = ("--factors", "activation,norm", "--response", "test_accuracy")


def made_runs() -> pd.DataFrame:
    noise = np.random.default_rng(5).normal(scale=0.01, size=24)
    rows = [
        (a, n, seed, round(0.6 + 0.05 * (a == "relu") + 0.08 * (n == "batch") + noise[at], 4))
        for at, (a, n, seed) in enumerate(product(*LEVELS, range(6)))
    ]
    return pd.DataFrame(rows, columns=[*KEYS, "test_accuracy"])


RUNS = made_runs()


@pytest.fixture
def effects(tmp_path):
    """`effects` of a table that `write`, a function of a path, writes."""

    def run(name, write, *options):
        write(tmp_path / name)
        return analyse("effects", tmp_path / name, tmp_path / "effects.csv", *(options or COMMON))

    return run


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The effects of these runs, from the plainest table."""
    folder = tmp_path_factory.mktemp("plain")
    RUNS.to_csv(folder / "runs.csv", index=False)
    return analyse("effects", folder / "runs.csv", folder / "effects.csv", *COMMON)


def decimal_commas(separator):
    rows = [list(RUNS), *RUNS.itertuples(index=False)]
    return "".join(separator.join(str(cell).replace(".", ",") for cell in row) + "\n" for row in rows)


READ = {
    "for-excel.csv": lambda path: path.write_text("sep=;\r\n" + decimal_commas(";")),
    "tab.tsv": lambda path: RUNS.to_csv(path, sep="\t", index=False),
    "semicolons.csv": lambda path: RUNS.to_csv(path, sep=";", index=False),
    "decimal-commas.csv": lambda path: path.write_text(decimal_commas(";")),
    "quoted.csv": lambda path: RUNS.to_csv(path, sep=";", decimal=",", index=False, quoting=csv.QUOTE_ALL),
    "mark.csv": lambda path: RUNS.to_csv(path, index=False, encoding="utf-8-sig"),
    "marked-semicolons.csv": lambda path: path.write_text(decimal_commas(";"), encoding="utf-8-sig"),
    "excel-unicode.txt": lambda path: RUNS.to_csv(path, sep="\t", index=False, encoding="utf-16"),
    "big-endian.csv": lambda path: path.write_bytes(("\ufeff" + RUNS.to_csv(index=False)).encode("utf-16-be")),
    "semicolons-16.csv": lambda path: path.write_text(decimal_commas(";"), encoding="utf-16"),
    "runs.csv.gz": lambda path: path.write_bytes(gzip.compress(decimal_commas(";").encode())),
    "gzip.csv": lambda path: path.write_bytes(gzip.compress(decimal_commas(";").encode())),
    "gzip": lambda path: path.write_bytes(gzip.compress(RUNS.to_csv(index=False).encode("utf-16"))),
    "bzip2.csv": lambda path: path.write_bytes(bz2.compress(RUNS.to_csv(index=False).encode())),
    "xz.csv": lambda path: path.write_bytes(lzma.compress(RUNS.to_csv(index=False).encode())),
    "zip.csv": lambda path: RUNS.to_csv(path, index=False, compression="zip"),
    "archive.tar.gz": lambda path: RUNS.to_csv(path, index=False),
    "blank-rows.csv": lambda path: path.write_text("\n" + RUNS.to_csv(index=False) + ",,,\n\n,,,\n"),
    "padded.csv": lambda path: RUNS.rename(columns=" {} ".format).to_csv(path, index=False),
    "index.csv": RUNS.to_csv,
    "multi-index.csv": RUNS.set_index(KEYS).to_csv,
    "multi-index.parquet": RUNS.set_index(KEYS).to_parquet,
    "index-and-column.parquet": RUNS.set_index("seed", drop=False).to_parquet,
    "shuffled.parquet": pd.concat([RUNS[:1], RUNS[:0:-1]]).to_parquet,
    "categories.parquet": RUNS.astype(dict.fromkeys(FACTORS, "category")).to_parquet,
    "nullable.parquet": RUNS.convert_dtypes().to_parquet,
    "decimals.parquet": RUNS.assign(test_accuracy=RUNS["test_accuracy"].map(lambda v: Decimal(str(v)))).to_parquet,
    "no-suffix": RUNS.to_parquet,
    "long-seeds.csv": lambda path: RUNS.assign(seed=RUNS["seed"] + 1234567890123456780).to_csv(path, index=False),
}


@pytest.mark.parametrize("name", READ)
def test_a_table_is_read_whoever_wrote_it(effects, expected, name):
    found = effects(name, READ[name])
    # Rows in another order put the levels met first, and sums, in another order.
    pd.testing.assert_frame_equal(found, expected, check_exact=False, rtol=1e-9)


@pytest.mark.parametrize("name", ["unnamed.csv", "unnamed.parquet"])
def test_an_unnamed_index_has_the_name_that_pandas_gives_it(effects, expected, name):
    table = RUNS.set_index("seed").rename_axis(None)
    found = effects(name, table.to_csv if name.endswith("csv") else table.to_parquet, *COMMON, "--seed", "Unnamed: 0")
    pd.testing.assert_frame_equal(found, expected)


def twice(path):
    table = pa.Table.from_pandas(RUNS)
    pq.write_table(pa.table([*table.columns, table["norm"]], names=[*table.column_names, "norm"]), path)


def damaged(path):
    whole = RUNS.to_parquet()
    path.write_bytes(whole[:60] + bytes(80) + whole[140:])


def with_response(**column):
    return RUNS.assign(test_accuracy=column["of"]).to_parquet


REFUSED = {
    "twice.csv": (lambda path: path.write_text("norm,activation,norm,test_accuracy\na,b,a,1\n"), "norm stands twice"),
    "twice.parquet": (twice, "norm stands twice"),
    "thousands.csv": (
        lambda path: path.write_text(decimal_commas(";").replace(";0\n", ";1.000\n").replace(";0;", ";1.000;")),
        "column seed: row 1: '1.000' has a point",
    ),
    "latin.csv": (lambda path: path.write_bytes("activation,n\xf6rm\n".encode("latin-1")), "encoding is neither"),
    "no-mark.csv": (lambda path: path.write_bytes("activation,n\xf6rm\n".encode("utf-16-le")), "encoding is neither"),
    "no-mark-ascii.csv": (lambda path: RUNS.to_csv(path, encoding="utf-16-le"), "encoding is neither"),
    "big-endian-no-mark.csv": (lambda path: RUNS.to_csv(path, encoding="utf-16-be"), "encoding is neither"),
    "32.csv": (lambda path: RUNS.to_csv(path, encoding="utf-32"), "encoding is neither"),
    "32-no-mark.csv": (lambda path: RUNS.to_csv(path, encoding="utf-32-be"), "encoding is neither"),
    "runs.csv.zst": (lambda path: path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(9)), "zstd; valid: with gzip"),
    "zeros.csv.gz": (lambda path: path.write_bytes(gzip.compress(bytes(10**6))), "encoding is neither"),
    "folder.parquet": (lambda path: path.mkdir(), "a folder; valid: a table"),
    "cut.parquet": (lambda path: path.write_bytes(RUNS.to_parquet()[:500]), "not a table"),
    "cut-no-suffix": (lambda path: path.write_bytes(RUNS.to_parquet()[:500]), "not a table"),
    "damaged.parquet": (damaged, "not a table"),
    "cut.csv.gz": (lambda path: path.write_bytes(gzip.compress(RUNS.to_csv().encode())[:100]), "not a table"),
    "none.zip": (lambda path: path.write_text("no archive"), "not a table"),
    "workbook.xlsx": (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(range(256))), "not a table"),
    "nothing.csv": (lambda path: path.write_text(""), "not a table"),
    "empty.parquet": (RUNS[:0].to_parquet, "no row"),
    "other.csv": (lambda path: path.write_text("term,kind\na,main\n"), "no column activation; Valid: term, kind"),
    "wide.csv": (
        lambda path: pd.DataFrame(np.ones((1, 500)), columns=[f"c{i}" for i in range(500)]).to_csv(path, index=False),
        "and 480 more",
    ),
    "truth.parquet": (with_response(of=True), "row 1: 'True' is not a number"),
    "dates.parquet": (with_response(of=pd.Timestamp("2026-01-01")), "row 1: '2026-01-01' is not a number"),
    "lists.parquet": (with_response(of=[[0.5]] * 24), "is not a number"),
    "gaps.parquet": (with_response(of=RUNS["test_accuracy"].where(RUNS.index % 5 > 0)), "5 of 24 rows have none"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_such_table_is_one_line(tmp_path, effects, name):
    write, message = REFUSED[name]
    with pytest.raises(TakeoffError) as caught:
        effects(name, write)
    line = str(caught.value)
    assert line.startswith(f"{tmp_path / name}: ")
    assert message in line
    assert "\n" not in line
    assert len(line) < 400 + len(str(tmp_path))
    assert not (tmp_path / "effects.csv").exists()


@pytest.mark.parametrize("name", ["runs.csv", "runs.csv.gz"])
def test_a_text_that_is_too_large_is_refused(tmp_path, monkeypatch, name):
    RUNS.to_csv(tmp_path / name)
    text = len(RUNS.to_csv())
    monkeypatch.setattr(table_files, "MOST_BYTES", text)
    assert len(read_table(tmp_path / name)) == len(RUNS)
    monkeypatch.setattr(table_files, "MOST_BYTES", text - 1)
    with pytest.raises(TakeoffError, match=f"valid: up to {text - 1:,} bytes"):
        read_table(tmp_path / name)


def test_every_command_takes_a_column_of_seeds(tmp_path):
    out = tmp_path / "out.csv"
    RUNS.rename(columns={"seed": "Random State"}).to_csv(tmp_path / "runs.csv", index=False)
    pair = ("--seed", "Random State")
    assert (analyse("effects", tmp_path / "runs.csv", out, *COMMON, *pair)["n_seeds"] == 6).all()
    assert len(analyse("equivalence", tmp_path / "runs.csv", out, *COMMON, *pair, "--margin", 0.01)) == 6
    for wrong, message in (("Randm State", "did you mean Random State"), ("norm", "this and something else")):
        with pytest.raises(TakeoffError, match=message):
            analyse("effects", tmp_path / "runs.csv", out, *COMMON, "--seed", wrong)
    curves = [(arm, fold, epoch, rate * epoch) for arm, rate in (("a", 1), ("b", 2)) for fold, epoch in fold_epochs()]
    pd.DataFrame(curves, columns=["arm", "fold", "epoch", "value"]).to_csv(tmp_path / "curves.csv", index=False)
    options = ("--arm", "arm", "--value", "value", "--threshold", 4, "--seed", "fold")
    assert analyse("crossings", tmp_path / "curves.csv", out, *options)["ratio"].tolist() == pytest.approx([2])
    errors = [(fold, size, size**-0.5) for fold in range(2) for size in (1, 2, 4)]
    pd.DataFrame(errors, columns=["fold", "size", "error"]).assign(method="a").to_csv(tmp_path / "e.csv", index=False)
    options = ("--group", "method", "--size", "size", "--response", "error", "--seed", "fold")
    assert analyse("scaling", tmp_path / "e.csv", out, *options)["slope"].tolist() == pytest.approx([-0.5])
    pd.DataFrame({"part": "p", "value": [3.0, 3.1], "fold": 0}).to_csv(tmp_path / "values.csv", index=False)
    pd.DataFrame({"part": ["p"], "above": [2]}).to_csv(tmp_path / "criteria.csv", index=False)
    with pytest.raises(TakeoffError, match="two rows with part p, fold 0"):
        analyse("verdicts", tmp_path / "values.csv", out, "--criteria", tmp_path / "criteria.csv", "--seed", "fold")


def fold_epochs():
    return product(range(3), range(1, 6))


KINDS = {**{name: f"params.{name}" for name in KEYS}, "test_accuracy": "metrics.test_accuracy"}


def exported():
    """`mlflow.search_runs` of these runs, nested below a parent without a seed."""
    table = RUNS.astype({"seed": str}).rename(columns=KINDS)
    table.insert(0, "run_id", [f"{at:032x}" for at in range(len(table))])
    table["tags.mlflow.parentRunId"] = "f" * 32
    parent = {"run_id": "f" * 32, "params.activation": "tanh", "params.norm": "none", "metrics.test_accuracy": 0.9}
    return pd.concat([pd.DataFrame([parent]), table], ignore_index=True)


def downloaded():
    """The same runs as MLflow's pages download them: bare names, a tag beside its param, an apostrophe before −."""
    table = RUNS.assign(r2="'-" + RUNS["test_accuracy"].astype(str))
    table.insert(0, "Run ID", "f")
    table.insert(4, "activation", RUNS["activation"], allow_duplicates=True)
    return table


@pytest.mark.parametrize("names", ["bare", "whole"])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_search_runs_of_mlflow_is_a_table(effects, expected, capsys, names, suffix):
    table = exported()
    options = COMMON
    if names == "whole":
        options = ("--factors", "params.activation,params.norm", "--response", "metrics.test_accuracy")
    found = effects(f"runs.{suffix}", table.to_csv if suffix == "csv" else table.to_parquet, *options)
    assert found["estimate"].tolist() == pytest.approx(expected["estimate"].tolist())
    assert found["ci_low"].tolist() == pytest.approx(expected["ci_low"].tolist())
    assert "1 of 25 rows left out" in capsys.readouterr().err


def test_of_mlflows_runs_those_count_that_finished_the_oldest_first(effects, expected):
    """MLflow lists the newest first; a run that failed may have a metric all the same."""
    table = exported().assign(status="FINISHED")
    table["start_time"] = pd.date_range("2026-01-01", periods=len(table), freq="min", tz="UTC")
    failed = table.iloc[[3, 8]].assign(
        status=["FAILED", "RUNNING"], **{"metrics.test_accuracy": 0.99, "params.seed": "99"}
    )
    found = effects("runs.csv", pd.concat([table, failed])[::-1].to_csv)
    assert found["estimate"].tolist() == pytest.approx(expected["estimate"].tolist())
    assert found["n_seeds"].tolist() == expected["n_seeds"].tolist()


def test_the_download_of_mlflow_is_a_table(effects, expected):
    table = downloaded()
    found = effects("runs.csv", lambda path: table.to_csv(path, index=False, quoting=csv.QUOTE_ALL))
    pd.testing.assert_frame_equal(found, expected)
    options = ("--factors", "activation,norm", "--response", "r2")
    negative = effects("runs.csv", lambda path: table.to_csv(path, index=False), *options)
    assert negative["estimate"].to_numpy() == pytest.approx(-expected["estimate"].to_numpy())


def test_a_name_that_means_two_columns_is_refused(effects):
    table = exported().assign(**{"metrics.norm": 1.5})
    with pytest.raises(TakeoffError, match=r"column norm: params.norm and metrics.norm differ"):
        effects("runs.csv", table.to_csv)
    assert len(effects("runs.csv", table.to_csv, "--factors", "activation,params.norm", *COMMON[2:]))


def test_a_seed_without_a_result_is_refused_in_an_export_too(effects):
    with pytest.raises(TakeoffError, match=r"row 3: nan is no result \(1 of 24 rows"):
        effects("runs.csv", exported().replace({"metrics.test_accuracy": {RUNS["test_accuracy"][2]: None}}).to_csv)


@pytest.mark.parametrize("download", [False, True])
def test_the_export_of_a_studys_own_runs_is_a_table(fresh_results, monkeypatch, tmp_path, capsys, download):
    import mlflow

    folder = fresh_results(seeds=3)
    import_into_mlflow(folder, monkeypatch)
    mlflow.set_tracking_uri(folder.uri)
    runs = mlflow.search_runs(search_all_experiments=True)
    other = runs[runs["tags.takeoff.role"] == "run"].assign(**{"tags.experiment.factorial": None})
    runs = pd.concat([runs, other.assign(**{"params.activation": "sigmoid", "tags.activation": "sigmoid"})])
    if download:
        kept = [name for name in runs if name.split(".")[0] in {"params", "metrics", "tags"} and ".mlflow." not in name]
        runs = runs[["run_id", *kept]].set_axis(["Run ID", *(name.partition(".")[2] for name in kept)], axis=1)
    runs.to_csv(tmp_path / "runs.csv", index=False, quoting=csv.QUOTE_ALL)
    options = ("--factors", "activation", "--response", "test_accuracy", "--baseline", "activation=tanh")
    found = analyse("effects", tmp_path / "runs.csv", tmp_path / "out.csv", *options)
    tables = [pd.read_parquet(folder.runs(arm)).set_index("seed")["test_accuracy"] for arm in ("relu", "tanh")]
    assert found["estimate"].tolist() == pytest.approx([(tables[0] - tables[1]).mean()] * 2)
    assert (found["n_seeds"] == 3).all()
    assert f"{len(runs) - 6} of {len(runs)} rows left out" in capsys.readouterr().err


def test_accuracies_are_known_by_name_and_scale(effects, tmp_path):
    for name in ("test_accuracy", "Test Accuracy", "val_acc", "acc@1", "metrics.test_acc"):
        assert is_accuracy(name)
    for name in ("test_loss", "acceleration", "vaccine", "test_accuracy_log_odds"):
        assert not is_accuracy(name)
    table = RUNS.rename(columns={"test_accuracy": "val_acc"}).assign(loss=0.5)
    options = ("--factors", "activation,norm", "--response", "loss", "--response", "val_acc", "--log-odds")
    found = effects("runs.csv", table.to_csv, *options)
    assert found["response"].unique().tolist() == ["loss", "val_acc", "val_acc_log_odds"]
    lost = table.assign(val_acc=100 * table["val_acc"].where(table.index > 0), diverged=table.index == 0)
    options = ("--factors", "activation,norm", "--response", "val_acc")
    with pytest.raises(TakeoffError, match=r"column val_acc: rows 2, .* valid: fractions from 0 to 1"):
        effects("runs.csv", lost.to_csv, *options, "--chance", "0.1")
    table.to_csv(tmp_path / "runs.csv")
    with pytest.raises(TakeoffError, match=r"--margin 1: no two of val_acc could differ by more"):
        analyse("equivalence", tmp_path / "runs.csv", tmp_path / "out.csv", *options, "--margin", 1)
    table.assign(val_acc=100 * table["val_acc"]).to_csv(tmp_path / "runs.csv")
    with pytest.raises(TakeoffError, match="valid: fractions from 0 to 1"):
        analyse("equivalence", tmp_path / "runs.csv", tmp_path / "out.csv", *options, "--margin", 0.01)


def test_long_seeds_stay_apart():
    assert level_text(1234567890123456789) != level_text("1234567890123456788")
    assert level_text("9.0") == level_text(9) == "9"
    assert level_text(pd.NaT) == ""


def test_a_csv_keeps_its_text(tmp_path):
    (tmp_path / "runs.csv").write_text("a,b\nNA,\n007,1e3\n")
    assert read_table(tmp_path / "runs.csv").to_numpy().tolist() == [["NA", ""], ["007", "1e3"]]
