"""Reads a results folder into the entries to be logged: experiments, arms, and the runs of each arm, those that tuned
it among them.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from takeoff.common.errors import TakeoffError
from takeoff.common.table_files import read_table
from takeoff.common.tables import column
from takeoff.statistics.intervals import Interval, mean_interval
from takeoff.study.model import Study
from takeoff.study.names import short_names
from takeoff.study.planned import AnyPlannedArm, arm_path, choices_in, read_arm
from takeoff.study.records import seeds_in
from takeoff.study.settings import FACTORS
from takeoff.study.weights import FILE as WEIGHTS
from takeoff.study.weights import described
from takeoff.tracking.entries import Entry, Only, Point

PARAMS = (*"method family depth learning_rate weight_decay epochs parameters seed device precision".split(), *FACTORS)
"""Columns of `runs.parquet` that are params, beside the settings in `arm.json`."""
CURVES = "train_loss train_accuracy validation_loss validation_accuracy batch_loss".split()
"""Metrics with a value per epoch."""
VALIDATED = "validation_accuracy"
MEAN = "test_accuracy"
"""The metric whose spread and interval over seeds an arm has, too."""
NOTE = "mlflow.note.content"
"""The tag that MLflow shows as a run's description."""
FINAL = "test_accuracy test_top5_accuracy test_loss generalisation_gap images_per_second seconds".split()
"""Metrics with a value per run. With the curves eleven keys: MLflow draws a chart of each."""
REQUIRED = {"seed", "run_key", "started_at", "seconds", "diverged", "train_accuracy", "test_accuracy"}


def read_entries(study: Study, results: Path, data: str, only: Only | None = None) -> list[Entry]:
    """Everything that `results` holds of the arms in its `plan.csv` and of the study's experiments, or only some of it;
    parents before their children. `data`, which identifies the images, is a tag of every entry.

    Raises TakeoffError where an arm has no results, unless only finished ones are wanted, or a table lacks a column.
    """
    tags = {"takeoff.study": results.absolute().name, "takeoff.data": data}
    names = _read_table(results / "plan.csv", {"arm"})["arm"].unique()
    arms = {name: read_arm(arm_path(results, name)) for name in names}
    called = short_names(arms.values())
    of_runs = [
        entry
        for name, arm in arms.items()
        if only != "finished" or _trained(arm, arm_path(results, name))
        for entry in _arm_entries(arm, called[name], study, results, tags)
    ]
    if only:
        return of_runs
    ends: dict[str, int] = {}
    for entry in of_runs:
        for name in arms[entry.tags["takeoff.arm"]].experiments:
            ends[name] = max(entry.end, ends.get(name, 0))
    last = max(ends.values(), default=0)
    return [_experiment_entry(e, results, tags, ends.get(e, last)) for e in study.experiments] + of_runs


def _trained(arm: AnyPlannedArm, path: Path) -> bool:
    """Whether an arm has runs of all its seeds, made since its file at `path` said what it is today."""
    runs = path.with_name("runs.parquet")
    return seeds_in(runs) >= set(arm.seeds) and runs.stat().st_mtime_ns >= path.stat().st_mtime_ns


def _arm_entries(arm: AnyPlannedArm, called: str, study: Study, results: Path, tags: dict[str, str]) -> list[Entry]:
    """The arm's entry with the means over its seeds, then one for each seed, and for each run that tuned it."""
    folder = arm_path(results, arm.name).parent
    runs = _read_table(folder / "runs.parquet", REQUIRED)
    runs = runs[runs["seed"].isin(arm.seeds)].sort_values("seed")
    if runs.empty:
        raise TakeoffError(f"{folder / 'runs.parquet'}: no run of the seeds {list(arm.seeds)}; train this arm again")
    runs["generalisation_gap"] = runs["train_accuracy"] - runs["test_accuracy"]
    curves = None
    if (folder / "curves.parquet").exists():  # an older method has no epochs
        curves = _read_table(folder / "curves.parquet", {"seed", "epoch", "seconds"})
        curves = curves[curves["seed"].isin(runs["seed"])].sort_values(["seed", "epoch"])

    tags = tags | {"takeoff.arm": arm.name} | {f"experiment.{name}": "yes" for name in arm.experiments}
    settings = settings_of(arm)
    children = []
    for row in runs.to_dict("records"):
        start, diverged = _milliseconds(row["started_at"]), bool(row["diverged"])
        curve = None if curves is None else curves[curves["seed"] == row["seed"]].set_index("epoch")
        own = _tags(role="run", seed=row["seed"], run_key=row["run_key"]) | {"diverged": _text(diverged)}
        children.append(
            Entry(
                name=f"{called} seed {row['seed']}",
                start=start,
                end=start + round(1000 * row["seconds"]),
                tags=tags | _texts(row, study.factors) | own,
                params=settings | _texts(row, PARAMS),
                points=_points(row, curve, start, diverged),
            )
        )
    shared = {k: v for k, v in children[0].params.items() if all(c.params.get(k) == v for c in children)}
    shared.pop("seed", None)
    start, lost = min(child.start for child in children), int(runs["diverged"].sum())
    own = _tags(role="arm", seeds=len(children), diverged_seeds=lost) | {"diverged": _text(lost > 0)}
    choices = _choices(folder)
    whole = runs[MEAN].map(lambda value: value is not None and math.isfinite(value)).all()
    found = mean_interval(runs[MEAN], size=1.0) if whole else Interval(*[math.nan] * 4)
    found = found._replace(low=max(found.low, 0.0), high=min(found.high, 1.0))  # no accuracy lies beyond
    means = Entry(
        name=called,
        start=start,
        end=max(child.end for child in children),
        tags=tags
        | _texts(shared, study.factors)
        | _tuning_tags(choices)
        | own
        | {NOTE: _described(arm, found, choices)},
        params=shared,
        weights=_best_weights(arm, folder, runs),
        points=[
            *_points(_means(runs), None if curves is None else _mean_curve(curves), start, lost > 0),
            *_spread(runs[MEAN], found, max(child.end for child in children)),
        ],
    )
    return [means, *children, *_tuning_entries(arm, called, choices, tags, settings, start)]


