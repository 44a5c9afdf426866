"""The race's tables: curves of training error, crossings, their ratios, and seconds per step."""

from collections.abc import Mapping
from itertools import product

import numpy as np
import pandas as pd

from takeoff.common.errors import TakeoffError
from takeoff.experiments.base import Results
from takeoff.experiments.chance import chance_of
from takeoff.experiments.race.design import Design
from takeoff.statistics.censoring import crossing_ratio
from takeoff.statistics.chance import chance_line
from takeoff.statistics.crossing import Crossing, first_crossing
from takeoff.statistics.intervals import mean_band
from takeoff.study.arms import Arm

PAIRS = (("tanh", "relu"), ("sigmoid", "relu"), ("sigmoid", "tanh"))
"""Which arm's time is reported in multiples of which."""
STEPS = ["activation", "arm", "device", "threads", "precision", "batch", "block", "seconds", "ratio"]


def analyse(race: Design, results: Results) -> dict[str, pd.DataFrame]:
    """The tables of the experiment; errors are fractions.

    - `curves`: a row per arm and score, with its `epoch`: mean training error and its t interval over `n_seeds` that
      have one, and mean `seconds` of training to there.
    - `crossings`: a row per run: `epochs` and `seconds` to the training error, interpolated; `censored` where it was
      not reached, so that both are lower bounds. Seconds are epochs × steps per epoch × the arm's seconds per step,
      the geometric mean over the blocks of `steps`; empty where steps were not timed.
    - `ratios`: how many times as long (`epochs`, `seconds`) an arm takes as another: `censoring.crossing_ratio` over
      the seeds of both. The intervals are over seeds: in `seconds` they leave out the noise of the timing.
    - `steps`: a row per block and arm: seconds per step, and `ratio` to tanh's in the same block; no row where
      steps were not timed.

    A TakeoffError says that the error is no better than guessing, or that a run starts below it.
    """
    target, arms = 1 - race.options.error, race.networks
    race.check(chance_line(*chance_of(results.card, race.study)), 0.0)
    steps = _steps(arms, results.speed)
    curves, crossings = [], []
    for activation, arm in arms.items():
        own = results.curves[results.curves["arm"] == arm.name]
        own = own.assign(epoch=own["epoch"] * race.scoring.share)
        wide = own.pivot(index="epoch", columns="seed", values="train_accuracy")
        # The geometric mean over blocks: ratios of means are means of ratios.
        logs = np.log(steps.loc[steps["activation"] == activation, "seconds"].astype(float))
        per_epoch = float((own["step"] / own["epoch"]).max() * np.exp(logs.mean()))
        curves.append(_mean_curve(arm, wide, per_epoch))
        crossings += _crossings(arm, wide, target, race.scoring.horizon, per_epoch)
    tables = {"curves": pd.concat(curves, ignore_index=True), "crossings": pd.DataFrame(crossings)}
    return {**tables, "ratios": _ratios(tables["crossings"]), "steps": steps}


def _steps(arms: Mapping[str, Arm], speed: pd.DataFrame | None) -> pd.DataFrame:
    """A row per block and arm: seconds per step, and over tanh's in the same block."""
    if speed is None or speed.empty:
        return pd.DataFrame(columns=STEPS)
    names = {arm.name: activation for activation, arm in arms.items()}
    own = speed[(speed["kind"] == "step") & speed["name"].isin(names)].rename(columns={"name": "arm"})
    own["activation"] = own["arm"].map(names)
    place = ["device", "threads", "precision", "batch", "block"]
    tanh = own[own["activation"] == "tanh"].set_index(place)["seconds"].rename("tanh")
    own = own.join(tanh, on=place)
    own["ratio"] = own["seconds"] / own["tanh"]
    own["order"] = own["activation"].map(list(arms).index)
    return own.sort_values(["order", "block"], ignore_index=True)[STEPS]


def _crossings(
    arm: Arm, wide: pd.DataFrame, target: float, horizon: float, per_epoch: float
) -> list[dict[str, object]]:
    """A row per seed: when accuracy, `wide`, epochs × seeds, reaches the target; an epoch takes `per_epoch` seconds."""
    rows: list[dict[str, object]] = []
    for seed in wide:
        epochs, censored = first_crossing(wide.index, wide[seed], target, horizon)
        if epochs <= 0:
            raise TakeoffError(
                f"race.error {1 - target:g}: arm {arm.name}, seed {seed} is there before it trains; "
                "valid: an error that training must reach"
            )
        row = {"arm": arm.name, "activation": arm.network.activation, "seed": seed, "epochs": epochs}
        rows.append(row | {"seconds": epochs * per_epoch, "censored": censored})
    return rows


def _mean_curve(arm: Arm, wide: pd.DataFrame, per_epoch: float) -> pd.DataFrame:
    place = {"arm": arm.name, "activation": arm.network.activation, "epoch": wide.index}
    mean, low, high, n = mean_band(1 - wide)
    error = {"train_error": mean, "train_error_low": low, "train_error_high": high}
    table = pd.DataFrame({**place, "seconds": wide.index * per_epoch, "n_seeds": n, **error})
    return table[table["n_seeds"] > 0]


def _ratios(crossings: pd.DataFrame) -> pd.DataFrame:
    rows = []
    by_arm = dict(iter(crossings.groupby("activation")))
    for unit, (slower, faster) in product(("epochs", "seconds"), PAIRS):
        pair = [by_arm[name][[unit, "censored"]] for name in (slower, faster)]
        if any(side[unit].isna().any() for side in pair):
            continue
        top, bottom = ([Crossing(*row) for row in side.itertuples(index=False)] for side in pair)
        censored = [side["censored"].sum() for side in pair]
        rows.append((unit, slower, faster, *crossing_ratio(top, bottom), len(top), *censored))
    columns = "unit arm over ratio ci_low ci_high bound n_seeds n_censored n_over_censored".split()
    return pd.DataFrame(rows, columns=columns)
