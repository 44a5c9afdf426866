"""Whether draws that share no training image put the scaling experiment's methods in the same order."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import special

from takeoff.data.splits import van_der_corput
from takeoff.statistics.agreement import agreement_table, jackknife_interval, mean_rank_correlation
from takeoff.statistics.contrasts import Floats
from takeoff.study.model import Study
from takeoff.study.sizes import presented

FEWEST = 3
"""Draws that a jackknife takes."""
ORDER = "n_draws n_methods smallest_agreement largest_agreement difference error freedom ci_low ci_high".split()


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


def with_disjoint(runs: pd.DataFrame, study: Study, pool: int) -> pd.DataFrame:
    """`runs` with `disjoint`: whether the study's seeds up to this one share no training image at its size."""

    def disjoint(seeds: pd.Series) -> pd.Series:
        return seeds.isin(disjoint_seeds(study.seed_list, presented(study, seeds.name), pool))

    return runs.assign(disjoint=runs.groupby("train_samples")["seed"].transform(disjoint))


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
        parts.append(table.assign(share=presented(study, size) / pool, left_out=", ".join(left_out)))
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
    found = {size: common_scores(part[part["disjoint"]])[0] for size, part in runs.groupby("train_samples")}
    smallest = min(found)
    usable = [size for size, scores in found.items() if len(scores) >= FEWEST and size > smallest]
    row: dict[str, object] = dict.fromkeys(ORDER, np.nan)
    row |= {"smallest": smallest, "largest": max(usable, default=np.nan)}
    row |= {"note": f"no size above the smallest has {FEWEST} draws that share no image"}
    return pd.DataFrame([row | _order(found[smallest], found[max(usable)]) if usable else row])


def _order(one: pd.DataFrame, other: pd.DataFrame) -> dict[str, object]:
    """The agreement of scores at one size less that at another, (seeds × methods) each; why not, if so."""
    methods, seeds = one.columns.intersection(other.columns), one.index.intersection(other.index)
    row: dict[str, object] = {"n_draws": len(seeds), "n_methods": len(methods)}
    if len(seeds) < FEWEST or len(methods) < 2:
        return row | {"note": f"fewer than {FEWEST} draws, or than two methods, are at both sizes"}
    both = np.stack([scores.loc[seeds, methods].to_numpy(dtype=float) for scores in (one, other)], axis=1)

    def lost(draws: Floats) -> float:
        return mean_rank_correlation(draws[:, 0]) - mean_rank_correlation(draws[:, 1])

    interval, freedom = jackknife_interval(lost, both), len(seeds) - 1
    error = (interval.high - interval.low) / 2 / float(special.stdtrit(freedom, 0.975))
    row |= {"smallest_agreement": mean_rank_correlation(both[:, 0]), "freedom": freedom}
    row |= {"largest_agreement": mean_rank_correlation(both[:, 1]), "difference": interval.estimate}
    if error > 0:
        return row | {"error": error, "ci_low": interval.low, "ci_high": interval.high, "note": ""}
    return row | {"note": "no interval: leaving a draw out changes nothing, or leaves only ties"}
