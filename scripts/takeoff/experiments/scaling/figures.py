"""The scaling experiment's figures: error by size, gains per doubling, differences by size, and agreement by size."""

from collections.abc import Mapping
from dataclasses import replace
from math import inf, isfinite
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from takeoff.experiments.base import Drawing, FixedCriterion, Tables
from takeoff.experiments.scaling.caveats import KINDS, tuned_words
from takeoff.experiments.scaling.design import ORDER, PLATEAU, Design
from takeoff.experiments.scaling.measured import JUDGED, SCALES, best_of, law_words, lawful
from takeoff.experiments.scaling.methods import listed, method_words
from takeoff.figures.curves import MARKERS, Look, draw_curves, value_ticks
from takeoff.figures.rows import DOTTED, ESTIMATE, ZERO, Line, criterion_lines, draw_rows
from takeoff.figures.style import COLOURS, FAINT, MUTED, new_figure, styled
from takeoff.statistics.criterion import Criterion
from takeoff.statistics.intervals import mean_interval

Drawn = tuple[Figure, pd.DataFrame]
PANELS = {"older": "older methods", "network": "networks: ReLU, batch norm, equal steps at each size"}
PALETTE = [COLOURS[i] for i in (0, 9, 2, 3, 1, 5, 4)] + "#4d4d4d #8c1d40 #6b5900 #56337a".split()
"""Colours in which words can be read."""
SIZE, PERCENT, LOW, HIGH = "train_samples", *(f"test_error_percent{end}" for end in ("", "_low", "_high"))
CAFFENET = 100 * (0.471 - 0.305) / np.log2(6)
"""Gain of accuracy, in points per doubling from 200,000 to 1.2 million images (Mishkin, Sergievskiy & Matas 2017)."""
ROWS = {
    "width_smallest": "widest − narrowest network\nat the smallest size",
    "width_full": "at the full size",
    "width_by_data": "full − smallest",
    "hand_made_smallest": "best hand-made pipeline − best\nnetwork at the smallest size",
    "hand_made_full": "at the full size",
    "hand_made_by_data": "smallest − full",
    "network_minus_older": "best network − best older\nmethod at the full size",
}


@styled
def draw(scaling: Design, tables: Tables, criteria: Mapping[str, FixedCriterion]) -> list[Drawing]:
    """Error by size with fits, gains per doubling, the claims' differences, and agreement by size."""
    return [
        Drawing("curves", *_curves(scaling, tables)),
        Drawing("gains", *_gains(scaling, tables, criteria.get(PLATEAU))),
        Drawing("differences", *_differences(scaling, tables, criteria)),
        Drawing("agreement", *_agreement(scaling, tables, criteria.get(ORDER))),
    ]


def _looks(fits: pd.DataFrame) -> dict[str, Look]:
    """The look of every method; the last networks, the widest, have the first colours."""
    network = fits["kind"] == "network"
    dashes = fits["kind"].map({"older": (0, (4, 1.5)), "network": "-"}).set_axis(fits["method"])
    ordered = enumerate([*fits["method"][network][::-1], *fits["method"][~network]])
    return {method: Look(PALETTE[i % len(PALETTE)], dashes[method], MARKERS[i % len(MARKERS)]) for i, method in ordered}


def _draws_words(runs: pd.DataFrame) -> str:
    """How many draws there are, and so which intervals."""
    counts = runs.groupby(["method", SIZE])["seed"].count()
    draws = " to ".join(str(number) for number in sorted({counts.min(), counts.max()}))
    return f"{draws} draws, 95% Student t intervals" if counts.max() > 1 else "1 draw, so no intervals"


