"""The tables of `depth`: gradients, saturation and change by layer, and accuracy against depth."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from takeoff.errors import TakeoffError
from takeoff.statistics.chance import chance_line, majority_rate
from takeoff.statistics.intervals import mean_interval
from takeoff.study.arms import Arm
from takeoff.study.model import Study

LEAST = 1e-38
"""What a gradient's norm of 0 counts as in logarithms: about the least that float32 holds in full."""
STILL = 1e-7
"""What a relative change of weights below float32's rounding counts as."""
DESCRIPTION = ["activation", "norm", "initialisation", "depth"]


def described(arms: Sequence[Arm]) -> pd.DataFrame:
    """A row per arm, by its name: what it is."""
    rows = [{key: getattr(arm.network, key) for key in DESCRIPTION} | {"arm": arm.name} for arm in arms]
    return pd.DataFrame(rows).set_index("arm")


def training_chance(study: Study, card: dict[str, Any]) -> tuple[float, int]:
    """The majority rate of the training images, and how many of them training accuracy is taken on.

    Raises:
        TakeoffError: the card does not count the training images of every class.

    """
    asked = study.dataset.train_samples
    try:
        counts = card["images_per_class"]["train"]
        numbers = list(counts.values() if isinstance(counts, dict) else counts)
        total = sum(numbers) if isinstance(asked, str) else min(asked, sum(numbers))
        return majority_rate(numbers), total - int(study.dataset.validation_fraction * total)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise TakeoffError(
            "card.json: images_per_class.train is missing or wrong; valid: the training images of every class"
        ) from None


def layers(arms: pd.DataFrame, probes: pd.DataFrame) -> pd.DataFrame:
    """A row per arm, moment and layer: means over seeds, of gradients geometric."""
    rows = []
    for (arm, moment, layer), group in probes.groupby(["arm", "moment", "layer"], sort=False):
        logs = np.log(group["gradient_norm"].to_numpy(dtype=float).clip(LEAST))
        mean, low, high, _ = mean_interval(logs, size=1)
        row: dict[str, Any] = {"arm": arm, **arms.loc[arm, DESCRIPTION], "moment": moment, "layer": layer}
        row |= {"hidden": bool(group["hidden"].iloc[0]), "n_seeds": len(group)}
        row |= {
            "gradient_norm": np.exp(mean),
            "gradient_norm_low": np.exp(low),
            "gradient_norm_high": np.exp(high),
        }
        for name in ("saturated", "dead", "weight_change"):
            values = group[name].astype(float)
            row[name] = values.mean() if values.notna().any() else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def slopes(arms: pd.DataFrame, probes: pd.DataFrame) -> pd.DataFrame:
    """A row per arm, seed and moment: the slope of ln gradient norm per hidden layer towards the images."""
    rows = []
    hidden = probes[probes["hidden"].astype(bool)]
    for (arm, seed, moment), group in hidden.groupby(["arm", "seed", "moment"], sort=False):
        logs = np.log(group["gradient_norm"].to_numpy(dtype=float).clip(LEAST))
        steps = -group["layer"].to_numpy(dtype=float)
        slope = np.polyfit(steps, logs, 1)[0] if len(group) > 1 else np.nan
        rows.append(
            {"arm": arm, **arms.loc[arm, DESCRIPTION], "seed": seed, "moment": moment, "slope": slope}
        )
    return pd.DataFrame(rows)


def changes(arms: pd.DataFrame, probes: pd.DataFrame) -> pd.DataFrame:
    """A row per arm and seed: the relative change of the first and the last hidden layer's weights."""
    rows = []
    hidden = probes[probes["hidden"].astype(bool) & (probes["moment"] == "end")]
    for (arm, seed), group in hidden.groupby(["arm", "seed"], sort=False):
        measured = group.sort_values("layer")["weight_change"].to_numpy(dtype=float)
        change = measured.clip(STILL)
        row = {"arm": arm, **arms.loc[arm, DESCRIPTION], "seed": seed, "first": change[0], "last": change[-1]}
        row |= {
            "ratio": change[0] / change[-1],
            "first_still": measured[0] < STILL,
            "last_still": measured[-1] < STILL,
        }
        rows.append(row)
    return pd.DataFrame(rows)


