"""MLflow's tables of runs: which rows are runs of their own, and their cells as MLflow had them.

`mlflow.search_runs` and `mlflow experiments csv` write names with what they are of before them (`params.`, `metrics.`,
`tags.`); the file that MLflow's pages download has bare names.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from takeoff.common.table_files import without_copies
from takeoff.common.tables import KINDS, column, columns_named, level_text

RUN, PARENT = ("run_id", "Run ID"), "tags.mlflow.parentRunId"
STATUS, FINISHED = ("status", "Status"), "FINISHED"
BEGAN = "start_time"
"""The column by which the oldest run comes first: MLflow lists the newest first, and the first level is a baseline."""
ROLE, WANTED = "takeoff.role", "experiment."
"""Tags of this project's own runs: `run`, `tuning`, `arm` or `experiment`; and, before an experiment's name, `yes`
where it wants the run."""
GUARDED = r"^'([=+\-@\t\r])"
"""Before what a spreadsheet could take for a formula, and so before numbers below 0, the download has an apostrophe."""


def runs_exported(
    table: pd.DataFrame, needed: Sequence[str], source: str, experiment: str = ""
) -> tuple[pd.DataFrame, str]:
    """The rows of `table` that are runs to compare, and a sentence that counts those left out, empty where none is.

    Of a table that is not MLflow's that is every row. Else it is none that did not finish, is the parent of others, or
    has nothing in one of the columns `needed`: parents hold means, and other runs other params. Of this project's own
    export it is the runs of final seeds, and of these the `experiment`'s, where these are there: other rows are means,
    tuning, or other experiments' networks, which differ in more. Columns that an export has twice, as the param and as
    the tag of one name, are one where they agree.
    """
    download = RUN[1] in table.columns
    if not download and not any(str(name).startswith(KINDS[:2]) for name in table.columns):
        return table, ""
    if download:
        table = table.replace(GUARDED, r"\1", regex=True)
    if BEGAN in table.columns:
        table = table.sort_values(BEGAN, kind="stable").reset_index(drop=True)
    kept = ~_parents(table)
    for name in table.columns.intersection(STATUS):
        kept &= _texts(table, name, source) == FINISHED
    for tag, value in ((ROLE, "run"), (WANTED + experiment, "yes")):
        if columns_named(table, tag):
            own = kept & (_texts(table, tag, source) == value)
            kept = own if own.any() else kept
    for name in needed:
        cells = table.loc[:, table.columns.isin(columns_named(table, name))]
        own = kept & cells.map(level_text).ne("").any(axis=1).to_numpy(dtype=bool)
        kept = own if own.any() else kept
    out = int((~kept).sum())
    words = f"{out} of {len(table)} rows left out: not finished, no runs of the seeds, or without {', '.join(needed)}"
    return without_copies(table[kept].reset_index(drop=True)), f"{source}: {words}" if out else ""


def _parents(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Which rows are the parents of others, (rows,)."""
    if PARENT not in table.columns or RUN[0] not in table.columns:
        return np.zeros(len(table), dtype=bool)
    return table[RUN[0]].map(level_text).isin(set(table[PARENT].map(level_text)) - {""}).to_numpy(dtype=bool)


def _texts(table: pd.DataFrame, name: str, source: str) -> NDArray[np.str_]:
    return np.array([level_text(value) for value in column(table, name, source)])