def _curves(scaling: Design, tables: Tables) -> Drawn:
    """A panel for older methods and one for networks, on the same axes, each before the other's in grey."""
    runs, fits, numbers = tables["runs"], tables["fits"], _numbers(tables)
    looks, sizes, laws = _looks(fits), runs[SIZE].unique(), fits.set_index("method")
    chance, worst = 100 * (1 - fits["chance"].iloc[0]), numbers[PERCENT].max()
    highest = max(worst, chance) if worst > chance / 1.5 else worst
    limits = 0.75 * numbers[PERCENT].min(), min(1.35 * highest, 100)
    lines = "lines: err = α·m^−β + γ where it can be fitted, else straight between sizes · grey: the other panel"
    title = f"{scaling.study.title}: does error go on falling with data?"
    figure = new_figure(11.2, 6, title, f"{_draws_words(runs)} · {lines}")
    rising = [f"{size:,}" for size in tables["plateau"].loc[tables["plateau"]["rising"].eq(True), SIZE]]
    longer = f"trained longer, validation accuracy still rose in the last quarter at {listed(rising or [''])} images"
    words = [*(tuned_words(runs, kind) for kind in KINDS), *[longer] * bool(rising)]
    figure.supxlabel("\n".join(words), size=8, color=MUTED)
    panels = figure.subplots(1, 2, sharey=True)
    # A method's points stand a little beside the others'.
    place = numbers.groupby("method", sort=False).ngroup()
    points = numbers.assign(**{SIZE: numbers[SIZE] * 1.02 ** (place - place.mean())})
    fitted = numbers["method"].map(laws.apply(lawful, axis=1))
    on_lines = numbers[["method", SIZE]].assign(**{PERCENT: numbers["law_percent"].where(fitted, numbers[PERCENT])})
    for axes, (kind, title) in zip(panels, PANELS.items(), strict=True):
        own = numbers["kind"] == kind
        for _, curve in numbers[~own].groupby("method"):
            axes.plot(curve[SIZE], curve[PERCENT], color=FAINT, lw=0.9, zorder=1)
        ends = numbers[own & (numbers[SIZE] == sizes.max())].sort_values(PERCENT, ascending=False)["method"]
        draw_curves(axes, on_lines, SIZE, PERCENT, "method", {method: looks[method] for method in ends})
        unlined = {method: replace(looks[method], dashes="") for method in ends}
        how: dict[str, Any] = {"markers": True, "bars": True, "within": (limits[0], inf)}
        how["words"] = {method: f"{method_words(method)}\n{law_words(laws.loc[method])}" for method in ends}
        draw_curves(axes, points, SIZE, PERCENT, "method", unlined, **how)
        axes.hlines(chance, sizes.min(), sizes.max(), color=MUTED, lw=1, ls=DOTTED, zorder=1)
        axes.annotate("chance", (sizes.min(), chance), size=8, color=MUTED, va="bottom")
        axes.set(title=title, xlabel="training images, validation included", yscale="log", ylim=limits)
        value_ticks(axes, sizes)
        axes.tick_params(axis="x", labelrotation=40)
        how = {"bbox_to_anchor": (1, 0.5), "labelcolor": "linecolor", "fontsize": 8}
        legend = axes.legend(loc="center left", **how)
        legend.texts[[*ends].index(best_of(tables, kind))].set_weight("bold")
    panels[0].set_ylabel("test error, %")
    panels[0].yaxis.set(major_locator=LogLocator(subs=(1, 2, 3, 5, 7)), minor_locator=NullLocator())
    panels[0].yaxis.set_major_formatter("{x:g}")
    return figure, numbers


def _numbers(tables: Tables) -> pd.DataFrame:
    """A row per method and size: mean test error in percent with its t interval, and what the law says."""
    numbers = _intervals(tables["runs"], ["method", "kind", SIZE], "test_error", 100)
    numbers.columns = pd.Index(["method", "kind", SIZE, "n_draws", PERCENT, LOW, HIGH])
    laws = tables["fits"].set_index("method").loc[numbers["method"], ["alpha", "beta", "gamma"]].to_numpy()
    sizes = zip(numbers[SIZE], laws, strict=True)
    return numbers.assign(law_percent=[100 * (alpha * size**-beta + gamma) for size, (alpha, beta, gamma) in sizes])


def _gains(scaling: Design, tables: Tables, criterion: FixedCriterion | None) -> Drawn:
    """A row per method: its gain per doubling over the last two, the margin as a band."""
    numbers = _intervals(tables["gains"], ["method"], "gain", 100)
    numbers = numbers.merge(tables["fits"][["method", "kind", "best"]], on="method")
    numbers = numbers.sort_values(["kind", "estimate"], ascending=[False, True], ignore_index=True)
    numbers["margin"] = 100 * scaling.study.margin
    names = numbers["method"]
    judged = names.isin([best_of(tables, "older"), scaling.longest or scaling.widest])
    colours = names.map({method: look.colour for method, look in _looks(tables["fits"]).items()})
    rows = numbers.assign(label=names.map(method_words), colour=colours, hollow=~judged, bold=judged)
    if scaling.beside_published:
        published = {"label": "published: CaffeNet, 200,000\nto 1.2 million images", "published": CAFFENET}
        rows = pd.concat([rows, pd.DataFrame([published])])
    title = f"{scaling.study.title}: what do twice as many images bring?"
    subtitle = f"points of test error per doubling, over the last two · {_draws_words(tables['runs'])}"
    figure = new_figure(8.2, 1.4 + 0.36 * len(rows), title, subtitle)
    xlabel, shade = "points per doubling; filled: of the claim", None
    if criterion is not None:
        shade = Criterion(criterion.parts["older"].supports, ())
        xlabel += f"; tinted: within the margin of {shade.supports[1]:g}"
    draw_rows(figure.subplots(), rows, xlabel=xlabel, lines=[ZERO], shade=shade)
    return figure, numbers


