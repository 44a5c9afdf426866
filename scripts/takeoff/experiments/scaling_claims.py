"""The claims that the scaling experiment judges, and what its tables say of them."""

from collections.abc import Mapping, Sequence
from math import inf, isfinite
from typing import TYPE_CHECKING

from takeoff.experiments.claims import Claim, Finding
from takeoff.experiments.scaling_methods import method_words
from takeoff.statistics.chance import chance_line
from takeoff.statistics.verdicts import Part
from takeoff.study.model import Study

if TYPE_CHECKING:
    import pandas as pd

    Tables = Mapping[str, pd.DataFrame]

CLAIMS = (
    Claim(
        name="older-methods-plateau",
        statement="Older methods plateau with more data, large networks do not.",
        source="Ng, in his talks; Hestness et al. 2017; Sun et al. 2017, ICCV",
        quantity="fall of the test error, in points per doubling of the training images, over the last two doublings: "
        "of the best older method, and of the widest network",
        criterion="supported where the older method's interval lies within the margin around 0 and the network's above "
        "the margin; contradicted where the older one's lies outside it, or the network's below the margin",
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
        criterion="supported where the interval lies above 0, contradicted where it lies below",
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
        criterion="supported where the interval lies below 0, contradicted where it lies above",
        published="",
        figure="scaling-agreement",
    ),
    Claim(
        name="hand-made-features-matter-with-little-data",
        statement="With little data hand-made features matter most.",
        source="Ng, in his talks",
        quantity="gain in test accuracy from pixels to HOG, mean over linear and RBF SVM, in points: at the smallest "
        "size less at the full size",
        criterion="supported where the interval lies above 0, contradicted where it lies below",
        published="",
        figure="scaling-differences",
    ),
    Claim(
        name="large-networks-win-with-much-data",
        statement="With much data large networks win.",
        source="Ng, in his talks",
        quantity="test accuracy at the full size, in points: best network less best older method, both chosen by "
        "validation accuracy",
        criterion="supported where the interval lies above 0, contradicted where it lies below",
        published="",
        figure="scaling-differences",
        scope="much data",
    ),
)
SEEDS_ONLY = (
    "the interval is over seeds: at the full size they share all images but not their order or initial draw"
)


def findings(study: Study, tables: "Tables", test: tuple[float, int]) -> list[Finding]:
    """A finding per claim; `test` is chance on the test images, and their number."""
    line = chance_line(*test)
    return [
        _plateau(tables, study.margin, line),
        _width(tables, line),
        _order(tables, line),
        _features(tables, line),
        _winners(tables, line),
    ]


def values_of(tables: "Tables", quantity: str) -> "pd.Series":
    """A quantity of `differences` in points, a value per seed."""
    table = tables["differences"]
    return 100 * table.loc[table["quantity"] == quantity, "value"]


def best_of(tables: "Tables", kind: str) -> str:
    """The method of that kind that is best at the full size by validation accuracy."""
    fits = tables["fits"]
    return str(fits.loc[(fits["kind"] == kind) & fits["best"].astype(bool), "method"].iloc[0])


def widest(tables: "Tables") -> str:
    """The widest network."""
    runs = tables["runs"]
    return str(runs.loc[runs["width"].idxmax(), "method"])


def _plateau(tables: "Tables", margin: float, line: float) -> Finding:
    older, network, edge = best_of(tables, "older"), widest(tables), 100 * margin
    guess = _guessing(tables, [older, network], line)
    parts = []
    for method, supports in ((older, (-edge, edge)), (network, (edge, inf))):
        gains = 100 * tables["gains"].loc[tables["gains"]["method"] == method, "gain"]
        if gains.empty:
            return Finding(CLAIMS[0].name, reason=f"{method_words(method)} has no seed at every size")
        label = f"gain in points per doubling, {method_words(method)}"
        parts.append(Part.of(label, gains, supports, slack=_slack(guess)))
    laws = tables["fits"].set_index("method")
    words = [f"{method_words(method)}: {law_words(laws.loc[method])}" for method in (older, network)]
    return Finding(CLAIMS[0].name, tuple(parts), "; ".join(guess or words))


