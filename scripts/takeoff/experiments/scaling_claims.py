"""The claims that the scaling experiment judges, and what its tables say of them."""

from collections.abc import Mapping, Sequence
from math import inf, isfinite, log2
from typing import TYPE_CHECKING

from takeoff.experiments.claims import Claim, Finding
from takeoff.experiments.scaling_bounds import Cell, difference_slack, order_slack
from takeoff.experiments.scaling_caveats import ends, lent_words, sampling_words
from takeoff.experiments.scaling_methods import both_features, method_words
from takeoff.statistics.intervals import Interval, mean_interval
from takeoff.statistics.verdicts import Part
from takeoff.study.model import Study

if TYPE_CHECKING:
    import pandas as pd

    Tables = Mapping[str, pd.DataFrame]

_BOUND = "; a method at chance, or within two standard errors of perfect, leaves only a bound"
CLAIMS = (
    Claim(
        name="older-methods-plateau",
        statement="Older methods plateau with more data, large networks do not.",
        source="Ng, in his talks; Hestness et al. 2017; Sun et al. 2017, ICCV",
        quantity="fall of the test error, in points per doubling of the training images, over the last two doublings: "
        "of the best older method, and of the widest network",
        criterion="supported where the older method's interval lies within the margin around 0 and the network's above "
        "the margin; contradicted where the older one's lies outside it, or the network's below the margin"
        + _BOUND,
        published="networks' error falls as a power of the data, exponent −0.07 to −0.35 (Hestness 2017), or their "
        "accuracy rises with its logarithm (Sun 2017)",
        figure="scaling-gains",
        scope="much data",
    ),
    Claim(
        name="width-pays-more-with-more-data",
        statement="Small networks plateau: width pays more with more data.",
        source="Ng, in his talks",
        quantity="gain in test accuracy from the narrowest to the widest network, in points: at the full size less at "
        "the smallest",
        criterion="supported where the interval lies above 0, contradicted where it lies below" + _BOUND,
        published="",
        figure="scaling-differences",
        scope="much data",
    ),
    Claim(
        name="order-unsettled-with-little-data",
        statement="With little data the order of methods is not settled.",
        source="Ng, in his talks",
        quantity="mean rank correlation of methods' test errors between draws that share no image: at the smallest "
        "size less at the largest with three such draws (at most half of the images)",
        criterion="supported where the interval lies below 0, contradicted where it lies above; two methods at chance, "
        "or within two standard errors of perfect, leave only a bound",
        published="",
        figure="scaling-agreement",
    ),
    Claim(
        name="hand-made-features-matter-with-little-data",
        statement="With little data hand-made features matter most.",
        source="Ng, in his talks",
        quantity="gain in test accuracy from pixels to HOG, mean over linear and RBF SVM, in points: at the smallest "
        "size less at the full size",
        criterion="supported where the interval lies above 0, contradicted where it lies below" + _BOUND,
        published="",
        figure="scaling-differences",
    ),
    Claim(
        name="large-networks-win-with-much-data",
        statement="With much data large networks win.",
        source="Ng, in his talks",
        quantity="test accuracy at the full size, in points: best network less best older method, both chosen by "
        "validation accuracy",
        criterion="supported where the interval lies above 0, contradicted where it lies below" + _BOUND,
        published="",
        figure="scaling-differences",
        scope="much data",
    ),
)


def findings(study: Study, tables: "Tables", test: tuple[float, int]) -> list[Finding]:
    """A finding per claim; `test` is chance on the test images, and their number."""
    return [
        _plateau(tables, study.margin, test),
        _width(tables, test),
        _order(tables, test),
        _features(tables, test),
        _winners(tables, test),
    ]


def values_of(tables: "Tables", quantity: str) -> "pd.DataFrame":
    """A quantity of `differences`, a row per seed: `points`, and `log_odds`."""
    table = tables["differences"]
    own = table.loc[table["quantity"] == quantity, ["value", "log_odds"]]
    return own.assign(points=100 * own["value"])


def best_of(tables: "Tables", kind: str) -> str:
    """The method of that kind that is best at the full size by validation accuracy."""
    fits = tables["fits"]
    return str(fits.loc[(fits["kind"] == kind) & fits["best"].astype(bool), "method"].iloc[0])


def widest(tables: "Tables") -> str:
    """The widest network."""
    runs = tables["runs"]
    return str(runs.loc[runs["width"].idxmax(), "method"])


def narrowest(tables: "Tables") -> str:
    """The narrowest network."""
    runs = tables["runs"]
    return str(runs.loc[runs["width"].idxmin(), "method"])


def _plateau(tables: "Tables", margin: float, test: tuple[float, int]) -> Finding:
    older, network, edge = best_of(tables, "older"), widest(tables), 100 * margin
    start, full = _doubled(tables)
    parts, cells, words = [], [], []
    for method, supports in ((older, (-edge, edge)), (network, (edge, inf))):
        gains = 100 * tables["gains"].loc[tables["gains"]["method"] == method, "gain"]
        if gains.empty:
            return Finding(CLAIMS[0].name, reason=f"{method_words(method)} has no seed at every size")
        own = [Cell(method, full, 1), Cell(method, start, -1)]
        slack, bent = difference_slack(tables, own, test)
        label = f"gain per doubling, {method_words(method)}"
        parts.append(Part.of(label, gains, supports, slack=slack, unit="points"))
        cells += own
        words.append(bent)
    laws = tables["fits"].set_index("method")
    words += [f"{method_words(method)}: {law_words(laws.loc[method])}" for method in (older, network)]
    words += [*sampling_words(tables, cells), *lent_words(tables, cells)]
    return Finding(CLAIMS[0].name, tuple(parts), "; ".join(filter(None, words)))


