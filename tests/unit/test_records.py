"""The tables of an arm: rows of the kinds of their columns, and nothing else."""

from math import nan
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from takeoff.study import records
from takeoff.study.records import RUNS, write_table
from takeoff.study.settings import Network, Recipe, Settings

ROWS: list[dict[str, Any]] = [
    {"arm": "relu", "seed": 0, "learning_rate": 0.1, "diverged": False, "test_correct": b"\x00\xff"},
    {"arm": "tanh, μ", "seed": 2**40, "learning_rate": nan, "diverged": True, "test_correct": b""},
    {"arm": "", "learning_rate": 1.0, "diverged": None, "test_correct": None},
]


@pytest.mark.parametrize("rows", [ROWS, []], ids=["some", "none"])
def test_rows_come_back_as_they_were_and_what_is_missing_is_null(rows: list[dict[str, Any]], tmp_path) -> None:
    write_table(tmp_path / "table.parquet", rows, RUNS)
    found = pq.read_table(tmp_path / "table.parquet")
    assert found.schema.equals(RUNS)
    # repr: a learning rate that is no number equals itself.
    assert repr(found.to_pylist()) == repr([{name: row.get(name) for name in RUNS.names} for row in rows])


@pytest.mark.parametrize(("column", "value"), [("seed", "soon"), ("diverged", "False"), ("diverged", nan)])
def test_a_value_of_another_kind_writes_nothing(column: str, value: object, tmp_path) -> None:
    with pytest.raises(ValueError, match=str(value)):
        write_table(tmp_path / "table.parquet", [{column: value}], RUNS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("place", "name"), [(place, name) for place in (Network, Recipe) for name in place.model_fields]
)
def test_any_setting_may_become_a_factor(tmp_path, monkeypatch, place: type[Settings], name: str) -> None:
    monkeypatch.setitem(records.FACTORS, name, place)
    level = 3 if name in {"depth", "epochs", "epoch_images"} else place.model_fields[name].default
    rows = [{name: level}, {name: None}]
    write_table(tmp_path / "runs.parquet", rows, pa.schema({name: records._kind(name)}))
    assert pq.read_table(tmp_path / "runs.parquet").to_pylist() == rows
