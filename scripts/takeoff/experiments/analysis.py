"""Analysing an experiment: from its arms' files to its tables, with how its arms were tuned and what was measured."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from takeoff.common.errors import TakeoffError
from takeoff.common.table_files import read_table
from takeoff.common.tables import write_csv
from takeoff.experiments.base import CHOICES, MEASURED, Experiment, Results
from takeoff.statistics.measures import Measure, measures_table
from takeoff.study.arms import AnyArm, Arm, seeds_of
from takeoff.study.manifest import write_manifest
from takeoff.study.model import Study
from takeoff.study.planned import choices_in

FLAGS = ["at_edge", "untuned"]
NAMED = 4
"""Arms that a reason names; `choices.csv` names the rest."""


def analysed(experiment: Experiment[Any], results: Path, card: dict[str, Any], out: Path) -> None:
    """Write an experiment's tables to the folder `out`, `choices.csv` and `measured.csv` among them, from the study's
    `results`, with the arms' files below `arms`, and the dataset's card.

    A TakeoffError says which of an arm's files is missing or damaged, lacks a seed, or does not fit the design.
    """
    arms = experiment.arms()
    gathered = _gathered(experiment.study, arms, results, card)
    made = {**experiment.analyse(gathered), CHOICES: _choices(arms, gathered.runs)}
    names = (*experiment.tables(), CHOICES)
    for name in names:
        write_csv(made[name], out / f"{name}.csv")
    # What is measured rests on the tables as a reader has them.
    tables = {name: read_back(out / f"{name}.csv") for name in names}
    measures = [_noted(one, tables[CHOICES], gathered.runs) for one in experiment.measure(tables, card)]
    write_csv(measures_table(measures), out / f"{MEASURED}.csv")
    write_manifest(out, [f"{name}.csv" for name in (*names, MEASURED)])


def _noted(measure: Measure, choices: pd.DataFrame, runs: pd.DataFrame) -> Measure:
    if not measure.part:
        return measure

    def own(table: pd.DataFrame) -> pd.DataFrame:
        return table if measure.arms is None else table[table["arm"].isin(measure.arms)]

    reason = "; ".join(filter(None, [measure.reason, *_tuning_words(own(choices)), *_device_words(own(runs))]))
    return replace(measure, reason=reason)


def _device_words(runs: pd.DataFrame) -> Iterable[str]:
    """How many seeds have networks of several kinds of device or precision, whose rounding differs: their arms are no
    longer paired.
    """
    known = runs.reindex(columns=["seed", "method", "device", "precision"])
    networks = known[known["method"] == "network"]
    kinds = networks["device"] + ", " + networks["precision"]
    split = kinds.groupby(networks["seed"]).nunique() > 1
    if split.any():
        names = "; ".join(kinds.unique())
        yield f"{split.sum()} of {len(split)} seeds were trained on several kinds of device: {names}"


def _tuning_words(choices: pd.DataFrame) -> Iterable[str]:
    """How many choices lie at their grid's edge, beyond which a better one may lie, how many had no reason, and in
    which arms; a choice that several arms took counts once, and a fixed learning rate is none.
    """
    made = choices.dropna(subset="chosen_by").drop_duplicates(["chosen_by", "block"])
    words = {"at_edge": "lie at the edge of the grid", "untuned": "had no reason"}
    for flag, what in words.items():
        flagged = made[made[flag].astype(bool)]
        names = list(flagged["chosen_by"].unique())
        if names:
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            yield f"{len(flagged)} of {len(made)} choices {what}: {', '.join(names[:NAMED])}{more}"


def _gathered(study: Study, arms: Sequence[AnyArm], results: Path, card: dict[str, Any]) -> Results:
    """What the results folder of `study` holds of `arms` and of the seeds that the experiment wants of these."""
    runs, curves, tuning, probes = [], [], [], []
    for arm in arms:
        folder, seeds = results / "arms" / arm.name, seeds_of(study, arm)
        found = _of_seeds(folder / "runs.parquet", seeds)
        network = isinstance(arm, Arm)
        made = choices_in(folder / ("learning_rate.json" if network else "tuning.json"))
        blocks = found["seed"] % (study.tuning.blocks if network else 1)
        flags = {key: blocks.map({one["block"]: bool(one[key]) for one in made}) for key in FLAGS}
        runs.append(found.assign(block=blocks, **flags))
        if isinstance(arm, Arm):
            curves.append(_of_seeds(folder / "curves.parquet", seeds))
            tuning += [pd.DataFrame(one["runs"]).assign(arm=arm.name, block=one["block"]) for one in made]
            if arm.probed:
                probes.append(_of_seeds(folder / "probe.parquet", seeds))
    speed = results / "speed.csv"
    timed = read_back(speed) if speed.exists() else None
    return Results(_together(runs), _together(curves), card, _together(tuning), _together(probes), timed)


def _choices(arms: Sequence[AnyArm], runs: pd.DataFrame) -> pd.DataFrame:
    """`choices.csv`: a row per arm and block of final seeds: its `learning_rate` and `weight_decay` (empty for older
    methods), `chosen_by`, the arm whose own runs chose them (itself, or the one whose choice it takes; empty where it
    was fixed), whether the choice lies at its grid's edge (`at_edge`), and whether its grid gave no reason for it
    (`untuned`).
    """
    columns = ["arm", "block", "learning_rate", "weight_decay", "at_edge", "untuned"]
    table = runs.reindex(columns=columns).drop_duplicates(["arm", "block"])
    fixed = {arm.name for arm in arms if isinstance(arm, Arm) and arm.learning_rate is not None}
    choosers = {arm.name: arm.choice_from or arm.name for arm in arms if arm.name not in fixed}
    table.insert(4, "chosen_by", table["arm"].map(choosers))
    return table.reset_index(drop=True)


def read_back(path: Path) -> pd.DataFrame:
    """A table as `analyse` wrote it: what is empty is missing, and nothing else is.

    A TakeoffError says that it is not there, or no table.
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
