"""Reading tables of runs, CSV or parquet, with one clear error for what is wrong in them; writing CSV.

`source` is where a table was read from. What reads or checks a column raises a TakeoffError that names the source, the
column and the first wrong rows: where the column is absent, stands twice, or holds something else than it should.
"""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from takeoff.common.errors import TakeoffError, choices
from takeoff.common.files import atomic_path

FLAGS = {"true": True, "1": True, "false": False, "0": False}


def read_table(path: Path) -> pd.DataFrame:
    """The table in a parquet file (by its suffix) or a CSV file; a CSV's cells stay text, as they stand there. A
    TakeoffError says that the file is missing, is no such table, or holds no row.
    """
    if not path.is_file():
        raise TakeoffError(f"{path}: there is no such file; valid: a table of runs, parquet or CSV")
    try:
        if path.suffix in {".parquet", ".pq"}:
            table = pd.read_parquet(path)
        else:
            with warnings.catch_warnings():
                # A row longer than the header loses cells, with no more than this warning.
                warnings.simplefilter("error", pd.errors.ParserWarning)
                table = pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False)
    # The errors of pandas and pyarrow are ValueErrors.
    except (OSError, ValueError, pd.errors.ParserWarning) as error:
        raise TakeoffError(f"{path}: not a table: {' '.join(str(error).split())}") from None
    if table.empty:
        raise TakeoffError(f"{path}: no row; valid: a header and a row per run")
    return table


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write `table` as CSV, whole or not at all; what is missing is empty."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)


def column(table: pd.DataFrame, name: str, source: str) -> pd.Series:
    """The one column of `table` with this name."""
    if name not in table:
        raise TakeoffError(f"{source}: no column {name}; {choices(name, table.columns)}")
    found = table[name]
    if found.ndim > 1:
        raise TakeoffError(f"{source}: column {name} stands twice; give each column its own name")
    return found


def level_texts(table: pd.DataFrame, name: str, source: str) -> list[str]:
    """A column as levels, none empty, one way to write each: 0, 0.0 and "0" are all `0`."""
    texts = [level_text(value) for value in column(table, name, source)]
    if "" in texts:
        raise TakeoffError(f"{source}: column {name}: row {texts.index('') + 1} is empty; valid: a level")
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


def numbers(table: pd.DataFrame, name: str, source: str) -> NDArray[np.float64]:
    """A column as numbers, (rows,); NaN where a row is empty."""
    values = column(table, name, source)
    parsed = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    for row in np.flatnonzero(np.isnan(parsed)):
        value = values.iloc[row]
        if str(value).strip().lower() not in {"", "nan", "none", "<na>", "nat"}:
            raise TakeoffError(f"{source}: column {name}: row {row + 1}: {value!r} is not a number")
    return parsed


def positive(table: pd.DataFrame, name: str, source: str, zero: bool = False) -> NDArray[np.float64]:
    """A column as finite numbers above 0, (rows,), or from 0 up where `zero` is valid too: sizes, lengths of time."""
    found = numbers(table, name, source)
    right = np.isfinite(found) & ((found >= 0) if zero else (found > 0))
    valid = f"is not valid; valid: a number {'from 0 up' if zero else 'above 0'} in every row"
    check_rows(right, found, f"{source}: column {name}", valid)
    return found


def check_rows(right: NDArray[np.bool_], values: NDArray[np.float64], where: str, wrong: str) -> None:
    """Check that every row is `right`, (rows,); the message has `where`, the first wrong rows, from 1, the value in the
    first of them, and what is `wrong`.
    """
    rows = np.flatnonzero(~right)
    if rows.size:
        more = f" and {rows.size - 3} more" if rows.size > 3 else ""
        some = ", ".join(str(row + 1) for row in rows[:3])
        raise TakeoffError(f"{where}: row{'s' * (rows.size > 1)} {some}{more}: {values[rows[0]]:g} {wrong}")


def check_once(rows: pd.DataFrame, source: str, valid: str = "one") -> None:
    """Check that no two rows of `rows`, the columns that identify a run, are the same."""
    twice = rows[rows.duplicated()]
    if len(twice):
        first = ", ".join(f"{name} {level_text(value)}" for name, value in twice.iloc[0].items())
        raise TakeoffError(f"{source}: two rows with {first}; valid: {valid}")


def flags(table: pd.DataFrame, name: str, source: str, needed: bool = False) -> NDArray[np.bool_]:
    """A column of true and false, (rows,); false everywhere where there is no such column, unless it is `needed`."""
    if name not in table and not needed:
        return np.zeros(len(table), dtype=bool)
    texts = [level_text(value).lower() for value in column(table, name, source)]
    for row, text in enumerate(texts):
        if text not in FLAGS:
            raise TakeoffError(f"{source}: column {name}: row {row + 1}: {text!r} is not valid; valid: True, False")
    return np.array([FLAGS[text] for text in texts], dtype=bool)
