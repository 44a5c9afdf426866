"""The gain experiment's tables: gains at each budget, their growth, a line per factor, and effects in points."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from takeoff.experiments.base import Results
from takeoff.experiments.chance import chance_of
from takeoff.experiments.gain.design import DATA, WIDTH, Design, Pair
from takeoff.statistics.contrasts import Floats
from takeoff.statistics.gains import Compared, equivalent_gain, growth
from takeoff.statistics.intervals import mean_interval
from takeoff.statistics.responses import LOG_ODDS, responses_of

ACCURACY = "test_accuracy"
SCORE = ACCURACY + LOG_ODDS
ALL = "all"
"""The context of a row that is of the mean over all."""
POINTS = {"": "estimate", "_low": "ci_low", "_high": "ci_high"}
"""Ends of an interval in `summary`, and what they are called in `effects_by_budget`."""


def analyse(gain: Design, results: Results) -> dict[str, pd.DataFrame]:
    """The tables of the experiment; accuracies and their differences are fractions, gains are ratios of computation.

    - `points`: a row per run: the arm's levels, `epochs`, `flops` (what the whole training takes: a run that diverged
      stops earlier), test accuracy and its log-odds; a diverged run's accuracy counts as chance.
    - `gains`: a row per factor, context and budget of the treatment; a `context` is the levels of the other factors,
      or `all` where the row is of the mean over all. `flops` is the treatment's computation; the rest is as in
      `statistics.gains.Gain`: `gain` with its 95% confidence set, whether it is only a `bound`, and the `least` and
      `most` that could be observed.
    - `growth`: a row per factor: the slope of log gain over log computation, as in `statistics.gains.Growth`.
    - `summary`: a row per factor: its levels, its gain at the middle budget (of an even number of budgets the lower
      one of the two), the same for all of them, and its growth.
    - `effects_by_budget`: a row per factor and budget that both sides have: treatment − baseline in test accuracy,
      averaged over contexts and paired by seed, with its t interval.
    - `computation`: a row per budget but the least: what twice the computation brings, in test accuracy, from the
      budget before to this one, averaged over the factorial's cells and paired by seed, with its t interval.

    A TakeoffError says that runs or card do not fit the study.
    """
    points = _points(gain, results)
    gains, effects = pd.DataFrame(_gains(gain, points)), pd.DataFrame(_effects(gain, points))
    pairs = {name: found.values() for name, found in gain.comparisons.items()}
    slopes = [{"factor": name, **growth(compared(points, own))._asdict()} for name, own in pairs.items()]
    grown = pd.DataFrame(slopes)
    own = effects[effects["epochs"] == gain.study.recipe.epochs].set_index("factor")
    in_points = {f"points{end}": 100 * own[name] for end, name in POINTS.items()}
    return {
        "points": points,
        "gains": gains,
        "growth": grown,
        "summary": _summary(gain, gains, grown).join(pd.DataFrame(in_points), on="factor"),
        "effects_by_budget": effects,
        "computation": pd.DataFrame(_doublings(gain, points)),
    }


def _points(gain: Design, results: Results) -> pd.DataFrame:
    """A row per run, in the arms' order and then the seeds'."""
    kept, rows = dict.fromkeys([*gain.study.factors, WIDTH, DATA]), []
    for arm in gain.networks.values():
        levels = {name: arm.levels[name] for name in kept}
        rows.append({"arm": arm.name, "network": arm.choice_from or arm.name, **levels, "epochs": arm.recipe.epochs})
    runs = results.runs[["arm", "seed", "flops", ACCURACY, "diverged"]].sort_values("seed", kind="stable")
    points = pd.DataFrame(rows).merge(runs, on="arm")
    chance, images = chance_of(results.card, gain.study)
    points = points.assign(**responses_of(points, [ACCURACY, SCORE], images, chance, "gain"))
    rates = (points["flops"] / points["epochs"]).groupby(points.pop("network")).transform("max")
    return points.assign(flops=rates * points["epochs"], diverged=points["diverged"].astype(bool))


def compared(points: pd.DataFrame, pairs: Iterable[Pair], response: str = SCORE) -> Compared:
    """The runs of these pairs, each a context, and their log computation."""
    wide = points.pivot(index="seed", columns="arm", values=response)
    compute = np.log(points.groupby("arm")["flops"].first())
    sides: list[Floats] = []
    for side in zip(*pairs, strict=True):
        names = [[arm.name for arm in arms] for arms in side]
        sides += [np.stack([table[own].to_numpy() for own in names]) for table in (wide, compute)]
    return Compared(*sides)


def _gains(gain: Design, points: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The rows of `gains`: of all contexts of a factor together, and of each alone."""
    for factor, pairs in gain.comparisons.items():
        groups = {ALL: list(pairs.values())} | {words: [pair] for words, pair in pairs.items() if len(pairs) > 1}
        for context, group in groups.items():
            runs = compared(points, group)
            for place, arm in enumerate(group[0].treatment):
                found = equivalent_gain(runs, place)
                flops = float(np.exp(runs.treatment_compute[:, place].mean()))
                where = {"factor": factor, "context": context, "epochs": arm.recipe.epochs, "flops": flops}
                yield where | found._asdict() | {"n_seeds": runs.baseline.shape[1], "n_contexts": len(group)}


def _summary(gain: Design, gains: pd.DataFrame, grown: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for factor, (baseline, treatment) in gain.levels.items():
        own = gains[(gains["factor"] == factor) & (gains["context"] == ALL)]
        # In the middle gains and losses of the same size can both be seen: at the least budget no loss, at the largest
        # no gain.
        chosen = own.iloc[(len(own) - 1) // 2]
        levels = {"factor": factor, "baseline": baseline, "treatment": treatment}
        rows.append(levels | chosen.drop(["factor", "context", "least", "most"]).to_dict())
    return pd.DataFrame(rows).merge(grown, on="factor")


def _effects(gain: Design, points: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for factor, pairs in gain.comparisons.items():
        first = next(iter(pairs.values()))
        before, after = ([arm.recipe.epochs for arm in side] for side in first)
        runs = compared(points, pairs.values(), ACCURACY)
        for place, epochs in enumerate(after):
            if epochs in before:
                changes = runs.treatment[:, :, place] - runs.baseline[:, :, before.index(epochs)]
                found = mean_interval(changes.mean(axis=0), size=1.0)
                row = {"factor": factor, "epochs": epochs, "estimate": found.estimate}
                yield row | {"ci_low": found.low, "ci_high": found.high, "n_seeds": changes.shape[1]}


def _doublings(gain: Design, points: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The rows of `computation`: every cell stands once in the comparisons of a factor."""
    pairs = gain.comparisons[next(iter(gain.study.factors))].values()
    epochs = [arm.recipe.epochs for arm in next(iter(pairs)).treatment]
    runs = compared(points, pairs, ACCURACY)
    cells = np.concatenate([runs.baseline, runs.treatment]).mean(axis=0)
    for place in range(1, len(epochs)):
        before, after = epochs[place - 1], epochs[place]
        found = mean_interval((cells[:, place] - cells[:, place - 1]) / np.log2(after / before), size=1.0)
        row = {"epochs": after, "from_epochs": before, "estimate": found.estimate}
        yield row | {"ci_low": found.low, "ci_high": found.high, "n_seeds": len(cells)}
