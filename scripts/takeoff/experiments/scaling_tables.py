"""The scaling experiment's tables of runs, fits, gains per doubling, and the differences that claims are judged by."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from takeoff.errors import TakeoffError
from takeoff.experiments.scaling_methods import both_features
from takeoff.experiments.scaling_sizes import Member
from takeoff.statistics.chance import collapsed
from takeoff.statistics.scaling import gains_per_doubling, log_slopes, scaling_table
from takeoff.statistics.transforms import log_odds

ACCURACIES = ("validation_accuracy", "test_accuracy")
KEPT = ("learning_rate", "at_edge", "untuned", "flops", "seconds")
"""What of a run stands in `runs` besides its accuracies, where it is known."""


def member_runs(wanted: Sequence[Member], given: pd.DataFrame, test: tuple[float, int]) -> pd.DataFrame:
    """A row per method, size and seed, in the order of `wanted`; `test` is chance on the test images and their number.

    Raises:
        TakeoffError: an arm has no run, or one without an accuracy that did not diverge.

    """
    chance, images = test
    about = pd.DataFrame(
        {
            "arm": member.arm.name,
            "method": member.method,
            "kind": member.kind,
            "width": member.width,
            "train_samples": member.size,
            "borrowed": member.arm.lender is not None,
        }
        for member in wanted
    ).astype({"width": float})
    for arm in about.loc[~about["arm"].isin(given["arm"]), "arm"]:
        raise TakeoffError(f"scaling: arm {arm} has no run; train it")
    found = about.merge(given.reindex(columns=["arm", "seed", "diverged", *ACCURACIES, *KEPT]), on="arm")
    runs = found[["method", "kind", "width", "train_samples", "seed"]].copy()
    runs["diverged"] = found["diverged"].eq(True)
    for name in ACCURACIES:
        values = found[name].astype(float)
        for arm in found.loc[values.isna() & ~runs["diverged"], "arm"]:
            raise TakeoffError(f"scaling: arm {arm} has a run without {name}; train it again")
        runs[name] = values.where(~runs["diverged"], chance)
    runs["test_error"] = 1 - runs["test_accuracy"]
    runs[["borrowed", *KEPT, "arm"]] = found[["borrowed", *KEPT, "arm"]]
    runs["collapsed"] = collapsed(runs["test_accuracy"], runs["diverged"], chance, images)
    return runs


def fits(runs: pd.DataFrame, test: tuple[float, int], *, shared: bool) -> pd.DataFrame:
    """A row per method: `statistics.scaling` of its test errors, its accuracies at the full size, and whether it is the
    best of its kind by validation accuracy there.

    Args:
        runs: as `member_runs` makes them.
        test: chance on the test images, and their number.
        shared: whether every seed trains on the same images at the full size, which there count as one draw.

    """
    chance, images = test
    errors = runs["test_error"]
    table = scaling_table(
        runs, "method", "seed", "train_samples", errors, 0.5 / images, "scaling", shared=shared
    )
    full = runs[runs["train_samples"] == runs["train_samples"].max()].groupby("method", sort=False)
    means = full[["validation_accuracy", "test_accuracy"]].mean()
    table = table.merge(full["kind"].first(), on="method").merge(means, on="method")
    best = table.groupby("kind")["validation_accuracy"].transform("idxmax")
    return table.assign(best=best == table.index, chance=chance)


def gains(runs: pd.DataFrame, images: int) -> pd.DataFrame:
    """A row per method and seed with every size: `gain` per doubling over the last two, and `slope` of ln error."""
    rows = []
    for (method, kind), part in runs.groupby(["method", "kind"], sort=False):
        errors = part.pivot(index="seed", columns="train_samples", values="test_error").dropna()
        at = errors.columns.to_numpy(dtype=float)
        found = gains_per_doubling(at, errors), log_slopes(at, np.maximum(errors, 0.5 / images))
        rows += [(method, kind, *row) for row in zip(errors.index, *found, strict=True)]
    return pd.DataFrame(rows, columns=["method", "kind", "seed", "gain", "slope"])


def differences(runs: pd.DataFrame, images: int) -> pd.DataFrame:
    """A row per quantity and seed: test accuracy, a fraction of `images`, in `value`, and its `log_odds`; paired
    within seeds.

    `width_smallest` and `width_full`: the widest network less the narrowest at a size, and `width_by_data`, the
    latter less the former. `hog_smallest` and `hog_full`: HOG less pixels, mean over the SVMs that have both, and
    `hog_by_data`, the former less the latter. `network_minus_older`: the best network less the best older method at
    the full size, each chosen by validation accuracy.
    """
    scales = {"value": runs["test_accuracy"], "log_odds": log_odds(runs["test_accuracy"], images)}
    parts = [_differences(runs.assign(**{name: values}), name) for name, values in scales.items()]
    return parts[0].join(parts[1]).reset_index()


def _differences(runs: pd.DataFrame, response: str) -> pd.DataFrame:
    """The differences of one column of `runs`, by quantity and seed."""
    smallest, full = runs["train_samples"].min(), runs["train_samples"].max()
    wide = runs.pivot(index="seed", columns=["method", "train_samples"], values=response)
    found: dict[str, pd.Series] = {}
    networks = runs[runs["kind"] == "network"].sort_values("width")["method"].unique()
    for end, size in (("smallest", smallest), ("full", full)):
        found[f"width_{end}"] = wide[networks[-1], size] - wide[networks[0], size]
    found["width_by_data"] = found["width_full"] - found["width_smallest"]
    if learners := both_features(runs["method"]):
        for end, size in (("smallest", smallest), ("full", full)):
            pairs = [wide[f"hog-{learner}", size] - wide[f"pixels-{learner}", size] for learner in learners]
            found[f"hog_{end}"] = sum(pairs[1:], pairs[0]) / len(pairs)
        found["hog_by_data"] = found["hog_smallest"] - found["hog_full"]
    best = {kind: best_at(runs, str(kind), full) for kind in ("network", "older")}
    found["network_minus_older"] = wide[best["network"], full] - wide[best["older"], full]
    rows = [(name, seed, value) for name, values in found.items() for seed, value in values.dropna().items()]
    return pd.DataFrame(rows, columns=["quantity", "seed", response]).set_index(["quantity", "seed"])


def best_at(runs: pd.DataFrame, kind: str, size: float) -> str:
    """The method of that kind with the highest mean validation accuracy at a size, the first of equals."""
    chosen = runs[(runs["kind"] == kind) & (runs["train_samples"] == size)]
    return str(chosen.groupby("method", sort=False)["validation_accuracy"].mean().idxmax())
