"""Reading tables of runs as users have them: Parquet, and text as spreadsheets and other tools write it, with commas,
semicolons or tabs, decimal commas, in UTF-8 or UTF-16, compressed or not.
"""

import io
import lzma
import re
import zipfile
import zlib
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pandas.io.common import get_handle

from takeoff.common.errors import TakeoffError
from takeoff.common.spelling import one_line
from takeoff.common.tables import level_text

ENCODINGS = ("utf-8-sig", "utf-16")
"""Tried in turn; of UTF-16 only what begins with a byte order mark."""
COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\0": "xz", b"PK\3\4": "zip", b"\x28\xb5\x2f\xfd": "zstd"}
"""How files are compressed that begin so."""
MOST_BYTES = 2 * 2**30
"""Of a table as text: a small file may hold any number of them, and columns take several times as much memory."""
LOOKED_AT = 1000
"""Bytes of a text that tell its encoding."""
SEPARATORS = (",", ";", "\t")
DECIMAL = r"^\s*([+-]?\d*),(\d+(?:[eE][+-]?\d+)?)\s*$"
"""A number with a decimal comma."""
THOUSANDS = r"\s*[+-]?[1-9]\d{0,2}(?:\.\d{3})+(?:,\d+)?\s*"
"""What would be one number with a decimal point, and a thousand times that with a mark of thousands."""
UNREADABLE = (
    OSError,
    ValueError,
    ImportError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    pa.ArrowException,
)
"""What reading raises of a file that is damaged, or something else than a table; pandas' own errors are ValueErrors."""


def read_table(path: Path) -> pd.DataFrame:
    """The table in a Parquet file, known by its suffix or first bytes, or in a text file, as `_read_text` has it.

    Of a Parquet file that pandas wrote, the levels of the index are columns, too. A TakeoffError says that the file is
    missing, is no such table, or holds no row; that a Parquet file has a column twice, or a text file a number that may
    be another.
    """
    valid = "valid: a table of runs, Parquet or CSV"
    if not path.is_file():
        raise TakeoffError(f"{path}: {'a folder' if path.is_dir() else 'there is no such file'}; {valid}")
    try:
        table = _read_parquet(path) if _is_parquet(path) else _read_text(path)
    except UNREADABLE as error:
        raise TakeoffError(f"{path}: not a table: {one_line(str(error))}; {valid}") from None
    if table.empty:
        raise TakeoffError(f"{path}: no row; valid: a header and a row per run")
    return table


def without_copies(table: pd.DataFrame) -> pd.DataFrame:
    """The table without columns that have the name and the cells of one before them."""
    if table.columns.is_unique:
        return table
    keys = [(name, *map(level_text, table.iloc[:, place])) for place, name in enumerate(table)]
    return table.loc[:, [key not in keys[:place] for place, key in enumerate(keys)]]


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1" or path.suffix.lower() in {".parquet", ".pq"}


def _read_parquet(path: Path) -> pd.DataFrame:
    names = pq.read_schema(path).names
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise TakeoffError(f"{path}: column {twice} stands twice; give each column its own name")
    table = pd.read_parquet(path)
    table.columns = table.columns.map(str)
    if isinstance(table.index, pd.RangeIndex) and table.index.name is None:
        return table
    levels = [f"Unnamed: {place}" if name is None else str(name) for place, name in enumerate(table.index.names)]
    return without_copies(table.reset_index(names=levels, allow_duplicates=True))


def _read_text(path: Path) -> pd.DataFrame:
    """The table in a text file: every cell is text, as it stands there, but that numbers have a decimal point.

    The separator is what parts the header into most columns. A header's name loses the space around it; a column
    without a name has the one that pandas gives it, `Unnamed: 0`. A row without any text is none. Between semicolons a
    decimal comma is one; a cell there that could be a number with marks of thousands is a TakeoffError. Another
    encoding, or a row longer than the header, is a ValueError.
    """
    data = _decompressed(path)
    for encoding in ENCODINGS:
        try:
            return _text_in(data, encoding, path)
        except UnicodeError:
            continue
    raise ValueError("its encoding is neither UTF-8 nor UTF-16 with a byte order mark")


def _decompressed(path: Path) -> bytes:
    """The bytes of a text file, compressed as its first bytes say, else as its suffix does. A TakeoffError says that
    they are too many, or compressed in a way that is not read.
    """
    with path.open("rb") as file:
        head = file.read(max(map(len, COMPRESSED)))
    other = "zstd" if path.suffix == ".zst" else "infer"
    kind = next((kind for mark, kind in COMPRESSED.items() if head.startswith(mark)), other)
    if kind == "zstd":
        raise TakeoffError(f"{path}: it is compressed with zstd; valid: with gzip, bzip2, xz or zip, or not at all")
    data = io.BytesIO()
    # Only the suffix says that there is an archive below the compression.
    with get_handle(path, "rb", compression="infer" if ".tar" in path.suffixes else kind, is_text=False) as opened:
        while piece := opened.handle.read(2**20):
            data.write(piece)
            if data.tell() > MOST_BYTES:
                raise TakeoffError(f"{path}: too large a text; valid: up to {MOST_BYTES:,} bytes, or Parquet")
    return data.getvalue()


def _text_in(data: bytes, encoding: str, path: Path) -> pd.DataFrame:
    # No text has zeros; letters of UTF-16 and UTF-32 do, which would else be read as more letters.
    begins = data[:LOOKED_AT].decode(encoding, "ignore")
    if "\0" in begins:
        raise UnicodeError("zeros")
    above = bool(re.match(r'\ufeff?"?sep=[^\n]{0,3}\r?\n', begins))  # for Excel

    def cells(separator: str, rows: int | None = None) -> pd.DataFrame:
        # The header is a row like any other, or pandas would rename a column that stands twice.
        return pd.read_csv(
            io.BytesIO(data),
            sep=separator,
            skiprows=int(above),
            nrows=rows,
            header=None,
            dtype=str,
            keep_default_na=False,
            encoding=encoding,
        )

    separator = max(SEPARATORS, key=lambda one: cells(one, rows=1).shape[1])
    whole = cells(separator).fillna("")
    names = whole.iloc[0].str.strip()
    table = whole.iloc[1:].set_axis([name or f"Unnamed: {place}" for place, name in enumerate(names)], axis=1)
    table = table[(table != "").any(axis=1)].reset_index(drop=True)
    return _with_points(table, path) if separator == ";" else table


def _with_points(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The table with decimal points, if it has decimal commas."""
    pointed = table.replace(DECIMAL, r"\1.\2", regex=True)
    if pointed.equals(table):
        return table
    for place, name in enumerate(table):
        cells = table.iloc[:, place]
        rows = cells.str.fullmatch(THOUSANDS).to_numpy(dtype=bool).nonzero()[0]
        if rows.size:
            raise TakeoffError(
                f"{path}: column {name}: row {rows[0] + 1}: {cells[rows[0]]!r} has a point, and other numbers decimal "
                "commas; valid: no marks of thousands"
            )
    return pointed
