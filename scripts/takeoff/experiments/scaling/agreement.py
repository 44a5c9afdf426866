"""Whether draws that share no training image put the scaling experiment's methods in the same order."""

import numpy as np
import pandas as pd

from takeoff.experiments.scaling.design import disjoint_seeds
from takeoff.statistics.agreement import FEWEST, agreement
from takeoff.study.model import Study
from takeoff.study.sizes import presented

ENOUGH = 8
"""Draws from which on a larger size is worth more. Simulated with ten methods, four draws, as many as share no image at
a quarter of the images, had a power of 6% at a level of 0.0025; 16 against 8 draws, at an eighth, 61% to 90%."""
ORDER = (
    "smallest largest n_draws methods smallest_agreement largest_agreement difference error freedom ci_low ci_high note"
).split()


def with_disjoint(runs: pd.DataFrame, study: Study, pool: int) -> pd.DataFrame:
    """`runs` with `disjoint`: whether the seeds up to this one share no training image at its size."""

    def disjoint(seeds: pd.Series) -> pd.Series:
        ordered = [*study.seed_list, *sorted({*seeds} - {*study.seed_list})]
        return seeds.isin(disjoint_seeds(ordered, presented(study, seeds.name), pool))

    return runs.assign(disjoint=runs.groupby("train_samples")["seed"].transform(disjoint))


def scores_by_size(runs: pd.DataFrame, without: str) -> dict[int, pd.DataFrame]:
    """Test errors (seeds × methods) of disjoint draws, by size, ascending, all of the same rows and columns: NaN where
    a method has no such draw. The network that is trained longer, `without`, is no method of its own here.
    """
    kept = runs[runs["disjoint"] & (runs["method"] != without)]
    seeds, methods = sorted(kept["seed"].unique()), kept["method"].unique()
    wide = kept.pivot(index="seed", columns=["train_samples", "method"], values="test_error")
    sizes = sorted(runs["train_samples"].unique())
    return {int(size): wide[size].reindex(index=seeds, columns=methods) for size in sizes}


def agreement_by_size(scores: dict[int, pd.DataFrame], study: Study, pool: int) -> pd.DataFrame:
    """A row per size, ascending: agreement over disjoint draws, of the methods that have two or more."""
    rows = []
    for size, own in scores.items():
        found, draws = agreement(own).estimate(), own.notna().sum()
        # Where leaving a draw out changes nothing there is no interval, however few the draws are.
        low, high = found.interval() if found.error > 0 else (np.nan, np.nan)
        counts = (int(draws.max()), int(draws[draws > 1].min() if draws.max() > 1 else 0), int((draws > 1).sum()))
        rows.append((size, *counts, found.value, max(low, -1), min(high, 1), presented(study, size) / pool))
    columns = "train_samples n_draws fewest_draws n_methods agreement ci_low ci_high share"
    return pd.DataFrame(rows, columns=columns.split())


def order_table(scores: dict[int, pd.DataFrame]) -> pd.DataFrame:
    """One row: the agreement at the smallest size less that at a larger one: the one at which the methods have the most
    disjoint draws, up to `ENOUGH`, the largest of those alike.

    Over the methods that have `FEWEST` draws at both sizes; `n_draws` is how many the one with the fewest has. An
    interval without width says only that the draws are few, and is left out.
    """
    smallest, *others = scores
    counts = {size: np.minimum(scores[smallest].notna().sum(), scores[size].notna().sum()) for size in others}
    compared = {size: own[own >= FEWEST] for size, own in counts.items()}
    draws = {size: min(ENOUGH, int(own.min())) if len(own) > 1 else 0 for size, own in compared.items()}
    largest = max(others, key=lambda size: (draws[size], size))
    row: dict[str, object] = dict.fromkeys(ORDER, np.nan) | {"smallest": smallest, "note": ""}
    if not draws[largest]:
        note = f"no size above the smallest has {FEWEST} draws of two methods that share no image"
        return pd.DataFrame([row | {"note": note}])
    methods = compared[largest].index
    one, other = (agreement(scores[size][methods]) for size in (smallest, largest))
    found = one.less(other)
    row |= {"largest": largest, "n_draws": int(compared[largest].min()), "methods": ", ".join(methods)}
    row |= {"smallest_agreement": one.estimate().value, "largest_agreement": other.estimate().value}
    row |= {"difference": found.value, "freedom": found.freedom}
    if not found.error > 0:
        return pd.DataFrame([row | {"note": "no interval: leaving a draw out changes nothing"}])
    low, high = found.interval()
    return pd.DataFrame([row | {"error": found.error, "ci_low": low, "ci_high": high}])
