"""The tables of an arm: a row per final run, per run and epoch, and per run, moment and layer."""

from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from takeoff.common.files import atomic_path
from takeoff.study.settings import FACTORS


def _kind(factor: str) -> pa.DataType:
    """Of a factor's levels: those of a setting, or a number of images."""
    place = FACTORS[factor]
    annotation = place.model_fields[factor].annotation if place else int
    kinds: dict[Any, pa.DataType] = {float: pa.float64(), int: pa.int64(), bool: pa.bool_()}
    # `int`, and what is inside of `Annotated[int, …] | None`.
    parts = [part for outer in (annotation, *get_args(annotation)) for part in (outer, *get_args(outer))]
    return next((kinds[part] for part in parts if part in kinds), pa.string())


def _columns(kind: pa.DataType, names: str) -> list[pa.Field]:
    return [pa.field(name, kind) for name in names.split()]


TEXT, WHOLE, NUMBER, TRUTH, BITS = pa.string(), pa.int64(), pa.float64(), pa.bool_(), pa.binary()
RUNS = pa.schema(
    [
        *_columns(TEXT, "arm"),
        *_columns(WHOLE, "seed"),
        *_columns(TEXT, "method"),
        *[pa.field(factor, _kind(factor)) for factor in FACTORS],
        *_columns(TEXT, "family"),
        *_columns(WHOLE, "depth epochs"),
        *_columns(NUMBER, "learning_rate weight_decay"),
        *_columns(WHOLE, "parameters"),
        *_columns(NUMBER, "train_loss train_accuracy validation_loss validation_accuracy"),
        *_columns(NUMBER, "test_loss test_accuracy test_top5_accuracy"),
        *_columns(WHOLE, "best_epoch"),
        *_columns(TRUTH, "diverged"),
        *_columns(NUMBER, "flops seconds images_per_second"),
        *_columns(TEXT, "device precision way run_key started_at notes"),
        *_columns(BITS, "test_correct test_top5_correct"),
    ]
)
"""A missing value, such as an older method's learning rate, is null. `notes` say of an older method what was
approximated or stopped early, `way` of a network how several runs were trained at once. The last two have a bit per
test image, in their order: whether the run had it right (`numpy.packbits`)."""
_RUN = [*_columns(TEXT, "arm"), *_columns(WHOLE, "seed"), *_columns(TEXT, "run_key")]
PROBE = pa.schema(
    [
        *_RUN,
        *_columns(TEXT, "moment"),
        *_columns(WHOLE, "layer"),
        *_columns(TRUTH, "hidden"),
        *_columns(NUMBER, "gradient_norm saturated dead weight_change"),
    ]
)
CURVES = pa.schema(
    [
        *_RUN,
        *_columns(WHOLE, "epoch step"),
        *_columns(NUMBER, "learning_rate batch_loss train_loss train_accuracy"),
        *_columns(NUMBER, "validation_loss validation_accuracy seconds"),
    ]
)


def seeds_in(path: Path) -> set[int]:
    """The seeds in an arm's `runs.parquet`; none where it is missing or damaged."""
    try:
        return set(pq.read_table(path, columns=["seed"])["seed"].to_pylist())
    except (OSError, ValueError, KeyError):  # those of pyarrow are ValueErrors
        return set()


def write_table(path: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    """Write rows as parquet, whole or not at all; a missing value is null.

    Raises:
        ValueError: a value is of another kind than its column.

    """
    table = pa.Table.from_pylist(rows, schema=schema)
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary)