def _differences(scaling: Design, tables: Tables, criteria: Mapping[str, FixedCriterion]) -> Drawn:
    """What width and hand-made features bring at both ends of the sizes, and best network less best older: in log-odds,
    and in points.
    """
    table, numbers = tables["differences"], pd.DataFrame()
    shown = [name for name in ROWS if name in set(table["quantity"])]
    title = f"{scaling.study.title}: what matters more with data, and what less?"
    subtitle = f"test accuracy, paired over seeds · {_draws_words(tables['runs'])} · the best are chosen on validation"
    figure = new_figure(10.4, 1.65 + 0.47 * len(shown), title, subtitle)
    for axes, (unit, (name, factor)) in zip(figure.subplots(1, 2, width_ratios=(1.25, 1)), SCALES.items(), strict=True):
        own = _intervals(table, ["quantity"], name, factor).set_index("quantity").loc[shown].reset_index()
        claims = {quantity: claim for quantity, (claim, parts) in JUDGED.items() if unit in parts.values()}
        fixed = [next(iter(criteria[claim].parts.values())) for claim in claims.values() if claim in criteria]
        judged, labels = own["quantity"].isin(claims), own["quantity"].map(ROWS) if numbers.empty else ""
        rows = own.assign(label=labels, colour=np.where(judged, COLOURS[0], MUTED), hollow=~judged, bold=judged)
        lines = {line for criterion in fixed for line in criterion_lines(criterion)} or [ZERO]
        draw_rows(axes, rows, xlabel=f"{unit}; filled: of a claim", lines=lines, decimals=1 + (factor == 1))
        numbers = pd.concat([numbers, own.assign(unit=unit)], ignore_index=True)
    return figure, numbers


def _agreement(scaling: Design, tables: Tables, criterion: FixedCriterion | None) -> Drawn:
    """Agreement of disjoint draws, a row per size, and the two sizes that the claim compares."""
    numbers, order = tables["agreement"], tables["order"].iloc[0]
    title = f"{scaling.study.title}: do other images put the methods in the same order?"
    subtitle = "Kendall's τ of test errors, mean over draws that share no training image and over pairs of methods"
    lines, judged = [ZERO], numbers[SIZE].isin([order["smallest"], order["largest"]]) & isfinite(order["difference"])
    if criterion is not None and judged.any():
        edge = order["largest_agreement"] + criterion.parts["difference"].supports[1]
        lines.append(Line(edge, f"claimed: at {int(order['smallest']):,} images below this"))
    counts = zip(numbers[SIZE], numbers["fewest_draws"], numbers["n_draws"], strict=True)
    labels = [f"{size:,} images, draws: " + " to ".join(map(str, sorted({few, most}))) for size, few, most in counts]
    rows = numbers.assign(label=labels, estimate=numbers["agreement"], colour=COLOURS[0], hollow=~judged, bold=judged)
    rows["note"] = np.where(numbers["agreement"].isna(), "too few draws or methods to compare", "")
    figure = new_figure(8.2, 1.6 + 0.36 * len(rows), title, subtitle)
    xlabel = "0: random order, 1: the same order; filled: compared by the claim"
    draw_rows(figure.subplots(), rows, xlabel=xlabel, lines=lines, decimals=2, include=(0, 1))
    return figure, numbers


def _intervals(table: pd.DataFrame, by: list[str], value: str, factor: float) -> pd.DataFrame:
    """The mean of `value`, times `factor`, and its t interval, per `by`."""
    groups = table.groupby(by, sort=False)
    rows = [(*names, len(part), *mean_interval(factor * part[value], size=factor)[:3]) for names, part in groups]
    return pd.DataFrame(rows, columns=[*by, "n_seeds", *ESTIMATE])