def _best_weights(arm: AnyPlannedArm, folder: Path, runs: pd.DataFrame) -> Path | None:
    """The weights of the arm's best run, which an arm whose choice it takes may have trained; None where others were
    kept, as the best was trained elsewhere, or before any were.
    """
    if VALIDATED not in runs:
        return None
    scored = runs[~runs["diverged"].astype(bool)].dropna(subset=VALIDATED)
    if scored.empty:
        return None
    best = scored.sort_values([VALIDATED, "seed"], ascending=[False, True]).iloc[0]
    chooser = arm.choice_from
    places = [folder, *([folder.parent / chooser] if chooser else [])]
    kept = ((place / WEIGHTS, described(place / WEIGHTS)) for place in places)
    return next((path for path, about in kept if about and about["run_key"] == best["run_key"]), None)


def _spread(values: pd.Series, found: Interval, time: int) -> Iterator[Point]:
    """How the seeds of an arm differ: n, standard deviation and the ends of the mean's 95% t interval."""
    numbers = {"sd": float(values.std(ddof=1)), "ci_low": found.low, "ci_high": found.high}
    yield Point("n_seeds", float(len(values)), time, 0)
    finite = {name: _rounded(value) for name, value in numbers.items() if math.isfinite(value)}
    # Of test accuracy: with its whole name the columns of MLflow's table would have one heading.
    yield from (Point(f"test_{name}", value, time, 0) for name, value in finite.items())


def _described(arm: AnyPlannedArm, found: Interval, choices: Sequence[Mapping[str, Any]]) -> str:
    """An arm in two sentences: who asks for it and what came out."""
    ends = f" (95% interval {found.low:.4f} to {found.high:.4f})" if math.isfinite(found.low) else ""
    rates = sorted({f"{one['learning_rate']:g}" for one in choices if "learning_rate" in one}, key=float)
    chosen = f" Learning rates chosen: {', '.join(rates)}." if rates else ""
    seeds = f"{len(arm.seeds)} seed{'s' * (len(arm.seeds) > 1)}"
    said = f"Test accuracy over {seeds}: {found.estimate:.4f}{ends}."
    return f"`{arm.name}`, of {', '.join(arm.experiments)}. {said}{chosen}"


def _tuning_entries(
    arm: AnyPlannedArm,
    called: str,
    choices: Iterable[Mapping[str, Any]],
    tags: dict[str, str],
    settings: dict[str, str],
    start: int,
) -> Iterator[Entry]:
    """The runs that an arm's choices were made by: of an arm that takes another's choice there are none. When they ran
    is not kept, so that they stand at the arm's start.
    """
    for choice in choices:
        for run in choice.get("runs", ()):
            own = dict(run.get("setting") or {key: run.get(key) for key in ("learning_rate", "weight_decay")})
            words = " ".join(f"{key.replace('_', ' ')} {_text(value)}" for key, value in own.items())
            block = {"block": choice["block"]} if "block" in choice else {}
            length = {"epochs": run["epochs"]} if "epochs" in run else {}
            ended = f", {run['epochs']} epochs" if length else ""
            yield Entry(
                name=f"{called} tuning seed {run['seed']}, {words}{ended}",
                start=start,
                end=start,
                tags=tags | _tags(role="tuning", seed=run["seed"], setting=words, diverged=bool(run.get("diverged"))),
                params=settings | _texts(own | {"seed": run["seed"]} | block | length, (*own, "seed", *block, *length)),
                points=_points(run, None, start, bool(run.get("diverged"))),
            )


def settings_of(arm: AnyPlannedArm) -> dict[str, str]:
    """Every setting of an arm by its place in `arm.json`: `network.norm`, `recipe.momentum`, `learning_rates`."""
    flat: dict[str, Any] = {}
    for key, value in arm.model_dump(mode="json", exclude={"name", "seeds", "blocks", "experiments"}).items():
        flat |= {f"{key}.{inner}": v for inner, v in value.items()} if isinstance(value, dict) else {key: value}
    return _texts(flat, flat)


