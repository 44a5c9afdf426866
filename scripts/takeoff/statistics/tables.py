"""Reading tables of runs, CSV or parquet, with one clear error for what is wrong in them; writing CSV."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from takeoff.errors import TakeoffError, choices
from takeoff.files import atomic_path
from takeoff.statistics.contrasts import Floats


def read_table(path: Path) -> pd.DataFrame:
    """The table in a parquet file (by its suffix) or a CSV file; a CSV's cells stay text, as they stand
    there.

    Raises:
        TakeoffError: the file is missing, no such table, or holds no row.

    """
    if not path.is_file():
        raise TakeoffError(f"{path}: there is no such file; valid: a table of runs, parquet or CSV")
    try:
        if path.suffix in {".parquet", ".pq"}:
            table = pd.read_parquet(path)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "error", pd.errors.ParserWarning
                )  # a row longer than the header loses cells
                table = pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False)
    except (
        OSError,
        ValueError,
        pd.errors.ParserWarning,
    ) as error:  # pandas' and pyarrow's own errors are ValueErrors
        raise TakeoffError(f"{path}: not a table: {' '.join(str(error).split())}") from None
    if table.empty:
        raise TakeoffError(f"{path}: no row; valid: a header and a row per run")
    return table


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write `table` as CSV, whole or not at all; what is missing is empty."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)


def column(table: pd.DataFrame, name: str, source: str) -> pd.Series:
    """A column of `table`, which was read from `source`.

    Raises:
        TakeoffError: there is no such column, or there are two.

    """
    if name not in table:
        raise TakeoffError(f"{source}: no column {name}; {choices(name, table.columns)}")
    found = table[name]
    if found.ndim > 1:
        raise TakeoffError(f"{source}: column {name} stands twice; give each column its own name")
    return found


def level_texts(table: pd.DataFrame, name: str, source: str) -> list[str]:
    """A column as levels, one way to write each: 0, 0.0 and "0" are all `0`.

    Raises:
        TakeoffError: the column is absent, or a row of it is empty.

    """
    texts = [level_text(value) for value in column(table, name, source)]
    if "" in texts:
        raise TakeoffError(
            f"{source}: column {name}: row {texts.index('') + 1} is empty; every row needs a value"
        )
    return texts


def level_text(value: object) -> str:
    """A level as text, numbers in their shortest form; empty where there is none.

    >>> [level_text(value) for value in (0, 0.0, "0.0", 0.5, "relu", None)]
    ['0', '0', '0', '0.5', 'relu', '']
    """
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return ""
    text = str(value).strip()
    try:
        number = float(text)
    except ValueError:
        return text
    if not np.isfinite(number):
        return text
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def numbers(table: pd.DataFrame, name: str, source: str) -> Floats:
    """A column as numbers, (rows,); NaN where a row is empty.

    Raises:
        TakeoffError: the column is absent, or a row of it holds something else.

    """
    cells = column(table, name, source)
    parsed = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    for row in np.flatnonzero(np.isnan(parsed)):
        value = cells.iloc[row]
        if str(value).strip().lower() not in {"", "nan", "none", "<na>", "nat"}:
            raise TakeoffError(f"{source}: column {name}: row {row + 1}: {value!r} is not a number")
    return parsed


def positive(table: pd.DataFrame, name: str, source: str, zero: bool = False) -> Floats:
    """A column as finite numbers above 0, (rows,), or where `zero` is one too, from 0 up: sizes, lengths of time.

    Raises:
        TakeoffError: the column is absent, or a row of it holds something else.

    """
    found = numbers(table, name, source)
    wrong = np.flatnonzero(~(((found > 0) | (zero & (found == 0))) & np.isfinite(found)))
    if wrong.size:
        raise TakeoffError(
            f"{source}: column {name}: {first_rows(wrong)}: {found[wrong[0]]:g} is not valid; valid: a number "
            f"{'from 0 up' if zero else 'above 0'} in every row"
        )
    return found


def check_once(rows: pd.DataFrame, source: str) -> None:
    """Check that no two rows of `rows`, the columns that tell runs apart, are the same.

    Raises:
        TakeoffError: two rows are.

    """
    twice = rows[rows.duplicated()]
    if len(twice):
        first = ", ".join(f"{name} {level_text(value)}" for name, value in twice.iloc[0].items())
        raise TakeoffError(f"{source}: two rows with {first}; valid: one")


def flags(table: pd.DataFrame, name: str, source: str) -> np.ndarray:
    """A column of true and false, (rows,) bool; false everywhere where there is no such column.

    Raises:
        TakeoffError: a row holds something else.

    """
    if name not in table:
        return np.zeros(len(table), dtype=bool)
    words = {"true": True, "1": True, "false": False, "0": False}
    texts = [level_text(value).lower() for value in column(table, name, source)]
    for row, text in enumerate(texts):
        if text not in words:
            raise TakeoffError(
                f"{source}: column {name}: row {row + 1}: {text!r} is not valid; valid: True, False"
            )
    return np.array([words[text] for text in texts], dtype=bool)


def first_rows(rows: Sequence[int] | np.ndarray, most: int = 3) -> str:
    """Row numbers, from 1, for a message: the first few and how many more.

    >>> first_rows([0, 4, 5, 6])
    'rows 1, 5, 6 and 1 more'
    """
    some = ", ".join(str(row + 1) for row in rows[:most])
    more = f" and {len(rows) - most} more" if len(rows) > most else ""
    return f"row{'s' if len(rows) > 1 else ''} {some}{more}"
