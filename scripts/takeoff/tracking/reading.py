"""Reads a results folder into the entries to be logged: experiments, arms, and the runs of each arm."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from takeoff.errors import TakeoffError
from takeoff.experiments.registry import all_arms, arms_of, enabled, experiment, figures_of
from takeoff.study.arms import AnyArm, seeds_of
from takeoff.study.model import Study
from takeoff.study.settings import FACTORS
from takeoff.tracking.entries import Entry, Point

if TYPE_CHECKING:
    import pandas as pd

PARAMS = (
    "method",
    "family",
    "depth",
    *FACTORS,
    "learning_rate",
    "epochs",
    "parameters",
    "seed",
    "device",
    "precision",
)
CURVES = (
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "batch_loss",
    "learning_rate",
)
"""Metrics with a value per epoch."""
FINAL = (
    "test_accuracy",
    "test_top5_accuracy",
    "test_loss",
    "generalisation_gap",
    "images_per_second",
    "seconds",
)
"""Metrics with a value per run. With the curves twelve keys: MLflow draws a chart of each."""
REQUIRED = {"seed", "run_key", "started_at", "seconds", "diverged", "train_accuracy", "test_accuracy"}
SUFFIXES = (".svg", ".png", ".csv")


def read_entries(
    study: Study, source: str, results: Path, data: str, *, experiments: bool = True
) -> list[Entry]:
    """Everything that `results` holds of `study` (read from `source`), parents before their children.

    `data`, which identifies the images, is a tag of every entry; without `experiments`, only runs and arms are read.
    Raises TakeoffError where an arm of the study has no results or a table lacks a column.
    """
    options = enabled(study, source)
    tags = {"takeoff.study": results.absolute().name, "takeoff.data": data}
    entries = {arm.name: list(_arm_entries(arm, study, results, tags)) for arm in all_arms(study, source)}
    of_runs = [entry for of_arm in entries.values() for entry in of_arm]
    if not experiments:
        return of_runs
    return [
        _experiment_entry(
            name,
            [f"{name}-{figure}" for figure in figures_of(name, study, options[name])],
            results,
            tags,
            [entry for arm in wanted for entry in entries[arm.name]],
        )
        for name, wanted in arms_of(study, source).items()
    ] + of_runs


def _arm_entries(of: AnyArm, study: Study, results: Path, tags: dict[str, str]) -> Iterator[Entry]:
    """The arm's entry with the means over its seeds, then one for each seed."""
    arm, seeds = of.name, seeds_of(study, of)
    folder = results / "arms" / arm
    runs = _read_table(folder / "runs.parquet", REQUIRED)
    runs = runs[runs["seed"].isin(seeds)].sort_values("seed")
    if runs.empty:
        raise TakeoffError(f"{folder / 'runs.parquet'}: holds no run of the study's seeds {seeds}")
    runs["generalisation_gap"] = runs["train_accuracy"] - runs["test_accuracy"]
    curves = None
    if (folder / "curves.parquet").exists():  # an older method has no epochs
        curves = _read_table(folder / "curves.parquet", {"seed", "epoch", "seconds"})
        curves = curves[curves["seed"].isin(runs["seed"])].sort_values(["seed", "epoch"])

    tags = tags | {"takeoff.arm": arm}
    children = []
    for row in runs.to_dict("records"):
        params = _texts(row, PARAMS)
        start = _milliseconds(row["started_at"])
        curve = None if curves is None else curves[curves["seed"] == row["seed"]].set_index("epoch")
        children.append(Entry(
            name=f"{arm} seed {row['seed']}",
            start=start,
            end=start + round(1000 * row["seconds"]),
            tags=tags | _texts(row, study.factors) | {
                "takeoff.role": "run",
                "takeoff.seed": str(row["seed"]),
                "takeoff.run_key": str(row["run_key"]),
                "diverged": _text(bool(row["diverged"])),
            },
            params=params,
            points=_points(row, curve, start, bool(row["diverged"])),
        ))  # fmt: skip

    shared = {k: v for k, v in children[0].params.items() if all(c.params.get(k) == v for c in children)}
    shared.pop("seed", None)
    start = min(child.start for child in children)
    diverged = int(runs["diverged"].sum())
    yield Entry(
        name=arm,
        start=start,
        end=max(child.end for child in children),
        tags=tags | {k: v for k, v in shared.items() if k in study.factors} | _rate_tags(folder) | {
            "takeoff.role": "arm",
            "takeoff.seeds": str(len(children)),
            "takeoff.diverged_seeds": str(diverged),
            "diverged": _text(diverged > 0),
        },
        params=shared,
        points=_points(_means(runs), None if curves is None else _mean_curve(curves), start, diverged > 0),
    )  # fmt: skip
    yield from children


