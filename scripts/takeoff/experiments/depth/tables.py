"""The tables of `depth`: gradients, saturation and change by layer, and accuracy against depth."""

import numpy as np
import pandas as pd

from takeoff.experiments.base import Results
from takeoff.experiments.chance import training_chance_of
from takeoff.experiments.depth.design import Design
from takeoff.statistics.chance import collapsed
from takeoff.statistics.intervals import mean_interval

LEAST = 1e-38
"""What a gradient's norm of 0 counts as in logarithms: about the least that float32 holds in full."""
STILL = 1e-7
"""What a relative change of weights below float32's rounding counts as."""
NETWORK = ["activation", "norm", "initialisation", "depth"]
"""What each row says of its arm."""


def analyse(depth: Design, results: Results) -> dict[str, pd.DataFrame]:
    """The tables of the experiment; accuracies are fractions, `majority` is that of the training images.

    - `layers`: a row per arm of the greatest depth, moment (`start`, `end` of training) and layer: over seeds the
      geometric mean and t interval of `gradient_norm`, the means of `saturated`, `dead` and `weight_change`.
    - `slopes`: a row per such arm, seed and moment: `slope`, by how much the logarithm of the gradient's norm changes
      per hidden layer on the way from the output towards the images (least squares).
    - `change`: a row per such arm and seed: the relative change of the weights of the `first` and the `last` hidden
      layer, and their `ratio`; a layer that is `_still` has changed by less than float32 can represent.
    - `accuracy`: a row per arm: the learning rate that it chose, and there the tuning runs' mean training and
      validation accuracy, and how many of them are at chance. The rate was chosen on these very runs, so that each
      accuracy is a little too good; of every arm alike.
    - `runs`: a row per final run of the greatest depth; where a diverged run has no accuracy, it is at chance.
    - `remedies`: a row per change and network: what batch norm, ReLU and the initialisation each add to training
      accuracy there, the mean over paired seeds with its t interval, not adjusted for their number. Each network has
      its own learning rate, and each activation the initialisation that suits it.

    A TakeoffError says that the card does not count the training images of every class.
    """
    rows = {arm.name: {key: getattr(arm.network, key) for key in NETWORK} for arm in depth.networks}
    networks = pd.DataFrame.from_dict(rows, orient="index").rename_axis("arm")
    majority, images = training_chance_of(results.card, depth.study)
    probes = results.probes.join(networks, on="arm")
    runs = _final_runs(networks, results.runs, depth.deepest, majority)
    return {
        "layers": _layers(probes),
        "slopes": _slopes(probes[probes["hidden"]]),
        "change": _changes(probes[probes["hidden"] & probes["moment"].eq("end")]),
        "accuracy": _accuracies(networks, results, majority, images),
        "runs": runs,
        "remedies": _remedies(runs),
    }


def _layers(probes: pd.DataFrame) -> pd.DataFrame:
    kept, rows = ["saturated", "dead", "weight_change"], []
    for place, group in probes.groupby(["arm", *NETWORK, "moment", "layer", "hidden"], sort=False):
        gradient = np.exp(mean_interval(_logs(group), size=1)[:3])
        rows.append((*place, len(group), *gradient, *(group[name].astype(float).mean() for name in kept)))
    gradients = ["gradient_norm", "gradient_norm_low", "gradient_norm_high"]
    columns = ["arm", *NETWORK, "moment", "layer", "hidden", "n_seeds", *gradients, *kept]
    return pd.DataFrame(rows, columns=columns)


def _slopes(hidden: pd.DataFrame) -> pd.DataFrame:
    place, rows = ["arm", *NETWORK, "seed", "moment"], []
    for key, group in hidden.groupby(place, sort=False):
        steps = -group["layer"].to_numpy(dtype=float)
        rows.append((*key, np.polyfit(steps, _logs(group), 1)[0] if len(group) > 1 else np.nan))
    return pd.DataFrame(rows, columns=[*place, "slope"])


def _changes(trained: pd.DataFrame) -> pd.DataFrame:
    place, rows = ["arm", *NETWORK, "seed"], []
    for key, group in trained.sort_values("layer", kind="stable").groupby(place, sort=False):
        measured = group["weight_change"].to_numpy(dtype=float)[[0, -1]]
        first, last = measured.clip(STILL)
        rows.append((*key, first, last, first / last, *(measured < STILL)))
    return pd.DataFrame(rows, columns=[*place, "first", "last", "ratio", "first_still", "last_still"])


def _logs(group: pd.DataFrame) -> np.ndarray:
    return np.log(group["gradient_norm"].to_numpy(dtype=float).clip(LEAST))


def _accuracies(networks: pd.DataFrame, results: Results, majority: float, images: int) -> pd.DataFrame:
    choices, rows = results.runs.groupby("arm")[["learning_rate", "at_edge"]].first(), []
    accuracy = ["train_accuracy", "validation_accuracy"]
    for arm, group in results.tuning.groupby("arm", sort=False):
        own = group[group["learning_rate"] == choices.at[arm, "learning_rate"]]
        lost = collapsed(own["train_accuracy"], own["diverged"], majority, images).sum()
        means = [own[name].mean() for name in accuracy]
        rows.append((arm, *networks.loc[arm], *choices.loc[arm], len(own), lost, *means, majority))
    columns = ["arm", *NETWORK, *choices, "n_seeds", "collapsed", *accuracy, "majority"]
    return pd.DataFrame(rows, columns=columns)


def _final_runs(networks: pd.DataFrame, runs: pd.DataFrame, deepest: int, majority: float) -> pd.DataFrame:
    accuracy = ["train_accuracy", "test_accuracy"]
    kept = ["learning_rate", "at_edge", "untuned", *accuracy, "diverged"]
    found = runs[["arm", "seed", *kept]].join(networks, on="arm").query("depth == @deepest")
    found[accuracy] = found[accuracy].where(np.isfinite(found[accuracy]), majority)
    return found[["arm", "seed", *NETWORK, *kept]].assign(majority=majority).reset_index(drop=True)


def _remedies(runs: pd.DataFrame) -> pd.DataFrame:
    network = NETWORK[:3]
    accuracy = {key: own.set_index("seed")["train_accuracy"] for key, own in runs.groupby(network, sort=False)}
    rows = []
    for (activation, norm, drawn), after in accuracy.items():
        changes = {
            "batch norm": (activation, "none", drawn) if norm == "batch" else None,
            "ReLU for sigmoid": ("sigmoid", norm, drawn) if activation == "relu" else None,
            "ReLU for tanh": ("tanh", norm, drawn) if activation == "relu" else None,
            "He for N(0, 0.01)": (activation, norm, "gaussian-0.01") if drawn != "gaussian-0.01" else None,
        }
        for change, before in changes.items():
            if before in accuracy:
                gain = mean_interval(after - accuracy[before], size=1)[:3]
                rows.append((change, activation, norm, drawn, *gain, len(after)))
    return pd.DataFrame(rows, columns=["change", *network, "gain", "ci_low", "ci_high", "n_seeds"])
