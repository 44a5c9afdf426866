"""The 2012 ImageNet moment: does the network nearly halve the error of the best hand-made pipeline?"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from takeoff.experiments.claims import Claim, Finding
from takeoff.experiments.scaling_methods import Method, pair
from takeoff.study.arms import AnyArm, Arm, ClassicalArm, first_seeds, make_arm, make_classical
from takeoff.study.model import Level, Study
from takeoff.study.settings import Count, Settings

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from takeoff.experiments.registry import Results

TITLE = "The 2012 moment: the network against the best hand-made pipeline"
TABLES = ("methods", "ratio", "runs")
FIGURES = {
    "errors": "Errors beside the published ones",
    "ratio": "The network's error over the hand-made one",
}
HALVED, NOT_HALVED = 0.6, 0.7
"""Up to which ratio of errors the network nearly halved them, and from which it did not."""
TOP5_CLASSES = 10
"""With more classes the top-5 error is judged; of ten a guess is among the first five half of the time."""
NETWORKS: dict[str, dict[str, Level]] = {
    "network-2012": {"activation": "relu", "norm": "none", "dropout": 0.5},
    "network-modern": {"activation": "relu", "norm": "batch", "dropout": 0},
}
"""As in 2012, ReLU and dropout (Krizhevsky 2012), and with batch norm instead of dropout (Ioffe & Szegedy 2015)."""
CLAIMS = (
    Claim(
        name="network-nearly-halved-the-error",
        statement="The network nearly halved the best hand-made error.",
        source="Krizhevsky, Sutskever & Hinton 2012, NIPS",
        quantity="test error of the better network over that of the best hand-made pipeline, each chosen by validation "
        "accuracy, paired over images and seeds; top-5 with more than ten classes, else top-1",
        criterion="supported where the interval lies below 0.6, contradicted where it lies above 0.7",
        published="top-5, ILSVRC-2012: 15.3 against 26.2 (trained on more images), like for like 16.4 against 26.2; "
        "ILSVRC-2010: 17.0 against 25.7",
        figure="moment-ratio",
        scope="much data",
        published_value=16.4 / 26.2,
    ),
)


class Options(Settings):
    """What a study may set below `moment`."""

    seeds: Count | None = None
    """How many of the study's seeds every method has, the first ones; left out, all."""
    methods: Annotated[tuple[Method, ...], Field(min_length=1)] = (
        "fisher-linear-svm",
        "hog-linear-svm",
        "hog-rbf-svm",
        "kmeans-linear-svm",
    )
    """The older methods, as features and learner."""


def networks(study: Study, options: Options) -> dict[str, Arm]:
    """The arms of `NETWORKS`, on all images, which the factorial experiment shares where its levels are these."""
    seeds = first_seeds(study, options.seeds)
    return {name: make_arm(study, levels, seeds=seeds) for name, levels in NETWORKS.items()}


def classical(study: Study, options: Options) -> dict[str, ClassicalArm]:
    """The arms of the older methods, on all images."""
    seeds = first_seeds(study, options.seeds)
    return {method: make_classical(study, *pair(method), seeds=seeds) for method in options.methods}


def arms(study: Study, options: Options) -> list[AnyArm]:
    """Two networks and the older methods, each tuned, on all images."""
    return [*networks(study, options).values(), *classical(study, options).values()]


def analyse(study: Study, options: Options, results: "Results") -> "dict[str, pd.DataFrame]":
    """The tables of the experiment; errors and accuracies are fractions.

    - `methods`: a row per method and response (`top1`, `top5`): its test error with a 95% interval over seeds and
      images, mean validation accuracy, and whether it is the `chosen` one of its kind by that.
    - `ratio`: a row per response: the chosen network's error over the chosen older method's, with a 95% interval over
      seeds and images; its logarithm, that one's standard error and degrees of freedom; which is `judged`.
    - `runs`: a row per method and seed.

    Raises:
        TakeoffError: a run is missing, or its record of the test images does not fit them.

    """
    from takeoff.experiments.chance import chance_of
    from takeoff.experiments.moment_tables import methods_table, ratio_table, read_runs

    named = networks(study, options) | classical(study, options)
    names, test = {arm.name: name for name, arm in named.items()}, chance_of(results.card, study)
    runs, hits = read_runs(names, results.runs, test)
    methods = methods_table(runs, hits, test[0])
    return {"methods": methods, "ratio": ratio_table(methods, hits, classes_of(results.card)), "runs": runs}


def classes_of(card: dict[str, Any]) -> int:
    """How many classes there are, of a card that counts the test images of each."""
    return len((card.get("images_per_class") or card["counts"])["test"])


def judge(
    study: Study, options: Options, tables: "dict[str, pd.DataFrame]", card: dict[str, Any]
) -> list[Finding]:
    """What the table `ratio`, read back, says of the claim."""
    from takeoff.experiments.chance import chance_of
    from takeoff.experiments.moment_tables import finding

    return [finding(CLAIMS[0], tables, chance_of(card, study))]


def draw(
    study: Study, options: Options, tables: "dict[str, pd.DataFrame]"
) -> "Iterator[tuple[str, Figure, pd.DataFrame]]":
    """Errors of every method beside the published ones, and the ratio beside the published ones."""
    from takeoff.experiments.moment_figures import draw_errors, draw_ratio

    yield "errors", *draw_errors(study, tables)
    yield "ratio", *draw_ratio(study, tables)
