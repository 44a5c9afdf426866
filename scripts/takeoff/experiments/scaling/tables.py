"""The scaling experiment's tables of runs, fits, gains per doubling, and the differences that claims are judged by."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from takeoff.common.errors import TakeoffError
from takeoff.data.card import Card
from takeoff.experiments.base import Results
from takeoff.experiments.chance import chance_of
from takeoff.experiments.scaling.agreement import agreement_by_size, order_table, with_disjoint
from takeoff.experiments.scaling.design import Design, Member
from takeoff.experiments.scaling.methods import both_features
from takeoff.statistics.chance import collapsed
from takeoff.statistics.responses import log_odds
from takeoff.statistics.scaling import gains_per_doubling, log_slopes, scaling_table
from takeoff.study.sizes import presented

ACCURACIES = ("validation_accuracy", "test_accuracy")
KEPT = ("learning_rate", "at_edge", "untuned", "flops", "seconds")
"""What of a run stands in `runs` besides its accuracies, where it is known."""


def analyse(scaling: Design, results: Results) -> dict[str, pd.DataFrame]:
    """The tables of the experiment; errors, accuracies and their differences are fractions.

    - `runs`: a row per method, size (`train_samples`, validation included) and seed: test error and accuracy,
      validation accuracy, how it was tuned, `flops` of its training; `borrowed`: whether its settings come from
      another arm; `disjoint`: whether the seeds up to this one share no training image at this size. A run that
      diverged counts as chance.
    - `fits`: a row per method: the columns of `statistics.scaling.COLUMNS` (slope, gain per doubling over the last
      two doublings, and the law err = alpha m^−beta + gamma), validation and test accuracy at the full size, and
      which method is the `best` of its kind there by validation accuracy; `chance` is an accuracy. Where every seed
      sees the same images at the full size, that size counts as one draw in the law.
    - `gains`: a row per method and seed with every size: its gain per doubling and its slope.
    - `differences`: a row per quantity and seed: what the claims about width, features and networks are judged by
      (`value`), and the same in log-odds (`log_odds`), in which chance and perfection bend it less.
    - `agreement`: a row per size: the columns of `statistics.agreement.COLUMNS` over disjoint draws, `share` of the
      images to draw from that a draw trains on, and which methods have too few draws (`left_out`).
    - `order`: the agreement at the smallest size less that at the largest with three disjoint draws, jackknifed over
      the draws of both: one row, without numbers where there is nothing to compare.

    A TakeoffError says that a run is missing, or that the card does not count its images.
    """
    study = scaling.study
    test, pool = chance_of(results.card, study), presented(study, Card(results.card).images("train"))
    runs = with_disjoint(_runs(scaling.members, results.runs, test), study, pool)
    return {
        "runs": runs,
        "fits": _fits(runs, test, shared=presented(study, scaling.sizes[-1]) >= pool),
        "gains": _gains(runs, test[1]),
        "differences": _differences(runs, test[1]),
        "agreement": agreement_by_size(runs, study, pool),
        "order": order_table(runs),
    }


def _runs(members: Sequence[Member], given: pd.DataFrame, test: tuple[float, int]) -> pd.DataFrame:
    """A row per method, size and seed, in the order of `members`; `test`: chance on the test images, their number."""
    about = pd.DataFrame([vars(one) for one in members]).rename(columns={"size": "train_samples"})
    about["borrowed"] = [one.arm.choice_from is not None for one in members]
    about = about.assign(arm=[one.arm.name for one in members]).astype({"width": float})
    for arm in about.loc[~about["arm"].isin(given["arm"]), "arm"]:
        raise TakeoffError(f"scaling: arm {arm} has no run; train it")
    found = about.merge(given.reindex(columns=["arm", "seed", "diverged", *ACCURACIES, *KEPT]), on="arm")
    runs = found[["method", "kind", "width", "train_samples", "seed"]].copy()
    runs["diverged"] = found["diverged"].eq(True)
    for name in ACCURACIES:
        values = found[name].astype(float)
        for arm in found.loc[values.isna() & ~runs["diverged"], "arm"]:
            raise TakeoffError(f"scaling: arm {arm} has a run without {name}; train it again")
        runs[name] = values.where(~runs["diverged"], test[0])
    runs["test_error"] = 1 - runs["test_accuracy"]
    runs[["borrowed", *KEPT, "arm"]] = found[["borrowed", *KEPT, "arm"]]
    return runs.assign(collapsed=collapsed(runs["test_accuracy"], runs["diverged"], *test))


def _fits(runs: pd.DataFrame, test: tuple[float, int], *, shared: bool) -> pd.DataFrame:
    """A row per method; `shared`: every seed trains on the same images at the full size, which count as one draw."""
    errors, nearest = runs["test_error"], 0.5 / test[1]
    table = scaling_table(runs, "method", "seed", "train_samples", errors, nearest, "scaling", shared=shared)
    full = runs[runs["train_samples"] == runs["train_samples"].max()].groupby("method", sort=False)
    table = table.merge(full["kind"].first(), on="method").merge(full[[*ACCURACIES]].mean(), on="method")
    best = table.groupby("kind")["validation_accuracy"].transform("idxmax")
    return table.assign(best=best == table.index, chance=test[0])


def _gains(runs: pd.DataFrame, images: int) -> pd.DataFrame:
    """A row per method and seed with every size: `gain` per doubling over the last two, and `slope` of ln error."""
    rows = []
    for (method, kind), part in runs.groupby(["method", "kind"], sort=False):
        errors = part.pivot(index="seed", columns="train_samples", values="test_error").dropna()
        at = errors.columns.to_numpy(dtype=float)
        found = gains_per_doubling(at, errors), log_slopes(at, np.maximum(errors, 0.5 / images))
        rows += [(method, kind, *row) for row in zip(errors.index, *found, strict=True)]
    return pd.DataFrame(rows, columns=["method", "kind", "seed", "gain", "slope"])


def _differences(runs: pd.DataFrame, images: int) -> pd.DataFrame:
    """A row per quantity and seed: test accuracy, a fraction of `images`, in `value`, and its `log_odds`; paired
    within seeds.

    `width_smallest` and `width_full`: the widest network less the narrowest at a size, and `width_by_data`, the
    latter less the former. `hog_smallest` and `hog_full`: HOG less pixels, mean over the SVMs that have both, and
    `hog_by_data`, the former less the latter. `network_minus_older`: the best network less the best older method at
    the full size, each chosen by validation accuracy, the first of equals.
    """
    scored = runs.assign(value=runs["test_accuracy"], log_odds=log_odds(runs["test_accuracy"], images))
    scales, columns = ["value", "log_odds"], ["train_samples", "method"]
    wide = scored.pivot(index="seed", columns=columns, values=scales).stack(level=0)
    full = runs["train_samples"].max()
    ends = {"smallest": wide[runs["train_samples"].min()], "full": wide[full]}
    networks = runs[runs["kind"] == "network"].sort_values("width")["method"].unique()
    found = {f"width_{end}": at[networks[-1]] - at[networks[0]] for end, at in ends.items()}
    found["width_by_data"] = found["width_full"] - found["width_smallest"]
    if learners := both_features(runs["method"]):
        for end, at in ends.items():
            pairs = [at[f"hog-{learner}"] - at[f"pixels-{learner}"] for learner in learners]
            found[f"hog_{end}"] = sum(pairs[1:], pairs[0]) / len(pairs)
        found["hog_by_data"] = found["hog_smallest"] - found["hog_full"]
    at_full = runs[runs["train_samples"] == full].groupby(["kind", "method"], sort=False)
    best = at_full["validation_accuracy"].mean().groupby("kind").idxmax().map(lambda pair: pair[1])
    found["network_minus_older"] = ends["full"][best["network"]] - ends["full"][best["older"]]
    parts = [values.unstack().dropna().assign(quantity=name) for name, values in found.items()]
    return pd.concat(parts).reset_index()[["quantity", "seed", *scales]]
