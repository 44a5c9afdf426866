"""Reading the columns of tables of runs, with one clear error for what is wrong in them; writing CSV.

`source` is where a table was read from. What reads or checks a column raises a TakeoffError that names the source, the
column and the first wrong rows: where the column is absent, stands twice, or holds something else than it should.
"""

import reprlib
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from takeoff.common.errors import TakeoffError
from takeoff.common.files import atomic_path
from takeoff.common.spelling import choices, one_line

FLAGS = {"true": True, "1": True, "false": False, "0": False}
NAMED = 20
"""How many columns a message names."""
KINDS = ("params.", "metrics.", "tags.")
"""What MLflow's table of runs puts before a name."""


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write `table` as CSV, whole or not at all; what is missing is empty."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)


def columns_named(table: pd.DataFrame, name: str) -> list[str]:
    """The columns that `name` means: the one that is called so, else those that MLflow's table of runs calls
    `params.NAME`, `metrics.NAME` and `tags.NAME`; none where there is no such column.
    """
    return [one for one in (name, *(kind + name for kind in KINDS)) if one in table.columns][
        : 1 if name in table else 3
    ]


def column(table: pd.DataFrame, name: str, source: str) -> pd.Series:
    """The one column of `table` that `name` means; of MLflow's param and tag of one name, where these agree, either."""
    found = columns_named(table, name)
    if not found:
        raise TakeoffError(f"{source}: no column {name}; {_columns(table, name)}")
    first, *others = (table[one] for one in found)
    if first.ndim > 1:
        raise TakeoffError(f"{source}: column {name} stands twice; give each column its own name")
    for other, whole in zip(others, found[1:], strict=True):
        if list(map(level_text, other)) != list(map(level_text, first)):
            raise TakeoffError(f"{source}: column {name}: {found[0]} and {whole} differ; valid: one of them in full")
    return first


def _columns(table: pd.DataFrame, name: str) -> str:
    """Which columns are valid instead of `name`, the nearest spelling first."""
    names = list(dict.fromkeys(one_line(str(one)) for one in table.columns))
    shown = dict.fromkeys([*get_close_matches(name, names), *names][:NAMED]) if len(names) > NAMED else names
    return choices(name, shown) + (f" and {len(names) - len(shown)} more" if len(names) > len(shown) else "")


def level_texts(table: pd.DataFrame, name: str, source: str) -> list[str]:
    """A column as levels, none empty, one way to write each: 0, 0.0 and "0" are all `0`."""
    texts = [level_text(value) for value in column(table, name, source)]
    if "" in texts:
        raise TakeoffError(f"{source}: column {name}: row {texts.index('') + 1} is empty; valid: a level")
    return texts


def level_text(value: object) -> str:
    """A level as text, numbers in their shortest form; empty where there is none.

    >>> [level_text(value) for value in (0, 0.0, "0.0", 0.5, "relu", "1_0", None)]
    ['0', '0', '0', '0.5', 'relu', '1_0', '']
    """
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return ""
    text = str(value).strip()
    if "_" in text:  # in a number of Python's, not of a table's
        return text
    try:
        return str(int(text))  # seeds may have more digits than a float holds
    except ValueError:
        pass
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
    if not pd.api.types.is_any_real_numeric_dtype(values):  # dates and truth values would become numbers
        values = values.astype(str)
    parsed = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    for row in np.flatnonzero(np.isnan(parsed)):
        value = values.iloc[row]
        if str(value).strip().lower() not in {"", "nan", "none", "<na>", "nat"}:
            raise TakeoffError(
                f"{source}: column {name}: row {row + 1}: {reprlib.repr(value)} is not a number; valid: such as 0.592"
            )
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
        first = ", ".join(f"{name} {one_line(level_text(value))}" for name, value in twice.iloc[0].items())
        raise TakeoffError(f"{source}: two rows with {first}; valid: {valid}")


def flags(table: pd.DataFrame, name: str, source: str, needed: bool = False) -> NDArray[np.bool_]:
    """A column of true and false, (rows,); false everywhere where there is no such column, unless it is `needed`."""
    if not columns_named(table, name) and not needed:
        return np.zeros(len(table), dtype=bool)
    texts = [level_text(value).lower() for value in column(table, name, source)]
    for row, text in enumerate(texts):
        if text not in FLAGS:
            raise TakeoffError(
                f"{source}: column {name}: row {row + 1}: {reprlib.repr(text)} is not valid; valid: True, False"
            )
    return np.array([FLAGS[text] for text in texts], dtype=bool)
