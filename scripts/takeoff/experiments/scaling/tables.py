"""The scaling experiment's tables of runs, fits, gains per doubling, and the differences that claims are judged by."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from takeoff.common.errors import TakeoffError
from takeoff.data.card import Card
from takeoff.experiments.base import Results
from takeoff.experiments.chance import chance_of
from takeoff.experiments.scaling.agreement import agreement_by_size, order_table, scores_by_size, with_disjoint
from takeoff.experiments.scaling.design import Design, Member
from takeoff.experiments.scaling.methods import hand_made, network_method
from takeoff.statistics.chance import collapsed
from takeoff.statistics.intervals import mean_interval
from takeoff.statistics.responses import log_odds
from takeoff.statistics.scaling import gains_per_doubling, log_slopes, scaling_table
from takeoff.study.sizes import presented

ACCURACIES = ("validation_accuracy", "test_accuracy")
KEPT = ("learning_rate", "at_edge", "untuned", "flops", "seconds", "notes")
"""What of a run stands in `runs` besides its accuracies, where it is known."""
LAST = 0.25
"""The part of a run, its last epochs, over which a rise of validation accuracy says that it had not reached its end."""
DIFFERENCES = ["quantity", "seed", "value", "log_odds", "one", "other"]


def analyse(scaling: Design, results: Results) -> dict[str, pd.DataFrame]:
    """The tables of the experiment; errors, accuracies and their differences are fractions.

    - `runs`: a row per method, size (`train_samples`, validation included) and seed: test error and accuracy,
      validation accuracy, how it was tuned, `flops` of its training; `borrowed`: whether its settings come from
      another arm; `disjoint`: whether the seeds up to this one share no training image at this size; `notes`, as that
      a solver stopped early. A run that diverged counts as chance.
    - `fits`: a row per method: the columns of `statistics.scaling.COLUMNS` (slope, gain per doubling over the last
      two doublings, and the law err = alpha m^−beta + gamma), validation and test accuracy at the full size, and
      which method is the `best` of its kind there by validation accuracy; `chance` is an accuracy. Where every seed
      sees the same images at the full size, that size counts as one draw in the law.
    - `gains`: a row per method and seed with every size: its gain per doubling and its slope.
    - `differences`: a row per quantity and seed: what the claims about width, features and networks are judged by
      (`value`), and the same in log-odds (`log_odds`), in which chance and perfection bend it less; of a quantity at
      one size, which methods are compared (`one` less `other`).
    - `agreement`: a row per size: that of disjoint draws, and `share` of the images to draw from that one trains on.
    - `order`: the agreement at the smallest size less that at a larger one, with the jackknife's error over the draws
      of both: one row, without numbers where there is nothing to compare.
    - `plateau`: a row per size of the network that is trained longer: mean validation accuracy, how much more that is
      than with the others' steps (`rise`, with its t interval), how much of it came in the last quarter of its epochs
      (`late_rise`), and whether that is more than the study's margin (`rising`).

    A TakeoffError says that a run is missing, or that the card does not count its images.
    """
    study = scaling.study
    test, pool = chance_of(results.card, study), presented(study, Card(results.card).images("train"))
    runs = with_disjoint(_runs(scaling.members, results.runs, test), study, pool)
    scores = scores_by_size(runs, scaling.longest)
    return {
        "runs": runs,
        "fits": _fits(runs, test, shared=presented(study, scaling.sizes[-1]) >= pool),
        "gains": _gains(runs, test[1]),
        "differences": _differences(runs, test[1], network_method(scaling.options.widths[0]), scaling.widest),
        "agreement": agreement_by_size(scores, study, pool),
        "order": order_table(scores),
        "plateau": _plateau(runs, results.curves, scaling.longest, scaling.widest, study.margin),
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


def _differences(runs: pd.DataFrame, images: int, narrow: str, wide: str) -> pd.DataFrame:
    """A row per quantity and seed: test accuracy, a fraction of `images`, in `value`, and its `log_odds`; paired
    within seeds.

    `width_smallest` and `width_full`: the widest network less the narrowest at a size, and `width_by_data`, the
    latter less the former. `hand_made_smallest` and `hand_made_full`: the best hand-made pipeline less the best
    network, each chosen by validation accuracy at that size, the first of equals, and `hand_made_by_data`, the former
    less the latter. `network_minus_older`: the best network less the best older method, likewise, at the full size.
    """
    scored = runs.assign(value=runs["test_accuracy"], log_odds=log_odds(runs["test_accuracy"], images))
    scales, columns = ["value", "log_odds"], ["train_samples", "method"]
    wider = scored.pivot(index="seed", columns=columns, values=scales).stack(level=0)
    ends = {"smallest": runs["train_samples"].min(), "full": runs["train_samples"].max()}
    validated = runs.groupby(["train_samples", "method"], sort=False)["validation_accuracy"].mean()
    networks, older = (runs.loc[runs["kind"] == kind, "method"].unique() for kind in ("network", "older"))
    pipelines = [method for method in older if hand_made(method)]
    compared: dict[str, tuple[int, str, str]] = {}
    for end, size in ends.items():
        compared[f"width_{end}"] = size, wide, narrow
        network, rival = (str(validated[size][own].idxmax()) for own in (networks, older))
        if pipelines:
            compared[f"hand_made_{end}"] = size, str(validated[size][pipelines].idxmax()), network
        compared["network_minus_older"] = size, network, rival  # the full size is the last
    found = {name: wider[size][one] - wider[size][other] for name, (size, one, other) in compared.items()}
    found["width_by_data"] = found["width_full"] - found["width_smallest"]
    if pipelines:
        found["hand_made_by_data"] = found["hand_made_smallest"] - found["hand_made_full"]
    parts = []
    for name, values in found.items():
        _, one, other = compared.get(name, (0, None, None))
        parts.append(values.unstack().dropna().assign(quantity=name, one=one, other=other))
    return pd.concat(parts).reset_index()[DIFFERENCES]


def _plateau(runs: pd.DataFrame, curves: pd.DataFrame, longest: str, widest: str, margin: float) -> pd.DataFrame:
    """A row per size of the network `longest`, none where there is none such."""
    rows = []
    for size, own in runs[runs["method"] == longest].groupby("train_samples"):
        shorter = runs[(runs["method"] == widest) & (runs["train_samples"] == size)].set_index("seed")
        validated = own.set_index("seed")["validation_accuracy"]
        rise = mean_interval((validated - shorter["validation_accuracy"]).dropna(), size=1)
        part = curves[curves["arm"].isin(own["arm"])]
        early = part[part["epoch"] <= (1 - LAST) * part["epoch"].max()].groupby("seed")["validation_accuracy"].max()
        late = float((part.groupby("seed")["validation_accuracy"].max() - early).mean())
        rows.append((size, len(own), validated.mean(), *rise[:3], late, late > margin))
    columns = "train_samples n_seeds validation_accuracy rise rise_low rise_high late_rise rising"
    return pd.DataFrame(rows, columns=columns.split())
