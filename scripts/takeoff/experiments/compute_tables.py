"""The compute experiment's tables: rates of machines, the trainings' time on each, and what a search finds by then."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from takeoff.errors import TakeoffError
from takeoff.statistics.contrasts import Floats
from takeoff.statistics.draws import best_of
from takeoff.statistics.intervals import mean_interval

SETTING = ["device", "threads", "precision"]
OLD = {"0_1": 1e5, "1": 1e6, "10": 1e7}
"""FLOP/s of machines of the 1980s, by the megaflops in the names of columns."""
REFERENCES = {"0.1 MFLOP/s": 1e5, "1 MFLOP/s (1980s)": 1e6, "10 MFLOP/s": 1e7, "10 TFLOP/s (told)": 1e13}
"""Machines that nobody measured here; the last two figures are those of the claim."""
DAY = 86_400
UNITS = (
    ("century", 36_525 * DAY),
    ("year", 365.25 * DAY),
    ("month", 365.25 / 12 * DAY),
    ("day", DAY),
    ("hour", 3600),
    ("minute", 60),
    ("second", 1),
)
"""Units of time in seconds, longest first."""
MOST_DRAWS = 60
"""Numbers of runs that a search is told for, at most."""


@dataclass(frozen=True)
class Trainings:
    """The runs whose computation is told."""

    runs: int
    """Final and tuning runs."""
    final: int
    flops: float
    """Of all of them together."""
    accuracies: Floats
    """Validation accuracy of each, (runs,)."""


def measured(speed: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables `rates` and `blocks` from the rows of `speed.csv`."""
    rates, parts = [], []
    for key, group in speed[speed["kind"] != "step"].groupby(SETTING, sort=False):
        row = dict(zip(SETTING, key, strict=True))
        machine = machine_words(*key)
        training = _by_block(group[group["kind"] == "training"])
        notes = group.loc[group["kind"] == "training", "note"] if "note" in group else pd.Series(dtype=str)
        note = next((str(text) for text in notes.dropna() if text), "")
        if training.empty:
            rates.append({"machine": machine, **row, "n_blocks": 0, "note": note})
            continue
        ceiling = _by_block(group[group["kind"] == "matrix"]).reindex(training.index)
        parts.append(
            pd.DataFrame({"machine": machine, **row, "flops_per_second": training, "ceiling": ceiling})
            .rename_axis("block")
            .reset_index()
        )
        row |= _interval("flops_per_second", training) | _interval("ceiling", ceiling)
        row |= _interval("share", training / ceiling)
        row |= {f"over_{name}_mflops": training.mean() / rate for name, rate in OLD.items()}
        batch = group.loc[group["kind"] == "training", "batch"].iloc[0]
        rates.append({"machine": machine, **row, "batch": batch, "n_blocks": len(training), "note": note})
    blocks = pd.concat(parts, ignore_index=True)
    first = ["machine", *SETTING, "block"]
    return pd.DataFrame(rates), blocks[first + [name for name in blocks if name not in first]]


def machine_words(device: str, threads: float, precision: str) -> str:
    """A setting as a reader would name it.

    >>> machine_words("cpu", 2, "float32")
    'CPU, 2 threads, float32'
    """
    if device != "cpu":
        return f"{device}, {precision}"
    return f"CPU, {int(threads)} thread{'s' * (threads > 1)}, {precision}"


def trainings(runs: pd.DataFrame, tuning: pd.DataFrame, chance: float) -> Trainings:
    """What was trained, final runs and those for tuning; each tuning run of an arm computes what its final runs do. A
    run that two arms share counts once.

    Raises:
        TakeoffError: an arm's runs do not say how much they computed.

    """
    runs = runs.drop_duplicates("run_key") if "run_key" in runs else runs
    counted = runs["flops"] if "flops" in runs else pd.Series(np.nan, index=runs.index)
    per_arm = counted.astype(float).groupby(runs["arm"], sort=False).mean()
    if not len(per_arm) or per_arm.isna().any():
        name = per_arm.index[per_arm.isna()][0] if len(per_arm) else "every arm"
        raise TakeoffError(f"runs.parquet: {name}: no flops; train it again")
    flops = float(counted.fillna(runs["arm"].map(per_arm)).sum())
    accuracies = [runs["validation_accuracy"].astype(float)]
    if len(tuning):
        flops += float(tuning["arm"].map(per_arm).sum())
        accuracies.append(
            tuning["validation_accuracy"].astype(float).mask(tuning["diverged"].astype(bool), chance)
        )
    found = np.concatenate(accuracies)
    return Trainings(len(found), len(runs), flops, np.where(np.isfinite(found), found, chance))