def _points(row: Mapping[Any, Any], curve: pd.DataFrame | None, start: int, diverged: bool) -> list[Point]:
    """A run's metrics: curves by epoch, at the time each epoch ended, and what was measured at the end.

    No number where training diverged is a result, and logged as NaN: infinity would flatten MLflow's charts, and
    its SQL stores write 1.8e308 for it. Elsewhere, and before the first epoch, it is a gap and left out.
    """
    end = start + round(1000 * row.get("seconds", 0))
    # MLflow's plots start with the metric logged first: test accuracy.
    points = [Point(key, row[key], end, 0) for key in FINAL if key in row]
    for key in CURVES:
        if curve is not None and key in curve:
            times = (start + round(1000 * seconds) for seconds in curve["seconds"])
            points += [Point(key, v, t, epoch) for v, t, epoch in zip(curve[key], times, curve.index, strict=True)]
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


def _means(runs: pd.DataFrame) -> dict[str, float]:
    """The mean of each metric over the seeds; a seed without a number leaves the arm without one."""
    keys = [key for key in (*FINAL, *CURVES) if key in runs and key not in PARAMS]
    return {key: _rounded(runs[key].astype("float64").mean(skipna=False)) for key in keys}


def _rounded(value: float) -> float:
    """To the six digits that MLflow's tables have room for; a mean has no more that say anything."""
    return float(f"{value:.6g}")


def _mean_curve(curves: pd.DataFrame) -> pd.DataFrame:
    """The mean over the seeds at each epoch, and NaN at epochs that a seed did not reach."""
    keys = [key for key in (*CURVES, "seconds") if key in curves]
    wide = curves.pivot(index="epoch", columns="seed", values=keys)
    return pd.DataFrame({key: wide[key].mean(axis=1, skipna=key == "seconds") for key in keys})


def _choices(folder: Path) -> list[dict[str, Any]]:
    """What an arm's blocks chose, with the runs behind it."""
    paths = [folder / name for name in ("learning_rate.json", "tuning.json")]
    return [choice for path in paths if path.exists() for choice in choices_in(path)]


def _tuning_tags(choices: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Whether some block's choice lies at its grid's edge, or had no reason."""
    known = {key: [one[key] for one in choices if key in one] for key in ("at_edge", "untuned")}
    return _tags(**{f"rate_{key}": any(own) for key, own in known.items() if own})


def _experiment_entry(name: str, results: Path, tags: dict[str, str], end: int) -> Entry:
    """An experiment: its figures and tables, its verdicts, and its effects on test accuracy."""
    figures = [path for stem in ("claims", f"{name}-*") for path in (results / "figures").glob(f"{stem}.*")]
    claims = results / "claims.csv"
    folders = {
        "figures": [path for path in figures if path.suffix in {".svg", ".png", ".csv"}],
        "tables": list((results / name).glob("*.csv")),
        "study": [path for path in (results / "study.json", results / "plan.csv", claims) if path.exists()],
    }
    judged = _read_table(claims, {"claim", "experiment", "verdict", "statement"}) if claims.exists() else pd.DataFrame()
    mine = [row for row in judged.itertuples() if row.experiment == name]
    verdicts = [f"- {row.verdict}: {row.statement}" for row in mine]
    said = {f"verdict.{row.claim}": str(row.verdict) for row in mine}
    return Entry(
        name=name,
        start=end,
        end=end,
        tags=tags | _tags(role="experiment", experiment=name) | said | {NOTE: "\n".join(verdicts)},
        points=[Point(key, value, end, 0) for key, value in _effects(results / name / "effects.csv")],
        files={f"{folder}/{path.name}": path for folder, paths in folders.items() for path in sorted(paths)},
    )


def _effects(path: Path) -> Iterator[tuple[str, float]]:
    """Main effects on test accuracy, `effect/norm`, and Shapley shares, `effect/norm_shapley`."""
    if not path.exists():
        return
    table = _read_table(path, {"term", "kind", "response", "estimate"})
    for row in table[table["response"] == "test_accuracy"].itertuples():
        suffix = {"main": "", "shapley": "_shapley"}.get(row.kind)
        if suffix is not None and math.isfinite(estimate := float(row.estimate or "nan")):
            yield f"effect/{row.term}{suffix}", estimate


def _read_table(path: Path, required: Iterable[str]) -> pd.DataFrame:
    table = read_table(path)
    for name in required:
        column(table, name, str(path))
    return table


def _milliseconds(moment: Any) -> int:
    time = pd.Timestamp(moment)
    return round(1000 * (time if time.tzinfo else time.tz_localize("UTC")).timestamp())


def _tags(**values: Any) -> dict[str, str]:
    return {f"takeoff.{key}": _text(value) for key, value in values.items()}


def _texts(row: Mapping[Any, Any], keys: Iterable[str]) -> dict[str, str]:
    """The values that are there, as MLflow's params and tags keep them."""
    texts = {key: _text(row[key]) for key in keys if row.get(key) is not None}
    return {key: text for key, text in texts.items() if text not in {"nan", "<NA>"}}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.12g}" if isinstance(value, float) else str(value)
