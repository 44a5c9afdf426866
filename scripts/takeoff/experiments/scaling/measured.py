"""What the scaling experiment measures of its claims."""

from collections.abc import Iterable
from dataclasses import replace
from math import isfinite, log2
from typing import Any

import pandas as pd

from takeoff.experiments.base import Tables
from takeoff.experiments.chance import chance_of
from takeoff.experiments.scaling.caveats import Caveats, Cell
from takeoff.experiments.scaling.design import HAND_MADE, ORDER, PLATEAU, Design
from takeoff.experiments.scaling.methods import method_words
from takeoff.statistics.measures import Measure
from takeoff.statistics.scaling import DOUBLINGS

BOTH = {"log-odds": "log-odds", "points": "points"}
JUDGED = {
    "width_by_data": ("width-pays-more-with-more-data", BOTH),
    "hand_made_by_data": (HAND_MADE, BOTH),
    "network_minus_older": ("large-networks-win-with-much-data", {"lead": "points"}),
}
"""The claim that a quantity of `differences` decides, and its parts, each with its unit."""
SCALES = {"log-odds": ("log_odds", 1), "points": ("value", 100)}
"""By unit: a column of `differences`, and by how much it is multiplied."""


def measure(scaling: Design, tables: Tables, card: dict[str, Any]) -> list[Measure]:
    """The gains of the two methods that the first claim compares, three differences, and the agreement of orders."""
    none, label = scaling.untestable().get(HAND_MADE), "best hand-made less best network, smallest less full"
    caveats = Caveats(tables, chance_of(card, scaling.study))
    smallest, full = caveats.ends
    width = _signs(caveats, ("width_full", full, 1), ("width_smallest", smallest, -1))
    hand = _signs(caveats, ("hand_made_smallest", smallest, 1), ("hand_made_full", full, -1))
    lead = _signs(caveats, ("network_minus_older", full, 1))
    rise = float([0, *tables["plateau"]["rise"]][-1])
    brought = f"longer training brings {100 * rise:.1f} points of validation accuracy"
    unfinished = f"networks are not trained to their end: {brought}" if rise > scaling.study.margin else ""
    return [
        *_plateau(caveats, best_of(tables, "older"), scaling.longest or scaling.widest),
        *_difference(caveats, "width_by_data", "widest less narrowest network, full less smallest", width),
        _order(caveats),
        *([Measure.missing(HAND_MADE, none)] if none else _difference(caveats, "hand_made_by_data", label, hand)),
        *_difference(caveats, "network_minus_older", "best network less best older method", lead, unfinished),
    ]


def _signs(caveats: Caveats, *quantities: tuple[str, int, int]) -> dict[Cell, int]:
    """The cells that differences at a size compare, each added or subtracted, with their signs."""
    rows = caveats.tables["differences"].drop_duplicates("quantity").set_index("quantity")
    known = [(rows.loc[quantity], size, sign) for quantity, size, sign in quantities if quantity in rows.index]
    return {(str(row[key]), size): sign * s for row, size, sign in known for key, s in (("one", 1), ("other", -1))}


def best_of(tables: Tables, kind: str) -> str:
    """The method of that kind that is best at the full size by validation accuracy."""
    fits = tables["fits"]
    return str(fits.loc[(fits["kind"] == kind) & fits["best"].astype(bool), "method"].iloc[0])


def _plateau(caveats: Caveats, older: str, network: str) -> list[Measure]:
    """The gain per doubling of an older method, and of a network."""
    claim, tables, full = PLATEAU, caveats.tables, caveats.ends[1]
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
    """The agreement of orders at the smallest size less that at a larger one."""
    claim, row = ORDER, caveats.tables["order"].iloc[0]
    note = "" if pd.isna(row["note"]) else str(row["note"])
    if not isfinite(row["difference"]):
        return Measure.missing(claim, note)
    smallest, largest, methods = int(row["smallest"]), int(row["largest"]), str(row["methods"]).split(", ")
    bound, veto, why = caveats.of_order(smallest, largest)
    draws = f"{int(row['n_draws'])} draws or more of each of {len(methods)} methods"
    cells = [(method, size) for size in (smallest, largest) for method in methods]
    label = f"agreement of orders at {smallest:,} less at {largest:,} images"
    found = (float(row["difference"]), float(row["error"]), float(row["freedom"]))
    reason = _sentence([why, draws, note, *caveats.settings_words(cells)])
    return Measure(claim, "difference", label, *found, bound=bound, most=2, veto=veto, reason=reason)


def _difference(
    caveats: Caveats, quantity: str, label: str, signs: dict[Cell, int], unfinished: str = ""
) -> list[Measure]:
    """A quantity of `differences`, by part in its unit; `signs` as `Caveats.of_difference` takes them; what is
    `unfinished` is not judged.
    """
    claim, parts = JUDGED[quantity]
    table = caveats.tables["differences"]
    own = table[table["quantity"] == quantity]
    if own.empty:
        return [Measure.missing(claim, "no seed is in all that is compared")]
    bound, veto, why = caveats.of_difference(signs)
    veto = veto or ("any" if unfinished else "")
    compared = "" if "width" in quantity else ", ".join(f"{size:,} images: {method_words(one)}" for one, size in signs)
    reason = _sentence([why, unfinished, compared, *caveats.words(signs)])
    return [
        Measure.of(claim, part, label, SCALES[unit][1] * own[SCALES[unit][0]], unit, bound, veto, reason)
        for part, unit in parts.items()
    ]


def _sentence(words: Iterable[str]) -> str:
    return "; ".join(filter(None, words))