def times_table(rates: pd.DataFrame, made: Trainings) -> pd.DataFrame:
    """A row per machine: what the trainings take there."""
    rows = []
    for machine in _machines(rates):
        seconds = made.flops / machine.flops_per_second
        rows.append(
            {
                "machine": machine.machine,
                "kind": machine.kind,
                **{name: getattr(machine, name) for name in SETTING},
                "flops_per_second": machine.flops_per_second,
                "n_runs": made.runs,
                "n_final": made.final,
                "flops": made.flops,
                "seconds": seconds,
                "seconds_low": made.flops / machine.high,
                "seconds_high": made.flops / machine.low if machine.low > 0 else np.inf,
                "duration": duration_words(seconds),
                "runs_per_day": DAY / (seconds / made.runs),
            }
        )
    return pd.DataFrame(rows)


def search_table(rates: pd.DataFrame, made: Trainings) -> pd.DataFrame:
    """A row per machine and number of runs: the best validation accuracy among them, and the hours they take."""
    n = made.runs
    draws = (
        np.unique(np.geomspace(1, n, MOST_DRAWS).round().astype(int))
        if n > MOST_DRAWS
        else np.arange(1, n + 1)
    )
    mean, low, high = best_of(made.accuracies, draws)
    parts = [
        pd.DataFrame(
            {
                "machine": machine.machine,
                "kind": machine.kind,
                "n_runs": draws,
                "hours": draws * made.flops / n / machine.flops_per_second / 3600,
                "best_validation_accuracy": mean,
                "best_validation_accuracy_low": low,
                "best_validation_accuracy_high": high,
            }
        )
        for machine in _machines(rates)
    ]
    return pd.concat(parts, ignore_index=True)


def duration_words(seconds: float) -> str:
    """A time in the largest unit of which it has one, in two digits; no centuries beyond a hundred.

    >>> [duration_words(seconds) for seconds in (0.13, 3600, 50 * 86_400, 7e12)]
    ['0.13 seconds', '1 hour', '1.6 months', '220,000 years']
    """
    millennia = seconds >= 100 * UNITS[0][1]
    units = UNITS[1:] if millennia else UNITS
    name, size = next(((name, size) for name, size in units if seconds >= 0.995 * size), UNITS[-1])
    text = two_digits(seconds / size)
    plural = "centuries" if name == "century" else f"{name}s"
    return f"{text} {name if text == '1' else plural}"


def two_digits(number: float) -> str:
    """As in `0.13`, `7.2`, `220,000` and `1.4 billion`."""
    for size, name in ((1e9, " billion"), (1e6, " million")):
        if number >= 0.995 * size:
            return f"{two_digits(number / size)}{name}"
    return f"{float(f'{number:.2g}'):,.0f}" if number >= 9.95 else f"{number:.2g}"


@dataclass(frozen=True)
class _Machine:
    machine: str
    kind: str
    flops_per_second: float
    low: float
    high: float
    device: str = ""
    threads: float = np.nan
    precision: str = ""


def _machines(rates: pd.DataFrame) -> Iterator[_Machine]:
    """References, and what was measured, with its interval."""
    for name, rate in REFERENCES.items():
        yield _Machine(name, "reference", rate, rate, rate)
    for row in rates[rates["n_blocks"] > 0].itertuples():
        yield _Machine(
            row.machine,
            "measured",
            row.flops_per_second,
            row.flops_per_second_low,
            row.flops_per_second_high,
            row.device,
            row.threads,
            row.precision,
        )


def _by_block(rows: pd.DataFrame) -> pd.Series:
    """Floating-point operations per second, by block; empty where nothing was measured."""
    done = rows[rows["seconds"].notna()]
    return (done["flops"] / done["seconds"]).set_axis(done["block"].astype(int)).astype(float)


def _interval(name: str, values: pd.Series) -> dict[str, float]:
    """Mean and t interval over blocks; NaN where a block is missing."""
    if values.isna().any():
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"), np.nan)
    mean, low, high, _ = mean_interval(values)
    return {name: mean, f"{name}_low": low, f"{name}_high": high}