def accuracies(
    arms: pd.DataFrame, tuning: pd.DataFrame, chosen: pd.DataFrame, majority: float, images: int
) -> pd.DataFrame:
    """A row per arm: at its rate, what the tuning runs reached; `chosen` are runs, with their `learning_rate` and
    `at_edge`.

    The rate was chosen on these very runs, so that the best is a little too good; of every arm alike.
    """
    rows = []
    line, choices = chance_line(majority, images), chosen.groupby("arm")[["learning_rate", "at_edge"]].first()
    for arm, group in tuning.groupby("arm", sort=False):
        if arm not in arms.index:
            continue
        rate, at_edge = choices.loc[arm]
        runs = group[group["learning_rate"] == rate]
        at_chance = runs["diverged"].astype(bool) | ~(runs["train_accuracy"] > line)
        rows.append(
            {
                "arm": arm,
                **arms.loc[arm, DESCRIPTION],
                "learning_rate": rate,
                "at_edge": bool(at_edge),
                "n_seeds": len(runs),
                "collapsed": int(at_chance.sum()),
                "train_accuracy": runs["train_accuracy"].mean(),
                "validation_accuracy": runs["validation_accuracy"].mean(),
                "majority": majority,
            }
        )
    return pd.DataFrame(rows)


def final_runs(arms: pd.DataFrame, runs: pd.DataFrame, deepest: int, majority: float) -> pd.DataFrame:
    """A row per final run of the greatest depth; where a diverged run has no accuracy, it is at chance."""
    found = runs[runs["arm"].map(arms["depth"]) == deepest]
    kept = ["learning_rate", "at_edge", "untuned", "train_accuracy", "test_accuracy", "diverged"]
    table = pd.concat(
        [
            found[["arm", "seed"]].reset_index(drop=True),
            arms.loc[found["arm"], DESCRIPTION].reset_index(drop=True),
            found[kept].reset_index(drop=True),
        ],
        axis=1,
    )
    for name in ("train_accuracy", "test_accuracy"):
        table[name] = table[name].where(np.isfinite(table[name]), majority)
    return table.assign(majority=majority)


def mends(runs: pd.DataFrame) -> pd.DataFrame:
    """What batch norm, ReLU and the initialisation each add to training accuracy at the greatest depth.

    A row per change: what it is, in which network, and the mean difference over paired seeds with its t interval, not
    adjusted for their number. Each network has its own rate, and each activation the initialisation that suits it.
    """
    by_network = {
        key: group.set_index("seed")["train_accuracy"]
        for key, group in runs.groupby(["activation", "norm", "initialisation"], sort=False)
    }
    rows = []
    for (activation, norm, drawn), after in by_network.items():
        changes = {
            "batch norm": (activation, "none", drawn) if norm == "batch" else None,
            "ReLU for sigmoid": ("sigmoid", norm, drawn) if activation == "relu" else None,
            "ReLU for tanh": ("tanh", norm, drawn) if activation == "relu" else None,
            "He for N(0, 0.01)": (activation, norm, "gaussian-0.01") if drawn != "gaussian-0.01" else None,
        }
        for change, before in changes.items():
            if before not in by_network:
                continue
            gain = (after - by_network[before]).dropna()
            mean, low, high, _ = mean_interval(gain, size=1)
            network = {"activation": activation, "norm": norm, "initialisation": drawn}
            rows.append(
                {"change": change}
                | network
                | {"gain": mean, "ci_low": low, "ci_high": high, "n_seeds": len(gain)}
            )
    columns = ["change", "activation", "norm", "initialisation", "gain", "ci_low", "ci_high", "n_seeds"]
    return pd.DataFrame(rows, columns=columns)
