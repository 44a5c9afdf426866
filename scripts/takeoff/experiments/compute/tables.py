"""The compute experiment's tables: rates of machines, the trainings' time on each, and what a search finds by then."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from takeoff.common.errors import TakeoffError
from takeoff.experiments.base import Results
from takeoff.experiments.chance import chance_of
from takeoff.experiments.compute.design import Design
from takeoff.statistics.contrasts import Floats
from takeoff.statistics.draws import best_of
from takeoff.statistics.intervals import mean_interval

SETTING = ["device", "threads", "precision"]
RATE = "flops_per_second"
MEASURED = [RATE, "ceiling", "share"]
OLD = {"0_1": 1e5, "1": 1e6, "10": 1e7}
"""FLOP/s of machines of the 1980s, by the megaflops in the names of columns."""
OFTEN_SAID = 1e13
"""FLOP/s: the claim's modern machine."""
REFERENCES = {"0.1 MFLOP/s": 1e5, "1 MFLOP/s (1980s)": 1e6, "10 MFLOP/s": 1e7, "10 TFLOP/s (often said)": OFTEN_SAID}
"""Machines that nobody measured here."""
DAY = 86_400
UNITS = {
    "century": 36_525 * DAY,
    "year": 365.25 * DAY,
    "month": 365.25 / 12 * DAY,
    "day": DAY,
    "hour": 3600,
    "minute": 60,
    "second": 1,
}
"""Units of time in seconds, longest first."""
MOST_DRAWS = 60
"""So many numbers of runs of a search are reported, at most."""


class Trainings(NamedTuple):
    """The runs whose computation is counted: how many are not for tuning, the operations of all of them together, and
    the validation accuracy of each, (runs,).
    """

    final: int
    flops: float
    accuracies: Floats


def analyse(compute: Design, results: Results) -> dict[str, pd.DataFrame]:
    """The tables of the experiment; rates are floating-point operations per second.

    - `rates`: a row per measured setting (device, threads, precision): the sustained rate of forward and backward
      pass with its t interval over blocks, the rate of a matrix product (`ceiling`), their ratio (`share`, over
      paired blocks), and the rate over 0.1, 1 and 10 MFLOP/s; without numbers where a setting was left out, with
      the reason in `note`.
    - `blocks`: a row per such setting and block.
    - `times`: a row per machine, measured or a `reference`: the time that the trainings of the factorial's cells
      take at its rate, in seconds and in words, and how many it makes in a day. The operations are counted:
      images processed times those of forward and backward pass, over final and tuning runs.
    - `search`: a row per machine and k: the validation accuracy of the best of k of these runs, in random order:
      its mean, and where it lies in 90% of all orders; and the hours that k runs take on average.

    A TakeoffError says that the machine was not measured.
    """
    if results.speed is None or not (results.speed["kind"] == "training").any():
        raise TakeoffError("speed.csv: no rate of this machine; scripts/probe.py measures it")
    rates, blocks = measured(results.speed)
    # Choices of before `tuning.decay_share` do not say how long their runs were: all were equally long.
    epochs = results.tuning.reindex(columns=["epochs"])["epochs"]
    tuning = results.tuning.assign(epochs=epochs.fillna(compute.study.tuning_epochs(compute.study.recipe)))
    made = trainings(results.runs, tuning, chance_of(results.card, compute.study)[0])
    times, search = times_table(rates, made), _search(rates, made)
    return {"rates": rates, "blocks": blocks, "times": times, "search": search}


