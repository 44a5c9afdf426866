"""The tables of an arm: a row per final run, per run and epoch, and per run, moment and layer."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from takeoff.files import atomic_path
from takeoff.study.settings import FACTORS


def _kind(factor: str) -> pa.DataType:
    """Of a factor's levels: those of a setting, or a number of images."""
    place = FACTORS[factor]
    annotation = place.model_fields[factor].annotation if place else int
    kinds: dict[Any, pa.DataType] = {float: pa.float64(), int: pa.int64(), bool: pa.bool_()}
    # `int`, and what is inside of `Annotated[int, …] | None`.
    parts = [part for outer in (annotation, *get_args(annotation)) for part in (outer, *get_args(outer))]
    return next((kinds[part] for part in parts if part in kinds), pa.string())


RUNS = pa.schema(
    {
        "arm": pa.string(),
        "seed": pa.int64(),
        "method": pa.string(),
        **{factor: _kind(factor) for factor in FACTORS},
        "family": pa.string(),
        "depth": pa.int64(),
        "epochs": pa.int64(),
        "learning_rate": pa.float64(),
        "parameters": pa.int64(),
        "train_loss": pa.float64(),
        "train_accuracy": pa.float64(),
        "validation_loss": pa.float64(),
        "validation_accuracy": pa.float64(),
        "test_loss": pa.float64(),
        "test_accuracy": pa.float64(),
        "test_top5_accuracy": pa.float64(),
        "best_epoch": pa.int64(),
        "diverged": pa.bool_(),
        "flops": pa.float64(),
        "seconds": pa.float64(),
        "images_per_second": pa.float64(),
        "device": pa.string(),
        "precision": pa.string(),
        "run_key": pa.string(),
        "started_at": pa.string(),
        "test_correct": pa.binary(),
        "test_top5_correct": pa.binary(),
    }
)
"""A missing value, such as an older method's learning rate, is null. The last two have a bit per test image, in
their order: whether the run had it right (`numpy.packbits`)."""
PROBE = pa.schema(
    [
        ("arm", pa.string()),
        ("seed", pa.int64()),
        ("run_key", pa.string()),
        ("moment", pa.string()),
        ("layer", pa.int64()),
        ("hidden", pa.bool_()),
        ("gradient_norm", pa.float64()),
        ("saturated", pa.float64()),
        ("dead", pa.float64()),
        ("weight_change", pa.float64()),
    ]
)
CURVES = pa.schema(
    [
        ("arm", pa.string()),
        ("seed", pa.int64()),
        ("run_key", pa.string()),
        ("epoch", pa.int64()),
        ("step", pa.int64()),
        ("learning_rate", pa.float64()),
        ("batch_loss", pa.float64()),
        ("train_loss", pa.float64()),
        ("train_accuracy", pa.float64()),
        ("validation_loss", pa.float64()),
        ("validation_accuracy", pa.float64()),
        ("seconds", pa.float64()),
    ]
)


def write_table(path: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    """Write rows as parquet, whole or not at all; a missing value is null."""
    columns = [_column([row.get(field.name) for row in rows], field.type) for field in schema]
    with atomic_path(path) as temporary:
        pq.write_table(pa.Table.from_arrays(columns, schema=schema), temporary)


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    """What `pa.array` makes, without what its first call imports: pandas, half a second of every job."""
    present = _bits(value is not None for value in values)
    if kind in (pa.string(), pa.binary()):
        texts = [value.encode() if isinstance(value, str) else value or b"" for value in values]
        ends = np.cumsum([0, *map(len, texts)], dtype=np.int32)
        parts = [ends, b"".join(texts)]
    elif kind == pa.bool_():
        if wrong := [
            value for value in values if value is not None and not isinstance(value, bool | np.bool_)
        ]:
            raise ValueError(f"{wrong[0]!r} is neither true nor false")
        parts = [_bits(map(bool, values))]
    else:
        numbers = [0 if value is None else value for value in values]
        parts = [np.array(numbers, dtype=np.int64 if kind == pa.int64() else np.float64)]
    buffers = [pa.py_buffer(part) for part in (present, *parts)]
    return pa.Array.from_buffers(kind, len(values), buffers)


def _bits(truths: Iterable[bool]) -> np.ndarray:
    return np.packbits(np.array(list(truths), dtype=bool), bitorder="little")
