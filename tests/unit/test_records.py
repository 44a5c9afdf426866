"""The tables of an arm: what is written is what pyarrow's own conversion of the rows would be."""

from math import nan
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from takeoff import records
from takeoff.records import CURVES, RUNS, write_table
from takeoff.study.settings import Network, Recipe, Settings

ROWS: list[dict[str, Any]] = [
    {"arm": "relu", "seed": 0, "learning_rate": 0.1, "diverged": False, "test_correct": b"\x00\xff"},
    {"arm": "tanh, μ", "seed": 2**40, "learning_rate": nan, "diverged": True, "test_correct": b""},
    {"arm": "", "learning_rate": 1, "diverged": None, "test_correct": None},
    *[{"arm": f"arm {number}", "seed": -number, "diverged": number % 3 == 0} for number in range(20)],
]


@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], []], ids=["many", "one", "none"])
@pytest.mark.parametrize("schema", [RUNS, CURVES], ids=["runs", "curves"])
def test_rows_come_back_as_they_were(rows: list[dict[str, Any]], schema: pa.Schema, tmp_path: Path) -> None:
    write_table(tmp_path / "table.parquet", rows, schema)
    found = pq.read_table(tmp_path / "table.parquet")
    found.validate(full=True)
    # repr: a learning rate that is no number equals itself.
    assert repr(found.to_pylist()) == repr(pa.Table.from_pylist(rows, schema=schema).to_pylist())
    assert found.schema.equals(schema)


@pytest.mark.parametrize(("column", "value"), [("seed", "soon"), ("diverged", "False"), ("diverged", nan)])
def test_a_value_of_another_kind_writes_nothing(column: str, value: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=str(value)):
        write_table(tmp_path / "table.parquet", [{column: value}], RUNS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("place", "name"), [(place, name) for place in (Network, Recipe) for name in place.model_fields]
)
def test_any_setting_may_become_a_factor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: type[Settings], name: str
) -> None:
    monkeypatch.setitem(records.FACTORS, name, place)
    level = 3 if name in {"depth", "epochs", "epoch_images"} else place.model_fields[name].default
    rows = [{name: level}, {name: None}]
    write_table(tmp_path / "runs.parquet", rows, pa.schema({name: records._kind(name)}))
    assert pq.read_table(tmp_path / "runs.parquet").to_pylist() == rows
