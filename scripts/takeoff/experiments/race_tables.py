"""The race's tables: curves of training error, crossings, their ratios, and seconds per step."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from takeoff.errors import TakeoffError
from takeoff.statistics.censoring import crossing_ratio
from takeoff.statistics.crossing import Crossing, first_crossing
from takeoff.statistics.intervals import mean_band
from takeoff.study.arms import Arm

PAIRS = (("tanh", "relu"), ("sigmoid", "relu"), ("sigmoid", "tanh"))
"""Which arm's time is told in multiples of which."""
STEPS = ["activation", "arm", "device", "threads", "precision", "batch", "block", "seconds", "ratio"]


def analysed(
    arms: Mapping[str, Arm], target: float, horizon: float, curves: pd.DataFrame, speed: pd.DataFrame | None
) -> dict[str, pd.DataFrame]:
    """The tables, from the arms by activation; `target` is the training accuracy to reach within `horizon` epochs.

    Raises:
        TakeoffError: an arm has no curve, or a curve starts at the target.

    """
    steps = _steps(arms, speed)
    wide = {name: _of_arm(curves, arm) for name, arm in arms.items()}
    seconds = {
        name: _steps_per_epoch(curves, arm) * _seconds_per_step(steps, name) for name, arm in arms.items()
    }
    crossings = pd.concat(
        [_crossings(arm, wide[name], target, horizon, seconds[name]) for name, arm in arms.items()],
        ignore_index=True,
    )
    mean_curves = [_mean_curve(arm, wide[name], seconds[name]) for name, arm in arms.items()]
    return {
        "curves": pd.concat(mean_curves, ignore_index=True),
        "crossings": crossings,
        "ratios": _ratios(crossings),
        "steps": steps,
    }


def _of_arm(curves: pd.DataFrame, arm: Arm) -> pd.DataFrame:
    """Training accuracy as epochs × seeds."""
    own = curves[curves["arm"] == arm.name]
    if own.empty:
        raise TakeoffError(f"race: arm {arm.name} has no curve; train it again")
    if own.duplicated(["seed", "epoch"]).any():
        raise TakeoffError(f"race: arm {arm.name} has two curves of one seed; valid: one")
    wide = own.pivot(index="epoch", columns="seed", values="train_accuracy").sort_index()
    return wide.reindex(sorted(wide), axis="columns")


def _steps(arms: Mapping[str, Arm], speed: pd.DataFrame | None) -> pd.DataFrame:
    """A row per block and arm: seconds per step, and over tanh's in the same block."""
    if speed is None or speed.empty:
        return pd.DataFrame(columns=STEPS)
    names = {arm.name: activation for activation, arm in arms.items()}
    own = speed[(speed["kind"] == "step") & speed["name"].isin(names)]
    own = own.rename(columns={"name": "arm"}).assign(activation=lambda rows: rows["arm"].map(names))
    place = ["device", "threads", "precision", "batch", "block"]
    tanh = own[own["activation"] == "tanh"].set_index(place)["seconds"].rename("tanh")
    joined = own.join(tanh, on=place)
    joined["ratio"] = joined["seconds"] / joined["tanh"]
    order = {activation: i for i, activation in enumerate(arms)}
    joined = joined.assign(order=joined["activation"].map(order)).sort_values(["order", "block"])
    return joined[STEPS].reset_index(drop=True)


def _seconds_per_step(steps: pd.DataFrame, activation: str) -> float:
    """The geometric mean over blocks, so that ratios of means are means of ratios; NaN where not timed."""
    seconds = steps.loc[steps["activation"] == activation, "seconds"].to_numpy(dtype=float)
    return float(np.exp(np.log(seconds).mean())) if seconds.size else float("nan")


def _steps_per_epoch(curves: pd.DataFrame, arm: Arm) -> float:
    """Of the arm, from the runs that ended an epoch; NaN where none did."""
    own = curves[(curves["arm"] == arm.name) & (curves["epoch"] > 0)]
    return float((own["step"] / own["epoch"]).max()) if len(own) else float("nan")


def _crossings(arm: Arm, wide: pd.DataFrame, target: float, horizon: float, seconds: float) -> pd.DataFrame:
    """A row per seed: when its training accuracy reaches the target; `seconds` are those of an epoch."""
    rows = []
    for seed in wide:
        crossing = first_crossing(wide.index, wide[seed], target, horizon)
        if crossing.position <= 0:
            raise TakeoffError(
                f"race.error {1 - target:g}: arm {arm.name}, seed {seed} is there before it trains; "
                "valid: an error that training must reach"
            )
        row = {"arm": arm.name, "activation": arm.network.activation, "seed": seed}
        row |= {"epochs": crossing.position, "seconds": crossing.position * seconds}
        rows.append(row | {"censored": crossing.censored})
    return pd.DataFrame(rows)


def _mean_curve(arm: Arm, wide: pd.DataFrame, seconds: float) -> pd.DataFrame:
    band = mean_band(1 - wide)
    table = pd.DataFrame(
        {
            "arm": arm.name,
            "activation": arm.network.activation,
            "epoch": wide.index,
            "seconds": wide.index * seconds,
            "n_seeds": band.n,
            "train_error": band.mean,
            "train_error_low": band.low,
            "train_error_high": band.high,
        }
    )
    return table[table["n_seeds"] > 0]


def _ratios(crossings: pd.DataFrame) -> pd.DataFrame:
    rows = []
    by_arm = {name: own.set_index("seed") for name, own in crossings.groupby("activation")}
    for unit in ("epochs", "seconds"):
        for slower, faster in PAIRS:
            top, bottom = by_arm[slower], by_arm[faster]
            common = top.index.intersection(bottom.index)
            if common.empty:
                raise TakeoffError(f"race: {slower} and {faster} have no seed in common; valid: one or more")
            if not np.isfinite([*top[unit], *bottom[unit]]).all():
                continue
            pair = [_as_crossings(side.loc[common], unit) for side in (top, bottom)]
            found = crossing_ratio(pair[0], pair[1])
            censored = [sum(crossing.censored for crossing in side) for side in pair]
            rows.append((unit, slower, faster, *found, len(common), *censored))
    columns = "unit arm over ratio ci_low ci_high bound n_seeds n_censored n_over_censored".split()
    return pd.DataFrame(rows, columns=columns)


def _as_crossings(rows: pd.DataFrame, unit: str) -> list[Crossing]:
    return [Crossing(float(row[unit]), bool(row["censored"])) for _, row in rows.iterrows()]
