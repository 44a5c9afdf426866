"""What the scaling experiment measures of its claims."""

from collections.abc import Iterable
from dataclasses import replace
from math import isfinite, log2
from typing import Any

import pandas as pd

from takeoff.experiments.base import Tables
from takeoff.experiments.chance import chance_of
from takeoff.experiments.scaling.caveats import Caveats, Cell
from takeoff.experiments.scaling.design import Design
from takeoff.experiments.scaling.methods import both_features, method_words, network_method
from takeoff.figures.words import signed
from takeoff.statistics.intervals import mean_interval
from takeoff.statistics.measures import Measure
from takeoff.statistics.scaling import DOUBLINGS

JUDGED = {
    "width_by_data": ("width-pays-more-with-more-data", "difference"),
    "hog_by_data": ("hand-made-features-matter-with-little-data", "difference"),
    "network_minus_older": ("large-networks-win-with-much-data", "lead"),
}
"""The claim, and its part, that a quantity of `differences` decides."""


def measure(scaling: Design, tables: Tables, card: dict[str, Any]) -> list[Measure]:
    """The gains of the two methods that the first claim compares, three differences, and the agreement of orders."""
    caveats = Caveats(tables, chance_of(card, scaling.study))
    smallest, full = caveats.ends
    narrow, wide = (network_method(scaling.options.widths[place]) for place in (0, -1))
    network, older = best_of(tables, "network"), best_of(tables, "older")
    width = {(wide, full): 1, (narrow, full): -1, (wide, smallest): -1, (narrow, smallest): 1}
    ends = {("hog", smallest): 1, ("pixels", smallest): -1, ("hog", full): -1, ("pixels", full): 1}
    learners = both_features(tables["fits"]["method"])
    hog = {(f"{features}-{one}", size): sign for (features, size), sign in ends.items() for one in learners}
    lead = {(network, full): 1, (older, full): -1}
    winners = f"{method_words(network)} less {method_words(older)}"
    return [
        *_plateau(caveats, older, wide),
        _difference(caveats, "width_by_data", "widest less narrowest network, full less smallest", width),
        _order(caveats),
        _difference(caveats, "hog_by_data", "HOG less pixels, smallest less full size", hog),
        _difference(caveats, "network_minus_older", winners, lead),
    ]


def best_of(tables: Tables, kind: str) -> str:
    """The method of that kind that is best at the full size by validation accuracy."""
    fits = tables["fits"]
    return str(fits.loc[(fits["kind"] == kind) & fits["best"].astype(bool), "method"].iloc[0])


def _plateau(caveats: Caveats, older: str, network: str) -> list[Measure]:
    """The gain per doubling of an older method, and of a network."""
    claim, tables, full = "older-methods-plateau", caveats.tables, caveats.ends[1]
    # The size next to where the last doublings start.
    sizes = tables["runs"]["train_samples"].unique()
    start = int(min(sizes, key=lambda size: abs(log2(full / size) - DOUBLINGS)))
    laws, words, found = tables["fits"].set_index("method"), [], []
    cells: dict[Cell, int] = {}
    for part, method in (("older", older), ("network", network)):
        gains = 100 * tables["gains"].loc[tables["gains"]["method"] == method, "gain"]
        if gains.empty:
            return [Measure.missing(claim, f"{method_words(method)} has no seed at every size")]
        own = {(method, full): 1, (method, start): -1}
        bound, veto, why = caveats.of_difference(own)
        label = f"gain per doubling, {method_words(method)}"
        found.append(Measure.of(claim, part, label, gains, "points", bound, veto))
        words += [why, f"{method_words(method)}: {law_words(laws.loc[method])}"]
        cells |= own
    return [replace(one, reason=_sentence([*words, *caveats.words(cells)])) for one in found]


def lawful(row: pd.Series) -> bool:
    """Whether a row of `fits` has a law whose exponent is bounded on a side."""
    return bool(isfinite(row["beta"]) and (row["beta_low"] > 0 or isfinite(row["beta_high"])))


def law_words(row: pd.Series) -> str:
    """The law's exponent and its interval, or the slope of the logarithms where there is no law; of a row of `fits`."""
    if lawful(row):
        return f"β {row['beta']:.2f} [{row['beta_low']:.2f}, {row['beta_high']:.2f}]"
    if isfinite(row["beta"]):
        return "any β fits"
    return f"slope {row['slope']:.2f}".replace("-", "−") if isfinite(row["slope"]) else "no slope"


def _order(caveats: Caveats) -> Measure:
    """The agreement of orders at the smallest size less that at the largest with enough draws."""
    claim, row = "order-unsettled-with-little-data", caveats.tables["order"].iloc[0]
    note = "" if pd.isna(row["note"]) else str(row["note"])
    if not isfinite(row["difference"]):
        return Measure.missing(claim, note or "the methods tie in every draw")
    smallest, largest, freedom = int(row["smallest"]), int(row["largest"]), float(row["freedom"])
    bound, veto, why = caveats.of_order(smallest, largest)
    agreement = caveats.tables["agreement"]
    left = left_out(agreement[agreement["train_samples"].isin([smallest, largest])])
    compared = [method for method in caveats.tables["fits"]["method"] if method not in left]
    reasons = [
        why,
        f"{int(row['n_draws'])} draws of {int(row['n_methods'])} methods",
        f"{', '.join(map(method_words, left))} left out, which have fewer draws" if left else "",
        "a jackknife over so few draws covers less than it says" if freedom < 5 else "",
        note,
        *caveats.settings_words([(method, size) for size in (smallest, largest) for method in compared]),
    ]
    label = f"mean rank correlation at {smallest:,} less at {largest:,} images"
    found = (float(row["difference"]), float(row["error"]), freedom)
    reason = _sentence(reasons)
    return Measure(claim, "difference", label, *found, bound=bound, most=2, veto=veto, reason=reason)


def left_out(agreement: pd.DataFrame) -> list[str]:
    """The methods that have too few draws in one of these rows of `agreement`."""
    names = agreement["left_out"].dropna()
    return list(dict.fromkeys(name for text in names for name in str(text).split(", ") if name))


def _difference(caveats: Caveats, quantity: str, label: str, signs: dict[Cell, int]) -> Measure:
    """A quantity of `differences`, in points; `signs` as `Caveats.of_difference` takes them."""
    claim, part = JUDGED[quantity]
    table = caveats.tables["differences"]
    own = table[table["quantity"] == quantity]
    if own.empty:
        no_pair = "the study has no SVM on both pixels and HOG: list both in scaling.methods"
        return Measure.missing(claim, "no seed is in all that is compared" if signs else no_pair)
    points, (bound, veto, why) = 100 * own["value"], caveats.of_difference(signs)
    words = [why, _log_odds_words(points, own["log_odds"]), *caveats.words(signs)]
    return Measure.of(claim, part, label, points, "points", bound, veto, _sentence(words))


def _sentence(words: Iterable[str]) -> str:
    return "; ".join(filter(None, words))


def _log_odds_words(points: pd.Series, log_odds: pd.Series) -> str:
    """A difference in log-odds with its interval, and whether the one in points lies on another side of 0."""
    shown, odds = mean_interval(points, size=1), mean_interval(log_odds, size=1)
    words = f"in log-odds {signed(odds.estimate, 2)}"
    if not isfinite(odds.low):
        return words
    words += f" [{signed(odds.low, 2)}, {signed(odds.high, 2)}]"
    sides = {(interval.low > 0) - (interval.high < 0) for interval in (shown, odds)}
    return words if len(sides) == 1 else f"{words}: the scales disagree about its side of 0"
