"""Reading what an experiment is analysed from: its arms' files, and its tables once they are written."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from takeoff.errors import TakeoffError
from takeoff.experiments.registry import Results
from takeoff.files import load_json
from takeoff.statistics.tables import read_table
from takeoff.study.arms import AnyArm, Arm, seeds_of
from takeoff.study.model import Study

PROBES = "arm seed run_key moment layer hidden gradient_norm saturated dead weight_change".split()


def gathered(study: Study, arms: Sequence[AnyArm], results: Path, card: dict[str, Any]) -> Results:
    """What the results folder of `study` holds of `arms` and of the seeds that these ask for.

    Raises:
        TakeoffError: an arm's file is missing or damaged, or lacks a seed.

    """
    runs, curves, tuning, probes = [], [], [], []
    for arm in arms:
        folder, seeds = results / "arms" / arm.name, seeds_of(study, arm)
        found = _of_seeds(folder / "runs.parquet", seeds)
        made = load_json(folder / ("learning_rate.json" if isinstance(arm, Arm) else "tuning.json"))
        runs.append(found.assign(**{key: bool(made.get(key, False)) for key in ("at_edge", "untuned")}))
        if isinstance(arm, Arm):
            curves.append(_of_seeds(folder / "curves.parquet", seeds))
            tuning.append(pd.DataFrame(made.get("runs", [])).assign(arm=arm.name))
            if arm.probed:
                probes.append(_of_seeds(folder / "probe.parquet", seeds))
    speed = results / "speed.csv"
    return Results(
        runs=_together(runs),
        curves=_together(curves),
        card=card,
        tuning=_together(tuning),
        probes=_together(probes) if probes else pd.DataFrame(columns=PROBES),
        speed=read_back(speed) if speed.exists() else None,
    )


def choices_table(arms: Sequence[AnyArm], runs: pd.DataFrame) -> pd.DataFrame:
    """`choices.csv`: a row per arm: its `learning_rate` (empty for older methods), `chosen_by`, the arm whose own runs
    chose it (itself, or its lender; empty where it was fixed), whether the choice lies at its grid's edge
    (`at_edge`), and whether its grid gave no reason for it (`untuned`).
    """
    table = runs.reindex(columns=["arm", "learning_rate", "at_edge", "untuned"]).drop_duplicates("arm")
    choosers = {arm.name: arm.lender or arm.name for arm in arms if not _fixed(arm)}
    table.insert(2, "chosen_by", table["arm"].map(choosers))
    return table.reset_index(drop=True)


def _fixed(arm: AnyArm) -> bool:
    return isinstance(arm, Arm) and arm.learning_rate is not None


def read_back(path: Path) -> pd.DataFrame:
    """A table as `analyse` wrote it: what is empty is missing, and nothing else is.

    Raises:
        TakeoffError: it is not there, or no table.

    """
    try:
        return pd.read_csv(path, keep_default_na=False, na_values=[""])
    except FileNotFoundError:
        raise TakeoffError(f"{path}: there is no such file; analyse writes it") from None
    except ValueError as error:
        raise TakeoffError(f"{path}: not a table: {' '.join(str(error).split())}") from None


def _of_seeds(path: Path, seeds: list[int]) -> pd.DataFrame:
    table = read_table(path)
    if missing := sorted(set(seeds) - set(table["seed"])):
        raise TakeoffError(f"{path}: no run with seed {missing[0]}; train this arm again")
    return table[table["seed"].isin(seeds)]


def _together(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """One table of all, with every column; one that is empty in some of them keeps the others' type."""
    columns = list(dict.fromkeys(column for table in tables for column in table))
    filled = [table.dropna(axis="columns", how="all") for table in tables if len(table)]
    return (pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()).reindex(columns=columns)