def _points(row: Mapping[Any, Any], curve: "pd.DataFrame | None", start: int, diverged: bool) -> list[Point]:
    """A run's metrics: curves by epoch, at the time each epoch ended, and what was measured at the end.

    No number where training diverged is a result, and logged as NaN: infinity would flatten MLflow's charts, and
    its SQL stores write 1.8e308 for it. Elsewhere, and before the first epoch, it is a gap and left out.
    """
    end = start + round(1000 * row["seconds"])
    # MLflow's plots start with the metric logged first: test accuracy.
    points = [Point(key, row[key], end, 0) for key in FINAL if key in row]
    for key in CURVES:
        if curve is not None and key in curve:
            times = (start + round(1000 * seconds) for seconds in curve["seconds"])
            points += [
                Point(key, v, t, epoch) for v, t, epoch in zip(curve[key], times, curve.index, strict=True)
            ]
        elif key in row and key not in PARAMS:
            points.append(Point(key, row[key], end, 0))
    kept = []
    for key, value, time, step in points:
        number = math.nan if value is None else float(value)
        if math.isfinite(number):
            kept.append(Point(key, number, time, int(step)))
        elif diverged and (step > 0 or key in FINAL):
            kept.append(Point(key, math.nan, time, int(step)))
    return kept


def _means(runs: "pd.DataFrame") -> dict[str, float]:
    """The mean of each metric over the seeds; a seed without a number leaves the arm without one."""
    keys = [key for key in (*FINAL, *CURVES) if key in runs and key not in PARAMS]
    return {key: float(runs[key].astype("float64").mean(skipna=False)) for key in keys}


def _mean_curve(curves: "pd.DataFrame") -> "pd.DataFrame":
    """The mean over the seeds at each epoch, and NaN at epochs that a seed did not reach."""
    import pandas as pd

    keys = [key for key in (*CURVES, "seconds") if key in curves]
    wide = curves.pivot(index="epoch", columns="seed", values=keys)
    return pd.DataFrame({key: wide[key].mean(axis=1, skipna=key == "seconds") for key in keys})


def _rate_tags(folder: Path) -> dict[str, str]:
    """What tuning says about the arm's learning rate."""
    path = folder / "learning_rate.json"
    rate = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {
        f"takeoff.rate_{key}": _text(rate[key]) for key in ("at_edge", "untuned") if rate.get(key) is not None
    }


def _experiment_entry(
    name: str, drawn: list[str], results: Path, tags: dict[str, str], entries: list[Entry]
) -> Entry:
    """An experiment: its figures and tables, and its effects on test accuracy. It stands after its last run."""
    end = max(entry.end for entry in entries)
    figures = (
        results / "figures" / f"{figure}{suffix}" for figure in ["claims", *drawn] for suffix in SUFFIXES
    )
    tables = sorted((results / name).glob("*.csv"))
    whole = (results / file for file in ("study.json", "plan.csv", "claims.csv"))
    folders = {"figures": figures, "tables": tables, "study": whole}
    return Entry(
        name=name,
        start=end,
        end=end,
        tags=tags
        | {
            "takeoff.role": "experiment",
            "takeoff.experiment": name,
            "mlflow.note.content": (experiment(name).__doc__ or "").strip(),
        },
        points=[Point(key, value, end, 0) for key, value in _effects(results / name / "effects.csv")],
        files={f"{folder}/{f.name}": f for folder, files in folders.items() for f in files if f.exists()},
    )


def _effects(path: Path) -> Iterator[tuple[str, float]]:
    """Main effects on test accuracy, `effect/norm`, and Shapley shares, `effect/norm_shapley`."""
    if not path.exists():
        return
    table = _read_table(path, {"term", "kind", "response", "estimate"})
    for row in table[table["response"] == "test_accuracy"].itertuples():
        suffix = {"main": "", "shapley": "_shapley"}.get(row.kind)
        if suffix is not None and math.isfinite(row.estimate):
            yield f"effect/{row.term}{suffix}", float(row.estimate)


def _read_table(path: Path, required: Iterable[str]) -> "pd.DataFrame":
    import pandas as pd

    try:
        table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    except FileNotFoundError:
        raise TakeoffError(f"{path}: there is no such file; train this arm first") from None
    except ValueError as error:
        raise TakeoffError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
    if missing := sorted(set(required) - set(table.columns)):
        raise TakeoffError(f"{path}: lacks the columns {', '.join(missing)}")
    return table


def _milliseconds(moment: Any) -> int:
    import pandas as pd

    time = pd.Timestamp(moment)
    return round(1000 * (time if time.tzinfo else time.tz_localize("UTC")).timestamp())


def _texts(row: Mapping[Any, Any], keys: Iterable[str]) -> dict[str, str]:
    """The values that are there, as MLflow's params and tags keep them."""
    texts = {key: _text(row[key]) for key in keys if row.get(key) is not None}
    return {key: text for key, text in texts.items() if text not in {"nan", "<NA>"}}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.12g}" if isinstance(value, float) else str(value)
