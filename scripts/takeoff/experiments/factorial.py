"""Which factor mattered, and do they need each other? A full 2^k factorial over the study's factors."""

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from takeoff.errors import TakeoffError
from takeoff.study.arms import Arm, make_arm
from takeoff.study.model import Study
from takeoff.study.settings import Settings

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from takeoff.experiments.registry import Results
    from takeoff.statistics.design import Design

TITLE = "Which factor mattered?"
TABLES = ("effects", "cells", "collapse", "pairing", "curves", "runs")
FIGURES = {
    "effects": "Effects and Shapley shares",
    "cells": "Every combination",
    "curves": "Learning curves",
}
RESPONSES = ("test_accuracy", "test_accuracy_log_odds", "generalisation_gap", "epochs_to_threshold")
"""What effects are measured on."""
CURVES = ("train_accuracy", "validation_accuracy", "train_loss", "validation_loss")
"""What is measured after every epoch."""


class Options(Settings):
    """What a study may set below `factorial`."""

    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """The validation accuracy of which the epoch that first reaches it is measured (a fraction)."""


def arms(study: Study, options: Options) -> list[Arm]:
    """Every combination of baseline and treatment, the baselines first."""
    levels = [(factor.baseline, factor.treatment) for factor in study.factors.values()]
    return [make_arm(study, dict(zip(study.factors, cell, strict=True))) for cell in product(*levels)]


def analyse(study: Study, options: Options, results: "Results") -> "dict[str, pd.DataFrame]":
    """The tables of the experiment; accuracies and their differences are fractions.

    - `effects`: the columns of `statistics.effects.COLUMNS`, for every one of `RESPONSES`.
    - `cells`: a row per arm: levels, `n_seeds`, `n_diverged`, `collapsed`, `censored` (runs that never
      reached the threshold, so that `epochs_to_threshold` is a lower bound), rate, and mean and t interval of
      every response.
    - `collapse`: a row per arm: how many `runs` collapsed, the rate's Clopper–Pearson interval, test accuracy
      over all runs and over the rest. A run collapsed if it diverged, or if its test accuracy is not above
      `line`: chance (the rate of the test images' most frequent class) plus two binomial standard errors of
      the test images.
    - `pairing`: the mean correlation of arms over seeds, and for each main effect its variance over what it
      would be without common seeds (below 1, pairing helped).
    - `curves`: a row per arm and epoch: mean and t interval over `n_seeds`.
    - `runs`: a row per run: levels, seed, what was measured of it.

    A diverged run's accuracy counts as chance wherever it has none, on its curve from where that stops.

    Raises:
        TakeoffError: runs, curves or card do not fit the study.

    """
    from takeoff.statistics.chance import chance_line
    from takeoff.statistics.design import design_of
    from takeoff.statistics.effects import effects_table

    chance, images = _chance(results.card, study.dataset.test_samples)
    if options.threshold <= chance_line(chance, images):
        raise TakeoffError(
            f"factorial.threshold {options.threshold:g} is no better than guessing; "
            f"valid: above {chance_line(chance, images):.3f}, for {images} test images"
        )
    curves = _complete_curves(results, chance)
    runs = _measured_runs(study, options, results, curves, (chance, images))
    baselines = {name: factor.baseline for name, factor in study.factors.items()}
    design = design_of(runs, list(study.factors), baselines, "factorial")
    return {
        "effects": effects_table(design, {name: runs[name] for name in RESPONSES}, runs["diverged"]),
        "cells": _cells(study, runs),
        "collapse": _collapse(runs, chance, images),
        "pairing": _pairing(design, runs),
        "curves": _mean_curves(runs, curves),
        "runs": runs,
    }


def draw(
    study: Study, options: Options, tables: "dict[str, pd.DataFrame]"
) -> "Iterator[tuple[str, Figure, pd.DataFrame]]":
    """The forest plot of effects, the cells, and the curves per arm."""
    from takeoff.experiments.factorial_figures import draw_cells, draw_curves
    from takeoff.experiments.factorial_forest import draw_effects

    yield "effects", *draw_effects(study, tables)
    yield "cells", *draw_cells(study, tables)
    yield "curves", *draw_curves(study, tables, options.threshold)


def _chance(card: dict[str, Any], asked: int | str) -> tuple[float, int]:
    """The majority rate of the test images, and how many of them are read: all, or a balanced part."""
    from takeoff.statistics.chance import majority_rate

    try:
        counts = (card.get("images_per_class") or card["counts"])["test"]
        numbers = list(counts.values() if isinstance(counts, dict) else counts)
        images = sum(numbers) if isinstance(asked, str) else min(asked, sum(numbers))
        return majority_rate(numbers), images
    except (AttributeError, KeyError, TypeError, ValueError):
        raise TakeoffError(
            "card.json: images_per_class.test is missing or wrong; valid: the test images of every class"
        ) from None


def _complete_curves(results: "Results", chance: float) -> "dict[str, pd.DataFrame]":
    """Each of `CURVES` as epochs × (arm, seed); where a diverged run has no accuracy, it is at chance."""
    import numpy as np
    import pandas as pd

    keys = pd.MultiIndex.from_frame(results.runs[["arm", "seed"]])
    if keys.has_duplicates:
        arm, seed = keys[keys.duplicated()][0]
        raise TakeoffError(f"factorial: arm {arm} has two runs with seed {seed}; valid: one")
    diverged = results.runs["diverged"].to_numpy(dtype=bool)
    wide = {}
    for name in CURVES:
        curve = results.curves.pivot(index="epoch", columns=["arm", "seed"], values=name).reindex(
            columns=keys
        )
        absent = curve.isna().all().to_numpy() & ~diverged
        if absent.any():
            arm, seed = keys[absent][0]
            raise TakeoffError(
                f"factorial: arm {arm}, seed {seed} has no {name} in its curve; train it again"
            )
        if name.endswith("accuracy"):
            curve = curve.where(np.isfinite(curve) | ~diverged, chance)
        wide[name] = curve
    return wide


