"""Whether draws that share no training image put the scaling experiment's methods in the same order."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from takeoff.data.splits import van_der_corput
from takeoff.errors import TakeoffError
from takeoff.statistics import student
from takeoff.statistics.agreement import agreement_table, jackknife_interval, mean_rank_correlation
from takeoff.statistics.contrasts import Floats
from takeoff.study.model import Study

FEWEST = 3
"""Draws that a jackknife takes."""


def pool_of(card: dict[str, Any], study: Study) -> int:
    """How many images runs draw their training images from: those of the archive that are never held out.

    Raises:
        TakeoffError: the card does not count the training images.

    """
    try:
        images = int(card["images"]["train"])
    except (KeyError, TypeError, ValueError):
        raise TakeoffError(
            "card.json: images.train is missing or wrong; valid: the number of training images"
        ) from None
    return images - int(study.dataset.validation_fraction * images)


def disjoint_seeds(seeds: Sequence[int], window: int, pool: int) -> list[int]:
    """The first of `seeds`, as many as share no image where each trains on `window` of `pool` images.

    As `data.splits.split` draws them: each a window of one order, which starts where the seed says. Of the seeds
    0, 1, 2, … the first 2^k where a window takes up to 1/2^k of the pool.

    >>> disjoint_seeds([0, 1, 2, 3], 25, 100), disjoint_seeds([0, 1, 2, 3], 30, 100)
    ([0, 1, 2, 3], [0, 1])
    """
    kept: list[tuple[int, int]] = []
    for seed in seeds:
        start = int(van_der_corput(seed) * pool)
        if any(min((start - other) % pool, (other - start) % pool) < window for _, other in kept):
            break
        kept.append((seed, start))
    return [seed for seed, _ in kept]


def same_images(size: float, study: Study, pool: int) -> bool:
    """Whether every seed trains on the same images at a size: on all of the `pool`."""
    return _window(size, study) >= pool


def with_disjoint(runs: pd.DataFrame, study: Study, pool: int) -> pd.DataFrame:
    """`runs` with `disjoint`: whether the study's seeds up to this one share no training image at its size."""
    apart = {
        size: disjoint_seeds(study.seed_list, _window(size, study), pool)
        for size in runs["train_samples"].unique()
    }
    flags = [seed in apart[size] for seed, size in zip(runs["seed"], runs["train_samples"], strict=True)]
    return runs.assign(disjoint=flags)


def agreement_by_size(runs: pd.DataFrame, study: Study, pool: int) -> pd.DataFrame:
    """A row per size, ascending: agreement over disjoint draws, and which methods are left out for want of draws.

    Methods take part that have as many disjoint draws as the others, `FEWEST` at least where any has these.
    """
    parts = []
    for size, part in runs.groupby("train_samples"):
        scores, left_out = common_scores(part[part["disjoint"]])
        tall = scores.stack().rename("error").reset_index().assign(train_samples=size)
        table, _ = agreement_table(tall, "method", "seed", "train_samples", tall["error"], "scaling")
        # Where leaving a draw out changes nothing there is no interval, however few the draws are.
        table.loc[table["ci_low"] == table["ci_high"], ["ci_low", "ci_high"]] = np.nan
        parts.append(table.assign(share=_window(size, study) / pool, left_out=", ".join(left_out)))
    return pd.concat(parts, ignore_index=True)


def common_scores(runs: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Test errors (seeds × methods) at one size, none missing, and the methods that have too few draws for it."""
    wide = runs.pivot(index="seed", columns="method", values="test_error")
    counts = wide.notna().sum()
    enough = counts >= min(FEWEST, int(counts.max()))
    return wide.loc[:, enough].dropna(), list(counts.index[~enough])


def order_table(runs: pd.DataFrame) -> pd.DataFrame:
    """One row: the agreement at the smallest size less that at the largest with `FEWEST` disjoint draws.

    Both over the draws that have every method at both sizes. `error` and `freedom` are the jackknife's; an interval
    without width says only that the draws are few, and is left out.
    """
    names = "n_draws n_methods smallest_agreement largest_agreement difference error freedom ci_low ci_high".split()
    row: dict[str, object] = dict.fromkeys(names, np.nan)
    found = {size: common_scores(part[part["disjoint"]])[0] for size, part in runs.groupby("train_samples")}
    smallest = min(found)
    usable = [size for size, scores in found.items() if len(scores) >= FEWEST and size > smallest]
    row |= {"smallest": smallest, "largest": max(usable, default=np.nan), "note": ""}
    if not usable:
        row["note"] = f"no size above the smallest has {FEWEST} draws that share no image"
        return pd.DataFrame([row])
    one, other = found[smallest], found[max(usable)]
    methods, seeds = one.columns.intersection(other.columns), one.index.intersection(other.index)
    both = np.stack([scores.loc[seeds, methods].to_numpy(dtype=float) for scores in (one, other)], axis=1)
    row |= {"n_draws": len(seeds), "n_methods": len(methods)}
    if len(seeds) < FEWEST or len(methods) < 2:
        row["note"] = f"fewer than {FEWEST} draws, or than two methods, are at both sizes"
        return pd.DataFrame([row])
    first, last = (mean_rank_correlation(both[:, place]) for place in (0, 1))
    row |= {"smallest_agreement": first, "largest_agreement": last}
    interval, freedom = jackknife_interval(_agreement_lost, both), len(seeds) - 1
    error = (interval.high - interval.low) / 2 / float(student.quantile(0.975, freedom))
    row |= {"difference": interval.estimate, "freedom": freedom}
    if error > 0:
        row |= {"error": error, "ci_low": interval.low, "ci_high": interval.high}
    else:
        row["note"] = "no interval: leaving a draw out changes nothing, or leaves only ties"
    return pd.DataFrame([row])


def _agreement_lost(both: Floats) -> float:
    """Of scores (draws, 2 sizes, methods)."""
    return mean_rank_correlation(both[:, 0]) - mean_rank_correlation(both[:, 1])


def _window(size: float, study: Study) -> int:
    """How many images a run trains on."""
    return int(size) - int(study.dataset.validation_fraction * int(size))
