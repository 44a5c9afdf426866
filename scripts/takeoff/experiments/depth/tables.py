"""The tables of `depth`: gradients, saturation and change by layer, and accuracy against depth."""

import numpy as np
import pandas as pd

from takeoff.experiments.base import Results
from takeoff.experiments.chance import guessing_loss, training_chance_of
from takeoff.experiments.depth.design import Design
from takeoff.statistics.chance import collapsed
from takeoff.statistics.intervals import mean_interval

LEAST = 1e-38
"""What a gradient's norm of 0 counts as in logarithms: about the least that float32 holds in full."""
STILL = 1e-7
"""What a relative change of weights below float32's rounding counts as."""
NETWORK = ["activation", "norm", "initialisation", "depth", "times"]
"""What each row says of its arm, and `times`, how many times as long as the others it is trained."""


def analyse(depth: Design, results: Results) -> dict[str, pd.DataFrame]:
    """The tables of the experiment; accuracies are fractions, `majority` is that of the training images.

    - `layers`: a row per arm of the greatest depth, moment (`start`, `end` of training) and layer: over seeds the
      geometric mean and t interval of `gradient_norm`, the means of `saturated`, `dead` and `weight_change`.
    - `slopes`: a row per such arm, seed and moment: `slope`, by how much the logarithm of the gradient's norm changes
      per hidden layer on the way from the output towards the images (least squares).
    - `change`: a row per such arm and seed: the relative change of the weights of the `first` and the `last` hidden
      layer, and their `ratio`; a layer that is `_still` has changed by less than float32 can represent.
    - `accuracy`: a row per arm: the learning rate that is best for its tuning runs, and there their mean training and
      validation accuracy, and how many of them are at chance. The rate was chosen on these very runs, so that each
      accuracy is a little too good; of every arm alike.
    - `runs`: a row per final run of the greatest depth; where a diverged run has no accuracy, it is at chance. `gained`
      is by how many nats its training loss lies below that of guessing; of a diverged run 0.
    - `learning`: a row per network there: the mean of `gained` over seeds with its t interval.

    A TakeoffError says that the card does not count the training images of every class.
    """
    epochs = min(arm.recipe.epochs for arm in depth.networks)
    rows = {arm.name: {**arm.network.model_dump(), "times": arm.recipe.epochs // epochs} for arm in depth.networks}
    networks = pd.DataFrame.from_dict(rows, orient="index")[NETWORK].rename_axis("arm")
    majority, images = training_chance_of(results.card, depth.study)
    probes = results.probes.join(networks, on="arm")
    runs = _final_runs(networks, results.runs, depth.deepest, majority)
    runs["gained"] = (guessing_loss(results.card) - runs["train_loss"]).mask(runs["diverged"].astype(bool), 0.0)
    return {
        "layers": _layers(probes),
        "slopes": _slopes(probes[probes["hidden"]]),
        "change": _changes(probes[probes["hidden"] & probes["moment"].eq("end")]),
        "accuracy": _accuracies(networks, results.tuning, majority, images),
        "runs": runs,
        "learning": _learning(runs),
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


def _accuracies(networks: pd.DataFrame, tuning: pd.DataFrame, majority: float, images: int) -> pd.DataFrame:
    accuracy, rows = ["train_accuracy", "validation_accuracy"], []
    for arm, group in tuning.groupby("arm", sort=False):
        means = group.groupby("learning_rate")[accuracy].mean()
        rate = means["validation_accuracy"].idxmax()
        own = group[group["learning_rate"] == rate]
        lost = collapsed(own["train_accuracy"], own["diverged"], majority, images).sum()
        at_edge = rate in means.index[[0, -1]]
        rows.append((arm, *networks.loc[arm], rate, at_edge, len(own), lost, *means.loc[rate], majority))
    columns = ["arm", *NETWORK, "learning_rate", "at_edge", "n_seeds", "collapsed", *accuracy, "majority"]
    return pd.DataFrame(rows, columns=columns)


def _final_runs(networks: pd.DataFrame, runs: pd.DataFrame, deepest: int, majority: float) -> pd.DataFrame:
    accuracy = ["train_accuracy", "test_accuracy"]
    kept = ["learning_rate", "at_edge", "untuned", "train_loss", *accuracy, "diverged"]
    found = runs[["arm", "seed", *kept]].join(networks, on="arm").query("depth == @deepest")
    found[accuracy] = found[accuracy].where(np.isfinite(found[accuracy]), majority)
    return found[["arm", "seed", *NETWORK, *kept]].assign(majority=majority).reset_index(drop=True)


def _learning(runs: pd.DataFrame) -> pd.DataFrame:
    rows = [(*key, *mean_interval(own["gained"])[:3], len(own)) for key, own in runs.groupby(NETWORK, sort=False)]
    return pd.DataFrame(rows, columns=[*NETWORK, "gained", "ci_low", "ci_high", "n_seeds"])