def _measured_runs(
    study: Study,
    options: Options,
    results: "Results",
    curves: "dict[str, pd.DataFrame]",
    test: tuple[float, int],
) -> "pd.DataFrame":
    """A row per run: arm, seed, its cell's levels, responses, accuracies, and what flags it."""
    import numpy as np
    import pandas as pd

    from takeoff.statistics.censoring import first_crossing
    from takeoff.statistics.chance import collapsed
    from takeoff.statistics.responses import responses_of
    from takeoff.statistics.tables import level_text

    chance, images = test
    cells = product(*((level_text(f.baseline), level_text(f.treatment)) for f in study.factors.values()))
    levels = {arm.name: cell for arm, cell in zip(arms(study, options), cells, strict=True)}
    # Only this experiment's arms, in its order, whatever else the tables hold.
    given = results.runs[results.runs["arm"].isin(levels)]
    given = given.iloc[np.lexsort([given["seed"], given["arm"].map(list(levels).index)])].reset_index(
        drop=True
    )
    runs = given[["arm", "seed"]].copy()
    for i, factor in enumerate(study.factors):
        runs[factor] = [levels[arm][i] for arm in runs["arm"]]
    names = [*RESPONSES[:3], "train_accuracy", "validation_accuracy"]
    runs = runs.assign(**responses_of(given, names, images, chance, "factorial"))
    validation, horizon = curves["validation_accuracy"], study.recipe.epochs
    crossings = [
        first_crossing(validation.index, validation[run.arm, run.seed], options.threshold, horizon)
        for run in runs.itertuples()
    ]
    runs["epochs_to_threshold"] = [crossing.position for crossing in crossings]
    runs["censored"] = [crossing.censored for crossing in crossings]
    runs["diverged"] = given["diverged"].astype(bool)
    runs["collapsed"] = collapsed(runs["test_accuracy"], runs["diverged"], chance, images)
    kept = [name for name in ("learning_rate", "at_edge", "untuned") if name in given]
    return pd.concat([runs, given[kept]], axis=1)


def _cells(study: Study, runs: "pd.DataFrame") -> "pd.DataFrame":
    """A row per arm: its levels, counts, rate, and each response's mean, `_low` and `_high`."""
    import pandas as pd

    from takeoff.statistics.intervals import mean_interval

    rows = []
    for arm, group in runs.groupby("arm", sort=False):
        first = group.iloc[0]
        row = {"arm": arm, **{factor: first[factor] for factor in study.factors}, "n_seeds": len(group)}
        row["n_diverged"] = int(group["diverged"].sum())
        row |= {flag: int(group[flag].sum()) for flag in ("collapsed", "censored")}
        row |= {name: first[name] for name in ("learning_rate", "at_edge", "untuned") if name in runs}
        for name in (*RESPONSES, "train_accuracy", "validation_accuracy"):
            row[name], row[f"{name}_low"], row[f"{name}_high"], _ = mean_interval(group[name])
        rows.append(row)
    return pd.DataFrame(rows)


def _collapse(runs: "pd.DataFrame", chance: float, images: int) -> "pd.DataFrame":
    import pandas as pd

    from takeoff.statistics.chance import chance_line
    from takeoff.statistics.intervals import proportion_interval

    rows = []
    for arm, group in runs.groupby("arm", sort=False):
        collapsed = int(group["collapsed"].sum())
        low, high = proportion_interval(collapsed, len(group))
        rows.append(
            {
                "arm": arm,
                "runs": len(group),
                "collapsed": collapsed,
                "rate": collapsed / len(group),
                "ci_low": low,
                "ci_high": high,
                "mean": group["test_accuracy"].mean(),
                "mean_of_rest": group.loc[~group["collapsed"], "test_accuracy"].mean(),
                "chance": chance,
                "line": chance_line(chance, images),
            }
        )
    return pd.DataFrame(rows)


def _pairing(design: "Design", runs: "pd.DataFrame") -> "pd.DataFrame":
    """Tidy: `response`, `quantity` (`mean_correlation`, `variance_ratio`), `term` (of a ratio), `value`."""
    import pandas as pd

    from takeoff.statistics.contrasts import interaction_weights
    from takeoff.statistics.pairing import mean_correlation, variance_ratio

    rows = []
    for response in RESPONSES:
        matrix = design.matrix(runs[response])
        rows.append((response, "mean_correlation", "", mean_correlation(matrix)))
        for i, factor in enumerate(design.levels):
            ratio = variance_ratio(matrix, interaction_weights(design.k, [i]))
            rows.append((response, "variance_ratio", factor, ratio))
    return pd.DataFrame(rows, columns=["response", "quantity", "term", "value"])


def _mean_curves(runs: "pd.DataFrame", curves: "dict[str, pd.DataFrame]") -> "pd.DataFrame":
    """A row per arm and epoch: `n_seeds` with an accuracy, and each measure's mean, `_low` and `_high`."""
    import pandas as pd

    from takeoff.statistics.intervals import mean_band

    parts = []
    for arm in runs["arm"].unique():
        part = pd.DataFrame({"arm": arm, "epoch": curves["train_accuracy"].index})
        for name in CURVES:
            band = mean_band(curves[name][arm])
            if name == "train_accuracy":
                part["n_seeds"] = band.n
            part[name], part[f"{name}_low"], part[f"{name}_high"] = band.mean, band.low, band.high
        parts.append(part[part["n_seeds"] > 0])
    return pd.concat(parts, ignore_index=True)