def measured(speed: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables `rates` and `blocks` from the rows of `speed.csv`."""
    rates, blocks = [], []
    for key, group in speed[speed["kind"] != "step"].groupby(SETTING, sort=False):
        row: dict[str, Any] = {"machine": machine_words(*key), **dict(zip(SETTING, key, strict=True))}
        own = group.dropna(subset="seconds").astype({"block": int})
        own[RATE] = own["flops"].astype(float) / own["seconds"]
        pairs = own.pivot(index="block", columns="kind", values=RATE)
        if len(pairs):
            pairs = pairs.rename(columns={"training": RATE, "matrix": "ceiling"})
            blocks.append(pairs.reset_index().assign(**row))
            for name, values in pairs.assign(share=pairs[RATE] / pairs["ceiling"])[MEASURED].items():
                row |= mean_interval(values).named(name)
            row |= {f"over_{name}_mflops": pairs[RATE].mean() / rate for name, rate in OLD.items()}
            row["batch"] = own.loc[own["kind"] == "training", "batch"].iloc[0]
        rates.append(row | {"n_blocks": len(pairs), "note": next(iter(group["note"].dropna()), "")})
    together = pd.concat(blocks, ignore_index=True)
    return pd.DataFrame(rates), together[["machine", *SETTING, "block", RATE, "ceiling"]]


def machine_words(device: str, threads: float, precision: str) -> str:
    """A setting as a reader would name it.

    >>> machine_words("cpu", 2, "float32")
    'CPU, 2 threads, float32'
    """
    if device != "cpu":
        return f"{device}, {precision}"
    return f"CPU, {int(threads)} thread{'s' * (threads > 1)}, {precision}"


def trainings(runs: pd.DataFrame, tuning: pd.DataFrame, chance: float) -> Trainings:
    """What was trained, final runs and those for tuning; each of these computes what its epochs are of its arm's final
    runs. A run that two arms share counts once. Where a run diverged, and has no accuracy, that is `chance`.
    """
    runs = runs.drop_duplicates("run_key")
    flops, accuracies = runs["flops"].sum(), [runs["validation_accuracy"]]
    if len(tuning):
        each = runs["flops"] / runs["epochs"]
        flops += (tuning["epochs"] * tuning["arm"].map(each.groupby(runs["arm"]).mean())).sum()
        accuracies.append(tuning["validation_accuracy"].mask(tuning["diverged"].astype(bool)))
    found = pd.concat(accuracies).astype(float)
    return Trainings(len(runs), float(flops), found.where(np.isfinite(found), chance).to_numpy())


def times_table(rates: pd.DataFrame, made: Trainings) -> pd.DataFrame:
    """A row per machine: what the trainings take there."""
    machines = _machines(rates)
    low, high = machines.pop(f"{RATE}_low"), machines.pop(f"{RATE}_high")
    seconds, runs = made.flops / machines[RATE], len(made.accuracies)
    return machines.assign(
        n_runs=runs,
        n_final=made.final,
        flops=made.flops,
        seconds=seconds,
        seconds_low=made.flops / high,
        seconds_high=(made.flops / low).where(low > 0, np.inf),
        duration=seconds.map(duration_words),
        runs_per_day=DAY / (seconds / runs),
    )


def _search(rates: pd.DataFrame, made: Trainings) -> pd.DataFrame:
    """A row per machine and number of runs: the best validation accuracy among them, and the hours they take."""
    n = len(made.accuracies)
    few = np.unique(np.geomspace(1, n, MOST_DRAWS).round().astype(int))
    draws = few if n > MOST_DRAWS else np.arange(1, n + 1)
    names = [f"best_validation_accuracy{end}" for end in ("", "_low", "_high")]
    best = dict(zip(names, best_of(made.accuracies, draws), strict=True))
    table = _machines(rates).merge(pd.DataFrame({"n_runs": draws, **best}), how="cross")
    table["hours"] = table["n_runs"] * made.flops / n / table[RATE] / 3600
    return table[["machine", "kind", "n_runs", "hours", *names]]


def duration_words(seconds: float) -> str:
    """A time in the largest unit of which it has one, in two digits; no centuries beyond a hundred.

    >>> [duration_words(seconds) for seconds in (0.13, 3600, 50 * 86_400, 7e12)]
    ['0.13 seconds', '1 hour', '1.6 months', '220,000 years']
    """
    longest = 1 if seconds >= 100 * UNITS["century"] else 0
    units = list(UNITS.items())[longest:]
    name, size = next(((name, size) for name, size in units if seconds >= 0.995 * size), units[-1])
    text = two_digits(seconds / size)
    plural = "centuries" if name == "century" else f"{name}s"
    return f"{text} {name if text == '1' else plural}"


def two_digits(number: float) -> str:
    """As in `0.13`, `7.2`, `220,000` and `1.4 billion`."""
    for size, name in ((1e9, " billion"), (1e6, " million")):
        if number >= 0.995 * size:
            return f"{two_digits(number / size)}{name}"
    return f"{float(f'{number:.2g}'):,.0f}" if number >= 9.95 else f"{number:.2g}"


def _machines(rates: pd.DataFrame) -> pd.DataFrame:
    """References, and what was measured, with its interval."""
    names = ["machine", "kind", *SETTING, *(f"{RATE}{end}" for end in ("", "_low", "_high"))]
    references = pd.DataFrame(REFERENCES.items(), columns=["machine", RATE])
    references = references.assign(kind="reference", **dict.fromkeys(names[-2:], references[RATE]))
    own = rates[rates["n_blocks"] > 0].assign(kind="measured")
    return pd.concat([references, own], ignore_index=True)[names]