def lawful(row: "pd.Series") -> bool:
    """Whether a row of `fits` has a law whose exponent is bounded on a side."""
    return bool(isfinite(row["beta"]) and (row["beta_low"] > 0 or isfinite(row["beta_high"])))


def law_words(row: "pd.Series", *, interval: bool = True) -> str:
    """The law's exponent, or the slope of the logarithms where there is no law; of a row of `fits`."""
    if lawful(row):
        ends = f" [{row['beta_low']:.2f}, {row['beta_high']:.2f}]" if interval else ""
        return f"β {row['beta']:.2f}{ends}"
    if isfinite(row["beta"]):
        return "any β fits"
    return f"slope {row['slope']:.2f}".replace("-", "−") if isfinite(row["slope"]) else "no slope"


def _width(tables: "Tables", line: float) -> Finding:
    guess = _guessing(tables, [widest(tables)], line)
    return _one_part(
        1, "widest less narrowest network, full less smallest, points", tables, "width_by_data", guess
    )


def _order(tables: "Tables", line: float) -> Finding:
    row, claim = tables["order"].iloc[0], CLAIMS[2].name
    note = "" if row["note"] != row["note"] else str(row["note"])
    if not isfinite(row["difference"]):
        return Finding(claim, reason=note or "the methods tie in every draw")
    at = tables["runs"]["train_samples"] == row["largest"]
    accuracies = tables["runs"][at].groupby("method")["test_accuracy"].mean()
    guess = [] if (accuracies > line).any() else ["no method does better than guessing"]
    sizes = f"{int(row['smallest']):,} less at {int(row['largest']):,} images"
    freedom = float(row["freedom"])
    part = Part(
        f"mean rank correlation at {sizes}",
        float(row["difference"]),
        float(row["error"]),
        freedom,
        (-inf, 0),
        slack=_slack(guess),
    )
    few = "a jackknife over so few draws covers less than it says" if freedom < 5 else ""
    words = f"{int(row['n_draws'])} draws of {int(row['n_methods'])} methods"
    return Finding(claim, (part,), "; ".join(filter(None, [*guess, words, few, note])))


def _features(tables: "Tables", line: float) -> Finding:
    methods = [
        m for m in tables["fits"]["method"] if m.endswith("-svm") and m.startswith(("hog-", "pixels-"))
    ]
    guess = _guessing(tables, methods, line)
    label = "HOG less pixels, smallest less full size, points"
    missing = "the study has no SVM on both pixels and HOG: list both in scaling.methods"
    return _one_part(3, label, tables, "hog_by_data", guess, missing)


def _winners(tables: "Tables", line: float) -> Finding:
    network, older = best_of(tables, "network"), best_of(tables, "older")
    guess = _guessing(tables, [network, older], line)
    label = f"{method_words(network)} less {method_words(older)}, points"
    return _one_part(4, label, tables, "network_minus_older", guess, reason=SEEDS_ONLY)


def _one_part(
    place: int,
    label: str,
    tables: "Tables",
    quantity: str,
    guess: Sequence[str],
    missing: str = "no seed is in all that is compared",
    reason: str = "",
) -> Finding:
    values = values_of(tables, quantity)
    if values.empty:
        return Finding(CLAIMS[place].name, reason=missing)
    part = Part.of(label, values, (0, inf), slack=_slack(guess))
    return Finding(CLAIMS[place].name, (part,), "; ".join(filter(None, [*guess, reason])))


def _guessing(tables: "Tables", methods: Sequence[str], line: float) -> list[str]:
    """That these methods do no better than guessing at the full size, if none does: differences then mean nothing."""
    fits = tables["fits"].set_index("method")
    if not methods or (fits.loc[list(methods), "test_accuracy"] > line).any():
        return []
    return [f"{' and '.join(map(method_words, methods))} only guess at the full size"]


def _slack(guess: Sequence[str]) -> tuple[float, float]:
    return (inf, inf) if guess else (0.0, 0.0)