def _doubled(tables: "Tables") -> tuple[int, int]:
    """The size next to where the last doublings start, and the full size."""
    sizes, full = tables["runs"]["train_samples"].unique(), ends(tables)[1]
    from takeoff.statistics.scaling import DOUBLINGS

    return int(min(sizes, key=lambda size: abs(log2(full / size) - DOUBLINGS))), full


def lawful(row: "pd.Series") -> bool:
    """Whether a row of `fits` has a law whose exponent is bounded on a side."""
    return bool(isfinite(row["beta"]) and (row["beta_low"] > 0 or isfinite(row["beta_high"])))


def law_words(row: "pd.Series") -> str:
    """The law's exponent and its interval, or the slope of the logarithms where there is no law; of a row of `fits`."""
    if lawful(row):
        return f"β {row['beta']:.2f} [{row['beta_low']:.2f}, {row['beta_high']:.2f}]"
    if isfinite(row["beta"]):
        return "any β fits"
    return f"slope {row['slope']:.2f}".replace("-", "−") if isfinite(row["slope"]) else "no slope"


def _width(tables: "Tables", test: tuple[float, int]) -> Finding:
    smallest, full = ends(tables)
    wide, narrow = widest(tables), narrowest(tables)
    cells = [Cell(wide, full, 1), Cell(narrow, full, -1), Cell(wide, smallest, -1), Cell(narrow, smallest, 1)]
    return _one_part(
        1, "widest less narrowest network, full less smallest", tables, "width_by_data", cells, test
    )


def _order(tables: "Tables", test: tuple[float, int]) -> Finding:
    row, claim = tables["order"].iloc[0], CLAIMS[2].name
    note = "" if row["note"] != row["note"] else str(row["note"])
    if not isfinite(row["difference"]):
        return Finding(claim, reason=note or "the methods tie in every draw")
    smallest, largest = int(row["smallest"]), int(row["largest"])
    slack, tied = order_slack(tables, smallest, largest, test)
    sizes = f"{smallest:,} less at {largest:,} images"
    freedom = float(row["freedom"])
    part = Part(
        f"mean rank correlation at {sizes}",
        float(row["difference"]),
        float(row["error"]),
        freedom,
        (-inf, 0),
        slack=slack,
        most=2,
    )
    few = "a jackknife over so few draws covers less than it says" if freedom < 5 else ""
    words = f"{int(row['n_draws'])} draws of {int(row['n_methods'])} methods"
    left = _left_out(tables, smallest, largest)
    if left:
        words += f"; {', '.join(map(method_words, left))} left out, which have fewer draws"
    compared = [method for method in tables["fits"]["method"] if method not in left]
    cells = [Cell(method, size, 0) for size in (smallest, largest) for method in compared]
    reasons = [tied, words, few, note, *lent_words(tables, cells)]
    return Finding(claim, (part,), "; ".join(filter(None, reasons)))


def _left_out(tables: "Tables", *sizes: int) -> list[str]:
    """The methods whose order is not compared at one of the sizes."""
    table = tables["agreement"]
    names = table.loc[table["train_samples"].isin(sizes), "left_out"].dropna()
    return list(dict.fromkeys(name for text in names for name in str(text).split(", ") if name))


def _features(tables: "Tables", test: tuple[float, int]) -> Finding:
    smallest, full = ends(tables)
    signs = {("hog", smallest): 1, ("pixels", smallest): -1, ("hog", full): -1, ("pixels", full): 1}
    learners = both_features(tables["fits"]["method"])
    cells = [Cell(f"{kind}-{one}", size, sign) for (kind, size), sign in signs.items() for one in learners]
    missing = "the study has no SVM on both pixels and HOG: list both in scaling.methods"
    return _one_part(
        3, "HOG less pixels, smallest less full size", tables, "hog_by_data", cells, test, missing
    )


def _winners(tables: "Tables", test: tuple[float, int]) -> Finding:
    network, older, full = best_of(tables, "network"), best_of(tables, "older"), ends(tables)[1]
    label = f"{method_words(network)} less {method_words(older)}"
    cells = [Cell(network, full, 1), Cell(older, full, -1)]
    return _one_part(4, label, tables, "network_minus_older", cells, test)


def _one_part(
    place: int,
    label: str,
    tables: "Tables",
    quantity: str,
    cells: Sequence[Cell],
    test: tuple[float, int],
    missing: str = "no seed is in all that is compared",
) -> Finding:
    values = values_of(tables, quantity)
    if values.empty:
        return Finding(CLAIMS[place].name, reason=missing)
    slack, bent = difference_slack(tables, cells, test)
    part = Part.of(label, values["points"], (0, inf), slack=slack, unit="points")
    words = [bent, log_odds_words(values), *sampling_words(tables, cells), *lent_words(tables, cells)]
    return Finding(CLAIMS[place].name, (part,), "; ".join(filter(None, words)))


def log_odds_words(values: "pd.DataFrame") -> str:
    """The difference in log-odds with its interval, and whether points tell another side of 0; of `values_of`."""
    points, odds = (mean_interval(values[name], size=1) for name in ("points", "log_odds"))
    between = f" [{odds.low:+.2f}, {odds.high:+.2f}]" if isfinite(odds.low) else ""
    words = f"in log-odds {odds.estimate:+.2f}{between}".replace("-", "−").replace("log−odds", "log-odds")
    alike = not isfinite(odds.low) or _side(points) == _side(odds)
    return words if alike else f"{words}: the scales disagree about its side of 0"


def _side(interval: Interval) -> int:
    """1 where the interval lies above 0, −1 where below, 0 where on neither side."""
    return int(interval.low > 0) - int(interval.high < 0)
